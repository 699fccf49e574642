"""A site of its own for a fault: the real daemon as a process, and scanners that work with it."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from tests.conftest import clean_environment
from tests.dicom.modality import Aborted, HungUp, Modality, Refused
from tests.dicom.performing import begun, ended, new_uid, scheduled
from tests.worklist.bookings import booking

from pylantir.clock import utc_now
from pylantir.worklist.database import Database
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.query import WorklistQuery
from pylantir.worklist.schema import prepare
from pylantir.worklist.store import ItemStore

PROGRAM = (sys.executable, "-m", "pylantir")
SUCCESS, DUPLICATE, NO_LONGER = 0x0000, 0x0111, 0x0110
BROKEN = (OSError, Aborted, HungUp, Refused, AssertionError)
"""What a scanner meets when its server is killed in the middle of a message."""


@contextlib.contextmanager
def folder(parent: Path | None = None) -> Iterator[Path]:
    """A folder that is gone afterwards."""
    made = Path(tempfile.mkdtemp(prefix="pylantir-fault-", dir=parent))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class Site:
    """A configuration, a worklist with bookings, and the daemon that serves them."""

    def __init__(self, place: Path, *, bookings: int = 40, **settings: Any) -> None:
        self.place = place
        self.port = free_port()
        self.db_path = place / "site" / "worklist.db"
        self.config = place / "site.json"
        values = {
            "db_path": str(self.db_path),
            "ip": "127.0.0.1",
            "port": self.port,
            "allowed_aet": [f"MR{number}" for number in range(10)],
            **settings,
        }
        self.config.write_text(json.dumps(values), encoding="utf-8")
        self.log_path = place / "stderr.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._book(bookings)

    def _book(self, bookings: int) -> None:
        database = Database(str(self.db_path))
        prepare(database, now=utc_now())
        ItemStore(database).put([booking(str(number)) for number in range(bookings)])
        database.close()

    def items(self) -> list[WorklistItem]:
        database = Database(str(self.db_path))
        try:
            return ItemStore(database).find(WorklistQuery())
        finally:
            database.close()

    def environ(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Of the daemon and of commands: compiled once, as an installed package is."""
        made = {**clean_environment(self.place), **environ}
        made.pop("PYTHONDONTWRITEBYTECODE", None)
        return {**made, "PYTHONPYCACHEPREFIX": str(self.place / "compiled")}

    def start(
        self, *, program: Sequence[str] = PROGRAM, environ: Mapping[str, str] | None = None
    ) -> float:
        """Start the daemon; returns the seconds until it has answered a C-ECHO."""
        began = time.perf_counter()
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [*program, "start", "--config", str(self.config)],
                cwd=self.place,
                env=self.environ(environ or {}),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        pause = threading.Event()
        while True:
            with contextlib.suppress(*BROKEN), Modality(self.port) as scanner:
                if scanner.echo().status == SUCCESS:
                    return time.perf_counter() - began
            if self.process.poll() is not None:
                raise RuntimeError(f"the daemon has ended:\n{self.log}")
            if time.perf_counter() - began > 60:
                raise RuntimeError(f"the daemon does not answer:\n{self.log}")
            pause.wait(0.005)

    @property
    def cpu_s(self) -> float:
        """What the daemon has computed so far: the machine may be busy with something else."""
        assert self.process is not None
        used = psutil.Process(self.process.pid).cpu_times()
        return float(used.user + used.system)

    def kill(self) -> None:
        """SIGKILL: no word, no flush, no clean-up."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(30)

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(30)

    def clean_up(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(30)

    @property
    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command of the command line, with the configuration of the site."""
        return subprocess.run(
            [sys.executable, "-m", "pylantir", *words, "--config", str(self.config)],
            cwd=self.place,
            env=clean_environment(self.place),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def integrity(self) -> str:
        """``PRAGMA integrity_check`` of a copy of the files as they lie there."""
        with folder() as aside:
            for file in self.db_path.parent.glob("worklist.db*"):
                if file.is_file() and not file.name.endswith((".lock", "-shm")):
                    shutil.copy(file, aside / file.name)
            with contextlib.closing(sqlite3.connect(aside / "worklist.db")) as connection:
                return str(connection.execute("PRAGMA integrity_check").fetchone()[0])

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self.db_path, timeout=30)) as connection:
            return connection.execute(statement).fetchall()


@dataclass
class Scan:
    """One performed step, and what its scanner knows of it."""

    uid: str
    create: str = "not sent"
    set: str = "not sent"


@dataclass
class Ledger:
    """What was sent and what was acknowledged, as the scanners know it."""

    scans: list[Scan] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def count(self, message: str, fate: str) -> int:
        return sum(getattr(scan, message) == fate for scan in self.scans)


def scan_one(scanner: Modality, scan: Scan, item: WorklistItem, end: bool) -> list[str]:
    """Begin a scan and perhaps end it; returns what was refused."""
    refused = []
    scan.create = "sent"
    answer = scanner.create(begun(scheduled(item)), scan.uid)
    scan.create = "acknowledged" if answer.status == SUCCESS else "refused"
    if answer.status != SUCCESS:
        return [f"N-CREATE 0x{answer.status:04X} {answer.comment}"]
    if end:
        scan.set = "sent"
        answer = scanner.set(scan.uid, ended())
        scan.set = "acknowledged" if answer.status == SUCCESS else "refused"
        if answer.status != SUCCESS:
            refused.append(f"N-SET 0x{answer.status:04X} {answer.comment}")
    return refused


class Scanners:
    """Some scanners at work, until their server is gone or they are told to stop."""

    def __init__(self, site: Site, items: Sequence[WorklistItem], number: int, seed: int) -> None:
        self._site = site
        self._items = items
        self._stopping = threading.Event()
        self.ledgers = [Ledger() for _ in range(number)]
        self._threads = [
            threading.Thread(target=self._work, args=(n, seed), daemon=True) for n in range(number)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(60)

    @property
    def scans(self) -> list[Scan]:
        return [scan for ledger in self.ledgers for scan in ledger.scans]

    @property
    def refused(self) -> list[str]:
        return [words for ledger in self.ledgers for words in ledger.refused]

    def _work(self, number: int, seed: int) -> None:
        rng = random.Random(f"{seed} {number}")
        ledger = self.ledgers[number]
        with contextlib.suppress(*BROKEN), Modality(self._site.port, calling=f"MR{number}") as mr:
            while not self._stopping.is_set():
                scan = Scan(new_uid())
                ledger.scans.append(scan)
                ledger.refused += scan_one(mr, scan, rng.choice(self._items), rng.random() < 0.5)


def finish(site: Site, scans: Sequence[Scan]) -> list[str]:
    """End every scan that runs, after a restart; returns what was lost or could not be ended."""
    wrong = []
    with Modality(site.port, calling="MR9") as mr:
        for scan in scans:
            if scan.create in ("not sent", "refused"):
                continue
            if scan.create == "sent":  # the scanner got no answer, so it sends again
                status = mr.create(begun(), scan.uid).status
                if status not in (SUCCESS, DUPLICATE):
                    wrong.append(f"{scan.uid}: N-CREATE again 0x{status:04X}")
            answer = mr.set(scan.uid, ended())
            over = answer.status == NO_LONGER and answer.command.get("ErrorID") == 0xA710
            if scan.set == "acknowledged" and not over:
                wrong.append(f"{scan.uid}: acknowledged N-SET lost, now 0x{answer.status:04X}")
            elif scan.set == "sent" and not over and answer.status != SUCCESS:
                wrong.append(f"{scan.uid}: cannot be ended, 0x{answer.status:04X}")
            elif scan.set in ("not sent", "refused") and answer.status != SUCCESS:
                wrong.append(f"{scan.uid}: acknowledged N-CREATE lost, 0x{answer.status:04X}")
    return wrong


def arguments(what: str, *, cycles: int) -> argparse.Namespace:
    """The options of a script: how long, and from which seed."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--cycles", type=int, default=cycles)
    parser.add_argument("--seed", type=int, default=20260302)
    return parser.parse_args()


def percentile(values: Sequence[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else 0.0


def conclude(wrong: Sequence[str]) -> int:
    """Print what is wrong and return the exit code."""
    for words in wrong[:20]:
        print(f"WRONG {words}")
    print("FAILED" if wrong else "PASSED", f"({os.cpu_count()} cores)")
    return 1 if wrong else 0
