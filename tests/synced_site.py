"""A worklist and one source of bookings, for tests of what a round does."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bookable import NOW, BookableSource, MovableClock
from tests.worklist.bookings import begun

from pylantir.sync import Synchronizer
from pylantir.worklist.database import Database
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.query import WorklistQuery
from pylantir.worklist.schema import prepare
from pylantir.worklist.status import ItemStatus
from pylantir.worklist.steps import StepStore
from pylantir.worklist.store import ItemStore


@dataclass
class Site:
    database: Database
    items: ItemStore
    source: BookableSource
    clock: MovableClock
    sync: Synchronizer

    def item(self, record_id: str) -> WorklistItem:
        return next(i for i in self.all() if i.source_record_id == record_id)

    def all(self) -> list[WorklistItem]:
        return self.items.find(WorklistQuery())

    def scheduled(self) -> list[str]:
        return sorted(i.source_record_id for i in self.all() if i.status is ItemStatus.SCHEDULED)

    def remembered(self, record_id: str, column: str) -> Any:
        with self.database.read() as connection:
            return connection.exec_driver_sql(
                f"SELECT {column} FROM worklist_items WHERE source_record_id = ?", (record_id,)
            ).scalar_one()


@contextlib.contextmanager
def opened_site(folder: Path) -> Iterator[Site]:
    database = Database(str(folder / "worklist.db"))
    prepare(database, now=NOW)
    clock, source = MovableClock(), BookableSource()
    sync = Synchronizer("book", source, database, clock)
    yield Site(database, ItemStore(database, now=clock.now), source, clock, sync)
    database.close()


def begin(site: Site, record_id: str) -> str:
    step = begun(site.item(record_id), dt.datetime(2026, 3, 2, 10, 1))
    StepStore(site.database, now=site.clock.now).create(step)
    return step.sop_instance_uid
