"""One process at a time appends to the trail."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

_RETRY_S = 0.005

if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


@contextlib.contextmanager
def locked(path: Path, within_s: float) -> Iterator[None]:
    """Hold the lock file for as long as the block lasts; it ends with its process, too.

    Parameters
    ----------
    path : Path
        The lock file, which stays where it is.
    within_s : float
        Longest wait for another holder, in seconds.

    Raises
    ------
    TimeoutError
        Somebody else holds it all the time.
    OSError
        The file cannot be made.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + within_s
        while True:
            try:
                _try_lock(descriptor)
                break
            except (BlockingIOError, PermissionError) as error:
                if time.monotonic() >= deadline:
                    raise TimeoutError(f"another process holds {path}") from error
                time.sleep(_RETRY_S)  # neither system tells when a lock becomes free
        try:
            yield
        finally:
            _unlock(descriptor)
    finally:
        os.close(descriptor)
