"""The database: its file, its transactions, and what is said when it cannot be used."""

from __future__ import annotations

import os
import sqlite3
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from tests.worklist.bookings import NOW, booking
from tests.worklist.conftest import Foreign

from pylantir.errors import DatabaseIncompatible, DatabaseUnavailable
from pylantir.worklist.database import Database
from pylantir.worklist.query import WorklistQuery
from pylantir.worklist.schema import prepare
from pylantir.worklist.store import ItemStore

posix = pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def made(path: Path) -> Database:
    database = Database(str(path))
    try:
        prepare(database, now=NOW)
    except BaseException:
        database.close()
        raise
    return database


@contextmanager
def as_owner() -> Iterator[None]:
    """Root again for a moment, where the tests run as root."""
    was = os.geteuid()
    os.seteuid(os.getuid())
    try:
        yield
    finally:
        os.seteuid(was)


@pytest.fixture
def guarded_folder() -> Iterator[Path]:
    """A folder that may be entered but not written, also when the tests run as root."""
    folder = Path(tempfile.mkdtemp(prefix="pylantir-test-"))
    folder.chmod(0o555)
    if os.getuid() == 0:
        os.seteuid(65534)
    try:
        yield folder
    finally:
        os.seteuid(os.getuid())
        folder.chmod(0o755)
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


# --- the file ---


@posix
def test_files_and_folders_are_for_their_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "worklist.db"
    database = made(path)
    ItemStore(database).put([booking()])
    assert mode(path.parent) == 0o700
    beside = sorted(file.name for file in path.parent.iterdir())
    assert beside == ["worklist.db", "worklist.db-shm", "worklist.db-wal"]
    assert {mode(file) for file in path.parent.iterdir()} == {0o600}
    database.close()


def test_closing_leaves_one_file(tmp_path: Path) -> None:
    database = made(tmp_path / "worklist.db")
    ItemStore(database).put([booking()])
    database.close()
    assert [file.name for file in tmp_path.iterdir()] == ["worklist.db"]


def test_a_path_may_start_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    database = made(Path("~/worklist.db"))
    database.close()
    assert (tmp_path / "worklist.db").exists()


def test_a_url_is_accepted_where_a_path_is(tmp_path: Path) -> None:
    path = tmp_path / "worklist.db"
    database = Database(f"sqlite:///{path.as_posix()}")
    prepare(database, now=NOW)
    ItemStore(database).put([booking()])
    assert database.path == path
    database.close()
    other = Database(str(path))
    assert ItemStore(other).count() == 1
    other.close()


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("nonsense://server/worklist", "nonsense"),
        ("postgresql+nodriver://server/worklist", "nodriver"),
        ("://", "neither a file path nor a database URL"),
        ("postgresql+asyncpg_missing://u:hidden@server/worklist", "asyncpg_missing"),
        ("oracle+cx_oracle://u:hidden@server/worklist", "cx_Oracle"),
    ],
)
def test_a_url_that_nothing_serves_is_refused_with_the_reason(location: str, reason: str) -> None:
    with pytest.raises(DatabaseUnavailable, match=reason) as caught:
        Database(location)
    assert "hidden" not in str(caught.value)


# --- connections and transactions ---


def test_every_connection_waits_checks_and_writes_through(database: Database) -> None:
    for _ in range(2):
        with database.read() as connection:
            values = [
                connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            ]
        assert values == ["wal", 2, 1, 10000]


def test_a_write_takes_the_lock_at_once(database: Database, db_path: Path) -> None:
    with closing(sqlite3.connect(db_path, timeout=0, isolation_level=None)) as other:
        with database.write(), pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        with database.read():
            other.execute("BEGIN IMMEDIATE")
            other.execute("ROLLBACK")


def test_a_write_that_fails_leaves_nothing(database: Database, foreign: Foreign) -> None:
    def fail() -> None:
        with database.write() as connection:
            connection.exec_driver_sql("UPDATE changes SET version = 77")
            raise LookupError

    before = foreign("SELECT version FROM changes")
    with pytest.raises(LookupError):
        fail()
    assert foreign("SELECT version FROM changes") == before


def test_a_read_sees_one_moment(items: ItemStore, database: Database) -> None:
    count = "SELECT count(*) FROM worklist_items"
    with database.read() as connection:
        assert connection.exec_driver_sql(count).scalar_one() == 0
        items.put([booking()])
        assert connection.exec_driver_sql(count).scalar_one() == 0
    with database.read() as connection:
        assert connection.exec_driver_sql(count).scalar_one() == 1


def test_the_revision_changes_with_a_commit_of_anybody_and_with_nothing_else(
    items: ItemStore, database: Database, foreign: Foreign
) -> None:
    first = database.revision()
    items.find(WorklistQuery())
    foreign("SELECT * FROM changes")
    assert database.revision() == first
    foreign("UPDATE changes SET version = version + 1")
    second = database.revision()
    items.put([booking()])
    third = database.revision()
    assert len({first, second, third}) == 3


def test_a_program_that_keeps_readers_out_is_not_waited_for(
    database: Database, db_path: Path
) -> None:
    """Scanners that ask meanwhile would wait one after the other."""
    assert database.revision() is not None
    with closing(sqlite3.connect(db_path, isolation_level=None)) as other:
        database.close()
        other.execute("PRAGMA journal_mode=DELETE")
        assert database.revision() is not None
        other.execute("BEGIN EXCLUSIVE")
        assert database.revision() is None
        other.execute("ROLLBACK")
    assert database.revision() is not None


def test_after_a_restart_no_revision_is_like_one_before(database: Database) -> None:
    before = database.revision()
    database.close()
    assert database.revision() != before


# --- what cannot be used ---


def test_a_path_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable, match="cannot be used"):
        made(tmp_path)


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseUnavailable, match="Choose another db_path"):
        made(tmp_path / "file" / "worklist.db")


@posix
def test_a_folder_that_cannot_be_written_is_refused(guarded_folder: Path) -> None:
    with pytest.raises(DatabaseUnavailable, match="Choose another db_path"):
        made(guarded_folder / "worklist.db")
    with pytest.raises(DatabaseUnavailable, match="Choose another db_path"):
        made(guarded_folder / "inner" / "worklist.db")


@posix
def test_a_folder_that_cannot_be_entered_is_refused(guarded_folder: Path) -> None:
    with as_owner():
        guarded_folder.chmod(0o600)
    with pytest.raises(DatabaseUnavailable, match="Choose another db_path"):
        made(guarded_folder / "worklist.db")


@posix
def test_a_file_that_cannot_be_written_is_refused(
    guarded_folder: Path, empty_worklist: Path
) -> None:
    path = guarded_folder / "worklist.db"
    with as_owner():
        guarded_folder.chmod(0o755)
        path.write_bytes(empty_worklist.read_bytes())
        path.chmod(0o444)
        guarded_folder.chmod(0o555)
    database = Database(str(path))
    with pytest.raises(DatabaseUnavailable, match=r"cannot be used: .*writable"):
        prepare(database, now=NOW)
    database.close()


@posix
def test_a_full_disk_is_named_and_loses_nothing(items: ItemStore, db_path: Path) -> None:
    import resource

    items.put([booking()])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (db_path.stat().st_size, hard))
    try:
        with pytest.raises(DatabaseUnavailable, match="cannot be used"):
            items.put([booking(str(n), patient_comments="x" * 5000) for n in range(200)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [item.source_record_id for item in items.find(WorklistQuery())] == ["1"]
    assert items.put([booking("2")]).created == 1


def test_a_damaged_file_is_said_to_be_damaged(db_path: Path) -> None:
    size = db_path.stat().st_size
    with db_path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    database = Database(str(db_path))
    with pytest.raises(DatabaseIncompatible, match="is damaged"):
        ItemStore(database).find(WorklistQuery())
    database.close()


def test_a_database_that_is_gone_is_named(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "gone" / "worklist.db"))
    with pytest.raises(DatabaseUnavailable, match=r"gone.*unable to open"):
        ItemStore(database).find(WorklistQuery())
    database.close()
