"""Hostile connections against the real daemon, with a scanner that works on beside them.

``python -m tests.faults.malformed`` starts ``pylantir start`` with a worklist of its own, makes
10 000 malformed connections (see :mod:`tests.faults.hostile`), asks as a scanner in between, and
prints what the daemon held before, at the peak and after. It ends with 1 when a figure is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import psutil
from tests.conftest import DaemonProcess, start_daemon
from tests.dicom.modality import Aborted, HungUp, Modality, Refused
from tests.dicom.performing import begun, ended, new_uid
from tests.dicom.serving import everything, query
from tests.faults.attacker import Attackers
from tests.faults.footprint import MIB, Footprint, Peak
from tests.faults.hostile import Attack, attacks
from tests.faults.hostile_messages import RUNNING_STEP
from tests.worklist.bookings import NOW, booking

from pylantir.dicom.mpps_rules import check_create
from pylantir.worklist.database import Database
from pylantir.worklist.schema import prepare
from pylantir.worklist.steps import StepStore
from pylantir.worklist.store import ItemStore

MAX_GROWTH_BYTES = 10 * MIB
MAX_PEAK_BYTES = 32 * MIB
MAX_BUSY_PERCENT = 50
BETWEEN_PROBES = 25
_BOOKINGS = 20
_WARM_UP = 30
_SCANNER = "PROBE"


@dataclass
class Outcome:
    """What came of a run.

    Parameters
    ----------
    connections, probes : int
        How many there were.
    failed : list of str
        Probes that did not get the known answer, and why.
    growth_bytes, peak_bytes : int
        Resident memory after and at most, above what the idle daemon holds.
    threads_left, descriptors_left : int
        More than before, two seconds after the last connection.
    busy_percent : float
        Processor time afterwards, when nobody is connected, in per cent of one core.
    log_lines : int
        Lines that are not about the scanner.
    faults : list of str
        Tracebacks, patients in the log, and an end of the daemon.
    """

    connections: int = 0
    probes: int = 0
    failed: list[str] = field(default_factory=list)
    growth_bytes: int = 0
    peak_bytes: int = 0
    threads_left: int = 0
    descriptors_left: int = 0
    busy_percent: float = 0.0
    log_lines: int = 0
    faults: list[str] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    slowest_probe_s: float = 0.0

    @property
    def missed(self) -> list[str]:
        """Figures that are not met."""
        checks = {
            f"{len(self.failed)} probes failed: {self.failed[:3]}": not self.failed,
            f"memory grew by {self.growth_bytes / MIB:.1f} MiB": (
                self.growth_bytes < MAX_GROWTH_BYTES
            ),
            f"memory peak {self.peak_bytes / MIB:.1f} MiB above idle": (
                self.peak_bytes < MAX_PEAK_BYTES
            ),
            f"{self.threads_left} threads left": self.threads_left <= 0,
            f"{self.descriptors_left} descriptors left": self.descriptors_left <= 0,
            f"{self.busy_percent:.0f} % of a core while nobody is connected": (
                self.busy_percent < MAX_BUSY_PERCENT
            ),
            f"{self.log_lines} log lines for {self.connections} connections": (
                self.log_lines <= self.connections
            ),
            f"faults: {self.faults[:3]}": not self.faults,
        }
        return [what for what, met in checks.items() if not met]

    def __str__(self) -> str:
        ends = ", ".join(f"{word} {n}" for word, n in self.ends.most_common())
        rows = {
            "connections": f"{self.connections} in {self.seconds:.0f} s ({ends})",
            "probes failed": f"{len(self.failed)} of {self.probes}",
            "slowest probe": f"{self.slowest_probe_s * 1000:.0f} ms",
            "memory growth": f"{self.growth_bytes / MIB:.1f} MiB",
            "memory peak above idle": f"{self.peak_bytes / MIB:.1f} MiB",
            "threads, descriptors left": f"{self.threads_left}, {self.descriptors_left}",
            "busy afterwards": f"{self.busy_percent:.0f} % of a core",
            "log lines, tracebacks": f"{self.log_lines}, {len(self.faults)}",
        }
        return "\n".join(f"{name:26} {value}" for name, value in rows.items())


def prepare_worklist(folder: Path) -> list[str]:
    """A worklist and a configuration in a folder; the words that start a daemon on them."""
    database = Database(str(folder / "worklist.db"))
    prepare(database, now=NOW)
    items = ItemStore(database, now=lambda: NOW)
    items.put([booking(str(n), patient_name=f"Planted{n}^Name") for n in range(_BOOKINGS)])
    database.close()
    config = folder / "config.json"
    config.write_text(json.dumps({"db_path": str(folder / "worklist.db"), "ip": "127.0.0.1"}))
    return ["--config", str(config)]


class Probe:
    """A well-behaved scanner that asks for one booking and must get it."""

    def __init__(self, port: int, outcome: Outcome) -> None:
        self._port = port
        self._outcome = outcome

    def work(self) -> None:
        """Everything that a scanner does in a day, so that what is made only once is made."""
        with Modality(self._port, calling=_SCANNER) as scanner:
            scanner.find(everything())
            for uid in (new_uid(), RUNNING_STEP):
                scanner.create(begun(), uid)
                scanner.set(uid, ended("IN PROGRESS"))
                scanner.get(uid)

    def ask(self) -> None:
        """Associate, C-ECHO, C-FIND, release."""
        number = self._outcome.probes % _BOOKINGS
        self._outcome.probes += 1
        began = time.monotonic()
        try:
            with Modality(self._port, calling=_SCANNER) as scanner:
                echoed = scanner.echo().status
                answer = scanner.find(query(PatientID=f"PID-{number}", PatientName=""))
                found = [str(item.PatientName) for item in answer.items]
            got = (echoed, answer.status, found)
            if got != (0, 0, [f"Planted{number}^Name"]):
                self._outcome.failed.append(f"probe {self._outcome.probes}: {got}")
        except (Refused, Aborted, HungUp, OSError, AssertionError) as error:
            self._outcome.failed.append(f"probe {self._outcome.probes}: {error!r}")
        took = time.monotonic() - began
        self._outcome.slowest_probe_s = max(self._outcome.slowest_probe_s, took)


def run(
    daemon: DaemonProcess, chosen: Iterator[Attack], threads: int = 4, settle_s: float = 2.0
) -> Outcome:
    """Make the connections and probe in between; the daemon is left running.

    Parameters
    ----------
    daemon : DaemonProcess
        Serves what :func:`prepare_worklist` made.
    chosen : iterator of Attack
        The connections.
    threads : int
        How many at the same time.
    settle_s : float
        Time after the last one in which threads and descriptors must be gone, in seconds.
    """
    outcome, process = Outcome(), psutil.Process(daemon.process.pid)
    probe = Probe(daemon.port, outcome)
    with ThreadPoolExecutor(threads + 1) as scanners:
        for _ in range(_WARM_UP):
            scanners.submit(probe.work)
    idle, began, said = Footprint.at_rest(process), time.monotonic(), len(daemon.log)
    with Peak(process) as peak:
        attackers = Attackers(daemon.port, threads)
        while some := list(islice(chosen, BETWEEN_PROBES)):
            attackers.carry_out(some)
            outcome.connections += len(some)
            probe.ask()
            if daemon.process.poll() is not None:
                break
        attackers.finish()
    probe.ask()
    outcome.seconds, outcome.ends = time.monotonic() - began, attackers.ends
    _read_log(outcome, daemon.log[said:])
    if daemon.process.poll() is not None:
        outcome.faults.append(f"the daemon has ended with {daemon.process.returncode}")
        return outcome
    after = idle.settled(process, settle_s)
    outcome.growth_bytes = after.rss_bytes - idle.rss_bytes
    outcome.peak_bytes = peak.bytes - idle.rss_bytes
    outcome.threads_left = after.threads - idle.threads
    outcome.descriptors_left = after.descriptors - idle.descriptors
    outcome.busy_percent = process.cpu_percent(settle_s)
    return outcome


def _read_log(outcome: Outcome, log: str) -> None:
    ours = [line for line in log.splitlines() if f" {_SCANNER}" not in line]
    outcome.log_lines = len(ours)
    outcome.faults += [line for line in ours if "Traceback" in line or "Planted" in line]


def unreadable_steps(folder: Path) -> list[str]:
    """Performed steps that were kept and make no sense."""
    database = Database(str(folder / "worklist.db"))
    try:
        steps = StepStore(database, now=lambda: NOW).all()
        return [
            f"a kept step breaks {broken}"
            for linked in steps
            for broken in check_create(dict(linked.step.attributes))
        ]
    finally:
        database.close()


def main(words: Sequence[str] | None = None) -> int:
    """The long form."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", metavar="KIND", help="attacks whose kind holds this text")
    parser.add_argument("--log", action="store_true", help="print the daemon's log at the end")
    args = parser.parse_args(words)
    chosen = attacks(args.seed, args.connections * (1 if not args.only else 1000))
    if args.only:
        chosen = (attack for attack in chosen if args.only in attack.kind)
    with tempfile.TemporaryDirectory() as name:
        daemon = start_daemon(Path(name), *prepare_worklist(Path(name))).wait_until_ready()
        try:
            outcome = run(daemon, islice(chosen, args.connections))
        finally:
            daemon.clean_up()
        outcome.faults += unreadable_steps(Path(name))
        if args.log:
            print(daemon.log, file=sys.stderr)
    print(outcome)
    for what in outcome.missed:
        print(f"MISSED: {what}", file=sys.stderr)
    return int(bool(outcome.missed))


if __name__ == "__main__":
    sys.exit(main())
