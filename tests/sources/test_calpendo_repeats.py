"""Bookings of Calpendo that take place on several days under one id."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.sources.calpendo_site import TODAY, Site, at, begin_scan, calpendo_site, ignore_paths
from tests.standins.calpendo_data import Repeat

from pylantir.worklist.status import ItemStatus


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with calpendo_site(tmp_path) as made:
        yield made


def test_each_day_of_a_repeat_booking_is_a_booking(tmp_path: Path) -> None:
    with calpendo_site(tmp_path, repeats="expanded") as site:
        booking = site.book("SUB001_A_B", at(9), repeat=Repeat(2, 4))
        records = site.fetch().records
        assert [r.record_id for r in records] == [
            str(booking.id),
            *(f"{booking.id}/{day}" for day in ("20260304", "20260306", "20260308")),
        ]
        days = {site.source.values_of(r)["scheduled_procedure_step_start_date"] for r in records}
        assert len(days) == 4


def test_a_repeat_that_the_server_does_not_expand_is_noted(site: Site) -> None:
    ignore_paths(site)
    site.book("SUB001_A_B", at(9), repeat=Repeat(2, 4))
    (note,) = site.fetch().notes
    assert "repeat" in note


@pytest.mark.parametrize("with_paths", [True, False])
def test_a_repeat_booking_keeps_its_items_week_after_week(tmp_path: Path, with_paths: bool) -> None:
    """Before release 11 rows of a list say their day; the detail has that of the first."""
    with calpendo_site(tmp_path, repeats="expanded", version=11 if with_paths else 10) as site:
        if not with_paths:
            ignore_paths(site)
        booking = site.book("SUB001_A_B", at(9), repeat=Repeat(7, 4))
        uids: dict[str, str] = {}
        for _ in range(22):
            site.sync()
            for key, item in site.items().items():
                assert uids.setdefault(key, item.study_instance_uid) == item.study_instance_uid
            site.restart()
            site.later(days=1)
        starts = sorted(item.start for item in site.items().values())
        assert starts == [at(9, days=7 * n) for n in range(4)]
        assert set(uids) == {
            str(booking.id),
            *(f"{booking.id}/{day}" for day in ("20260309", "20260316", "20260323")),
        }
        assert all(item.status is ItemStatus.SCHEDULED for item in site.items().values())


def test_a_cancelled_repeat_takes_every_day_with_it(tmp_path: Path) -> None:
    with calpendo_site(tmp_path, repeats="expanded") as site:
        booking = site.book("SUB001_A_B", at(9), repeat=Repeat(2, 3))
        site.sync()
        assert len(site.scheduled()) == 3
        site.server.bookings.delete(booking.id)
        site.sync()
        assert site.scheduled() == []


def test_a_day_that_is_taken_out_of_a_repeat_is_withdrawn_even_the_first(tmp_path: Path) -> None:
    with calpendo_site(tmp_path, repeats="expanded") as site:
        booking = site.book("SUB001_A_B", at(9), repeat=Repeat(2, 3))
        site.sync()
        site.server.bookings.edit(booking.id, repeat=Repeat(2, 3, skipped=(0,)))
        site.sync()
        first = site.item(booking)
        assert (first.start, first.status) == (at(9), ItemStatus.CANCELLED)
        assert len(site.scheduled()) == 2


# --- Days that are seen one at a time ---

ONE_DAY: list[dict[str, Any]] = [
    {"window_mode": "today"},
    {"daily_window": {"start_time": [7, 0], "end_time": [18, 0]}},
    {"daily_window": {"start_time": [22, 0], "end_time": [12, 0]}},
]


@pytest.mark.parametrize("entry", ONE_DAY)
def test_each_day_of_a_repeat_has_its_item_though_days_are_seen_one_at_a_time(
    tmp_path: Path, entry: dict[str, Any]
) -> None:
    with calpendo_site(tmp_path, repeats="expanded") as site:
        site.entry = entry
        booking = site.book("SUB001_A_B", at(9), repeat=Repeat(2, 4))
        for _ in range(7):
            site.sync(), site.sync()
            for item in list(site.items().values()):
                if item.start.date() == site.clock.today() and item.status is ItemStatus.SCHEDULED:
                    begin_scan(site, item)
            site.restart()
            site.later(days=1)
        items = site.items()
        starts = sorted(item.start for item in items.values())
        assert starts == [at(9, days=2 * n) for n in range(4)]
        assert all(item.status is ItemStatus.IN_PROGRESS for item in items.values())
        assert len({item.study_instance_uid for item in items.values()}) == 4
        assert items[str(booking.id)].start == at(9)


def test_days_that_are_read_to_tell_repeats_apart_are_not_scheduled(tmp_path: Path) -> None:
    with calpendo_site(tmp_path, repeats="expanded") as site:
        site.entry = {"window_mode": "today"}
        site.book("SUB001_A_B", at(9, days=-7), repeat=Repeat(7, 4))
        site.book("SUB002_A_B", at(9, days=1))
        site.book("nobody", at(9, days=1))
        batch = site.fetch()
        assert [site.source.values_of(r)["patient_id"] for r in batch.records] == ["SUB001"]
        assert not batch.rejected
        assert not batch.scope.covers("x", TODAY + dt.timedelta(days=1))


def test_a_day_that_is_cancelled_goes_though_the_list_names_the_other_days(tmp_path: Path) -> None:
    with calpendo_site(tmp_path, repeats="expanded") as site:
        site.entry = {"window_mode": "today"}
        booking = site.book("SUB001_A_B", at(9), repeat=Repeat(1, 5))
        site.sync()
        site.later(days=1)
        site.sync()
        site.server.bookings.edit(booking.id, repeat=Repeat(1, 5, skipped=(1,)))
        site.sync()
        gone = site.items()[f"{booking.id}/20260303"]
        assert gone.status is ItemStatus.CANCELLED


@pytest.mark.parametrize("days_later", [0, 1])
def test_an_item_of_a_release_that_saw_one_day_only_keeps_its_identity(
    tmp_path: Path, days_later: int
) -> None:
    with calpendo_site(tmp_path, repeats="expanded") as site:
        site.config = {"window_mode": "today", "days_ahead": 0}  # nothing around today is read
        booking = site.book("SUB001_A_B", at(9, days=-1), repeat=Repeat(1, 5))
        site.sync()
        before = site.item(booking)
        begin_scan(site, before)
        site.restart(days_ahead=7)
        site.later(days=days_later)
        site.sync()
        items = site.items()
        after = items.pop(str(booking.id))
        assert (after.start, after.study_instance_uid) == (before.start, before.study_instance_uid)
        assert after.status is ItemStatus.IN_PROGRESS
        assert [item.start for item in items.values()] == [at(9, days=1)] * days_later
