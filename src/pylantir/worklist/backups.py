"""Backups of an SQLite worklist: made while it is in use, checked, kept by number and by age.

A backup is one file that needs nothing beside it. It holds names: 0600, in a folder of 0700.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import re
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pylantir.errors import DatabaseDamaged, DatabaseUnavailable
from pylantir.worklist.database import READ_TIMEOUT_S, Database
from pylantir.worklist.sqlitefile import sync_folder

FOLDER = "backups"
"""Beside the database, when nothing else is configured."""

_PAGES_AT_ONCE = 500
_STEPS_AT_ONCE = 100_000
"""Of SQLite's virtual machine, some 10 ms: how often a check looks whether it shall end."""

BEFORE_RESTORE = "before-restore"
"""Label of what a restore took the place of: to be chosen by name, never by being the newest."""

_TIME = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class Backup:
    """One backup.

    Parameters
    ----------
    path : Path
        The file.
    made : datetime
        When; UTC, whole seconds.
    size_bytes : int
        Its size.
    """

    path: Path
    made: dt.datetime
    size_bytes: int

    def __str__(self) -> str:
        return f"{self.path}, made {self.made:%Y-%m-%d %H:%M} UTC"


class Stopped(Exception):
    """The copy was given up, because the process ends."""


class BackupFolder:
    """The backups of one database.

    Parameters
    ----------
    folder : Path
        Where they are; made with the first one.
    database : Path
        The database; its name begins theirs.
    keep : int
        So many of the newest are kept; at least 1.
    keep_days : int
        Of older ones, the last of each day is kept for so many days.
    """

    def __init__(self, folder: Path, database: Path, *, keep: int, keep_days: int) -> None:
        self.folder = folder
        self._stem = database.stem
        self._keep = max(1, keep)
        self._keep_days = keep_days

    def all(self) -> list[Backup]:
        """What there is, the newest first."""
        name = re.compile(rf"{re.escape(self._stem)}-(\d{{8}}T\d{{6}}Z)(-[a-z0-9-]+)?\.db")
        found: list[tuple[dt.datetime, int, Backup]] = []
        with contextlib.suppress(OSError):
            for path in self.folder.iterdir():
                matched = name.fullmatch(path.name)
                with contextlib.suppress(OSError, ValueError):
                    if matched:
                        made = dt.datetime.strptime(matched[1], _TIME).replace(tzinfo=dt.UTC)
                        file = path.stat()
                        found.append((made, file.st_mtime_ns, Backup(path, made, file.st_size)))
        found.sort(key=lambda each: each[:2], reverse=True)
        return [backup for *_, backup in found]

    def newest(self) -> Backup | None:
        """The newest one, if there is any; not one that was made by a restore."""
        made = (b for b in self.all() if BEFORE_RESTORE not in b.path.stem)
        return next(made, None)

    @property
    def advice(self) -> str:
        """The end of a message: which backup there is and how to bring it back."""
        newest = self.newest()
        if newest is None:
            return f"; there is no backup in {self.folder}"
        return f"; the newest backup is {newest}: pylantir restore --newest"

    def make(
        self,
        database: Database,
        now: dt.datetime,
        *,
        label: str = "",
        stopping: threading.Event | None = None,
    ) -> Backup:
        """Make one, while others may use the database.

        Parameters
        ----------
        database : Database
            What is copied; an SQLite file.
        now : datetime
            For its name.
        label : str
            A word at the end of the name: small letters, digits and hyphens.
        stopping : Event, optional
            Gives up when it is set.

        Raises
        ------
        DatabaseUnavailable
            The database cannot be read, or the folder not be written.
        DatabaseDamaged
            What was copied is not sound, so the database is not either; the copy is removed.
        Stopped
        """
        target = self._free_name(now, label)
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with database.probe(READ_TIMEOUT_S) as source:
                copy_sound(source, target, stopping)
            sync_folder(self.folder)
            return Backup(target, now.replace(microsecond=0), target.stat().st_size)
        except OSError as error:
            raise DatabaseUnavailable(
                f"cannot write a backup to {self.folder}: {error.strerror}. "
                "Make room, or choose another backups.folder."
            ) from error

    def _free_name(self, now: dt.datetime, label: str) -> Path:
        stem = f"{self._stem}-{now.astimezone(dt.UTC).strftime(_TIME)}"
        words = [label] if label else []
        path = self.folder / ("-".join([stem, *words]) + ".db")
        number = 1
        while path.exists():
            number += 1
            path = self.folder / ("-".join([stem, *words, str(number)]) + ".db")
        return path

    def prune(self, now: dt.datetime) -> list[Path]:
        """Remove what is neither among the newest nor the last of a day within the days kept.

        Raises
        ------
        DatabaseUnavailable
            A file cannot be removed.
        """
        removed = []
        for backup in superfluous(self.all(), self._keep, now - dt.timedelta(self._keep_days)):
            try:
                backup.path.unlink(missing_ok=True)
            except OSError as error:
                raise DatabaseUnavailable(
                    f"cannot remove the old backup {backup.path}: {error.strerror}"
                ) from error
            removed.append(backup.path)
        return removed


def superfluous(backups: Sequence[Backup], keep: int, since: dt.datetime) -> list[Backup]:
    """Backups, the newest first, that are neither among `keep` nor the last of a day `since`."""
    days: set[dt.date] = {backup.made.date() for backup in backups[:keep]}
    gone = []
    for backup in backups[keep:]:
        day = backup.made.date()
        if day in days or backup.made < since:
            gone.append(backup)
        days.add(day)
    return gone


def copy_sound(
    source: sqlite3.Connection, target: Path, stopping: threading.Event | None = None
) -> None:
    """A complete, checked copy of what a connection sees now; 0600, and no file when it fails.

    Parameters
    ----------
    source : Connection
        Others may write meanwhile: it holds one moment.
    target : Path
        A file that does not exist yet.
    stopping : Event, optional
        Gives up when it is set.

    Raises
    ------
    DatabaseDamaged
        The copy is not sound.
    sqlite3.Error, OSError
        The source cannot be read, or the target not be written.
    Stopped
    """
    half = target.with_name(f".{target.name}.part")
    half.unlink(missing_ok=True)
    os.close(os.open(half, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    try:
        with contextlib.closing(sqlite3.connect(half, isolation_level=None)) as copy:
            _copy(source, copy, stopping)
            require_sound(copy, stopping)
        half.rename(target)
    finally:
        half.unlink(missing_ok=True)
        half.with_name(f"{half.name}-journal").unlink(missing_ok=True)


def _copy(
    source: sqlite3.Connection, copy: sqlite3.Connection, stopping: threading.Event | None
) -> None:
    def go_on(*_: int) -> None:
        if stopping is not None and stopping.is_set():
            raise Stopped

    source.execute("BEGIN")  # without it, each write of another process would start it anew
    try:
        source.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()
        source.backup(copy, pages=_PAGES_AT_ONCE, progress=go_on)
    finally:
        source.execute("ROLLBACK")
    copy.execute("PRAGMA journal_mode=DELETE")


def require_sound(
    connection: sqlite3.Connection, stopping: threading.Event | None = None, *, quick: bool = False
) -> None:
    """Let SQLite check every page.

    Parameters
    ----------
    connection : Connection
        Of the database.
    stopping : Event, optional
        Gives up when it is set.
    quick : bool
        Leave out whether the indexes agree with their tables.

    Raises
    ------
    DatabaseDamaged
        It is not sound.
    Stopped
    """
    if stopping is not None:
        connection.set_progress_handler(stopping.is_set, _STEPS_AT_ONCE)
    check = "PRAGMA quick_check(1)" if quick else "PRAGMA integrity_check(1)"
    try:
        told = str(connection.execute(check).fetchone()[0])
    except sqlite3.DatabaseError as error:
        if stopping is not None and stopping.is_set():
            raise Stopped from error
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise
        told = str(error)
    finally:
        connection.set_progress_handler(None, 0)
    if told != "ok":
        raise DatabaseDamaged(f"the database is damaged: {' '.join(told.split())}")
