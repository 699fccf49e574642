"""A database file that is deleted, replaced, cut off or overwritten while it is in use."""

from __future__ import annotations

import datetime as dt
import logging
import os
import shutil
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.worklist.bookings import NOW, booking
from tests.worklist.conftest import Foreign

from pylantir.errors import DatabaseDamaged, DatabaseGone, DatabaseUnavailable
from pylantir.worklist.database import Database
from pylantir.worklist.query import WorklistQuery
from pylantir.worklist.sqlitefile import put_in_place, set_aside
from pylantir.worklist.store import ItemStore

deletable = pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be deleted")

EVERYTHING = WorklistQuery()


def delete(path: Path) -> None:
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()


def overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"\xff" * 512)


def cut_off(path: Path) -> None:
    os.truncate(path, 0)


def replace(path: Path) -> None:
    copy = path.with_name("copy.db")
    shutil.copy(path, copy)
    copy.replace(path)


MISHAPS: tuple[tuple[Callable[[Path], None], type[Exception], str], ...] = (
    (delete, DatabaseGone, "was deleted"),
    (replace, DatabaseGone, "replaced by another file"),
    (overwrite, DatabaseDamaged, "overwritten"),
    (cut_off, DatabaseDamaged, "it is empty"),
)


@deletable
@pytest.mark.parametrize(
    ("mishap", "error", "words"), MISHAPS, ids=[m[0].__name__ for m in MISHAPS]
)
def test_nothing_is_acknowledged_that_nobody_will_find_again(
    items: ItemStore,
    db_path: Path,
    mishap: Callable[[Path], None],
    error: type[Exception],
    words: str,
) -> None:
    items.put([booking("1")])
    mishap(db_path)

    with pytest.raises(error, match=words):
        items.put([booking("2")])

    assert items.database.trouble is not None
    assert items.database.trouble.writing
    assert words in str(items.database.trouble.error)


@deletable
@pytest.mark.parametrize("mishap", [delete, replace, cut_off])
def test_a_file_that_is_no_longer_ours_is_not_read(
    items: ItemStore, db_path: Path, mishap: Callable[[Path], None]
) -> None:
    items.put([booking("1")])
    mishap(db_path)

    with pytest.raises((DatabaseGone, DatabaseDamaged)):
        items.find(EVERYTHING)


@deletable
def test_a_write_during_which_the_file_is_deleted_is_not_acknowledged(
    database: Database, db_path: Path
) -> None:
    def write() -> None:
        with database.write() as connection:
            connection.exec_driver_sql("UPDATE changes SET version = 7")
            delete(db_path)

    with pytest.raises(DatabaseGone, match="deleted"):
        write()


@deletable
def test_a_deleted_file_is_not_made_again_and_can_still_be_read_from_within(
    items: ItemStore, db_path: Path
) -> None:
    items.put([booking("1")])
    delete(db_path)

    with pytest.raises(DatabaseGone):
        items.put([booking("2")])
    with items.database.open_connection() as connection:
        ids = connection.execute("SELECT source_record_id FROM worklist_items").fetchall()

    assert ids == [("1",)]
    assert not db_path.exists()


@deletable
def test_another_file_in_its_place_is_used_once_it_is_reopened(
    items: ItemStore, db_path: Path
) -> None:
    items.put([booking("1")])
    database = items.database
    database.close()  # or what stands in its log would stay behind
    replace(db_path)
    with pytest.raises(DatabaseGone):
        items.count()

    database.reopen()

    assert items.put([booking("2")]).created == 1
    assert items.count() == 2


def test_our_own_checkpoints_are_no_damage(items: ItemStore, foreign: Foreign) -> None:
    for number in range(5):
        items.put([booking(str(number))])
        foreign("PRAGMA wal_checkpoint(TRUNCATE)")
    assert items.count() == 5


def test_a_closed_file_says_why(items: ItemStore) -> None:
    file = items.database.file
    assert file is not None
    file.close_because("being repaired")
    with pytest.raises(DatabaseDamaged, match="being repaired"):
        items.count()
    file.adopt()
    assert items.count() == 0


def test_the_way_out_stands_in_the_message(items: ItemStore, db_path: Path) -> None:
    assert items.database.file is not None
    items.database.file.way_out = lambda: "; the newest backup is of yesterday"
    items.put([booking("1")])
    overwrite(db_path)
    with pytest.raises(DatabaseDamaged, match="backup is of yesterday"):
        items.put([booking("2")])


def test_who_holds_the_lock_is_told_long_before_the_write_gives_up(
    items: ItemStore, db_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    items.put([booking("1")])
    done = threading.Event()

    def write() -> None:
        items.put([booking("2")])
        done.set()

    with closing(sqlite3.connect(db_path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        writer = threading.Thread(target=write)
        with caplog.at_level(logging.WARNING):
            writer.start()
            deadline = time.monotonic() + 20
            while items.database.trouble is None and time.monotonic() < deadline:
                done.wait(0.05)
        assert items.database.trouble is not None
        assert "Another program holds it" in str(items.database.trouble.error)
        assert not done.is_set()
        other.execute("ROLLBACK")
    writer.join(30)

    assert done.is_set()
    assert items.database.trouble is None
    assert [record.message for record in caplog.records] == [
        "the database is locked by another program; writes wait for it"
    ]


def test_a_write_that_waits_for_other_writes_has_an_end(
    items: ItemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pylantir.worklist.database.WRITE_TIMEOUT_S", 0.05)
    outcome: list[Exception] = []

    def write() -> None:
        try:
            items.put([booking("2")])
        except DatabaseUnavailable as error:
            outcome.append(error)

    with items.database.write():
        other = threading.Thread(target=write)
        other.start()
        other.join(30)

    assert "other writes wait" in str(outcome[0])


# --- set aside, put in place ---


def test_what_is_set_aside_keeps_what_belongs_to_it(tmp_path: Path) -> None:
    path = tmp_path / "worklist.db"
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").write_text(f"old{suffix}")

    aside = set_aside(path, "damaged", NOW)

    assert aside == tmp_path / "worklist.db.damaged-20250707T120000"
    assert sorted(file.name.removeprefix(aside.name) for file in tmp_path.iterdir()) == [
        "",
        "-shm",
        "-wal",
    ]
    path.write_text("new")
    again = set_aside(path, "damaged", NOW)
    assert again is not None
    assert again.name == "worklist.db.damaged-20250707T120000-2"
    assert aside.read_text() == "old"


def test_a_log_without_its_database_is_set_aside_too(tmp_path: Path) -> None:
    Path(tmp_path / "worklist.db-wal").write_text("old")

    assert set_aside(tmp_path / "worklist.db", "lost", NOW + dt.timedelta(hours=1)) is None

    [left] = tmp_path.iterdir()
    assert left.name == "worklist.db.lost-20250707T130000-wal"


def test_a_copy_never_overwrites_what_lies_in_its_place(tmp_path: Path) -> None:
    copy, path = tmp_path / "copy.db", tmp_path / "worklist.db"
    copy.write_text("copy")
    put_in_place(copy, path)
    assert (path.read_text(), copy.exists()) == ("copy", False)

    copy.write_text("another")
    with pytest.raises(FileExistsError):
        put_in_place(copy, path)
    assert path.read_text() == "copy"
