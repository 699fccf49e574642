"""Memory of a process that serves for months: its garbage collector and its heap."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
from collections.abc import Iterator

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""Of mallopt(3)."""

_ARENAS = 2
_LONG_BYTES = 65_536


@contextlib.contextmanager
def made_to_stay() -> Iterator[None]:
    """Let the garbage collector pass by everything that is made in the block.

    A start makes some 200 000 objects, modules above all, that live as long as the process. The
    collector would look through them several times on the way, which is a tenth of the start, and
    through all of them again after each round of a source: 50 ms in which no scanner is answered.

    When the block fails nothing is kept, and the collector is as it was.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        if was_enabled:
            gc.enable()


def share_the_heap() -> None:
    """Let all threads allocate from few arenas, where the C library is glibc.

    It gives each thread one of its own, and what a hundred associations have freed stays in them:
    memory would go on growing under many short associations, though nothing is kept. And once a
    long message was freed it keeps room for the next one as long; here a long one is given back.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library
            library = ctypes.CDLL(None)
            library.mallopt(_M_ARENA_MAX, _ARENAS)
            library.mallopt(_M_MMAP_THRESHOLD, _LONG_BYTES)
            library.mallopt(_M_TRIM_THRESHOLD, _LONG_BYTES)
