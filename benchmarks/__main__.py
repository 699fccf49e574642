"""``python -m benchmarks``: measure, print the table, and write it where it is asked for."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from benchmarks.answers import WrongAnswer
from benchmarks.measures import MEASURES, Questions
from benchmarks.servers import OURS, Data, Running, Server, installed, prepare
from benchmarks.table import Cell, Row, markdown

_BEGIN, _END = "<!-- table -->", "<!-- end of table -->"
_PUBLISHED_UP_TO = 1000
"""Beyond, the published release needs eight seconds and more for one answer."""


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """What is asked for on the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 1000, 10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=3, help="how often all servers take turns")
    parser.add_argument("--only", default="", metavar="WORD", help="measures whose name has it")
    parser.add_argument("--alone", action="store_true", help="without peers")
    parser.add_argument("--published", metavar="PROGRAM", help="pylantir of release 0.4.6")
    parser.add_argument("--work", type=Path, metavar="FOLDER", help="keeps the invented bookings")
    parser.add_argument("--json", type=Path, metavar="FILE", help="every sample, for comparing")
    parser.add_argument("--write", type=Path, metavar="FILE", help="document that holds the table")
    return parser.parse_args(given)


def main() -> int:
    """Measure; returns 1 when an answer of ours was wrong."""
    args = arguments()
    with ExitStack() as stack:
        work = args.work or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        rows: list[Row] = []
        servers = installed(args.published)[: 1 if args.alone else None]
        for number in args.sizes:
            rows += measure(work.resolve(), number, servers, args)
            report = f"{_heading(args)}\n\n{markdown(rows, [s.name for s in servers])}"
            _keep(rows, report, args)
    print(report)
    return int(any(row.cells[OURS].trouble for row in rows))


def _keep(rows: Sequence[Row], report: str, args: argparse.Namespace) -> None:
    """After each number of bookings: the largest take long enough to be interrupted."""
    if args.json:
        args.json.write_text(json.dumps(_samples(rows), indent=1), encoding="utf-8")
    if args.write:
        _write(args.write, report)


def measure(
    work: Path, number: int, servers: Sequence[Server], args: argparse.Namespace
) -> list[Row]:
    """All rows of one number of bookings."""
    today = dt.date.today()  # the scanner's day: servers and bookings go by the same wall clock
    if number > _PUBLISHED_UP_TO:
        servers = [server for server in servers if server.name == OURS or not server.speaks_mpps]
    _say(f"{number} bookings: preparing")
    data = prepare(work, number, today, bool(args.published))
    questions = Questions.about(data.bookings, today)
    rows = [
        Row(m, number, {s.name: Cell() for s in servers if not m.only_ours or s.name == OURS})
        for m in MEASURES
        if m.sizes(number) and args.only in m.name
    ]
    for turn in range(args.rounds):
        _say(f"{number} bookings: round {turn + 1} of {args.rounds}")
        with ExitStack() as stack:
            running = [_start(server, data, work, questions, stack) for server in servers]
            for row in rows:
                for one in running:
                    _take(row, one, questions)
    return rows


def _start(
    server: Server, data: Data, work: Path, questions: Questions, stack: ExitStack
) -> Running:
    running = Running(server, data, work / "running" / server.name, questions.selection.request)
    stack.callback(running.stop)
    return running


def _take(row: Row, running: Running, questions: Questions) -> None:
    cell = row.cells.get(running.server.name)
    if cell is None or cell.trouble or (row.measure.mpps and not running.server.speaks_mpps):
        return
    try:
        cell.rounds.append(row.measure.take(running, questions))
    except (WrongAnswer, OSError) as error:
        cell.trouble = str(error) or type(error).__name__


def _heading(args: argparse.Namespace) -> str:
    """When and where this was measured."""
    today = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M")
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.release()}"
    return (
        f"Measured {today} UTC with Python {platform.python_version()} on {machine}, over the "
        f"loopback interface, {args.rounds} rounds; load average at the end {_load()}."
    )


def _load() -> str:
    """How busy the machine was with this and with everything else."""
    return f"{os.getloadavg()[1]:.1f}" if hasattr(os, "getloadavg") else "unknown"


def _samples(rows: Sequence[Row]) -> list[dict[str, object]]:
    return [
        {
            "measure": row.measure.name,
            "unit": row.measure.unit,
            "bookings": row.number,
            "servers": {name: asdict(cell) for name, cell in row.cells.items()},
        }
        for row in rows
    ]


def _write(document: Path, report: str) -> None:
    """Put the report between the two marks of a document."""
    text = document.read_text(encoding="utf-8")
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise SystemExit(f"{document} has no line {_BEGIN} and after it {_END}")
    document.write_text(f"{before}{begin}\n\n{report}\n{end}{after}", encoding="utf-8")


def _say(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
