"""The database: engine, transactions, migrations. The only place that knows SQLite from others.

Reads and writes are short. A write takes the lock at once (``BEGIN IMMEDIATE``), so that two
writers queue instead of failing half-way, and is on the disk before it is acknowledged
(``synchronous=FULL`` in WAL mode).
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import QueuePool

from pylantir.errors import DatabaseDamaged, DatabaseUnavailable, StoreError
from pylantir.worklist.revision import BUSY, Revision, RevisionWatch
from pylantir.worklist.sqlitefile import SqliteFile

log = logging.getLogger(__name__)

WRITE_TIMEOUT_S = 30.0
"""How long a write waits for another process, and for other writes, before it fails."""

READ_TIMEOUT_S = 10.0
"""How long a read waits for a process that keeps even readers out; a console waits no longer."""

_SAY_AFTER_S = 1.0
_STATEMENTS = 100
"""Statements kept in words: a day of scanners has some fifty, hostile queries any number."""

_PRAGMAS = ("PRAGMA synchronous=FULL", "PRAGMA foreign_keys=ON")
_HINTS = {
    "readonly": ". Make the file and its folder writable, or choose another db_path.",
    "locked": ". Another program holds it; end that program.",
    "locking": ". Another program holds it; end that program.",
    "full": ". Make room on the disk.",
    "I/O error": ". Look at the disk: it is full, read-only, failing, or no longer there.",
    "unable to open": ". Look whether db_path is a file in a folder that you may enter.",
}
_DAMAGED = ("malformed", "not a database", "corrupt", "disk image")


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why the database could not be used, until it can be again.

    Parameters
    ----------
    writing : bool
        It was a write that failed, or waits: reads may work.
    error : StoreError
        What happened.
    """

    writing: bool
    error: StoreError


class Database:
    """A worklist database.

    Parameters
    ----------
    location : str
        Path of an SQLite file, or any SQLAlchemy URL.
    echo : bool
        Log every statement (with its values: for debugging on invented data only).
    """

    def __init__(self, location: str, *, echo: bool = False) -> None:
        self.url = database_url(location)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.path = file_of(self.url)
        self.file = SqliteFile(self.path) if self.path and not self.url.query else None
        self.trouble: Trouble | None = None
        self.reopened = 0
        self._write_lock = threading.RLock()
        self._engine = self._make_engine(echo)
        self._watch = RevisionWatch(self.file) if self.file else None

    @property
    def engine(self) -> Engine:
        """The SQLAlchemy engine; for migrations and this room only."""
        return self._engine

    @property
    def name(self) -> str:
        """What to call this database in messages: its path, or its URL without the password."""
        return str(self.path) if self.path else self.url.render_as_string(hide_password=True)

    def _make_engine(self, echo: bool) -> Engine:
        if not self.is_sqlite:
            try:
                return create_engine(self.url, echo=echo, pool_pre_ping=True)
            except (SQLAlchemyError, ImportError) as error:
                raise DatabaseUnavailable(
                    f"the database {self.name} cannot be used: {error}. "
                    "Install its driver, or choose another db_path."
                ) from error
        file = self.file
        how: dict[str, Any] = {"connect_args": {"check_same_thread": False}}
        if file is not None:
            how = {"creator": lambda: file.connect(READ_TIMEOUT_S)}
        # The connection that was used last has read the pages that will be wanted next.
        pool = {"poolclass": QueuePool, "pool_size": 4, "max_overflow": 28, "pool_use_lifo": True}
        engine = create_engine(self.url, echo=echo, query_cache_size=_STATEMENTS, **pool, **how)
        event.listen(engine, "connect", _configure_sqlite)
        return engine

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A read transaction: one consistent view, gone when the block ends.

        Raises
        ------
        StoreError
            It cannot be read.
        """
        with self._named_errors(writing=False):
            if self.file is not None:
                self.file.require()
            with self._engine.connect() as connection:
                if self.is_sqlite:
                    _driver(connection).execute("BEGIN")
                with connection.begin():
                    yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """A write transaction: committed and on the disk when the block ends, or not at all.

        Raises
        ------
        StoreError
            It cannot be written, or was written into a file that nobody will find again.
        """
        until = time.monotonic() + WRITE_TIMEOUT_S
        with self._named_errors(writing=True), self._alone(until):
            if self.file is not None:
                self.file.require_sound()
            with self._engine.connect() as connection:
                if self.is_sqlite:
                    self._take_lock(_driver(connection), until)
                with connection.begin():
                    yield connection
            if self.file is not None:
                self.file.require()
            self.trouble = None

    @contextlib.contextmanager
    def _alone(self, until: float) -> Iterator[None]:
        """Keep other writers of this process out."""
        if not self._write_lock.acquire(timeout=max(0.0, until - time.monotonic())):
            raise DatabaseUnavailable(
                f"the database {self.name} cannot be used: other writes wait for it too"
            )
        try:
            yield
        finally:
            self._write_lock.release()

    def _take_lock(self, driver: sqlite3.Connection, until: float) -> None:
        """``BEGIN IMMEDIATE``, as soon as no other process writes."""
        try:
            while not self._begin_write(driver, until):
                pass
        finally:
            driver.execute(f"PRAGMA busy_timeout={int(READ_TIMEOUT_S * 1000)}")

    def _begin_write(self, driver: sqlite3.Connection, until: float) -> bool:
        """Take the lock, if it comes free soon; else say that it has not."""
        wait_s = min(_SAY_AFTER_S, max(0.0, until - time.monotonic()))
        driver.execute(f"PRAGMA busy_timeout={int(wait_s * 1000)}")
        try:
            driver.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in BUSY or time.monotonic() >= until:
                raise
            if self.trouble is None:
                log.warning("the database is locked by another program; writes wait for it")
                self.trouble = Trouble(writing=True, error=self._named(error))
            return False
        return True

    def revision(self) -> Revision | None:
        """What changes whenever anybody commits; nothing where or while that cannot be told.

        It cannot on other databases than SQLite, nor while a program keeps even readers out.

        Raises
        ------
        StoreError
            The database cannot be read.
        """
        if self._watch is None:
            return None
        with self._named_errors(writing=False):
            return self._watch.revision()

    def create_file(self) -> None:
        """Make the file and its folder, readable by nobody else, when they do not exist yet.

        Raises
        ------
        DatabaseUnavailable
            The folder cannot be made or written.
        """
        if self.path is None:
            return
        try:
            if self.path.exists():
                return
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise DatabaseUnavailable(
                f"cannot create the database {self.path}: {error.strerror}. "
                "Choose another db_path or make its folder writable."
            ) from error

    def use_wal(self) -> None:
        """Let readers and one writer work at the same time (SQLite); the file remembers it.

        Not done when connecting: a file that turns out to be somebody else's stays as it is.
        """
        if not self.is_sqlite:
            return
        with (
            self._named_errors(writing=True),
            contextlib.closing(self._engine.raw_connection()) as connection,
        ):
            connection.execute("PRAGMA journal_mode=WAL")

    @contextlib.contextmanager
    def open_connection(self) -> Iterator[sqlite3.Connection]:
        """One of the connections that are open, and no writer of this process beside it (SQLite).

        It still reads a file that has been deleted since.

        Raises
        ------
        StoreError
            There is none.
        """
        with (
            self._named_errors(writing=False),
            self._alone(time.monotonic() + WRITE_TIMEOUT_S),
            contextlib.closing(self._engine.raw_connection()) as connection,
        ):
            driver = connection.driver_connection
            assert isinstance(driver, sqlite3.Connection)
            yield driver

    @contextlib.contextmanager
    def probe(self, timeout_s: float) -> Iterator[sqlite3.Connection]:
        """A connection of its own, for a look from outside: no cache of ours hides anything.

        Parameters
        ----------
        timeout_s : float
            How long a statement waits for a lock, in seconds.

        Raises
        ------
        StoreError
            It cannot be opened, or what is done with it fails.
        """
        if self.file is None:
            raise DatabaseUnavailable(f"the database {self.name} is no SQLite file")
        with (
            self._named_errors(writing=False),
            contextlib.closing(self.file.connect(timeout_s)) as connection,
        ):
            for pragma in _PRAGMAS:
                connection.execute(pragma)
            yield connection

    def reopen(self) -> None:
        """Work with the file that is there now; what was kept of the other means nothing."""
        self.reopened += 1
        self.close()
        if self.file is not None:
            self.file.adopt()

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()
        if self._watch is not None:
            self._watch.close()

    @contextlib.contextmanager
    def _named_errors(self, *, writing: bool) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as error:  # sqlite3's own while connecting
            named = self._named(error)
            self.trouble = Trouble(writing, named)
            raise named from error
        except StoreError as error:
            self.trouble = Trouble(writing, error)
            raise

    def _named(self, error: Exception) -> StoreError:
        cause = str(getattr(error, "orig", None) or error).splitlines()[0]
        if any(word in cause for word in _DAMAGED):
            way_out = self.file.way_out() if self.file else ""
            return DatabaseDamaged(f"the database {self.name} is damaged: {cause}{way_out}")
        hint = next((hint for word, hint in _HINTS.items() if word in cause), "")
        return DatabaseUnavailable(f"the database {self.name} cannot be used: {cause}{hint}")


def database_url(location: str) -> URL:
    """The SQLAlchemy URL of a path or URL; ``~`` stands for the home folder.

    Raises
    ------
    DatabaseUnavailable
        Not a path and not a URL that SQLAlchemy understands.
    """
    if "://" not in location:
        return URL.create("sqlite", database=str(Path(location).expanduser()))
    try:
        return make_url(location)
    except SQLAlchemyError as error:
        raise DatabaseUnavailable("db_path is neither a file path nor a database URL") from error


def file_of(url: URL) -> Path | None:
    """The file of a database; nothing for one that is no SQLite file."""
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return None
    return Path(url.database)


def _driver(connection: Connection) -> sqlite3.Connection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


def _configure_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    # We say BEGIN, not the driver. Nor an event of the engine: with one, SQLAlchemy looks for
    # listeners several times for each statement.
    connection.isolation_level = None
    try:
        for pragma in _PRAGMAS:
            connection.execute(pragma)
    except sqlite3.Error:
        connection.close()  # the pool has not seen it yet
        raise


@contextlib.contextmanager
def lenient_text(connection: Connection) -> Iterator[None]:
    """Read text that is no UTF-8 with U+FFFD in it, instead of failing for all rows (SQLite)."""
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name != "sqlite":
        yield
        return
    driver.text_factory = lambda stored: stored.decode("utf-8", "replace")
    try:
        yield
    finally:
        driver.text_factory = str


def backup_sqlite(source: Path, target: Path) -> None:
    """A consistent copy of an SQLite file, made while others may use it; 0600."""
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    with (
        contextlib.closing(sqlite3.connect(source)) as old,
        contextlib.closing(sqlite3.connect(target)) as new,
    ):
        old.backup(new)
