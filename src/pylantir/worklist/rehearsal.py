"""A private copy of a database, to try on it what shall not happen yet.

The original stays as it is, byte for byte: whoever opens an SQLite file in the ordinary way moves
what a killed server left in its ``-wal`` into it, and removes that.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from pathlib import Path

from pylantir.errors import DatabaseUnavailable

_VERSION_OFFSET = 18
_WAL = 2
"""Byte of the header that says how the file is written: 2 stands for a write-ahead log."""


def rehearsal_copy(original: Path, copy: Path) -> None:
    """Copy a database as it is now, also while others write it; 0600.

    Parameters
    ----------
    original : Path
        An SQLite file.
    copy : Path
        A file that does not exist yet, in a folder of its own.

    Raises
    ------
    DatabaseUnavailable
        The original cannot be read.
    """
    os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    try:
        journal = _beside(original, "-journal")
        if journal.exists():  # what a killed program has left; a living one has locked the file
            shutil.copyfile(original, copy)
            shutil.copyfile(journal, _beside(copy, "-journal"))
            return
        with (
            contextlib.closing(sqlite3.connect(_untouched(original), uri=True)) as old,
            contextlib.closing(sqlite3.connect(copy)) as new,
        ):
            old.backup(new)
    except (OSError, sqlite3.Error) as error:
        raise DatabaseUnavailable(f"the database {original} cannot be copied: {error}") from error


def _untouched(path: Path) -> str:
    """The address of a file that is opened for reading only, and beside which nothing is made."""
    with path.open("rb") as file:
        header = file.read(_VERSION_OFFSET + 1)
    # Without a log nobody has such a file open; reading it as others do would make an empty one.
    is_closed = header[_VERSION_OFFSET:] == bytes([_WAL]) and not _beside(path, "-wal").exists()
    return f"{path.absolute().as_uri()}?{'immutable=1' if is_closed else 'mode=ro'}"


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)
