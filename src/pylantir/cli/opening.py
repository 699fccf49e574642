"""From the command line to a configuration and an open worklist."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pylantir.errors import ConfigProblem, ConfigurationError

if TYPE_CHECKING:
    from pylantir.config.load import LoadedConfig
    from pylantir.daemon import Worklist

_FLAGS = ("ae_title", "ip", "port")


def load(args: argparse.Namespace) -> LoadedConfig:
    """The configuration that the command line, the environment and the file make together.

    Raises
    ------
    ConfigurationError
        It cannot be used, or there is none.
    """
    from pylantir.config.load import load_config

    if args.demo:
        from pylantir.demo import demo_config

        return demo_config(args.demo_dir, flags_of(args))
    loaded = load_config(args.config, flags=flags_of(args))
    for warning in loaded.warnings:
        print(f"WARNING: {warning}", file=sys.stderr)
    return loaded


def flags_of(args: argparse.Namespace) -> dict[str, Any]:
    """Settings that stand on the command line."""
    return {name: getattr(args, name) for name in _FLAGS if getattr(args, name, None) is not None}


@contextlib.contextmanager
def open_store(args: argparse.Namespace, *, create: bool = True) -> Iterator[Worklist]:
    """The worklist of the configuration, open for as long as the block lasts.

    Parameters
    ----------
    args : Namespace
        Of the command.
    create : bool
        Make the database when there is none; a command that only looks says so instead.

    Raises
    ------
    ConfigurationError
        There is no configuration, or no database to look at.
    """
    loaded = load(args)
    log_to_stderr(args)
    if not create:
        _require_database(loaded)
    from pylantir.daemon import open_worklist

    worklist = open_worklist(loaded.config)
    try:
        yield worklist
    finally:
        worklist.database.close()


def _require_database(loaded: LoadedConfig) -> None:
    location = loaded.config.db_path
    if "://" not in location and not Path(location).expanduser().exists():
        where = str(loaded.path) if loaded.path else "configuration"
        raise ConfigurationError(
            [
                ConfigProblem(
                    where,
                    "db_path",
                    f"there is no worklist at {location} yet",
                    "start the server first, or import a file",
                )
            ]
        )


def log_level(args: argparse.Namespace, default: int) -> int:
    """Log level after ``-v``, ``-q`` and the environment variable DEBUG."""
    if args.verbose or os.environ.get("DEBUG", "").lower() in ("1", "true", "yes"):
        return logging.DEBUG
    return default + 10 * int(args.quiet)


def log_to_stderr(args: argparse.Namespace) -> None:
    """Logging of a command that runs and ends: only what is wrong, unless asked for more."""
    from pylantir import logs

    logs.configure(log_level(args, logging.WARNING))
