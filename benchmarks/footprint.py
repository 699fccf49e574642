"""What a server costs: processor time and peak memory of its process and those it has started."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from types import TracebackType

import psutil

_EVERY_S = 0.005
_MIB = 2.0**20


def processes(pid: int) -> Iterator[psutil.Process]:
    """The process and its children, as far as they are there."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        yield process
        yield from process.children(recursive=True)


def cpu_s(pid: int) -> float:
    """Processor time used so far, in seconds."""
    total = 0.0
    for process in processes(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def memory_mib(pid: int) -> float:
    """Memory in MiB; what processes share counts once where the system can tell (Linux)."""
    total = 0
    for process in processes(pid):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            info = process.memory_full_info()
            total += getattr(info, "pss", 0) or info.rss
    return total / _MIB


class PeakMemory:
    """Looks at a server's memory all the time; a context manager around what it has to do."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="peak-memory", daemon=True)
        self.mib = 0.0

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while True:
            self.mib = max(self.mib, memory_mib(self._pid))
            if self._over.wait(_EVERY_S):
                return
