"""The command line, with a seam: the process kills itself with SIGKILL at one step it takes.

``python -m tests.faults.killed COMMAND …``, run by :mod:`tests.faults.killing`. A step is the
moment before or after an SQL statement, a commit, a fetch, the sending of reports. Steps count in
threads whose name begins as ``FAULT_THREADS`` says, or, after a minus, does not begin so, and once
the file ``FAULT_ARMED`` exists. At step ``FAULT_AT`` it ends; without a number it only counts, into
the file ``FAULT_COUNT``.

Its source of type ``diary`` reads bookings from one file and appends reports to another.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from pylantir.cli import main
from pylantir.sources import register_source
from pylantir.sources.base import Batch, BookingWindow, DaysCovered, Source, SourceRecord
from pylantir.worklist.outbox import PerformedReport
from pylantir.worklist.prepared import Prepared


class Steps:
    """Counts them, and ends the process at one of them."""

    def __init__(self) -> None:
        self._at = int(os.environ.get("FAULT_AT", "0"))
        self._threads = os.environ.get("FAULT_THREADS", "")
        self._count_path = os.environ.get("FAULT_COUNT", "")
        self._armed = os.environ.get("FAULT_ARMED", "")
        self._counting = threading.Lock()
        self._taken = 0

    def take(self, *_: Any, **__: Any) -> None:
        """One step of this thread."""
        name = threading.current_thread().name
        wanted, without = self._threads, self._threads.startswith("-")
        beginnings = tuple(filter(None, wanted.removeprefix("-").split(",")))
        if beginnings and name.startswith(beginnings) is without:
            return
        if self._armed and not os.path.exists(self._armed):  # noqa: PTH110 - quicker
            return
        with self._counting:
            self._taken += 1
            if self._taken == self._at:
                os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
                threading.Event().wait()
            if self._count_path:
                part = Path(f"{self._count_path}.part")
                part.write_text(str(self._taken), encoding="ascii")
                part.replace(self._count_path)


STEPS = Steps()


class Diary(Source):
    """Bookings in a file, all of them each time; reports go into another file."""

    def fetch(self, window: BookingWindow) -> Batch:
        STEPS.take()
        written = json.loads(Path(self.settings.config["file"]).read_text(encoding="utf-8"))
        records = [SourceRecord(key, fields) for key, fields in written["bookings"].items()]
        STEPS.take()
        scope = DaysCovered(window.first_day, window.last_day)
        return Batch(records, scope, complete=True, next_cursor=written["cursor"])

    def values_of(self, record: SourceRecord) -> dict[str, Any]:
        return dict(record.fields)

    def still_there(self, record_ids: Sequence[str]) -> frozenset[str]:
        return frozenset()

    def write_back(self, reports: Sequence[PerformedReport]) -> None:
        STEPS.take()
        with Path(self.settings.config["reports"]).open("a", encoding="utf-8") as file:
            for report in reports:
                file.write(json.dumps(asdict(report)) + "\n")
            file.flush()
            os.fsync(file.fileno())
        STEPS.take()


def stepwise(run: Callable[..., Any]) -> Callable[..., Any]:
    """The same, with a step before and one after it."""

    def run_it(*given: Any, **values: Any) -> Any:
        STEPS.take()
        found = run(*given, **values)
        STEPS.take()
        return found

    return run_it


if __name__ == "__main__":
    register_source("diary", Diary)
    Prepared.rows = stepwise(Prepared.rows)  # type: ignore[method-assign]
    for moment in ("before_cursor_execute", "after_cursor_execute", "commit"):
        event.listen(Engine, moment, STEPS.take)
    sys.exit(main())
