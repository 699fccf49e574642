"""The file under an SQLite database: is it still the one that was opened, and is it sound?

A deleted file goes on existing for whoever has it open, and SQLite goes on writing into it. A file
whose beginning was overwritten can look whole for as long as the pages are in a cache. Nothing of
either may be acknowledged to a scanner, hence the questions here, asked around every write.

The file is never opened other than by SQLite: closing a second descriptor of it would drop the
locks that this process holds on it (POSIX advisory locks belong to the process).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from pylantir.errors import DatabaseDamaged, DatabaseGone

BESIDE = ("", "-wal", "-shm")
"""What one SQLite database consists of."""

_Stamp = tuple[int, int, int, int]


class SqliteFile:
    """One file, as it was when it was opened.

    Parameters
    ----------
    path : Path
        Where it is.

    Attributes
    ----------
    way_out : callable
        Gives the end of a message about a file that is lost, such as which backup there is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.way_out: Callable[[], str] = str
        self._opened: tuple[int, int] | None = None
        self._sound: _Stamp | None = None
        self._has_content = False
        self._closed_because = ""

    def connect(self, timeout_s: float) -> sqlite3.Connection:
        """A connection; unlike SQLite's own, it never makes a file where there is none.

        Parameters
        ----------
        timeout_s : float
            How long a statement waits for a lock, in seconds.

        Raises
        ------
        sqlite3.Error
            It cannot be opened.
        DatabaseGone
            It is not the file that was opened first.
        """
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode=rw",
            timeout=timeout_s,
            isolation_level=None,
            check_same_thread=False,
            uri=True,
        )
        try:
            self._note_opened()
        except DatabaseGone:
            connection.close()
            raise
        return connection

    def _note_opened(self) -> None:
        if self._opened is None:
            with contextlib.suppress(FileNotFoundError):
                found = self.path.stat()
                self._opened = (found.st_dev, found.st_ino)
        else:
            self.require()

    def adopt(self) -> None:
        """From now on the file is the one that is there now."""
        self._opened = self._sound = None
        self._has_content = False
        self._closed_because = ""

    def close_because(self, reason: str) -> None:
        """Let nobody work with it any more, until another one is adopted."""
        self._closed_because = reason

    def require(self) -> None:
        """Make sure that the file is the one that was opened.

        Raises
        ------
        DatabaseGone
            It was deleted, or another one is in its place.
        DatabaseDamaged
            It was cut off, or found damaged before.
        """
        self._stamp()

    def require_sound(self) -> None:
        """The same, and that it still begins as a database does; cheap while nothing has changed.

        Raises
        ------
        DatabaseGone, DatabaseDamaged
        """
        stamp = self._stamp()
        if stamp == self._sound or stamp is None or not self._has_content:
            return
        try:
            with contextlib.closing(self._connect_to_file_alone()) as connection:
                connection.execute("PRAGMA schema_version").fetchone()
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_NOTADB:
                return  # what else is wrong, the statement to come will say
            raise self._damaged("its beginning was overwritten") from error
        self._sound = stamp

    def _connect_to_file_alone(self) -> sqlite3.Connection:
        """Without its log: what stands there would hide what became of the file."""
        uri = f"{self.path.absolute().as_uri()}?mode=ro&immutable=1"
        return sqlite3.connect(uri, uri=True, isolation_level=None)

    def _stamp(self) -> _Stamp | None:
        if self._closed_because:
            raise DatabaseDamaged(self._closed_because)
        if self._opened is None:
            return None
        try:
            found = self.path.stat()
        except FileNotFoundError:
            raise self._gone("was deleted, or its folder is gone") from None
        except OSError as error:
            raise self._gone(f"cannot be reached: {error.strerror}") from error
        if (found.st_dev, found.st_ino) != self._opened:
            raise self._gone("was replaced by another file")
        if found.st_size:
            self._has_content = True
        elif self._has_content:
            raise self._damaged("it is empty")
        return (*self._opened, found.st_mtime_ns, found.st_size)

    def _gone(self, how: str) -> DatabaseGone:
        return DatabaseGone(f"the database {self.path} {how}{self.way_out()}")

    def _damaged(self, how: str) -> DatabaseDamaged:
        return DatabaseDamaged(f"the database {self.path} is damaged: {how}{self.way_out()}")


def log_of(path: Path) -> tuple[int, int] | None:
    """Which file the write-ahead log of a database is now; nothing when there is none."""
    try:
        found = Path(f"{path}-wal").stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def set_aside(path: Path, why: str, now: dt.datetime) -> Path | None:
    """Rename a database and what belongs to it, so that it can be looked at later.

    Parameters
    ----------
    path : Path
        Of the database; it may be missing while something beside it is not.
    why : str
        A word for the new name, such as ``damaged``.
    now : datetime
        For the new name.

    Returns
    -------
    Path or None
        Where the file is now; nothing when there was none.

    Raises
    ------
    OSError
        It cannot be renamed: its folder may not be written, or on Windows somebody has it open.
    """
    aside = path.with_name(f"{path.name}.{why}-{now:%Y%m%dT%H%M%S}")
    number = 1
    while any(Path(f"{aside}{suffix}").exists() for suffix in BESIDE):
        number += 1
        aside = path.with_name(f"{path.name}.{why}-{now:%Y%m%dT%H%M%S}-{number}")
    moved = False
    for suffix in BESIDE:
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{suffix}").rename(f"{aside}{suffix}")
            moved = moved or not suffix
    return aside if moved else None


def put_in_place(copy: Path, path: Path) -> None:
    """Give a copy the name of the database; what lies there is not overwritten.

    Raises
    ------
    FileExistsError
        There is a file of that name.
    OSError
        The folder cannot be written.
    """
    if os.name == "nt":
        copy.rename(path)
    else:
        path.hardlink_to(copy)
        copy.unlink()
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """A new name in a folder is on the disk (POSIX; Windows does this by itself)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
