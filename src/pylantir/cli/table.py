"""Rows for people and programs: a table on a terminal, plain columns in a pipe, JSON, CSV."""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import sys
import threading
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import Any

_MAX_DRAWN = 200
"""More rows than this are written plainly: drawing 10 000 would take seconds."""

_NARROWEST = 12
"""Columns on a terminal are not squeezed below this; those on the right are left out instead."""

_PATIENCE_S = 1.0
"""What takes longer gets a progress bar."""

_GAP = 2
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Rows = Sequence[Sequence[str]]


def write_table(headers: Sequence[str], rows: Rows) -> None:
    """Write a table to standard output, drawn on a terminal, aligned with spaces in a pipe."""
    headers = [printable(header) for header in headers]
    rows = [[printable(cell) for cell in row] for row in rows]
    if sys.stdout.isatty() and len(rows) <= _MAX_DRAWN:
        _draw(headers, rows)
    else:
        for line in plain_lines(headers, rows):
            print(line)


def printable(cell: str) -> str:
    """The text as a terminal may show it: nothing that moves its cursor or hides a part."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cell)


def display_width(text: str) -> int:
    """Columns that a text takes on a terminal: two for kanji, none for a combining accent."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def plain_lines(headers: Sequence[str], rows: Rows) -> list[str]:
    """Columns aligned with spaces, the last one as long as it is; a dash where there is nothing."""
    table = [list(headers), *[[cell or "-" for cell in row] for row in rows]]
    widths = _widths(table)
    return [
        "".join(
            cell + " " * (width - display_width(cell) + _GAP)
            for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in table
    ]


def _widths(table: Rows) -> list[int]:
    return [max(map(display_width, column)) for column in zip(*table, strict=True)]


def _draw(headers: Sequence[str], rows: Rows) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    least = least_widths(headers, rows)
    shown = columns_that_fit(least, console.width)
    drawn = Table(box=None, header_style="bold", pad_edge=False)
    for header, width in zip(headers[:shown], least, strict=False):
        whole = width < _NARROWEST or header.endswith("UID")
        drawn.add_column(header, no_wrap=whole, min_width=width, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row[:shown]))
    console.print(drawn)
    if shown < len(headers):
        missing = ", ".join(headers[shown:])
        print(f"too wide for this terminal: {missing}; --json shows all", file=sys.stderr)


def least_widths(headers: Sequence[str], rows: Rows) -> list[int]:
    """How narrow each column may become; a UID stays in one piece, so that it can be copied."""
    return [
        width if header.endswith("UID") else min(width, _NARROWEST)
        for header, width in zip(headers, _widths([headers, *rows]), strict=True)
    ]


def columns_that_fit(widths: Sequence[int], available: int) -> int:
    """How many columns of these widths, from the left, stand side by side; at least one."""
    taken = -_GAP
    for number, width in enumerate(widths):
        taken += width + _GAP
        if taken > available:
            return max(number, 1)
    return len(widths)


_STYLES = {
    "IN_PROGRESS": "bold yellow",
    "COMPLETED": "green",
    "DISCONTINUED": "red",
    "CANCELLED": "dim",
}


def write_json(records: Sequence[dict[str, Any]]) -> None:
    """Write records as one JSON list."""
    json.dump(list(records), sys.stdout, ensure_ascii=False, indent=2, default=str)
    print()


def write_csv(records: Sequence[dict[str, Any]]) -> None:
    """Write records as CSV; the header is that of the first, so that without any there is none.

    A cell that a spreadsheet would take for a formula begins with an apostrophe.
    """
    if not records:
        return
    writer = csv.DictWriter(sys.stdout, fieldnames=list(records[0]), lineterminator="\n")
    writer.writeheader()
    for record in records:
        writer.writerow({name: no_formula(value) for name, value in record.items()})


def no_formula(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


@contextlib.contextmanager
def progress_bar(words: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal for what takes longer than a second; nothing in a pipe.

    Yields
    ------
    callable
        To be told how many are done of how many.
    """
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    bar = Progress(console=Console(stderr=True), transient=True)
    task = bar.add_task(words, total=None)
    late = threading.Timer(_PATIENCE_S, bar.start)
    late.daemon = True
    late.start()
    try:
        yield lambda done, total: bar.update(task, completed=done, total=total)
    finally:
        late.cancel()
        late.join()
        bar.stop()


def show_records(records: list[dict[str, Any]], args: argparse.Namespace) -> None:
    """Print records in the shape that ``--json`` or ``--csv`` asks for, else as a table."""
    if args.json:
        write_json(records)
    elif args.csv:
        write_csv(records)
    elif records:
        headers = [name.upper().replace("_", " ") for name in records[0]]
        write_table(headers, [[cell(v) for v in record.values()] for record in records])


def cell(value: Any) -> str:
    """A plain value as one cell of a table."""
    if isinstance(value, list | dict):
        if all(isinstance(part, str) for part in value):
            return "\\".join(value)
        return json.dumps(value, ensure_ascii=False)
    return "" if value is None else str(value)
