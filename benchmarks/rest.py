"""``python -m benchmarks.rest``: how long clients of the REST API wait.

``pylantir start-api`` is a process of its own; bookings come in past it, as a source's would.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from pylantir.config.schema import Config
from pylantir.daemon import Worklist, open_worklist
from pylantir.users.store import open_users
from pylantir.worklist.item import make_item
from pylantir.worklist.status import ItemStatus

_PASSWORD = "a quiet sentence of a benchmark"
_LOGINS = 20


@dataclass(frozen=True, slots=True)
class Measured:
    """One row of the table, in milliseconds."""

    name: str
    median: float
    p95: float
    worst: float


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """What is asked for on the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.rest", description=__doc__)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--requests", type=int, default=200, help="of each kind")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> int:
    """Measure and print a table."""
    args = arguments(given)
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder), args.items, args.requests)
    print(f"{args.items} items, {args.requests} requests of each kind\n")
    print("| what | median ms | p95 ms | worst ms |\n|---|---:|---:|---:|")
    for row in rows:
        print(f"| {row.name} | {row.median:.1f} | {row.p95:.1f} | {row.worst:.1f} |")
    return 0


def measure(folder: Path, items: int, number: int) -> list[Measured]:
    """Every row, against one process."""
    config = Config(db_path=str(folder / "worklist.db"))
    worklist = open_worklist(config)
    try:
        _book(worklist, items)
        users = open_users(config)
        users.create({"username": "boss", "role": "admin"}, _PASSWORD)
        users.close()
        with _served(folder, config.db_path) as url, requests.Session() as session:
            login = {"username": "boss", "password": _PASSWORD}
            token = session.post(f"{url}/auth/login", json=login, timeout=60).json()
            session.headers["Authorization"] = f"Bearer {token['access_token']}"
            return list(_rows(worklist, session, url, items, number))
    finally:
        worklist.close()


def _rows(
    worklist: Worklist, session: requests.Session, url: str, items: int, number: int
) -> Iterator[Measured]:
    def get(path: str) -> float:
        began = time.perf_counter()
        answer = session.get(f"{url}{path}", timeout=60)
        elapsed_ms = (time.perf_counter() - began) * 1000
        assert answer.status_code == 200, answer.text
        return elapsed_ms

    def after_change(n: int) -> float:
        status = ItemStatus.ARRIVED if n // items % 2 == 0 else ItemStatus.SCHEDULED
        worklist.items.set_status(n % items + 1, status)
        return get("/worklist?limit=100&status=any")

    get("/worklist?limit=100")  # the first one reads every item
    kinds: dict[str, Callable[[int], float]] = {
        "page of 100, one after the other": lambda n: get(
            f"/worklist?limit=100&offset={n * 100 % items}"
        ),
        "page of 100, after each a change": after_change,
        "page of 100, each time another filter": lambda n: get(f"/worklist?q={n}"),
        "one item": lambda n: get(f"/worklist/{n % items + 1}"),
        "/health": lambda _: get("/health"),
    }
    for name, ask in kinds.items():
        yield _measured(name, [ask(n) for n in range(number)])
    yield _measured(
        f"/health while {_LOGINS} wrong passwords are checked", _while_hashing(url, get)
    )


def _while_hashing(url: str, get: Callable[[str], float]) -> list[float]:
    def wrong(n: int) -> None:
        body = {"username": f"nobody{n}", "password": "wrong"}
        requests.post(f"{url}/auth/login", json=body, timeout=60)

    times = []
    with ThreadPoolExecutor(_LOGINS) as pool:
        logins = [pool.submit(wrong, n) for n in range(_LOGINS)]
        while not all(login.done() for login in logins):
            times.append(get("/health"))
    return times or [get("/health")]


def _measured(name: str, times: list[float]) -> Measured:
    ordered = sorted(times)
    p95 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
    return Measured(name, statistics.median(ordered), p95, ordered[-1])


def _book(worklist: Worklist, number: int) -> None:
    first = dt.date(2026, 1, 1)
    worklist.items.put(
        [
            make_item(
                {
                    "patient_name": f"Doe{n}^Jane",
                    "patient_id": f"sub_{n:06d}",
                    "modality": "MR",
                    "accession_number": f"A{n}",
                    "study_description": "Sleep and memory",
                    "scheduled_start_date": first + dt.timedelta(days=n % 300),
                    "scheduled_start_time": "09:30",
                },
                data_source="benchmark",
                source_record_id=str(n),
            )
            for n in range(number)
        ]
    )


@contextmanager
def _served(folder: Path, db_path: str) -> Iterator[str]:
    """The address of an API over a worklist, for as long as the block lasts."""
    (folder / "pylantir.json").write_text(json.dumps({"db_path": db_path}), encoding="utf-8")
    words = [sys.executable, "-m", "pylantir", "start-api", "--api-port", "0"]
    with subprocess.Popen(
        words,
        cwd=folder,
        env={**os.environ, "PYLANTIR_CONFIG": str(folder / "pylantir.json")},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        found = None
        for line in process.stdout:
            found = found or re.search(r"(http://\S+) ", line)
            if line.startswith("Stop with"):
                break
        assert found is not None, "the API did not start"
        try:
            yield found[1]
        finally:
            process.terminate()


if __name__ == "__main__":
    sys.exit(main())
