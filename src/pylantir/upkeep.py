"""What looks after the database of a server: its backups, its watch, a damaged file at start."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from pylantir.clock import Now
from pylantir.errors import DatabaseDamaged
from pylantir.worklist.backups import FOLDER, BackupFolder
from pylantir.worklist.database import Database
from pylantir.worklist.keeper import BackupKeeper
from pylantir.worklist.schema import prepare
from pylantir.worklist.sqlitefile import set_aside
from pylantir.worklist.store import ItemStore
from pylantir.worklist.versions import renew_versions
from pylantir.worklist.watch import DatabaseWatch

if TYPE_CHECKING:
    from pylantir.config.schema import Config

log = logging.getLogger(__name__)

_MAGIC = b"SQLite format 3\x00"


def backup_folder(config: Config, path: Path | None) -> BackupFolder | None:
    """Where the backups of a worklist are; nothing for a database that is no file."""
    if path is None:
        return None
    given = config.backups.folder
    folder = Path(given).expanduser() if given else path.parent / FOLDER
    return BackupFolder(folder, path, keep=config.backups.keep, keep_days=config.backups.keep_days)


def say_what_is_missing(database: Database, backups: BackupFolder | None) -> None:
    """Before a server starts with an empty list: that there are backups of a fuller one."""
    path = database.path
    if path is None or backups is None or (path.exists() and path.stat().st_size):
        return
    newest = backups.newest()
    if newest is not None:
        log.warning(
            "there is no database %s, so an empty one is made. There is a backup: %s; "
            "pylantir restore --newest brings it back, also while the server runs",
            path,
            newest,
        )


def damaged_at_start(
    database: Database, error: DatabaseDamaged, backups: BackupFolder | None, now: Now
) -> DatabaseDamaged:
    """Set a damaged worklist aside, and say what can be done; what is not ours stays where it is.

    Parameters
    ----------
    database : Database
        Closed, and nobody else's to serve.
    error : DatabaseDamaged
        What is wrong with it.
    backups : BackupFolder, optional
        Its backups.
    now : Now
        The clock.
    """
    path = database.path
    if path is None or backups is None or not (_is_sqlite(path) or backups.newest()):
        return DatabaseDamaged(f"{error}. Choose another db_path, or move the file away.")
    try:
        aside = set_aside(path, "damaged", now())
    except OSError as reason:
        return DatabaseDamaged(f"{error}; it cannot be set aside: {reason.strerror}")
    return DatabaseDamaged(
        f"the database {path} was damaged and is set aside as {aside}{backups.advice}. "
        "Without a backup, start again: the sources fill an empty one"
    )


def _is_sqlite(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def upkeep(
    config: Config, items: ItemStore, backups: BackupFolder | None, now: Now
) -> list[DatabaseWatch | BackupKeeper]:
    """The parts of a server that look after its database."""
    database = items.database

    def renew(seen_version: int) -> None:
        """Another file is in its place now."""
        prepare(database, now=now())
        with database.write() as connection:
            renew_versions(connection, seen_version)
        items.check_foreign_rows()

    parts: list[DatabaseWatch | BackupKeeper] = []
    if database.file is not None:
        parts.append(DatabaseWatch(database, renew, backups=backups, now=now))
    if database.file is not None and backups is not None and config.backups.enabled:
        every_s = config.backups.every_hours * 3600
        parts.append(BackupKeeper(database, backups, every_s=every_s, now=now))
    return parts
