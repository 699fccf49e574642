"""``python -m benchmarks.sync``: how long a sync of REDCap takes, and what memory it needs.

The stand-in server is a process of its own, and so is each syncing process. Memory is the most that
was resident during a round, above what was resident before the first: an idle daemon.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pylantir.clock import SiteClock
from pylantir.sources import make_source
from pylantir.sources.base import SourceSettings
from pylantir.sync import Synchronizer
from pylantir.worklist.database import Database
from pylantir.worklist.schema import prepare

ROUNDS = {"first": False, "second": False, "all compared": True}
"""Name of each round, and whether it compares everything."""

_ZONE = "America/Edmonton"
_KIB_PER_MIB = 1024


@dataclass(frozen=True, slots=True)
class Round:
    """What one round took.

    Parameters
    ----------
    name : str
        One of :data:`ROUNDS`.
    seconds : float
        On the wall.
    above_idle_mib : float
        Most memory at once, above that before the first round.
    fetched, written : int
        Bookings that came, and items that were created, changed or withdrawn.
    """

    name: str
    seconds: float
    above_idle_mib: float
    fetched: int
    written: int


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """What is asked for on the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.sync", description=__doc__)
    parser.add_argument("--records", type=int, nargs="+", default=[10, 1000, 40_000])
    parser.add_argument("--child", metavar="FOLDER", help=argparse.SUPPRESS)
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> int:
    """Measure and print a table; returns 1 when an unchanged round wrote something."""
    args = arguments(given)
    if args.child:
        for each in rounds(Path(args.child), os.environ):
            print(json.dumps(asdict(each)), flush=True)
        return 0
    print("| records | round | bookings | written | seconds | MiB above idle |")
    print("|---:|---|---:|---:|---:|---:|")
    written_again = 0
    for records in args.records:
        for each in measure(records):
            print(
                f"| {records} | {each.name} | {each.fetched} | {each.written} "
                f"| {each.seconds:.2f} | {each.above_idle_mib:.0f} |",
                flush=True,
            )
            written_again += 0 if each.name == "first" else each.written
    return int(bool(written_again))


def measure(records: int) -> list[Round]:
    """The rounds of a project of so many records, three rows each."""
    with served(records) as secrets, tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.sync", "--child", folder]
        ran = subprocess.run(
            command, env={**os.environ, **secrets}, stdout=subprocess.PIPE, text=True, check=True
        )
    return [Round(**json.loads(line)) for line in ran.stdout.splitlines()]


@contextmanager
def served(records: int) -> Iterator[dict[str, str]]:
    """A REDCap server with so many records; where it is and its token, as the environment."""
    command = [sys.executable, "-m", "tests.standins.redcap", "--port", "0", "--rate-limit", "0"]
    command += ["--shape", "repeating", "--zone", _ZONE, "--records", str(records)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            said = [server.stdout.readline() for _ in range(3)]
            yield dict(re.findall(r"export (\w+)=(\S+)", "".join(said)))
        finally:
            server.terminate()


def rounds(folder: Path, environ: Any) -> Iterator[Round]:
    """Sync three times into a new database."""
    clock = SiteClock(_ZONE)
    database = Database(str(folder / "worklist.db"))
    prepare(database, now=clock.now())
    settings = SourceSettings(
        name="rc",
        config={"site_id": "792", "server_timezone": _ZONE},
        field_mapping={},
        environ=dict(environ),
        clock=clock,
    )
    synchronizer = Synchronizer("rc", make_source("redcap", settings), database, clock)
    idle = _resident("VmRSS")
    for name, full in ROUNDS.items():
        _forget_peak()
        began = time.perf_counter()
        report = synchronizer.run_once(full=full)
        seconds = time.perf_counter() - began
        plan = report.plan
        written = len(plan.created) + len(plan.changed) + len(plan.withdrawn)
        peak = _resident("VmHWM") - idle
        yield Round(name, seconds, peak / _KIB_PER_MIB, report.fetched, written)
        del report, plan
    database.close()


def _resident(name: str) -> int:
    """Memory of this process in KiB, as Linux counts it."""
    status = Path("/proc/self/status").read_text()
    found = re.search(rf"{name}:\s*(\d+) kB", status)
    return int(found[1]) if found else 0


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


if __name__ == "__main__":
    raise SystemExit(main())
