"""A backup takes the place of the database: empty, in use, damaged."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.worklist.bookings import NOW, begin, booking, end, status
from tests.worklist.test_backups import break_a_page, records

from pylantir.errors import Conflict, DatabaseUnavailable, NotFound
from pylantir.worklist.backups import BackupFolder
from pylantir.worklist.database import Database
from pylantir.worklist.instance import InstanceLock
from pylantir.worklist.query import WorklistQuery
from pylantir.worklist.restore import restore
from pylantir.worklist.steps import StepStore
from pylantir.worklist.store import ItemStore

DATA = Path(__file__).parent / "data"


@pytest.fixture
def backups(db_path: Path) -> BackupFolder:
    return BackupFolder(db_path.parent / "backups", db_path, keep=3, keep_days=10)


@pytest.fixture
def chosen(items: ItemStore, backups: BackupFolder) -> Path:
    """A backup with one booking; the worklist goes on to two."""
    items.put([booking("1")])
    made = backups.make(items.database, NOW)
    items.put([booking("1", accession_number="LATER"), booking("2")])
    return made.path


def left_over(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir() if file.name.startswith("."))


def test_a_worklist_in_use_goes_on_with_what_was_restored(
    items: ItemStore, steps: StepStore, db_path: Path, backups: BackupFolder, chosen: Path
) -> None:
    assert [item.accession_number for item in items.find(WorklistQuery())] == ["LATER", ""]

    done = restore(chosen, db_path, backups, NOW)

    assert (done.items, done.aside) == (1, None)
    assert [item.accession_number for item in items.find(WorklistQuery())] == [""]
    [item] = items.find(WorklistQuery())
    end(steps, begin(steps, item))
    assert status(items, item) == "COMPLETED"
    assert done.before is not None
    assert records(done.before.path) == ["1", "2"]
    assert left_over(db_path.parent) == []


def test_versions_never_come_again(
    items: ItemStore, db_path: Path, backups: BackupFolder, chosen: Path
) -> None:
    """Answers are kept by version: an old one with other content would show the other patient."""
    before = max(item.version for item in items.find(WorklistQuery()))
    restore(chosen, db_path, backups, NOW)
    [item] = items.find(WorklistQuery())
    assert item.version > before


def test_restoring_again_brings_the_same_again(
    items: ItemStore, db_path: Path, backups: BackupFolder, chosen: Path
) -> None:
    for _ in range(2):
        newest = backups.newest()
        assert newest is not None
        assert newest.path == chosen
        restore(newest.path, db_path, backups, NOW)
        assert items.count() == 1


@pytest.mark.parametrize("missing", ["all of it", "all but its log", "never there"])
def test_a_missing_worklist_comes_back(
    items: ItemStore, db_path: Path, backups: BackupFolder, chosen: Path, missing: str
) -> None:
    log = db_path.with_name("worklist.db-wal")
    old_log = log.read_bytes()
    items.database.close()
    for file in db_path.parent.glob("worklist.db*"):
        file.unlink()
    if missing == "all but its log":
        log.write_bytes(old_log)
    path = db_path if missing != "never there" else db_path.parent / "new" / "worklist.db"

    done = restore(chosen, path, backups, NOW)

    assert (done.items, done.before, done.aside) == (1, None, None)
    assert records(path) == ["1"]


def test_a_damaged_worklist_is_set_aside(
    items: ItemStore, db_path: Path, backups: BackupFolder, chosen: Path
) -> None:
    items.database.close()
    break_a_page(db_path)

    done = restore(chosen, db_path, backups, NOW)

    assert done.aside == db_path.with_name("worklist.db.damaged-20250707T120000")
    assert done.aside.exists()
    assert records(db_path) == ["1"]


def test_a_damaged_worklist_is_not_taken_from_under_its_server(
    items: ItemStore, db_path: Path, backups: BackupFolder, chosen: Path
) -> None:
    items.database.close()
    break_a_page(db_path)
    server = InstanceLock(db_path)
    server.acquire()
    with pytest.raises(Conflict, match="stop the server"):
        restore(chosen, db_path, backups, NOW)
    server.release()
    assert db_path.exists()
    assert left_over(db_path.parent) == []


def test_what_is_no_sound_worklist_is_refused_and_nothing_changes(
    items: ItemStore, db_path: Path, backups: BackupFolder, chosen: Path, tmp_path: Path
) -> None:
    damaged, other, text = tmp_path / "damaged.db", tmp_path / "other.db", tmp_path / "text.db"
    shutil.copy(chosen, damaged)
    break_a_page(damaged)
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE songs (title)")
    text.write_text("not a database, but long enough to be looked at " * 20)

    for path in (damaged, text):
        with pytest.raises(DatabaseUnavailable, match="cannot be restored"):
            restore(path, db_path, backups, NOW)
    with pytest.raises(Exception, match="belongs to something else"):
        restore(other, db_path, backups, NOW)
    with pytest.raises(NotFound, match="restore --list"):
        restore(tmp_path / "gone.db", db_path, backups, NOW)

    assert items.count() == 2
    assert left_over(db_path.parent) == []


def test_a_worklist_of_an_earlier_release_is_adopted_on_the_way(
    items: ItemStore, db_path: Path, backups: BackupFolder
) -> None:
    items.put([booking("1")])
    published = DATA / "published-0.4.6.db"
    before = published.read_bytes()

    done = restore(published, db_path, backups, NOW)

    assert done.items > 1
    assert items.count() == done.items
    assert published.read_bytes() == before
    assert [file.name for file in db_path.parent.glob("*.bak")] == []
    assert left_over(db_path.parent) == []


def test_whoever_holds_the_worklist_is_named(
    items: ItemStore,
    db_path: Path,
    backups: BackupFolder,
    chosen: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pylantir.worklist.restore.WRITE_TIMEOUT_S", 0.2)
    with closing(sqlite3.connect(db_path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseUnavailable, match="locked by another program"):
            restore(chosen, db_path, backups, NOW)
    assert items.count() == 2


def test_a_worklist_opened_meanwhile_sees_what_was_restored(
    items: ItemStore, db_path: Path, backups: BackupFolder, chosen: Path
) -> None:
    restore(chosen, db_path, backups, NOW)
    other = Database(str(db_path))
    assert ItemStore(other).count() == items.count() == 1
    other.close()
