"""Has anybody committed since? Asked before each answer that was kept from an earlier time."""

from __future__ import annotations

import sqlite3
import threading

from pylantir.worklist.sqlitefile import SqliteFile

BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL)
"""Primary result codes of SQLite that mean: another time."""

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
    """

    def __init__(self, file: SqliteFile) -> None:
        self._file = file
        self._connection: sqlite3.Connection | None = None
        self._opened = 0
        self._one_at_a_time = threading.Lock()

    def revision(self) -> Revision | None:
        """The present revision; nothing while another program keeps even readers out.

        It never waits for that program: scanners that ask meanwhile would wait one after the other.

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
                self._connection = self._file.connect(timeout_s=0)
                self._opened += 1  # another connection counts from another number
            try:
                (version,) = self._connection.execute("PRAGMA data_version").fetchone()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF in BUSY:
                    return None
                raise
        return self._opened, int(version)

    def close(self) -> None:
        """Close the connection; the next question opens another one."""
        with self._one_at_a_time:
            if self._connection is not None:
                self._connection.close()
            self._connection = None
