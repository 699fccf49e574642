"""A site whose daemon is attacked: a worklist, settings, and the scanner that goes on working."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conftest import DaemonProcess, start_daemon
from tests.dicom.modality import Aborted, HungUp, Modality, Refused
from tests.dicom.serving import query
from tests.worklist.bookings import NOW, booking

from pylantir.worklist.database import Database
from pylantir.worklist.schema import prepare
from pylantir.worklist.store import ItemStore

SCANNER, STRANGER = "MR1", "STRANGER"
BOOKINGS = 50
TROUBLES = (Refused, Aborted, HungUp, OSError, AssertionError)


@contextmanager
def daemon_at(folder: Path, *words: str, **settings: Any) -> Iterator[DaemonProcess]:
    """``pylantir start`` with 50 bookings in a folder; ended afterwards, whatever happens.

    The scanner is known to the site by its profile; anybody may connect.
    """
    path = folder / "worklist.db"
    if not path.exists():
        database = Database(str(path))
        prepare(database, now=NOW)
        ItemStore(database, now=lambda: NOW).put([booking(str(n)) for n in range(BOOKINGS)])
        database.close()
    config = {"db_path": str(path), "ip": "127.0.0.1", "scanners": [{"ae_title": SCANNER}]}
    file = folder / "config.json"
    file.write_text(json.dumps(config | settings))
    daemon = start_daemon(folder, "--config", str(file), *words).wait_until_ready()
    try:
        yield daemon
    finally:
        daemon.clean_up()


@dataclass
class Probe:
    """What the scanner experiences.

    Parameters
    ----------
    port : int
        The daemon's.
    """

    port: int
    echoes_s: list[float] = field(default_factory=list)
    finds_s: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def ask(self) -> None:
        """Connect, associate, C-ECHO, C-FIND of all bookings, release: as two measured parts."""
        scanner = Modality(self.port, calling=SCANNER)
        try:
            _, echo_s = timed(lambda: self._echo(scanner))
            answer, find_s = timed(lambda: scanner.find(query(PatientName="")))
            assert (answer.status, len(answer.items)) == (0, BOOKINGS), answer
            scanner.release()
        except TROUBLES as error:
            self.failed.append(repr(error))
            with contextlib.suppress(AttributeError):  # not even connected
                scanner.hang_up()
            return
        self.echoes_s.append(echo_s)
        self.finds_s.append(find_s)

    def _echo(self, scanner: Modality) -> None:
        scanner.open()
        assert scanner.echo().status == 0

    def warm_up(self) -> None:
        """Let the daemon make what it makes only once, such as a few database connections."""
        with ThreadPoolExecutor(4) as scanners:
            for _ in range(20):
                scanners.submit(Probe(self.port).ask)

    def ask_until(self, enough: Callable[[], bool]) -> None:
        """Ask again and again."""
        while not enough():
            self.ask()


@dataclass
class Figures:
    """What a scene showed, and what of it is not as it should be."""

    rows: dict[str, str] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)

    def add(self, name: str, value: str, fine: bool = True) -> None:
        """One figure."""
        self.rows[name] = value
        if not fine:
            self.missed.append(f"{name}: {value}")

    def __str__(self) -> str:
        return "\n".join(f"  {name:48} {value}" for name, value in self.rows.items())


Scene = Callable[[Path, Any], Figures]


def run_scenes(
    description: str | None, scenes: Mapping[str, Scene], short: object, long: object
) -> int:
    """The command line of a script: every scene, each in a folder of its own."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--long", action="store_true", help="the figures of docs/reliability.md")
    parser.add_argument("--only", default="", metavar="TEXT", help="scenes whose name holds it")
    args = parser.parse_args()
    missed: list[str] = []
    for name, scene in scenes.items():
        if args.only not in name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            figures = scene(Path(folder), long if args.long else short)
        print(f"{name}\n{figures}", flush=True)
        missed += figures.missed
    for what in missed:
        print(f"MISSED: {what}", file=sys.stderr)
    return int(bool(missed))


def timed(do: Callable[[], Any]) -> tuple[Any, float]:
    """What something returns, and its seconds."""
    began = time.monotonic()
    return do(), time.monotonic() - began


def percentile(values: list[float], percent: int) -> float:
    """The value that so many per cent do not exceed; infinite when there are none."""
    if not values:
        return math.inf
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def ms(seconds: float) -> str:
    """Seconds as milliseconds."""
    return f"{seconds * 1000:.0f} ms"
