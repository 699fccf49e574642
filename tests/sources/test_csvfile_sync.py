"""CSV files through the synchronizer: no file cancels everything."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.bookable import NOW, MovableClock
from tests.sources.csv_files import (
    ROW,
    leave,
    source,
    table,
)

from pylantir.errors import SourceUnavailable
from pylantir.sources.rounds import SyncReport
from pylantir.sync import Synchronizer
from pylantir.worklist.database import Database
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.query import WorklistQuery
from pylantir.worklist.schema import prepare
from pylantir.worklist.status import ItemStatus
from pylantir.worklist.store import ItemStore


@dataclass
class Site:
    folder: Path
    items: ItemStore
    sync: Synchronizer
    clock: MovableClock

    def round(self, text: str) -> SyncReport:
        """Leave a file, and let a minute pass."""
        self.clock.instant += dt.timedelta(minutes=1)
        leave(self.folder, text, age_s=NOW.timestamp() - self.clock.instant.timestamp() + 30)
        return self.sync.run_once()

    def scheduled(self) -> dict[str, WorklistItem]:
        found = self.items.find(WorklistQuery())
        return {i.source_record_id: i for i in found if i.status is ItemStatus.SCHEDULED}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    (tmp_path / "in").mkdir()
    database = Database(str(tmp_path / "worklist.db"))
    prepare(database, now=NOW)
    clock = MovableClock()
    sync = Synchronizer("files", source(tmp_path / "in"), database, clock)
    yield Site(tmp_path / "in", ItemStore(database, now=clock.now), sync, clock)
    database.close()


def test_a_snapshot_creates_changes_and_withdraws_and_keeps_the_study_uid(site: Site) -> None:
    site.round(table("1", "2"))
    before = site.scheduled()
    site.round(table("1", row=ROW.replace("09:30", "11:00")))
    site.round(table("1", row=ROW.replace("09:30", "11:00")))

    after = site.scheduled()

    assert list(after) == ["1"]
    assert f"{after['1'].start:%H:%M}" == "11:00"
    assert after["1"].study_instance_uid == before["1"].study_instance_uid


def test_no_empty_file_ever_cancels_anything(site: Site) -> None:
    site.round(table("1"))
    for _ in range(3):
        report = site.round(table())
        assert not report.complete

    assert list(site.scheduled()) == ["1"]
    assert report.notes == ("there are no bookings at all, which never cancels any",)


def test_a_file_without_its_header_leaves_the_last_good_list(site: Site) -> None:
    site.round(table("1"))
    for _ in range(2):
        with pytest.raises(SourceUnavailable):
            site.round(table("2").partition("\n")[2])

    assert list(site.scheduled()) == ["1"]


def test_a_row_that_becomes_unreadable_keeps_its_booking(site: Site) -> None:
    site.round(table("1", "2"))
    for _ in range(2):
        report = site.round(table("1") + ROW.format("2").replace("MR", "3.0T") + "\n")

    assert sorted(site.scheduled()) == ["1", "2"]
    assert [rejected.record_id for rejected in report.rejected] == ["2"]
