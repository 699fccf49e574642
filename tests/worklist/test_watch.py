"""The watch: it says what is wrong once, mends what can be mended, and says when it is over."""

from __future__ import annotations

import logging
import shutil
import sqlite3
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from tests.worklist.bookings import NOW, booking
from tests.worklist.test_backups import break_a_page
from tests.worklist.test_sqlitefile import cut_off, delete, overwrite

from pylantir.errors import DatabaseDamaged, DatabaseUnavailable, StoreError
from pylantir.worklist import watch as watch_module
from pylantir.worklist.backups import BackupFolder
from pylantir.worklist.query import WorklistQuery
from pylantir.worklist.restore import restore
from pylantir.worklist.schema import prepare
from pylantir.worklist.store import ItemStore
from pylantir.worklist.versions import renew_versions
from pylantir.worklist.watch import DatabaseWatch

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be deleted")


@pytest.fixture
def backups(db_path: Path) -> BackupFolder:
    return BackupFolder(db_path.parent / "backups", db_path, keep=3, keep_days=10)


@pytest.fixture
def watch(items: ItemStore, backups: BackupFolder) -> DatabaseWatch:
    database = items.database

    def renew(seen: int) -> None:
        prepare(database, now=NOW)
        with database.write() as connection:
            renew_versions(connection, seen)

    return DatabaseWatch(database, renew, backups=backups, now=lambda: NOW)


def ids(items: ItemStore) -> list[str]:
    return [item.source_record_id for item in items.find(WorklistQuery())]


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.name == watch_module.__name__]


def test_it_says_nothing_about_a_sound_database(
    watch: DatabaseWatch, items: ItemStore, caplog: pytest.LogCaptureFixture
) -> None:
    items.put([booking("1")])
    assert [watch.look(), watch.look()] == ["", ""]
    assert said(caplog) == []


@pytest.mark.parametrize("mishap", [delete, overwrite], ids=lambda m: m.__name__)
def test_what_is_still_open_comes_back_whole(
    watch: DatabaseWatch,
    items: ItemStore,
    db_path: Path,
    mishap: object,
    caplog: pytest.LogCaptureFixture,
) -> None:
    items.put([booking(str(number)) for number in range(50)])
    versions = [item.version for item in items.find(WorklistQuery())]
    watch.look()
    assert callable(mishap)
    mishap(db_path)

    assert watch.look() == ""

    assert len(ids(items)) == 50
    assert min(item.version for item in items.find(WorklistQuery())) > max(versions)
    assert items.put([booking("new")]).created == 1
    with closing(sqlite3.connect(db_path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT count(*) FROM worklist_items").fetchone() == (51,)
    assert "all that was in it is back" in said(caplog)[0]
    assert items.database.trouble is None


def test_a_file_that_lost_only_its_name_comes_back_with_its_log_set_aside(
    watch: DatabaseWatch, items: ItemStore, db_path: Path
) -> None:
    items.put([booking("1")])
    watch.look()
    db_path.rename(db_path.with_name("moved.db"))

    assert watch.look() == ""
    assert ids(items) == ["1"]
    assert items.put([booking("2")]).created == 1
    assert list(db_path.parent.glob("worklist.db.lost-*-wal")) != []


def test_what_cannot_be_read_any_more_is_set_aside_and_the_backup_offered(
    watch: DatabaseWatch,
    items: ItemStore,
    db_path: Path,
    backups: BackupFolder,
    caplog: pytest.LogCaptureFixture,
) -> None:
    items.put([booking("1")])
    newest = backups.make(items.database, NOW)
    items.database.close()
    break_a_page(db_path)
    with pytest.raises(DatabaseDamaged):
        ids(items)

    trouble = watch.look()

    assert str(newest.path) in trouble
    assert "pylantir restore --newest" in trouble
    [aside] = db_path.parent.glob("worklist.db.damaged-*T??????")
    assert str(aside) in trouble
    assert not db_path.exists()
    for _ in range(2):
        assert watch.look() == trouble
        with pytest.raises(DatabaseDamaged, match="restore --newest"):
            items.put([booking("2")])
    assert said(caplog) == [trouble]

    restore(newest.path, db_path, backups, NOW)
    assert watch.look() == ""
    assert ids(items) == ["1"]
    assert items.put([booking("2")]).created == 1
    assert "works again" in said(caplog)[-1]


def test_a_file_that_was_cut_off_while_nobody_had_it_open_is_offered_its_backup(
    watch: DatabaseWatch, items: ItemStore, db_path: Path, backups: BackupFolder
) -> None:
    items.put([booking("1")])
    backups.make(items.database, NOW)
    watch.look()
    items.database.close()
    cut_off(db_path)

    assert "restore --newest" in watch.look()


def test_without_a_backup_it_says_so(watch: DatabaseWatch, items: ItemStore, db_path: Path) -> None:
    items.put([booking("1")])
    items.database.close()
    delete(db_path)
    assert "there is no backup in" in watch.look()
    assert "was deleted" in watch.look()


def test_another_file_in_its_place_is_served_without_the_old_log(
    watch: DatabaseWatch,
    items: ItemStore,
    db_path: Path,
    backups: BackupFolder,
    caplog: pytest.LogCaptureFixture,
) -> None:
    items.put([booking("1")])
    made = backups.make(items.database, NOW)
    items.put([booking("2"), booking("3")])
    before = max(item.version for item in items.find(WorklistQuery()))
    watch.look()
    shutil.copy(made.path, db_path.with_name("new.db"))
    db_path.with_name("new.db").replace(db_path)

    assert watch.look() == ""

    assert ids(items) == ["1"]
    assert min(item.version for item in items.find(WorklistQuery())) > before
    assert said(caplog) == [
        f"the database {db_path} was replaced by another file, which is served now"
    ]


def test_something_else_in_its_place_is_not_served(
    watch: DatabaseWatch, items: ItemStore, db_path: Path
) -> None:
    items.put([booking("1")])
    watch.look()
    delete(db_path)
    with closing(sqlite3.connect(db_path)) as other:
        other.execute("CREATE TABLE songs (title)")

    assert "belongs to something else" in watch.look()
    with pytest.raises(StoreError):
        items.put([booking("2")])


def test_a_lock_that_keeps_everybody_out_is_told_and_its_end_too(
    watch: DatabaseWatch,
    items: ItemStore,
    db_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    items.put([booking("1")])
    items.database.close()
    with closing(sqlite3.connect(db_path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE changes SET version = version")
        other.execute("COMMIT")
        assert "locked. Another program holds it" in watch.look()
        assert "locked. Another program holds it" in watch.look()
    assert watch.look() == ""
    assert watch.look() == ""
    first, last = said(caplog)
    assert "locked" in first
    assert "works again, after 0:00:0" in last


def test_after_a_failed_write_it_tries_until_writing_works(
    watch: DatabaseWatch,
    items: ItemStore,
    caplog: pytest.LogCaptureFixture,
) -> None:
    import resource

    items.put([booking("1")])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(DatabaseUnavailable):
            items.put([booking(str(n), patient_comments="x" * 5000) for n in range(50)])
        assert ids(items) == ["1"], "reading goes on"
        assert "is full. Make room on it" in watch.look()
        assert watch.look() != ""
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert watch.look() == ""
    assert ids(items) == ["1"]
    assert len(said(caplog)) == 2
    assert not list(items.database.path.parent.glob(".*"))  # type: ignore[union-attr]


def test_writing_is_proved_though_nobody_writes(
    watch: DatabaseWatch, db_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "PROVE_WRITING_EVERY_S", 0.0)
    assert watch.look() == ""
    with closing(sqlite3.connect(db_path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert "Another program holds it" in watch.look()
        other.execute("ROLLBACK")
    assert watch.look() == ""


def test_it_looks_by_itself_and_ends(
    watch: DatabaseWatch, items: ItemStore, db_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    items.put([booking("1")])
    watch.start()
    delete(db_path)
    never = threading.Event()
    for _ in range(600):
        if db_path.exists() and said(caplog):
            break
        never.wait(0.05)
    watch.stop()
    assert not watch._thread.is_alive()
    assert ids(items) == ["1"]
