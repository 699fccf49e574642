"""Killed between any two steps: of a source's round, of a scanner's report, of the way back.

``python -m tests.faults.killing`` from the checkout kills at every step and prints the figures;
``--cycles N`` takes N steps of each kind, spread over all. Some run with the other tests.
"""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conftest import REPOSITORY
from tests.dicom.modality import Modality
from tests.dicom.performing import new_uid
from tests.faults.rooms import (
    BROKEN,
    Scan,
    Site,
    arguments,
    conclude,
    finish,
    folder,
    scan_one,
)

SEAM = (sys.executable, "-m", "tests.faults.killed")
SCANNER_THREADS = "-Main,pulse,health,backups,database-watch,source-,asyncio,Thread-1 "
SOURCE_THREADS = "source-"
KILLED = -9
_PATIENCE_S = 60.0


@dataclass
class Outcome:
    """The figures of one kind of kill."""

    what: str
    steps: int = 0
    kills: int = 0
    wrong: list[str] = field(default_factory=list)


class Diaried(Site):
    """A site whose bookings stand in a diary."""

    def __init__(self, place: Path) -> None:
        self.diary, self.reports = place / "diary.json", place / "reports.jsonl"
        source = {
            "name": "diary",
            "type": "diary",
            "sync_interval": 0.2,
            "config": {
                "file": str(self.diary),
                "reports": str(self.reports),
                "write_back": {"status": "x"},
            },
        }
        super().__init__(place, bookings=0, data_sources=[source], backups={"enabled": False})
        self.count_path, self.armed = place / "steps", place / "armed"

    def environ(self, environ: Mapping[str, str]) -> dict[str, str]:
        made = super().environ({})
        paths = [str(REPOSITORY), made["PYTHONPATH"]]
        return {**made, "PYTHONPATH": ":".join(paths), **environ}

    def write(self, cursor: str, bookings: Mapping[str, Mapping[str, str]]) -> None:
        self.diary.write_text(
            json.dumps({"cursor": cursor, "bookings": bookings}), encoding="utf-8"
        )

    def seam(self, at: int = 0, threads: str = "", *, count: bool = False) -> dict[str, str]:
        """Environment that ends the process at a step."""
        made = {"FAULT_AT": str(at), "FAULT_THREADS": threads}
        if count:
            made["FAULT_COUNT"] = str(self.count_path)
        if threads:
            self.armed.unlink(missing_ok=True)
            made["FAULT_ARMED"] = str(self.armed)
        return made

    def counted(self) -> int:
        return int(self.count_path.read_text(encoding="ascii"))

    def sync(self, at: int = 0, *, count: bool = False) -> int:
        """One round with ``pylantir sync``; returns its exit code."""
        ran = subprocess.run(
            [*SEAM, "sync", "--once", "--config", str(self.config)],
            cwd=self.place,
            env=self.environ(self.seam(at, count=count)),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE_S,
        )
        if ran.returncode not in (0, KILLED):
            raise RuntimeError(ran.stderr)
        return ran.returncode

    def state(self) -> dict[str, Any]:
        """The worklist and the cursor, without what is new each time."""
        columns = (
            "source_record_id, patient_name, scheduled_start_time, accession_number,"
            " study_instance_uid, performed_procedure_step_status"
        )
        rows = self.sql(f"SELECT {columns} FROM worklist_items ORDER BY source_record_id")
        cursors = self.sql("SELECT cursor FROM source_states")
        return {"items": rows, "cursor": cursors}

    def sent(self) -> list[dict[str, Any]]:
        if not self.reports.exists():
            return []
        lines = self.reports.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def wait_until_all_is_sent(self) -> bool:
        pause, end = threading.Event(), time.monotonic() + _PATIENCE_S
        while time.monotonic() < end:
            if self.sql("SELECT count(*) FROM outbox WHERE sent_at IS NULL") == [(0,)]:
                return True
            pause.wait(0.05)
        return False


def diary_entry(number: int, **changes: str) -> dict[str, str]:
    return {
        "patient_name": f"Doe^Number{number}",
        "patient_id": f"P-{number}",
        "modality": "MR",
        "scheduled_start_date": dt.date.today().isoformat(),
        "scheduled_start_time": f"{8 + number % 10:02d}:00",
        **changes,
    }


BEFORE = {f"r{number}": diary_entry(number) for number in range(8)}
AFTER = {
    **{key: fields for key, fields in BEFORE.items() if key != "r1"},
    "r0": diary_entry(0, scheduled_start_time="17:30"),
    "r2": diary_entry(2, accession_number="A-2"),
    **{f"n{number}": diary_entry(number) for number in range(3)},
}
"""One gone, one moved, one changed, three new."""


def some_of(steps: int, cycles: int) -> Iterator[int]:
    """Steps 1 to the last; or so many of them, spread over all."""
    if not cycles or cycles >= steps:
        yield from range(1, steps + 1)
    else:
        yield from sorted({1 + round(n * (steps - 1) / max(1, cycles - 1)) for n in range(cycles)})


def kill_rounds(cycles: int) -> Outcome:
    """A source's round is all there or not at all, and the next one brings what is missing."""
    outcome = Outcome("source rounds")
    with folder() as place:
        site = Diaried(place)
        site.write("one", BEFORE)
        site.sync()
        first = site.state()
        kept = _files(site.db_path)
        site.write("two", AFTER)
        site.sync(count=True)
        second, outcome.steps = site.state(), site.counted()
        for step in some_of(outcome.steps, cycles):
            _put_back(site.db_path, kept)
            if site.sync(step) != KILLED:
                outcome.wrong.append(f"step {step} was not reached")
                continue
            outcome.kills += 1
            if site.integrity() != "ok":
                outcome.wrong.append(f"killed at step {step}: {site.integrity()}")
            if site.state() not in (first, second):
                outcome.wrong.append(f"killed at step {step}: half a round")
            site.sync()
            if site.state() != second:
                outcome.wrong.append(f"killed at step {step}: the next round differs")
    return outcome


def kill_reports(cycles: int) -> Outcome:
    """A scanner's report is kept with its booking and its message to the source, or not at all."""
    return _kill_serving("reports of scanners", SCANNER_THREADS, cycles)


def kill_sending(cycles: int) -> Outcome:
    """What is on its way to the source arrives, whenever its sender is killed."""
    return _kill_serving("reports on their way back", SOURCE_THREADS, cycles)


def _kill_serving(what: str, threads: str, cycles: int) -> Outcome:
    outcome = Outcome(what)
    with _served() as site:
        site.start(program=SEAM, environ=site.seam(0, threads, count=True))
        _scan(site)
        site.wait_until_all_is_sent()
        outcome.steps = site.counted()
        site.kill()
        for step in some_of(outcome.steps, cycles):
            _kill_one(site, threads, step, outcome)
    return outcome


@contextmanager
def _served() -> Iterator[Diaried]:
    with folder() as place:
        site = Diaried(place)
        site.write("one", {f"r{number}": diary_entry(number) for number in range(200)})
        site.sync()
        try:
            yield site
        finally:
            site.clean_up()


def _scan(site: Diaried) -> Scan:
    """One scan from beginning to end, of a booking that nobody has scanned."""
    booked = next(item for item in site.items() if item.status == "SCHEDULED")
    scan = Scan(new_uid())
    site.armed.touch()
    with suppress(*BROKEN), Modality(site.port, calling="MR1") as mr:
        for words in scan_one(mr, scan, booked, end=True):
            raise RuntimeError(words)
    return scan


def _kill_one(site: Diaried, threads: str, step: int, outcome: Outcome) -> None:
    place = f"{outcome.what}, step {step}"
    site.start(program=SEAM, environ=site.seam(step, threads))
    scan = _scan(site)
    assert site.process is not None
    with suppress(subprocess.TimeoutExpired):
        site.process.wait(10 if threads == SOURCE_THREADS else 2)
    outcome.kills += site.process.poll() == KILLED
    site.kill()
    if site.integrity() != "ok":
        outcome.wrong.append(f"{place}: {site.integrity()}")
    outcome.wrong += [f"{place}: {words}" for words in _torn(site, scan)]
    site.start(program=SEAM, environ=site.seam())
    outcome.wrong += [f"{place}: {words}" for words in finish(site, [scan])]
    if not site.wait_until_all_is_sent():
        outcome.wrong.append(f"{place}: a report never arrived")
    site.kill()
    outcome.wrong += [f"{place}: {words}" for words in _not_told(site, scan)]


def _torn(site: Diaried, scan: Scan) -> list[str]:
    """What is there of a step, its booking and its report, without the rest."""
    step = site.sql(f"SELECT status FROM performed_steps WHERE sop_instance_uid = '{scan.uid}'")
    items = site.sql(
        "SELECT i.performed_procedure_step_status FROM performed_step_links l"
        f" JOIN worklist_items i ON i.id = l.item_id WHERE l.sop_instance_uid = '{scan.uid}'"
    )
    reports = site.sql(f"SELECT payload FROM outbox WHERE sop_instance_uid = '{scan.uid}'")
    if not step:
        return ["parts of a step that is not there"] if items or reports else []
    status = str(step[0][0])
    newest = json.loads(reports[-1][0])["status"] if reports else "none"
    found = [str(row[0]) for row in items]
    if found != [status.replace(" ", "_")] or newest != status:
        return [f"step {status}, booking {found}, report {newest}"]
    return []


def _not_told(site: Diaried, scan: Scan) -> list[str]:
    """Whether the source knows the end of a scan whose beginning was acknowledged."""
    rows = site.sql(
        "SELECT i.source_record_id FROM performed_step_links l JOIN worklist_items i"
        f" ON i.id = l.item_id WHERE l.sop_instance_uid = '{scan.uid}'"
    )
    told = {(report["record_id"], report["status"]) for report in site.sent()}
    missing = [key for (key,) in rows if (key, "COMPLETED") not in told]
    return [f"the source was not told of {key}" for key in missing]


def _files(path: Path) -> dict[str, bytes]:
    return {
        file.name: file.read_bytes()
        for file in path.parent.glob(f"{path.name}*")
        if file.is_file() and not file.name.endswith(".lock")
    }


def _put_back(path: Path, kept: Mapping[str, bytes]) -> None:
    for name in _files(path):
        (path.parent / name).unlink()
    for name, content in kept.items():
        (path.parent / name).write_bytes(content)


KINDS: tuple[Callable[[int], Outcome], ...] = (kill_rounds, kill_reports, kill_sending)


def main() -> int:
    args = arguments(__doc__ or "", cycles=0)
    wrong: list[str] = []
    for kind in KINDS:
        outcome = kind(args.cycles)
        wrong += outcome.wrong
        print(
            f"{outcome.what:<26} {outcome.steps:4} steps, killed at {outcome.kills:4}, "
            f"wrong {len(outcome.wrong)}",
            flush=True,
        )
    return conclude(wrong)


if __name__ == "__main__":
    sys.exit(main())
