"""A database brought to the newest schema, and the copies that were kept of what it was before."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.worklist.bookings import NOW

from pylantir.worklist.database import Database
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.query import WorklistQuery
from pylantir.worklist.schema import prepare
from pylantir.worklist.store import ItemStore
from pylantir.worklist.tables import SCHEMA_VERSION

DATA = Path(__file__).parent / "data"
COPY = f"worklist.db.before-{SCHEMA_VERSION}-20250707T120000.bak"


@contextmanager
def opened(path: Path, now: dt.datetime = NOW) -> Iterator[Database]:
    database = Database(str(path))
    try:
        prepare(database, now=now)
        yield database
    finally:
        database.close()


def served(path: Path) -> list[WorklistItem]:
    with opened(path) as database:
        return ItemStore(database).find(WorklistQuery())


def backups(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.bak"))
