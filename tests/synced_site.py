"""A worklist and one source of bookings, for tests of what a round does."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bookable import NOW, BookableSource, MovableClock

from pylantir.sync import Synchronizer
from pylantir.worklist.database import Database
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.query import WorklistQuery
from pylantir.worklist.schema import prepare
from pylantir.worklist.status import ItemStatus, StepStatus
from pylantir.worklist.step import PerformedProcedureStep, ScheduledStepReference
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
    step = step_of(site.item(record_id))
    StepStore(site.database, now=site.clock.now).create(step)
    return step.sop_instance_uid


def step_of(item: WorklistItem) -> PerformedProcedureStep:
    """A step that a scanner has just begun for an item."""
    reference = ScheduledStepReference(
        study_instance_uid=item.study_instance_uid,
        scheduled_procedure_step_id=item.scheduled_procedure_step_id,
    )
    return PerformedProcedureStep(
        sop_instance_uid=f"2.25.{item.item_id}",
        status=StepStatus.IN_PROGRESS,
        performed_procedure_step_id="1",
        performed_station_ae_title="MR1",
        calling_ae_title="MR1",
        modality="MR",
        patient_id=item.patient_id,
        patient_name=item.patient_name,
        started=dt.datetime(2026, 3, 2, 10, 1),
        references=(reference,),
        attributes={},
    )
