"""The demonstration: the same believable day for everybody who starts it that day."""

from __future__ import annotations

import datetime as dt
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pylantir import demo
from pylantir.clock import SiteClock
from pylantir.daemon import Worklist, open_worklist
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.query import WorklistQuery
from pylantir.worklist.status import ItemStatus, StepStatus

DAY = dt.date(2025, 7, 7)


class Wall:
    """A clock on the wall that the test moves."""

    def __init__(self) -> None:
        self.now = dt.datetime(2025, 7, 7, 12, tzinfo=dt.UTC)

    def __call__(self) -> dt.datetime:
        return self.now


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def worklist(tmp_path: Path, wall: Wall) -> Iterator[Worklist]:
    """A demonstration worklist on an invented day."""
    config = demo.demo_config(str(tmp_path / "demo"), {}).config
    opened = open_worklist(config, SiteClock("UTC", now=wall))
    yield opened
    opened.close()


def items_in(worklist: Worklist) -> list[WorklistItem]:
    return worklist.items.find(WorklistQuery())


def contents(items: list[WorklistItem]) -> list[object]:
    return [item.content() for item in items]


def test_the_same_day_has_the_same_bookings_and_another_day_others() -> None:
    today, again = demo.demo_items(DAY), demo.demo_items(DAY)
    tomorrow = demo.demo_items(DAY + dt.timedelta(days=1))

    assert contents(today) == contents(again)
    assert contents(today) != contents(tomorrow)
    assert {i.study_instance_uid for i in today}.isdisjoint(i.study_instance_uid for i in tomorrow)


def test_a_dozen_participants_are_booked_on_three_scanners_today() -> None:
    items = demo.demo_items(DAY)

    assert len({item.patient_id for item in items}) == 12
    stations = Counter(item.scheduled_station_ae_title for item in items)
    assert list(stations.values()) == [4, 4, 4]


def test_no_scanner_is_booked_twice_at_a_time() -> None:
    for day in range(60):
        items = demo.demo_items(DAY + dt.timedelta(days=day))
        starts = [(item.scheduled_station_ae_title, item.start) for item in items]
        assert len(set(starts)) == len(starts)
        assert {start.date() for _, start in starts} == {DAY + dt.timedelta(days=day)}


def test_the_names_try_what_a_console_may_have_trouble_with() -> None:
    names = [item.patient_name for item in demo.demo_items(DAY)]

    assert any("é" in name for name in names)
    assert any("Ł" in name for name in names), "not in Latin-1"
    assert any("山" in name and "や" in name for name in names), "kanji and kana"


def test_some_weights_are_unknown_and_none_is_invented() -> None:
    weights = [item.patient_weight_kg for item in demo.demo_items(DAY)]

    assert weights.count(None) == 2
    assert all(30 < weight < 120 for weight in weights if weight is not None)


def test_one_booking_is_in_each_state(worklist: Worklist) -> None:
    demo.fill(worklist)

    states = Counter(item.status for item in items_in(worklist))
    assert set(states) == set(ItemStatus)
    assert states[ItemStatus.SCHEDULED] == 6
    steps = {linked.step.status: linked for linked in worklist.steps.all()}
    assert set(steps) == set(StepStatus)
    assert worklist.steps.all(unlinked=True) == []


def test_a_second_start_finds_what_people_have_left(worklist: Worklist) -> None:
    demo.fill(worklist)
    booked = next(i for i in items_in(worklist) if i.status is ItemStatus.SCHEDULED)
    worklist.items.set_status(booked.item_id or 0, ItemStatus.CANCELLED)
    before = contents(items_in(worklist))

    demo.fill(worklist)

    assert contents(items_in(worklist)) == before
    assert len(worklist.steps.all()) == 3


def test_the_configuration_is_for_this_machine_only(tmp_path: Path) -> None:
    loaded = demo.demo_config(str(tmp_path), {"port": 0, "ae_title": "DEMO"})

    assert (loaded.config.ip, loaded.config.port, loaded.config.ae_title) == (
        "127.0.0.1",
        0,
        "DEMO",
    )
    assert Path(loaded.config.db_path).parent == tmp_path


def test_the_source_adds_moves_and_cancels_a_booking_of_its_own(worklist: Worklist) -> None:
    demo.fill(worklist)
    day = {item.item_id for item in items_in(worklist)}
    source = demo.DemoSource(worklist)

    source.add()
    [added] = [item for item in items_in(worklist) if item.item_id not in day]
    source.move()
    moved = worklist.items.get(added.item_id or 0)
    source.cancel()
    cancelled = worklist.items.get(added.item_id or 0)

    assert added.status is ItemStatus.SCHEDULED
    assert moved.start == added.start + dt.timedelta(hours=1)
    assert moved.study_instance_uid == added.study_instance_uid
    assert cancelled.status is ItemStatus.CANCELLED


def test_the_source_goes_on_all_day(worklist: Worklist) -> None:
    demo.fill(worklist)
    source = demo.DemoSource(worklist)

    for _ in range(40):
        source.add()
        source.move()
        source.cancel()

    items = items_in(worklist)
    assert len(items) == 12 + 40
    assert {item.scheduled_procedure_step_start_date for item in items} == {DAY}


def test_the_source_fills_the_new_day_after_midnight(worklist: Worklist, wall: Wall) -> None:
    changed = threading.Event()
    source = demo.DemoSource(worklist, every_s=0.001)
    find = worklist.items.find

    def days() -> set[dt.date]:
        return {item.scheduled_procedure_step_start_date for item in find(WorklistQuery())}

    source.start()
    try:
        wall.now += dt.timedelta(days=1)
        wait_for(lambda: len(days()) == 2, changed)
    finally:
        source.stop()

    assert days() == {DAY, DAY + dt.timedelta(days=1)}


def wait_for(condition: Callable[[], bool], event: threading.Event) -> None:
    """Look again and again for what another thread will do; at most ten seconds."""
    for _ in range(1000):
        if condition():
            return
        event.wait(0.01)
    pytest.fail("it did not happen")


def test_the_source_ends_when_it_is_told(worklist: Worklist) -> None:
    source = demo.DemoSource(worklist, every_s=3600)
    source.start()

    source.stop()
    source.stop()

    assert "demo" not in {thread.name for thread in threading.enumerate()}
