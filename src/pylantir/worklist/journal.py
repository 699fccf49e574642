"""The journal of queries: what each scanner asked lately, to explain what it was shown.

A small database of its own beside the worklist: a query costs the scanner nothing but a place in a
queue, and a commit here is none of the worklist. Not the audit trail, which keeps everything.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    RowMapping,
    String,
    Table,
    Text,
    delete,
    func,
    select,
)

from pylantir.errors import StoreError
from pylantir.worklist.asked import kept
from pylantir.worklist.database import Database
from pylantir.worklist.query import WorklistQuery

log = logging.getLogger(__name__)

KEPT_QUERIES = 20_000
CAPACITY = 10_000
"""Queries that wait to be written; what comes while there are more is not journalled."""

_GATHER_S = 0.5
_STOP_S = 1.5
_SUFFIX = ".queries.db"

metadata = MetaData()

queries = Table(
    "queries",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Text, nullable=False),  # UTC, ISO 8601
    Column("ae_title", String(16), nullable=False),
    Column("address", Text, nullable=False),
    Column("keys", Text, nullable=False),  # JSON, see pylantir.worklist.asked
    Column("found", Integer, nullable=False),
    Index("ix_queries_ae_title", "ae_title", "id"),
    sqlite_autoincrement=True,
)

journal_key = Table(
    "journal_key",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", LargeBinary, nullable=False),
)
"""One row: the key of the hashes."""


@dataclass(frozen=True, slots=True)
class JournalledQuery:
    """One query of a scanner.

    Parameters
    ----------
    number : int
        Raised by every query.
    at : datetime
        When, aware, UTC.
    ae_title, address : str
        Of the scanner.
    keys : tuple of dict
        What it asked for, see :mod:`pylantir.worklist.asked`.
    found : int
        How many items it was shown.
    """

    number: int
    at: dt.datetime
    ae_title: str
    address: str
    keys: tuple[dict[str, Any], ...]
    found: int


_Waiting = tuple[dt.datetime, str, str, WorklistQuery, int]


class QueryJournal:
    """Keeps the newest queries.

    Parameters
    ----------
    path : Path
        File of the journal; made by :meth:`start`, not before.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._database: Database | None = None
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._opening = threading.Lock()
        self._is_failing = False

    def note(
        self, at: dt.datetime, ae_title: str, address: str, query: WorklistQuery, found: int
    ) -> None:
        """Hand over a query; neither waits nor fails. Without :meth:`start` nothing is kept."""
        if self._thread is not None and self._queue.qsize() < CAPACITY:
            self._queue.put((at, ae_title, address, query, found))

    def start(self) -> None:
        """Write what is handed over, in a thread of its own."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what waits and end."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            self._stopping.set()
            thread.join(_STOP_S)

    def close(self) -> None:
        """Close the file."""
        self.stop()
        with self._opening:
            if self._database is not None:
                self._database.close()
                self._database = None

    def last(self, ae_title: str = "", limit: int = 1, after: int = 0) -> list[JournalledQuery]:
        """The newest queries of a scanner, or of all, the newest first."""
        statement = select(queries).where(queries.c.id > after)
        if ae_title:
            statement = statement.where(queries.c.ae_title == ae_title)
        database = self._open(create=False)
        if database is None:
            return []
        with database.read() as connection:
            rows = connection.execute(statement.order_by(queries.c.id.desc()).limit(limit))
            return [_query_of(row) for row in rows.mappings()]

    def last_of_each(self) -> list[JournalledQuery]:
        """The newest query of every scanner."""
        database = self._open(create=False)
        if database is None:
            return []
        newest = select(func.max(queries.c.id)).group_by(queries.c.ae_title)
        statement = select(queries).where(queries.c.id.in_(newest)).order_by(queries.c.ae_title)
        with database.read() as connection:
            return [_query_of(row) for row in connection.execute(statement).mappings()]

    def key(self) -> bytes:
        """The key of the hashes; empty when nothing has been kept yet."""
        database = self._open(create=False)
        if database is None:
            return b""
        with database.read() as connection:
            return connection.execute(select(journal_key.c.key)).scalar() or b""

    def _run(self) -> None:
        while True:
            waiting = self._gather()
            if waiting:
                self._try_to_write([each for each in waiting if each is not None])
            if None in waiting:
                return

    def _gather(self) -> list[_Waiting | None]:
        """Wait for a query, and a moment longer for those that come right after it."""
        waiting = [self._queue.get()]
        self._stopping.wait(_GATHER_S)
        with contextlib.suppress(Empty):
            while len(waiting) < CAPACITY:
                waiting.append(self._queue.get_nowait())
        return waiting

    def _try_to_write(self, waiting: Sequence[_Waiting]) -> None:
        try:
            database = self._open(create=True)
            assert database is not None
            with database.write() as connection:
                _write(connection, waiting)
        except (StoreError, OSError) as error:
            if not self._is_failing:
                self._is_failing = True
                log.warning("journal of queries: cannot be written: %s", error)
            return
        self._is_failing = False

    def _open(self, *, create: bool) -> Database | None:
        with self._opening:
            if self._database is None and (create or self.path.exists()):
                database = Database(str(self.path))
                database.create_file()
                with database.write() as connection:
                    metadata.create_all(connection)
                    if connection.execute(select(journal_key.c.key)).first() is None:
                        key = secrets.token_bytes(32)
                        connection.execute(journal_key.insert().values(id=1, key=key))
                database.use_wal()
                self._database = database
            return self._database


def journal_path(database: Database) -> Path:
    """Where the journal of a worklist is: beside its file."""
    if database.path is not None:
        return database.path.with_name(database.path.stem + _SUFFIX)
    from pylantir.config.load import data_folder

    return data_folder() / f"worklist{_SUFFIX}"


def _write(connection: Connection, waiting: Sequence[_Waiting]) -> None:
    key = connection.execute(select(journal_key.c.key)).scalar_one()
    rows = [
        {
            "at": at.isoformat(timespec="milliseconds"),
            "ae_title": ae_title,
            "address": address,
            "keys": json.dumps(kept(query, key)),
            "found": found,
        }
        for at, ae_title, address, query, found in waiting
    ]
    if rows:
        connection.execute(queries.insert(), rows)
    newest = connection.execute(select(func.max(queries.c.id))).scalar() or 0
    connection.execute(delete(queries).where(queries.c.id <= newest - KEPT_QUERIES))


def _query_of(row: RowMapping) -> JournalledQuery:
    return JournalledQuery(
        number=row["id"],
        at=dt.datetime.fromisoformat(row["at"]),
        ae_title=row["ae_title"],
        address=row["address"],
        keys=tuple(json.loads(row["keys"])),
        found=row["found"],
    )
