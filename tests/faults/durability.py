"""kill -9 while scanners work: nothing that was acknowledged is lost.

``python -m tests.faults.durability --cycles 200`` from the checkout prints the figures; some
cycles run with the other tests.
"""

from __future__ import annotations

import random
import re
import shutil
import sys
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.dicom.modality import Modality
from tests.dicom.performing import begun, ended, new_uid, scheduled
from tests.faults.rooms import (
    PROGRAM,
    SUCCESS,
    Scan,
    Scanners,
    Site,
    arguments,
    conclude,
    finish,
    folder,
    percentile,
)

SCANNERS = 4
LONGEST_WORK_S = 0.6


@dataclass
class Outcome:
    """The figures of some cycles."""

    cycles: int = 0
    created: int = 0
    ended: int = 0
    in_flight: int = 0
    finished_later: int = 0
    restarts_s: list[float] = field(default_factory=list)
    restarts_cpu_s: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def add(self, scans: list[Scan]) -> None:
        self.cycles += 1
        self.created += sum(scan.create == "acknowledged" for scan in scans)
        self.ended += sum(scan.set == "acknowledged" for scan in scans)
        self.in_flight += sum("sent" in (scan.create, scan.set) for scan in scans)
        self.finished_later += sum(scan.set != "acknowledged" for scan in scans)


def run(cycles: int, seed: int) -> Outcome:
    """Let scanners work, kill the daemon at any moment, restart it, look at everything."""
    rng = random.Random(seed)
    outcome = Outcome()
    with folder() as place:
        site = Site(place)
        items = site.items()
        try:
            site.start()
            for cycle in range(cycles):
                scanners = Scanners(site, items, SCANNERS, seed + cycle)
                scanners.start()
                threading.Event().wait(rng.uniform(0.02, LONGEST_WORK_S))
                site.kill()
                scanners.stop()
                outcome.wrong += [f"refused: {words}" for words in scanners.refused]
                integrity = site.integrity()
                if integrity != "ok":
                    outcome.wrong.append(f"integrity_check after kill {cycle}: {integrity}")
                outcome.restarts_s.append(site.start())
                outcome.restarts_cpu_s.append(site.cpu_s)
                outcome.wrong += finish(site, scanners.scans)
                outcome.add(scanners.scans)
            running = site.sql("SELECT count(*) FROM performed_steps WHERE status = 'IN PROGRESS'")
            if running != [(0,)]:
                outcome.wrong.append(f"{running[0][0]} steps still run at the end")
            if site.stop() != 0:
                outcome.wrong.append("the last stop was not clean")
        finally:
            site.clean_up()
    return outcome


# --- a sync before every acknowledgement ---

_CALL = re.compile(
    rb"^(?:\d+ +)?(\d+\.\d+) (?:<\.\.\. )?f(?:data)?sync(?:\(\d+<([^>]*)>| resumed>)"
)
"""A line of strace: the moment, and the file unless another thread came between."""


@dataclass
class Synced:
    """Acknowledgements, and how many of them came after a sync of the log of the database."""

    acknowledged: int = 0
    synced: int = 0


def syncs(messages: int) -> Synced | None:
    """Watch the daemon's system calls with strace; nothing where there is none."""
    strace = shutil.which("strace")
    if strace is None or not sys.platform.startswith("linux"):
        return None
    with folder() as place:
        site = Site(place)
        [item, *_] = site.items()
        trace = place / "trace"
        only = ["-e", "trace=fsync,fdatasync", "-qq", "-e", "signal=none"]
        try:
            watched = (strace, "-D", "-f", "-y", "-ttt", *only, "-o", str(trace))
            site.start(program=(*watched, *PROGRAM))
            asked: list[tuple[float, float]] = []
            with Modality(site.port, calling="MR1") as mr:
                for _ in range(messages):
                    uid = new_uid()
                    for send in (
                        partial(mr.create, begun(scheduled(item)), uid),
                        partial(mr.set, uid, ended()),
                    ):
                        began = time.time()
                        if send().status != SUCCESS:
                            return Synced(acknowledged=1)
                        asked.append((began, time.time()))
            site.stop()
        finally:
            site.clean_up()
        moments = _moments(trace)
    synced = sum(any(began < moment < end for moment in moments) for began, end in asked)
    return Synced(len(asked), synced)


def _moments(trace: Path) -> list[float]:
    """When the log of the database was synced."""
    found = []
    for line in trace.read_bytes().splitlines():
        matched = _CALL.match(line)
        if matched and (matched[2] is None or matched[2].endswith(b"worklist.db-wal")):
            found.append(float(matched[1]))
    return found


def main() -> int:
    args = arguments(__doc__ or "", cycles=200)
    outcome = run(args.cycles, args.seed)
    watched = syncs(50)
    restarts = outcome.restarts_s
    print(f"kills                          {outcome.cycles}")
    print(f"N-CREATE acknowledged          {outcome.created}")
    print(f"N-SET acknowledged             {outcome.ended}")
    print(f"messages in flight when killed {outcome.in_flight}")
    print(f"scans ended after the restart  {outcome.finished_later}")
    print(f"lost or wrong                  {len(outcome.wrong)}")
    print(
        f"restart to first answer        median {percentile(restarts, 0.5):.2f} s, "
        f"p95 {percentile(restarts, 0.95):.2f} s, worst {max(restarts):.2f} s"
    )
    print(
        f"  of it, computing             median {percentile(outcome.restarts_cpu_s, 0.5):.2f} s, "
        f"p95 {percentile(outcome.restarts_cpu_s, 0.95):.2f} s"
    )
    if watched is None:
        print("syncs before acknowledgement   not watched: strace is not here")
    else:
        print(f"syncs before acknowledgement   {watched.synced} of {watched.acknowledged}")
        if watched.synced < watched.acknowledged:
            outcome.wrong.append("acknowledged without a sync")
    return conclude(outcome.wrong)


if __name__ == "__main__":
    sys.exit(main())
