"""One round of a source in a process of its own, which may kill itself: ``kill -9`` at its worst.

What to do is read from standard input as JSON: the source's entry, the database, the present
instant, and at which point to die: ``before commit``, ``after commit``, or nowhere.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import event

from pylantir.clock import SiteClock
from pylantir.sources import make_source
from pylantir.sources.base import SourceSettings
from pylantir.sync import Synchronizer
from pylantir.worklist.database import Database


def die(*_: Any) -> None:
    """End as a power cut does: nothing is written, closed or said."""
    if hasattr(signal, "SIGKILL"):
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(9)


def die_before_commit(database: Database) -> None:
    """Let the first transaction that has written something end without its commit."""
    written: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        if statement.lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE")):
            written.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    event.listen(database.engine, "commit", lambda _: die() if written else None)


def main() -> None:
    """Sync once."""
    told = json.load(sys.stdin)
    now = dt.datetime.fromisoformat(told["now"])
    clock = SiteClock(told["zone"], lambda: now)
    database = Database(str(Path(told["database"])))
    settings = SourceSettings(clock=clock, **told["settings"])
    synchronizer = Synchronizer(settings.name, make_source(told["type"], settings), database, clock)
    if told["dies"] == "before commit":
        die_before_commit(database)
    synchronizer.run_once()
    if told["dies"] == "after commit":
        die()
    print("done", flush=True)


if __name__ == "__main__":
    main()
