"""REDCap is away, slow, half-way, or its clock is wrong: nothing is lost."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.sources.redcap_site import Site, many, redcap_site
from tests.standins.clock import VirtualClock
from tests.standins.journal import Entry
from tests.standins.redcap_data import RowKey

from pylantir.errors import SourceRefused, SourceUnavailable

BASE, SCAN = RowKey("baseline_arm_1"), RowKey("t1_arm_1", "mri", 1)
FIRST = "1/t1_arm_1/mri/1"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with redcap_site(tmp_path) as site:
        site.project.log.clear()
        yield site


def withdrawn(report: Any) -> list[str]:
    return sorted(each.item.source_record_id for each, _ in report.plan.withdrawn)


# --- Outages (rows 2, 9, 18, 27, 28) ---


def test_two_refusals_and_then_an_answer_recover_alone(site: Site) -> None:
    site.server.fault("*", status=401, body='{"error": "no"}', times=2)
    for _ in range(2):
        with pytest.raises(SourceRefused):
            site.sync()
    site.sync()
    assert len(site.items()) == 3


def test_a_failure_half_way_through_the_chunks_applies_nothing_and_keeps_the_cursor(
    site: Site,
) -> None:
    many(site)
    site.config["chunk_size"] = 5
    site.server.fault("record", nth=3, cut="close", times=3)
    with pytest.raises(SourceUnavailable):
        site.sync()
    assert (site.items(), site.cursor) == ({}, "")
    site.sync()
    assert len(site.items()) == 24


def test_chunks_are_halved_when_the_server_runs_out_of_memory(site: Site) -> None:
    many(site, 20)
    site.project.max_rows = 25
    site.sync()
    assert len(site.items()) == 40


def test_a_single_record_that_is_too_much_is_a_failure_and_no_endless_halving(
    site: Site,
) -> None:
    site.project.max_rows = 4
    site.project.put("1", {"mri_date": "2026-03-05"}, RowKey("t1_arm_1", "mri", 3))
    site.project.put("1", {"mri_date": "2026-03-05"}, RowKey("t1_arm_1", "mri", 4))
    with pytest.raises(SourceUnavailable, match="memory"):
        site.sync()


def test_a_record_that_is_deleted_between_two_chunks_is_no_booking(site: Site) -> None:
    site.config["chunk_size"] = 1

    def delete(entry: Entry) -> None:
        if entry.form.get("records[0]") == "2":
            site.server.before = None
            site.project.delete_record("3")

    site.server.before = delete
    site.sync()
    assert site.scheduled() == [FIRST, "1/t1_arm_1/mri/2"]


def test_an_edit_while_a_long_fetch_runs_is_seen_in_the_next_round(site: Site) -> None:
    site.config["chunk_size"] = 1
    site.skew = dt.timedelta(hours=2)

    def edit_behind_its_back(entry: Entry) -> None:
        if entry.form.get("records[0]") == "2":
            site.server.before = None
            site.project.put("1", {"mri_time": "16:00"}, SCAN)
            site.later(minutes=40)

    site.server.before = edit_behind_its_back
    site.sync()
    assert site.items()[FIRST].start.hour == 9
    site.later(minutes=1)
    site.sync()
    assert site.items()[FIRST].start.hour == 16


def test_a_restart_after_three_days_catches_up(site: Site) -> None:
    site.sync()
    site.restart()
    site.later(minutes=1)
    site.project.put("1", {"mri_date": "2026-03-06"}, SCAN)
    site.project.delete_record("3")
    site.later(days=3)
    site.sync()
    assert site.items()[FIRST].start.date() == dt.date(2026, 3, 6)
    assert "3/t1_arm_1/mri/1" not in site.scheduled()


def test_a_cursor_of_another_type_of_source_means_all_over_again(site: Site) -> None:
    site.sync()
    site.restart()
    site.project.delete_record("3")
    site.project.log.clear()
    with site.database.write() as connection:
        connection.exec_driver_sql("UPDATE source_states SET cursor = '{\"files\": 1}'")
    site.later(minutes=5)
    site.sync()
    assert "3/t1_arm_1/mri/1" not in site.scheduled()
    assert dt.datetime.fromisoformat(site.cursor.partition(" ")[0])


# --- Clocks (R8, rows 16 and 17) ---


@pytest.mark.parametrize("minutes", [-600, -10, 10, 600])
def test_a_clock_that_is_wrong_on_either_side_loses_no_edit(site: Site, minutes: int) -> None:
    site.skew = dt.timedelta(minutes=minutes)
    site.sync()
    for hour in (13, 14, 15):
        site.later(minutes=30)
        site.project.put("1", {"mri_time": f"{hour}:00"}, SCAN)
        site.later(seconds=1)
        site.sync()
        assert site.items()[FIRST].start.hour == hour


def test_a_server_in_another_zone_loses_no_edit(site: Site) -> None:
    site.config["server_timezone"] = "Asia/Tokyo"
    site.server.clock.zone = VirtualClock("Asia/Tokyo").zone
    site.sync()
    site.later(minutes=30)
    site.project.put("1", {"mri_time": "16:00"}, SCAN)
    site.later(minutes=1)
    site.sync()
    assert site.items()[FIRST].start.hour == 16


@pytest.mark.parametrize("pause", [5, 20, 55, 70])
@pytest.mark.parametrize("late", [1, 4, 13])
def test_the_hour_that_happens_twice_in_autumn_loses_no_edit(
    site: Site, pause: int, late: int
) -> None:
    clock = site.server.clock
    clock.set(dt.datetime(2025, 11, 2, 6, 50, tzinfo=dt.UTC))  # 00:50, an hour before 01:50
    site.project.put("1", {"mri_date": "2025-11-03"}, SCAN)
    site.sync()
    for hour in (10, 11, 12, 13, 14):
        site.later(minutes=late)
        site.project.put("1", {"mri_time": f"{hour}:00"}, SCAN)
        site.later(minutes=pause)
        site.sync()
        assert site.items()[FIRST].start.hour == hour


def test_the_hour_that_is_skipped_in_spring_loses_no_edit(site: Site) -> None:
    site.server.clock.set(dt.datetime(2026, 3, 8, 8, 40, tzinfo=dt.UTC))  # 01:40, 02:40 is none
    site.project.put("1", {"mri_date": "2026-03-09"}, SCAN)
    site.sync()
    for hour in (10, 11, 12):
        site.later(minutes=15)
        site.project.put("1", {"mri_time": f"{hour}:00"}, SCAN)
        site.later(minutes=7)
        site.sync()
        assert site.items()[FIRST].start.hour == hour


def test_the_date_range_is_the_servers_wall_clock_and_has_no_end(site: Site) -> None:
    site.sync()
    site.later(minutes=30)
    site.sync()
    asked = [e.form for e in site.server.journal.of("record") if "dateRangeBegin" in e.form]
    assert [form["dateRangeBegin"] for form in asked] == ["2026-03-02 07:48:00"]
    assert "dateRangeEnd" not in asked[0]


def test_a_date_from_the_future_in_one_answer_loses_no_edit(site: Site) -> None:
    site.server.fault("*", headers={"Date": "Fri, 02 Mar 2099 15:00:00 GMT"})
    site.sync()
    site.server.faults.clear()
    site.project.put("1", {"mri_time": "16:00"}, SCAN)
    site.later(minutes=1)
    site.sync()
    assert site.items()[FIRST].start.hour == 16
