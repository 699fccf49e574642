"""A batch that is too large for one transaction: what waits for it, and what a break leaves."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.bookable import booking, snapshots_of
from tests.synced_site import Site, begin, opened_site
from tests.waiting import eventually

import pylantir.sync
from pylantir.errors import DatabaseUnavailable
from pylantir.worklist.applying import AT_ONCE
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.query import WorklistQuery
from pylantir.worklist.status import ItemStatus


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with opened_site(tmp_path) as site:
        yield site


def test_a_scanners_report_need_not_wait_for_the_end_of_a_large_import(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pylantir.sync, "_ROOM_FOR_OTHERS_S", 60)  # or until it is stopped
    site.source.records = [booking(str(n)) for n in range(3 * AT_ONCE)]
    there: list[int] = []

    def report() -> None:
        eventually(lambda: site.items.find(WorklistQuery(limit=1)))
        with site.database.write() as connection:
            counted = connection.exec_driver_sql("SELECT count(*) FROM worklist_items")
            there.append(counted.scalar_one())
        site.sync.stopping.set()

    scanner = threading.Thread(target=report)
    scanner.start()
    stopped = site.sync.run_once()
    scanner.join()
    assert there == [AT_ONCE]
    assert not stopped.complete
    assert site.sync.states.state("book").cursor == "", "what was stopped is not all"
    site.sync.stopping.clear()
    monkeypatch.undo()
    site.sync.run_once()
    assert len(site.all()) == 3 * AT_ONCE
    assert site.sync.states.state("book").cursor == "cursor 2"


def test_a_large_import_that_breaks_off_goes_on_in_the_next_round_with_the_same_uids(
    site: Site,
) -> None:
    site.source.records = [booking(str(n)) for n in range(AT_ONCE + 1)]
    with site.database.write() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER broken BEFORE INSERT ON worklist_items"
            f" WHEN NEW.source_record_id = '{AT_ONCE}'"
            " BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
    with pytest.raises(DatabaseUnavailable):
        site.sync.run_once()
    before = {item.source_record_id: item for item in site.all()}
    assert len(before) == AT_ONCE
    assert site.sync.states.state("book").cursor == ""
    assert site.sync.states.runs("book") == []

    with site.database.write() as connection:
        connection.exec_driver_sql("DROP TRIGGER broken")
    report = site.sync.run_once()
    assert (len(report.plan.created), report.plan.unchanged) == (1, AT_ONCE)
    after = {item.source_record_id: item for item in site.all()}
    assert before.items() <= after.items()
    assert len(after) == AT_ONCE + 1
    assert site.sync.states.state("book").cursor == "cursor 2"


@pytest.mark.parametrize("what", ["created", "changed", "withdrawn", "missing", "back"])
def test_every_kind_of_change_may_be_too_many_for_one_transaction(site: Site, what: str) -> None:
    number = AT_ONCE + 1
    everything = [booking(str(n)) for n in range(number)]
    site.source.records = everything
    site.sync.run_once()
    if what == "changed":
        site.source.records = [booking(str(n), scheduled_start_time="11:30") for n in range(number)]
        site.sync.run_once()
        assert {i.scheduled_procedure_step_start_time for i in site.all()} == {dt.time(11, 30)}
        assert len(site.items.history(site.item("7").item_id or 0).changes) == 1
    if what in ("withdrawn", "missing", "back"):
        site.source.records = []
        site.sync.run_once()
        assert site.remembered("7", "missing_since")
    if what == "withdrawn":
        site.sync.run_once(accept_withdrawals=True)
        assert site.scheduled() == []
    if what == "back":
        site.source.records = everything
        site.sync.run_once()
        assert site.remembered("7", "missing_since") is None
    if what != "withdrawn":
        assert len(site.scheduled()) == number


@pytest.mark.parametrize("what", ["moved", "withdrawn"])
def test_a_scan_that_begins_between_comparing_and_writing_is_not_touched(
    site: Site, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    site.source.records = [booking("1"), booking("2")]
    site.source.scope = snapshots_of("1", "2")
    site.sync.run_once()
    begun: list[WorklistItem] = []

    def scan_begins() -> tuple[str, ...]:  # asked after the comparison, before anything is written
        begin(site, "1")
        begun.append(site.item("1"))
        return ()

    monkeypatch.setattr(site.source, "notes", scan_begins)
    moved = [booking("1", scheduled_start_time="16:00")] if what == "moved" else []
    site.source.records = [*moved, booking("2", scheduled_start_time="17:00")]
    site.sync.run_once()

    assert [site.item("1")] == begun
    assert begun[0].status is ItemStatus.IN_PROGRESS
    assert site.item("2").scheduled_procedure_step_start_time == dt.time(17)
    assert site.items.history(begun[0].item_id or 0).changes == ()
