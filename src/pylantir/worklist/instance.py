"""One server for one database: a lock that ends with its process, whatever ended that.

The file also carries how the server is doing, for ``pylantir health``. It is written in place, so
that it can be told that the disk is full. Commands beside the server do not ask for the lock.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pylantir.errors import StartError
from pylantir.worklist.database import database_url, file_of

if TYPE_CHECKING:
    from pylantir.config.schema import Config

_SIZE = 8192
_LOCKED_BYTE = 1 << 30
"""Windows keeps everybody from reading a locked byte, so one is locked that nobody reads."""

_PATIENCE_S = 0.5
"""Somebody who only looks whether a server runs holds the lock for an instant."""


class InstanceLock:
    """The right to serve a database.

    Parameters
    ----------
    database : Path
        The database file; its lock lies beside it.
    """

    def __init__(self, database: Path) -> None:
        self._database = database.resolve()
        self.path = lock_path(database)
        self._descriptor = -1
        self._writing = threading.Lock()

    def acquire(self) -> None:
        """Take it.

        Raises
        ------
        StartError
            Another server has it, or the folder cannot be written.
        """
        try:
            descriptor = os.open(self.path, os.O_CREAT | os.O_RDWR | _NOT_TEXT, 0o600)
        except OSError as error:
            raise StartError(
                f"cannot write {self.path}: {error.strerror}. "
                "Make the folder of the database writable, or choose another db_path."
            ) from error
        deadline = time.monotonic() + _PATIENCE_S
        while not _lock(descriptor):
            if time.monotonic() >= deadline:
                os.close(descriptor)
                raise StartError(
                    f"the database {self._database} is served by another pylantir"
                    f"{_whose(self.path)}. Stop that one, or choose another db_path."
                )
            threading.Event().wait(_PATIENCE_S / 10)
        self._descriptor = descriptor
        self.say({})

    def say(self, report: Mapping[str, Any]) -> None:
        """Let others know how the server is doing; its process is added.

        Raises
        ------
        OSError
            The disk does not take it.
        """
        whose = {"pid": os.getpid(), "host": socket.gethostname()}
        text = json.dumps({**whose, **report}, ensure_ascii=True)
        with self._writing:
            if self._descriptor < 0:
                return
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            os.write(self._descriptor, text[:_SIZE].ljust(_SIZE).encode("ascii"))

    def release(self) -> None:
        """Give it back; the file stays, because removing it would let two servers in."""
        with self._writing:
            descriptor, self._descriptor = self._descriptor, -1
            if descriptor >= 0:
                with contextlib.suppress(OSError):
                    os.ftruncate(descriptor, 0)
                os.close(descriptor)


def lock_path(database: Path) -> Path:
    """Where the lock of a database is; the same by whichever link one comes."""
    real = database.resolve()
    return real.with_name(f"{real.name}.lock")


def is_served(database: Path) -> bool:
    """Whether a server has the database."""
    try:
        descriptor = os.open(lock_path(database), os.O_RDWR | _NOT_TEXT)
    except OSError:
        return False
    try:
        return not _lock(descriptor)
    finally:
        os.close(descriptor)


def told(database: Path) -> dict[str, Any]:
    """What the server of a database said last; empty when there is none."""
    return _read(lock_path(database))


def as_served(config: Config) -> Config:
    """Settings with the port on which the running server listens, whatever its command line said.

    Parameters
    ----------
    config : Config
        The site's settings.

    Returns
    -------
    Config
        The same where no server serves the worklist, or it has not said where it listens.
    """
    path = file_of(database_url(config.db_path))
    port = told(path).get("port") if path is not None else None
    if path is None or not port or not is_served(path):
        return config
    return config.model_copy(update={"port": int(port)})


def _read(path: Path) -> dict[str, Any]:
    try:
        said = json.loads(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def _whose(path: Path) -> str:
    said = _read(path)
    return f" (process {said['pid']} on {said.get('host', '?')})" if "pid" in said else ""


if sys.platform == "win32":
    import msvcrt

    _NOT_TEXT = os.O_BINARY

    def _lock(descriptor: int) -> bool:
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    _NOT_TEXT = 0

    def _lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
