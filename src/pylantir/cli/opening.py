"""From the command line to a configuration and an open worklist."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pylantir.errors import ConfigProblem, ConfigurationError

if TYPE_CHECKING:
    from pylantir.config.load import LoadedConfig
    from pylantir.daemon import Worklist

_FLAGS = ("ae_title", "ip", "port")


def load(args: argparse.Namespace) -> LoadedConfig:
    """The configuration that the command line, the environment and the file make together.

    It is read once for each command, and warned about once.

    Raises
    ------
    ConfigurationError
        It cannot be used, or there is none.
    """
    present: LoadedConfig | None = getattr(args, "loaded", None)
    if present is None:
        present = args.loaded = _read(args)
    return present


def _read(args: argparse.Namespace) -> LoadedConfig:
    from pylantir.config.load import load_config

    if wants_demo(args):
        from pylantir.demo import demo_config

        if args.config:
            message = "the demonstration has a configuration of its own"
            hint = "leave out --config or --demo"
            raise ConfigurationError([ConfigProblem("command line", "--config", message, hint)])
        return demo_config(args.demo_dir, flags_of(args))
    loaded = load_config(args.config, flags=flags_of(args))
    for warning in loaded.warnings:
        print(f"WARNING: {warning}", file=sys.stderr)
    return loaded


def wants_demo(args: argparse.Namespace) -> bool:
    """Whether the command is about the demonstration worklist instead of the site's."""
    return bool(args.demo or args.demo_dir)


def flags_of(args: argparse.Namespace) -> dict[str, Any]:
    """Settings that stand on the command line."""
    return {name: getattr(args, name) for name in _FLAGS if getattr(args, name, None) is not None}


@contextlib.contextmanager
def open_store(
    args: argparse.Namespace, *, create: bool = True, rehearse: bool = False
) -> Iterator[Worklist]:
    """The worklist of the configuration, open for as long as the block lasts.

    Parameters
    ----------
    args : Namespace
        Of the command.
    create : bool
        Make the database when there is none; a command that only looks says so instead.
    rehearse : bool
        Open a private copy that is thrown away, so that not even an old database is migrated.

    Raises
    ------
    ConfigurationError
        There is no configuration, or no database to look at.
    """
    loaded = load(args)
    log_to_stderr(args)
    if not create:
        _require_database(loaded, wants_demo(args))
    from pylantir.daemon import open_worklist

    with contextlib.ExitStack() as stack:
        config = loaded.config
        if rehearse:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="pylantir-"))
            silent = config.audit.model_copy(update={"enabled": False})
            copy = _copied(config.db_path, Path(folder))
            config = config.model_copy(update={"db_path": copy, "audit": silent})
        worklist = open_worklist(config)
        stack.callback(worklist.database.close)
        yield worklist


def _copied(location: str, folder: Path) -> str:
    """The database copied into a folder, if there is one to copy."""
    from pylantir.worklist.database import Database
    from pylantir.worklist.rehearsal import rehearsal_copy

    copy = folder / "worklist.db"
    path = Database(location).path
    if path is not None and path.exists():
        rehearsal_copy(path, copy)
    return str(copy)


def has_database(loaded: LoadedConfig) -> bool:
    """Whether there is a database already; one that is no file is taken to be there."""
    location = loaded.config.db_path
    return "://" in location or Path(location).expanduser().exists()


def _require_database(loaded: LoadedConfig, is_demo: bool) -> None:
    if has_database(loaded):
        return
    location = loaded.config.db_path
    where = loaded.origins.get("db_path", "configuration")
    hint = "start it first: pylantir start --demo" if is_demo else "start the server, or import"
    message = f"there is no worklist at {location} yet"
    raise ConfigurationError([ConfigProblem(where, "db_path", message, hint)])


def log_level(args: argparse.Namespace, default: int) -> int:
    """Log level after ``-v``, ``-q`` and the environment variable DEBUG."""
    if args.verbose or os.environ.get("DEBUG", "").lower() in ("1", "true", "yes"):
        return logging.DEBUG
    return default + 10 * int(args.quiet)


def log_to_stderr(args: argparse.Namespace) -> None:
    """Logging of a command that runs and ends: only what is wrong, unless asked for more."""
    from pylantir import logs

    logs.configure(log_level(args, logging.WARNING))


def command_line(words: Sequence[str]) -> str:
    """A command that can be typed into this machine's shell as it stands."""
    if sys.platform == "win32":
        from subprocess import list2cmdline

        return list2cmdline(words)
    from shlex import join

    return join(words)
