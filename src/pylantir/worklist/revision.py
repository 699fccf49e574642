"""Has anybody committed since? Asked before each answer that was kept from an earlier time."""

from __future__ import annotations

import sqlite3
import threading

from pylantir.worklist.sqlitefile import SqliteFile

Revision = tuple[int, int]
"""One state of the database: whoever reads at the same revision reads the same."""


class RevisionWatch:
    """Asks SQLite, in a few microseconds, whether the database is still what it was.

    ``PRAGMA data_version`` moves on when any other connection commits, whether it belongs to this
    process or to another program. The watch has a connection that nothing else uses, so every
    commit is one of another connection.

    Parameters
    ----------
    file : SqliteFile
        The database.
    timeout_s : float
        How long it waits for a program that keeps even readers out, in seconds.
    """

    def __init__(self, file: SqliteFile, timeout_s: float) -> None:
        self._file = file
        self._timeout_s = timeout_s
        self._connection: sqlite3.Connection | None = None
        self._opened = 0
        self._one_at_a_time = threading.Lock()

    def revision(self) -> Revision:
        """The present revision.

        Raises
        ------
        sqlite3.Error
            The database cannot be read.
        DatabaseGone, DatabaseDamaged
            It is not the file that was opened.
        """
        self._file.require()
        with self._one_at_a_time:
            if self._connection is None:
                self._connection = self._file.connect(self._timeout_s)
                self._opened += 1  # another connection counts from another number
            (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        return self._opened, int(version)

    def close(self) -> None:
        """Close the connection; the next question opens another one."""
        with self._one_at_a_time:
            if self._connection is not None:
                self._connection.close()
            self._connection = None
