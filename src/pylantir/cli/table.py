"""Rows for people and programs: a table on a terminal, plain columns in a pipe, JSON, CSV."""

from __future__ import annotations

import contextlib
import csv
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

_MAX_DRAWN = 200
"""More rows than this are written plainly: drawing 10 000 would take seconds."""

Rows = Sequence[Sequence[str]]


def write_table(headers: Sequence[str], rows: Rows) -> None:
    """Write a table to standard output, drawn on a terminal, tab-aligned in a pipe."""
    if sys.stdout.isatty() and len(rows) <= _MAX_DRAWN:
        _draw(headers, rows)
    else:
        for line in plain_lines(headers, rows):
            print(line)


def plain_lines(headers: Sequence[str], rows: Rows) -> list[str]:
    """Columns aligned with spaces, the last one as long as it is."""
    table = [list(headers), *[[cell or "-" for cell in row] for row in rows]]
    widths = [max(len(row[column]) for row in table) for column in range(len(headers))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]


def _draw(headers: Sequence[str], rows: Rows) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, header_style="bold", pad_edge=False)
    for header in headers:
        drawn.add_column(header, no_wrap=header.endswith("UID"), overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    Console().print(drawn)


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
    """Write records as CSV with a header; columns are those of the first record."""
    if not records:
        return
    writer = csv.DictWriter(sys.stdout, fieldnames=list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)


@contextlib.contextmanager
def busy(words: str) -> Iterator[None]:
    """Show on a terminal that something takes its time; nothing in a pipe."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(words):
        yield
