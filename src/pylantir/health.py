"""What is alive, in words and numbers. The only home of psutil."""

from __future__ import annotations

import gc
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any


class State(IntEnum):
    """How something is; the value is the exit code that monitors expect of a check."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class Check:
    """How one thing is.

    Parameters
    ----------
    name : str
        Such as ``database``; the same each time.
    state : State
        How it is.
    message : str
        For people; nobody's data, and no secret.
    """

    name: str
    state: State
    message: str


@dataclass(frozen=True, slots=True)
class Health:
    """How everything is."""

    checks: tuple[Check, ...]

    @property
    def state(self) -> State:
        """That of what is worst: critical, then unknown, then a warning."""
        order = (State.CRITICAL, State.UNKNOWN, State.WARNING)
        states = {check.state for check in self.checks}
        return next((state for state in order if state in states), State.OK)

    @property
    def summary(self) -> str:
        """One line: what is worst, or that all is well."""
        bad = [check for check in self.checks if check.state is not State.OK]
        bad.sort(key=lambda check: check.state is not self.state)
        words = "; ".join(f"{check.name}: {check.message}" for check in bad)
        return words or f"{len(self.checks)} checks, all well"

    def record(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "state": self.state.name.lower(),
            "summary": self.summary,
            "checks": [
                {"name": c.name, "state": c.state.name.lower(), "message": c.message}
                for c in self.checks
            ],
        }


def checks_in(record: Mapping[str, Any]) -> list[Check]:
    """The checks of a record that another process made; what cannot be read is left out."""
    states = {state.name.lower(): state for state in State}
    found: Sequence[Any] = record.get("checks") or ()
    return [
        Check(str(one.get("name")), states[one["state"]], str(one.get("message")))
        for one in found
        if isinstance(one, dict) and one.get("state") in states
    ]


def resident_bytes() -> int | None:
    """Memory this process holds now, or nothing when that cannot be told.

    Linux says so itself; elsewhere psutil does (extra ``monitoring``).
    """
    if sys.platform.startswith("linux"):
        return _resident_bytes_of_linux()
    try:
        import psutil
    except ImportError:
        return None
    return int(psutil.Process().memory_info().rss)


def _resident_bytes_of_linux() -> int:
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
