"""A copy of the database to try things on: it has everything, and the original no trace of it."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from pylantir.errors import DatabaseUnavailable
from pylantir.worklist.rehearsal import rehearsal_copy

LEAVES = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute(f"PRAGMA journal_mode={sys.argv[2]}")
connection.execute("CREATE TABLE bookings (name TEXT)")
connection.execute("INSERT INTO bookings VALUES ('first')")
if sys.argv[3] == "in the middle of a write":
    connection.execute("PRAGMA cache_size=1")
    connection.execute("PRAGMA cache_spill=1")
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("INSERT INTO bookings VALUES (?)", [("lost" * 999,)] * 99)
if sys.argv[3] == "closed":
    connection.close()
os._exit(0)
"""


def left(folder: Path, mode: str, how: str) -> Path:
    """A database as a program leaves it that ended in some way."""
    path = folder / "site" / "worklist.db"
    path.parent.mkdir()
    subprocess.run([sys.executable, "-c", LEAVES, path, mode, how], check=True, timeout=60)
    return path


def rows(path: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM bookings")]


def traces(path: Path) -> dict[str, tuple[int, bytes]]:
    """Everything beside it; what shares memory between processes says nothing of the contents."""
    return {
        each.name: (each.stat().st_mtime_ns, each.read_bytes())
        for each in path.parent.iterdir()
        if not each.name.endswith("-shm")
    }


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
@pytest.mark.parametrize("how", ["closed", "killed", "in the middle of a write"])
def test_the_copy_has_all_that_was_committed_and_the_original_stays_as_it_was(
    tmp_path: Path, mode: str, how: str
) -> None:
    path = left(tmp_path, mode, how)
    before = traces(path)

    rehearsal_copy(path, tmp_path / "copy.db")

    assert traces(path) == before
    assert rows(tmp_path / "copy.db") == ["first"]
    assert traces(path) == before


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_a_database_is_copied_while_a_program_has_it_open(tmp_path: Path, mode: str) -> None:
    path = left(tmp_path, mode, "closed")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("INSERT INTO bookings VALUES ('second')")
        if mode == "WAL":
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("INSERT INTO bookings VALUES ('not yet')")

        rehearsal_copy(path, tmp_path / "copy.db")

        assert rows(tmp_path / "copy.db") == ["first", "second"]


def test_what_is_no_database_is_said(tmp_path: Path) -> None:
    (tmp_path / "worklist.db").write_text("no database" * 99)

    with pytest.raises(DatabaseUnavailable, match=r"worklist\.db cannot be copied"):
        rehearsal_copy(tmp_path / "worklist.db", tmp_path / "copy.db")
