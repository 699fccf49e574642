"""``backup`` and ``restore``: copies of the worklist, made and put back."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pylantir.cli import audited, table
from pylantir.cli.opening import load, log_to_stderr, open_store
from pylantir.errors import ConfigProblem, ConfigurationError, NotFound

if TYPE_CHECKING:
    from pylantir.config.schema import Config
    from pylantir.worklist.backups import Backup, BackupFolder


def configure_backup(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``backup``."""
    parser.add_argument("--list", action="store_true", help="show those there are, make none")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run_backup(args: argparse.Namespace) -> int:
    """Make a backup now and print where it is; older ones stay."""
    if args.list:
        _, backups, _ = _places(args)
        return _show(backups, args)
    with open_store(args, create=False) as worklist:
        if worklist.backups is None:
            raise _no_file(worklist.config.db_path)
        made = worklist.backups.make(worklist.database, worklist.clock.now(), label="by-hand")
    if args.json:
        table.write_json([_record(made)])
    else:
        print(made.path)
    return 0


def configure_restore(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``restore``."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("file", nargs="?", type=Path, metavar="FILE", help="the backup")
    which.add_argument("--newest", action="store_true", help="the newest backup there is")
    which.add_argument("--list", action="store_true", help="show those there are, restore none")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run_restore(args: argparse.Namespace) -> int:
    """Put a backup in the place of the worklist; a server that serves it goes on."""
    from pylantir.clock import utc_now
    from pylantir.worklist.restore import restore

    path, backups, config = _places(args)
    if args.list:
        return _show(backups, args)
    newest = backups.newest()
    if args.newest and newest is None:
        raise NotFound(f"there is no backup in {backups.folder}")
    chosen = newest.path if args.newest and newest is not None else args.file
    done = restore(chosen, path, backups, utc_now())
    words = f"restored from {chosen.name}, {done.items} items"
    audited.configured(audited.trail_for(config), path.absolute().as_uri(), words)
    if args.json:
        before = str(done.before.path) if done.before else None
        aside = str(done.aside) if done.aside else None
        table.write_json(
            [{"restored": str(chosen), "items": done.items, "before": before, "aside": aside}]
        )
        return 0
    print(f"{path} is as it was in {chosen.name}: {done.items} items")
    if done.before is not None:
        print(f"what it was before is in {done.before.path}")
    if done.aside is not None:
        print(f"the damaged file is {done.aside}")
    return 0


def _places(args: argparse.Namespace) -> tuple[Path, BackupFolder, Config]:
    """The database file, unopened, because it may be the damaged one; its backups; the settings."""
    from pylantir.upkeep import backup_folder
    from pylantir.worklist.database import database_url, file_of

    loaded = load(args)
    log_to_stderr(args)
    path = file_of(database_url(loaded.config.db_path))
    backups = backup_folder(loaded.config, path)
    if path is None or backups is None:
        raise _no_file(loaded.config.db_path)
    return path, backups, loaded.config


def _no_file(location: str) -> ConfigurationError:
    what = location.partition("://")[0]
    message = f"the worklist is in a database of kind {what!r}, not in an SQLite file"
    hint = "use that database's own backups"
    return ConfigurationError([ConfigProblem("configuration", "db_path", message, hint)])


def _show(backups: BackupFolder, args: argparse.Namespace) -> int:
    found = backups.all()
    if args.json:
        table.write_json([_record(backup) for backup in found])
        return 0
    rows = [
        [f"{b.made:%Y-%m-%d %H:%M:%S} UTC", f"{b.size_bytes / 1e6:.1f} MB", str(b.path)]
        for b in found
    ]
    if rows:
        table.write_table(["MADE", "SIZE", "FILE"], rows)
    else:
        print(f"there is no backup in {backups.folder}")
    return 0


def _record(backup: Backup) -> dict[str, Any]:
    return {
        "file": str(backup.path),
        "made": backup.made.isoformat(),
        "size_bytes": backup.size_bytes,
    }
