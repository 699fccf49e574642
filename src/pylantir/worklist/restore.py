"""Putting a backup in the place of the database, also under a server that goes on serving."""

from __future__ import annotations

import contextlib
import datetime as dt
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

from pylantir.errors import Conflict, DatabaseDamaged, DatabaseUnavailable, NotFound, StoreError
from pylantir.worklist.backups import (
    BEFORE_RESTORE,
    Backup,
    BackupFolder,
    copy_sound,
    require_sound,
)
from pylantir.worklist.database import WRITE_TIMEOUT_S, Database
from pylantir.worklist.instance import is_served
from pylantir.worklist.schema import prepare
from pylantir.worklist.sqlitefile import BESIDE, put_in_place, set_aside
from pylantir.worklist.store import ItemStore
from pylantir.worklist.versions import renew_versions

_VERSIONS_MEANWHILE = 1_000_000
"""More than anybody can write while the backup is put in place."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What was done.

    Parameters
    ----------
    items : int
        Rows in the worklist now.
    before : Backup or None
        Backup of what was there until now.
    aside : Path or None
        Where the damaged database is that was there until now.
    """

    items: int
    before: Backup | None
    aside: Path | None


def restore(chosen: Path, path: Path, backups: BackupFolder, now: dt.datetime) -> Restored:
    """Put a backup in the place of the database.

    A sound database is backed up first, and overwritten in one transaction: a server and its
    scanners go on. A damaged one is set aside, which needs its server to be stopped.

    Parameters
    ----------
    chosen : Path
        The backup, or another copy of a worklist of this or an earlier release.
    path : Path
        The database.
    backups : BackupFolder
        Where the present database is backed up.
    now : datetime
        The present instant.

    Raises
    ------
    NotFound
        There is no such backup.
    StoreError
        The backup is no sound worklist, or the disk does not take it.
    Conflict
        A server has the damaged database open.
    """
    if not chosen.is_file():
        raise NotFound(
            f"there is no file {chosen}; pylantir restore --list shows which backups there are"
        )
    draft = path.with_name(f".{path.name}.restoring")
    _remove(draft)
    try:
        draft.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _copy_of(chosen, draft)
        present = _highest_version(path)
        items = _made_ready(draft, (present or 0) + _VERSIONS_MEANWHILE, now)
        if present is None:
            return Restored(items, None, _in_place_of_nothing(draft, path, now))
        before = backups.make(Database(str(path)), now, label=BEFORE_RESTORE)
        _overwrite(draft, path)
        return Restored(items, before, None)
    except OSError as error:
        raise DatabaseUnavailable(
            f"cannot put {chosen} in the place of {path}: {error.strerror}"
        ) from error
    finally:
        _remove(draft)


def _remove(draft: Path) -> None:
    for suffix in BESIDE:
        with contextlib.suppress(OSError):
            Path(f"{draft}{suffix}").unlink(missing_ok=True)


def _copy_of(chosen: Path, draft: Path) -> None:
    uri = f"{chosen.absolute().as_uri()}?mode=ro"
    try:
        with contextlib.closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as source:
            copy_sound(source, draft)
    except (sqlite3.Error, DatabaseDamaged) as error:
        raise DatabaseUnavailable(f"{chosen} cannot be restored: {error}") from error


def _made_ready(draft: Path, above: int, now: dt.datetime) -> int:
    """Bring the copy to the schema and the versions of today; returns its number of items."""
    database = Database(str(draft))
    try:
        prepare(database, now=now)
        with database.write() as connection:
            renew_versions(connection, above)
        items = ItemStore(database).count()
    finally:
        database.close()
    for leftover in draft.parent.glob(f"{draft.name}.before-*.bak"):
        leftover.unlink()  # an old schema was copied before it was migrated; the backup is there
    return items


def _highest_version(path: Path) -> int | None:
    """The change counter of the present database; nothing when that is gone or damaged."""
    if not path.exists() or not path.stat().st_size:
        return None
    database = Database(str(path))
    try:
        with database.probe(WRITE_TIMEOUT_S) as connection:
            require_sound(connection, quick=True)
            return int(connection.execute("SELECT version FROM changes").fetchone()[0])
    except DatabaseDamaged:
        return None
    except StoreError as error:
        if "no such table" in str(error):
            return None
        raise


def _in_place_of_nothing(draft: Path, path: Path, now: dt.datetime) -> Path | None:
    if path.exists() and is_served(path):
        raise Conflict(
            f"{path} is damaged, and a server has it open: stop the server, then restore again"
        )
    aside = set_aside(path, "damaged", now)
    put_in_place(draft, path)
    return aside


def _overwrite(draft: Path, path: Path) -> None:
    """All pages in one transaction of the present file, so that whoever has it open goes on."""
    deadline = time.monotonic() + WRITE_TIMEOUT_S

    def go_on(*_: int) -> None:
        if time.monotonic() > deadline:
            raise DatabaseUnavailable(
                f"the database {path} is locked by another program; end that program"
            )

    with (
        contextlib.closing(sqlite3.connect(draft, isolation_level=None)) as source,
        contextlib.closing(sqlite3.connect(path, isolation_level=None)) as present,
    ):
        present.execute("PRAGMA synchronous=FULL")
        try:
            source.backup(present, progress=go_on, sleep=0.05)
        except sqlite3.Error as error:
            raise DatabaseUnavailable(f"the database {path} cannot be used: {error}") from error
