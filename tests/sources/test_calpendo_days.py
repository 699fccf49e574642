"""Which days of Calpendo are read, by whose clock."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.sources.calpendo_site import ZONE, Site, at, calpendo_site, ids

from pylantir.config.schema import DailyWindow


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with calpendo_site(tmp_path) as made:
        yield made


def test_bookings_of_the_whole_horizon_are_read(site: Site) -> None:
    site.config = {"days_ahead": 3}
    for days in (-2, -1, 0, 3, 4):
        site.book(f"D{days + 2}_A_B", at(23, 0, days), minutes=30)
    assert ids(site) == ["D1", "D2", "D5"]


def test_a_booking_that_has_begun_stays_in_the_window(site: Site) -> None:
    site.book("SUB001_A_B", at(0, 5), minutes=30)
    site.later(hours=15)
    assert ids(site) == ["SUB001"]


def test_window_mode_today_reads_the_present_day_only(site: Site) -> None:
    site.entry = {"window_mode": "today"}
    for days in (-1, 0, 1):
        site.book(f"D{days + 1}_A_B", at(12, 0, days))
    assert ids(site) == ["D1"]


def test_a_daily_window_that_ends_when_it_begins_is_a_whole_day(site: Site) -> None:
    site.entry = night((7, 0), (7, 0))
    for title, start in (("A1", at(7)), ("B1", at(22)), ("C1", at(6, 0, 1)), ("D1", at(8, 0, 1))):
        site.book(f"{title}_A_B", start)
    assert ids(site) == ["A1", "B1", "C1"]


def test_the_entrys_window_mode_wins_over_the_config(site: Site) -> None:
    site.config, site.entry = {"window_mode": "rolling"}, {"window_mode": "today"}
    assert site.source.days_ahead == 0


def night(start: tuple[int, int], end: tuple[int, int]) -> dict[str, Any]:
    return {"daily_window": DailyWindow(start_time=start, end_time=end)}


def test_a_daily_window_takes_its_part_of_the_day_to_the_minute(site: Site) -> None:
    site.entry = night((9, 0), (12, 0))
    for minute, title in ((8 * 60 + 59, "A"), (9 * 60, "B"), (12 * 60, "C"), (12 * 60 + 1, "D")):
        site.book(f"{title}1_A_B", at(minute // 60, minute % 60), minutes=30)
    site.book("E1_A_B", at(10, 0, days=1))
    assert ids(site) == ["B1", "C1"]


def test_a_daily_window_may_stand_in_the_config(site: Site) -> None:
    site.config = {"daily_window": {"start_time": [9, 0], "end_time": [12, 0]}}
    site.book("A1_A_B", at(8)), site.book("B1_A_B", at(10))
    assert ids(site) == ["B1"]


def test_a_daily_window_over_midnight_ends_next_morning(site: Site) -> None:
    site.entry = night((22, 0), (6, 0))
    for title, start in (
        ("A1", at(5)),
        ("B1", at(12)),
        ("C1", at(22)),
        ("D1", at(6, 0, 1)),
        ("E1", at(6, 1, 1)),
        ("F1", at(22, 30, 1)),
    ):
        site.book(f"{title}_A_B", start)
    assert ids(site) == ["A1", "C1", "D1"]


# --- Clocks ---


def starts(site: Site) -> list[str]:
    return [
        f"{v['scheduled_procedure_step_start_date']} {v['scheduled_procedure_step_start_time']}"
        for v in site.values()
    ]


@pytest.mark.parametrize("zone", [ZONE, None])
def test_a_booking_in_the_hour_that_spring_skips_keeps_its_wall_clock(
    site: Site, zone: str | None
) -> None:
    site.site_zone = zone
    site.book("SUB001_A_B", dt.datetime(2026, 3, 8, 2, 30))
    assert starts(site) == ["2026-03-08 02:30"]


def test_without_a_zone_of_the_site_bookings_keep_their_wall_clock(site: Site) -> None:
    site.site_zone = None
    site.book("SUB001_A_B", at(9))
    assert starts(site) == ["2026-03-02 09:00"]


@pytest.mark.parametrize(
    ("day", "there"),
    [
        ((2026, 3, 7), "2026-03-07 17:00"),  # UTC-7
        ((2026, 3, 8), "2026-03-08 16:00"),  # UTC-6 from 02:00 on
        ((2026, 10, 31), "2026-10-31 16:00"),
        ((2026, 11, 1), "2026-11-01 16:00"),  # and Alberta stays there
        ((2026, 11, 2), "2026-11-02 16:00"),
        ((2027, 1, 15), "2027-01-15 16:00"),
    ],
)
def test_a_site_in_another_zone_sees_its_own_wall_clock(
    site: Site, day: tuple[int, int, int], there: str
) -> None:
    site.site_zone = "UTC"
    start = dt.datetime(*day, 10)
    site.server.clock.set(start)
    site.book("SUB001_A_B", start)
    assert starts(site) == [there]


def test_the_hour_that_comes_twice_is_the_first_of_the_two_elsewhere(site: Site) -> None:
    site.config, site.site_zone = {"timezone": "America/Toronto"}, "UTC"
    start = dt.datetime(2026, 11, 1, 1, 30)
    site.server.clock.set(start)
    site.book("SUB001_A_B", start)
    assert starts(site) == ["2026-11-01 05:30"]


def test_days_of_the_site_are_asked_for_in_the_wall_clock_of_the_server(site: Site) -> None:
    site.site_zone = "Europe/Berlin"  # eight hours ahead of Edmonton in winter
    site.entry = {"window_mode": "today"}
    for title, start in (
        ("A1", at(15, 0, -1)),  # 23:00 of yesterday there
        ("B1", at(16, 0, -1)),  # 00:00 of today there
        ("C1", at(15, 45)),
        ("D1", at(16, 0)),
    ):
        site.book(f"{title}_A_B", start, minutes=15)
    assert ids(site) == ["B1", "C1"]
