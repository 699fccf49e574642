"""Backups: complete, sound, private, and as many as wanted."""

from __future__ import annotations

import datetime as dt
import os
import sqlite3
import stat
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.worklist.bookings import NOW, booking

from pylantir.errors import DatabaseDamaged, DatabaseUnavailable
from pylantir.worklist.backups import Backup, BackupFolder, Stopped, superfluous
from pylantir.worklist.database import Database
from pylantir.worklist.keeper import BackupKeeper
from pylantir.worklist.store import ItemStore

HOUR = dt.timedelta(hours=1)


@pytest.fixture
def backups(db_path: Path) -> BackupFolder:
    return BackupFolder(db_path.parent / "backups", db_path, keep=3, keep_days=10)


def records(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT source_record_id FROM worklist_items ORDER BY id")
        return [row[0] for row in rows]


def break_a_page(path: Path) -> None:
    """Pages of a table are overwritten; the beginning of the file is as it was."""
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))


# --- one backup ---


def test_a_backup_is_one_private_sound_file(items: ItemStore, backups: BackupFolder) -> None:
    items.put([booking("1"), booking("2")])

    made = backups.make(items.database, NOW)

    assert made.path.name == "worklist-20250707T120000Z.db"
    assert [file.name for file in backups.folder.iterdir()] == [made.path.name]
    assert records(made.path) == ["1", "2"]
    assert backups.all() == [made]
    assert made.size_bytes == made.path.stat().st_size
    with closing(sqlite3.connect(made.path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    if os.name == "posix":
        assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
        assert stat.S_IMODE(backups.folder.stat().st_mode) == 0o700


def test_a_backup_is_of_one_moment_while_others_write(
    items: ItemStore, backups: BackupFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    items.put([booking("1", patient_comments="x" * 5000)])
    monkeypatch.setattr("pylantir.worklist.backups._PAGES_AT_ONCE", 1)
    written = threading.Event()

    class Nosy(threading.Event):
        """Asked between two pages: somebody else writes there."""

        def is_set(self) -> bool:
            if not written.is_set():
                written.set()
                items.put([booking("2")])
            return False

    made = backups.make(items.database, NOW, stopping=Nosy())

    assert records(made.path) == ["1"]
    assert items.count() == 2


def test_a_backup_that_is_stopped_leaves_nothing(items: ItemStore, backups: BackupFolder) -> None:
    stopping = threading.Event()
    stopping.set()
    with pytest.raises(Stopped):
        backups.make(items.database, NOW, stopping=stopping)
    assert list(backups.folder.iterdir()) == []


def test_two_of_one_second_have_two_names(items: ItemStore, backups: BackupFolder) -> None:
    made = [backups.make(items.database, NOW, label="by-hand") for _ in range(2)]
    assert [backup.path.stem for backup in made] == [
        "worklist-20250707T120000Z-by-hand",
        "worklist-20250707T120000Z-by-hand-2",
    ]
    assert len(backups.all()) == 2


def test_a_damaged_database_gives_no_backup(
    items: ItemStore, db_path: Path, backups: BackupFolder
) -> None:
    items.put([booking("1")])
    items.database.close()
    break_a_page(db_path)

    with pytest.raises(DatabaseDamaged):
        backups.make(items.database, NOW)

    assert list(backups.folder.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(items: ItemStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    backups = BackupFolder(tmp_path / "file", tmp_path / "worklist.db", keep=1, keep_days=1)
    with pytest.raises(DatabaseUnavailable, match=r"cannot write a backup to .*file"):
        backups.make(items.database, NOW)
    assert backups.all() == []


def test_the_advice_names_the_newest_and_the_command(
    items: ItemStore, backups: BackupFolder
) -> None:
    assert "no backup" in backups.advice
    backups.make(items.database, NOW)
    newest = backups.make(items.database, NOW + HOUR)
    backups.make(items.database, NOW + 2 * HOUR, label="before-restore")
    assert str(newest.path) in backups.advice
    assert "made 2025-07-07 13:00 UTC" in backups.advice
    assert "pylantir restore --newest" in backups.advice


def test_what_is_not_ours_is_neither_listed_nor_removed(
    items: ItemStore, backups: BackupFolder
) -> None:
    backups.folder.mkdir()
    others = ["users-20250707T120000Z.db", "worklist.db", "worklist-99999999T999999Z.db", "notes"]
    for name in others:
        (backups.folder / name).write_text("")
    assert backups.all() == []
    for number in range(5):
        backups.make(items.database, NOW - dt.timedelta(days=100 + number))
    backups.prune(NOW)
    assert {file.name for file in backups.folder.iterdir()} > set(others)


# --- which are kept ---


def at(*moments: str) -> list[Backup]:
    made = [dt.datetime.fromisoformat(f"2025-{moment}+00:00") for moment in moments]
    return [Backup(Path(moment), when, 1) for moment, when in zip(moments, made, strict=True)]


@pytest.mark.parametrize(
    ("moments", "gone"),
    [
        ((), ()),
        (("07-07T11:00",), ()),
        # The newest are kept, however old.
        (("01-03T11:00", "01-02T11:00", "01-01T11:00"), ()),
        # Of older ones, the last of each day.
        (
            (
                *("07-07T11:00", "07-07T10:00", "07-07T09:00", "07-07T08:00"),
                *("07-06T23:00", "07-06T22:00", "07-05T10:00"),
            ),
            ("07-07T08:00", "07-06T22:00"),
        ),
        # Until they are too old.
        (
            ("07-07T11:00", "07-07T10:00", "07-07T09:00", "06-27T12:00", "06-26T12:00"),
            ("06-26T12:00",),
        ),
        # A day that has one among the newest needs no other.
        (("07-07T11:00", "07-06T11:00", "07-05T11:00", "07-05T10:00"), ("07-05T10:00",)),
    ],
)
def test_the_newest_are_kept_and_one_of_each_day(
    moments: tuple[str, ...], gone: tuple[str, ...]
) -> None:
    found = superfluous(at(*moments), 3, NOW - dt.timedelta(days=10))
    assert tuple(str(backup.path) for backup in found) == gone


def test_what_is_superfluous_is_removed(items: ItemStore, backups: BackupFolder) -> None:
    made = [backups.make(items.database, NOW - number * HOUR) for number in range(5)]
    removed = backups.prune(NOW)
    assert removed == [made[3].path, made[4].path]
    assert [backup.path for backup in backups.all()] == [b.path for b in made[:3]]


# --- by itself ---


@pytest.fixture
def make_keeper(database: Database, backups: BackupFolder) -> Callable[..., BackupKeeper]:
    def make(now: dt.datetime = NOW, every: dt.timedelta = HOUR) -> BackupKeeper:
        return BackupKeeper(database, backups, every_s=every.total_seconds(), now=lambda: now)

    return make


@pytest.mark.parametrize(
    ("age", "due_s"),
    [
        (None, 0),
        (dt.timedelta(minutes=10), 3000),
        (HOUR, 0),
        (dt.timedelta(days=9), 0),
        (-HOUR, 0),
    ],
    ids=["first", "young", "due", "late", "the clock was put back"],
)
def test_the_next_one_is_due_an_interval_after_the_last(
    make_keeper: Callable[..., BackupKeeper],
    database: Database,
    backups: BackupFolder,
    age: dt.timedelta | None,
    due_s: float,
) -> None:
    if age is not None:
        backups.make(database, NOW - age)
    assert make_keeper()._pause_s() == due_s


def test_it_makes_one_at_the_first_start_and_ends_at_once(
    make_keeper: Callable[..., BackupKeeper], backups: BackupFolder, database: Database
) -> None:
    keeper = make_keeper()
    keeper.start()
    never = threading.Event()
    for _ in range(600):
        if backups.all():
            break
        never.wait(0.05)
    keeper.stop()
    assert not keeper._thread.is_alive()
    assert len(backups.all()) == 1


def test_a_failure_is_said_once_and_tried_again_soon(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    backups = BackupFolder(tmp_path / "file", tmp_path / "worklist.db", keep=1, keep_days=1)
    keeper = BackupKeeper(database, backups, every_s=3600, now=lambda: NOW)
    assert [keeper.round(), keeper.round()] == [300, 300]
    assert len(caplog.records) == 1
    assert "no backup: cannot write" in caplog.records[0].message
    (tmp_path / "file").unlink()
    assert keeper.round() == 3600
    assert len(backups.all()) == 1


def test_a_damaged_database_is_found_by_the_check_after_a_start(
    make_keeper: Callable[..., BackupKeeper], db_path: Path, database: Database
) -> None:
    break_a_page(db_path)
    make_keeper()._check()
    assert database.trouble is not None
    assert isinstance(database.trouble.error, DatabaseDamaged)
