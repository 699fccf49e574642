"""A server on a free port with a worklist of its own, and how scanners reach it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from tests.dicom.modality import Answer, Modality
from tests.worklist.bookings import NOW, booking

from pylantir.audit.files import TrailFiles
from pylantir.audit.trail import AuditTrail
from pylantir.clock import SiteClock
from pylantir.config.schema import Config
from pylantir.dicom.ae import ApplicationEntity
from pylantir.worklist.attributes import MODEL, Level
from pylantir.worklist.database import Database
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.query import WorklistQuery
from pylantir.worklist.steps import StepStore
from pylantir.worklist.store import ItemStore
from pylantir.worklist.tables import performed_steps, step_links, worklist_items
from pylantir.worklist.versions import next_version

STEP_SEQUENCE = "ScheduledProcedureStepSequence"


class Server:
    """The Application Entity over a prepared database; the day is that of the bookings."""

    def __init__(self, db_path: Path, *, audited: bool = False, **settings: Any) -> None:
        self.config = Config(db_path=str(db_path), **{"ip": "127.0.0.1", "port": 0, **settings})
        self.db_path = db_path
        self.database = Database(str(db_path))
        clock = SiteClock("UTC", now=lambda: NOW)
        self.items = ItemStore(self.database, now=clock.now)
        self.steps = StepStore(self.database, now=clock.now)
        self.trail = TrailFiles(db_path.with_suffix(".audit"))
        self.audit = AuditTrail(self.trail if audited else None)
        self.ae = ApplicationEntity(self.config, self.items, self.steps, clock, self.audit)
        self._modality: Modality | None = None

    def start(self) -> Server:
        self.audit.start()
        self.ae.start()
        return self

    def stop(self) -> None:
        if self._modality is not None:
            self._modality.hang_up()
            self._modality = None
        self.ae.stop()
        self.audit.stop()
        self.database.close()

    @property
    def port(self) -> int:
        return self.ae.address[1]

    def empty(self) -> None:
        """Forget every booking and step; scanners stay connected."""
        with self.database.write() as connection:
            for table in (step_links, performed_steps, worklist_items):
                connection.execute(table.delete())
            next_version(connection)

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Plain SQL of another program, committed at once."""
        with closing(sqlite3.connect(self.db_path)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    def book(self, *items: WorklistItem | str, **values: Any) -> WorklistItem:
        """Put items into the worklist; the last one comes back with its number."""
        made = [booking(i, **values) if isinstance(i, str) else i for i in items or ("1",)]
        self.items.put(made)
        return next(
            item
            for item in self.items.find(WorklistQuery())
            if item.source_record_id == made[-1].source_record_id
        )

    def scanner(self, **settings: Any) -> Modality:
        """A scanner to open with ``with``."""
        return Modality(self.port, **settings)

    @property
    def mr1(self) -> Modality:
        """The scanner MR1, whose association stays open from test to test."""
        if self._modality is None or not self._modality.is_open():
            self._modality = self.scanner()
            self._modality.open()
        return self._modality

    def find(self, identifier: Dataset | bytes) -> Answer:
        """C-FIND of the scanner MR1."""
        return self.mr1.find(identifier)

    def ids(self, identifier: Dataset | bytes) -> list[str]:
        """Patient IDs that MR1 finds; the query must succeed and ask for them."""
        answer = self.find(identifier)
        assert answer.status == 0x0000, answer.comment
        return [str(item.PatientID) for item in answer.items]


def query(
    step: Mapping[str, Any] | None = None, /, *, character_set: Any = None, **keys: Any
) -> Dataset:
    """An identifier that asks for the Patient ID and the given keys, nothing else.

    `step` holds keys inside the Scheduled Procedure Step Sequence; without it there is none.
    """
    ds = Dataset()
    if character_set is not None:
        ds.SpecificCharacterSet = character_set
    for keyword, value in {"PatientID": "", **keys}.items():
        setattr(ds, keyword, value)
    if step is not None:
        item = Dataset()
        for keyword, value in step.items():
            setattr(item, keyword, value)
        setattr(ds, STEP_SEQUENCE, [item])
    return ds


def everything() -> Dataset:
    """The identifier of a scanner that asks for all it has heard of."""
    keys: dict[Level, dict[str, Any]] = {Level.ROOT: {}, Level.STEP: {}}
    for attribute in MODEL:
        keys[attribute.level][attribute.keyword] = [] if attribute.is_sequence else None
    return query(keys[Level.STEP], **keys[Level.ROOT])


def step_of(item: Dataset) -> Dataset:
    """The only item of a response's Scheduled Procedure Step Sequence."""
    (step,) = item.ScheduledProcedureStepSequence
    assert isinstance(step, Dataset)
    return step
