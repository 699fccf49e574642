"""What is alive. The only home of psutil."""

from __future__ import annotations

import gc
import sys


def resident_bytes() -> int | None:
    """Memory this process holds now, or nothing when that cannot be told.

    With psutil (extra ``monitoring``) everywhere; without it on Linux only.
    """
    try:
        import psutil
    except ImportError:
        return _resident_bytes_of_linux()
    return int(psutil.Process().memory_info().rss)


def _resident_bytes_of_linux() -> int | None:
    if not sys.platform.startswith("linux"):
        return None
    with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123 - no file of ours
        pages = int(statm.read().split()[1])
    import resource

    return pages * resource.getpagesize()


def collect() -> str:
    """Collect garbage; returns memory before and after as words for the log."""
    before = resident_bytes()
    gc.collect()
    after = resident_bytes()
    if before is None or after is None:
        return "memory unknown (install pylantir[monitoring])"
    return f"memory {before / 2**20:.0f} MiB, after collection {after / 2**20:.0f} MiB"
