"""What a process holds: memory, threads, descriptors; its memory peak while something goes on."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import psutil

MIB = 2**20
_SAMPLE_S = 0.02


@dataclass(frozen=True)
class Footprint:
    """One look at a process."""

    rss_bytes: int
    threads: int
    descriptors: int

    @classmethod
    def of(cls, process: psutil.Process) -> Footprint:
        """Its present footprint; Windows counts handles in place of descriptors."""
        with process.oneshot():
            descriptors = (
                process.num_fds() if hasattr(process, "num_fds") else process.num_handles()
            )
            return cls(process.memory_info().rss, process.num_threads(), descriptors)

    @classmethod
    def at_rest(cls, process: psutil.Process, watched_s: float = 2.0) -> Footprint:
        """The footprint of a process that only does what it does by itself, at its most."""
        looks, pause = [cls.of(process)], threading.Event()
        end = time.monotonic() + watched_s
        while time.monotonic() < end:
            pause.wait(0.05)
            looks.append(cls.of(process))
        return cls(
            looks[-1].rss_bytes,
            max(look.threads for look in looks[len(looks) // 2 :]),
            max(look.descriptors for look in looks[len(looks) // 2 :]),
        )

    def settled(self, process: psutil.Process, within_s: float = 2.0) -> Footprint:
        """The first footprint with no more threads and descriptors than this one, or the last."""
        end = time.monotonic() + within_s
        pause = threading.Event()
        while True:
            now = Footprint.of(process)
            if now.threads <= self.threads and now.descriptors <= self.descriptors:
                return now
            if time.monotonic() > end:
                return now
            pause.wait(0.05)


class Peak:
    """Watches the memory of a process; on Linux the kernel does, and misses nothing."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._rss_bytes = 0
        self._done = threading.Event()
        self._watching = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Peak:
        with contextlib.suppress(OSError):
            Path(f"/proc/{self._process.pid}/clear_refs").write_text("5")  # forget the old peak
        self._watching.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._done.set()
        self._watching.join()

    def _watch(self) -> None:
        while not self._done.wait(_SAMPLE_S):
            with contextlib.suppress(psutil.NoSuchProcess):
                self._rss_bytes = max(self._rss_bytes, self._process.memory_info().rss)

    @property
    def bytes(self) -> int:
        """The highest resident memory since the watch began."""
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return max(self._rss_bytes, int(line.split()[1]) * 1024)
        return self._rss_bytes
