"""Rows out of a CSV file, from whatever wrote it; a file that was cut in half is told by that."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pylantir.worklist.textfiles import UnreadableText, text_of

SEPARATORS = (",", ";", "\t", "|")
_PROTECTED = re.compile(r"'+[=+\-@]")
"""A formula that an apostrophe keeps from being one, see :mod:`pylantir.worklist.textfiles`."""

_SAYS_SEPARATOR = re.compile(r"\ufeff?sep=(.)(?:\r\n|\r|\n)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Parameters
    ----------
    number : int
        Line of the table as a spreadsheet counts, the header being 1.
    cells : mapping
        Column to text, in the order of the header.
    problem : str
        Why it cannot be used; empty when it can.
    """

    number: int
    cells: dict[str, str]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A file taken apart: its columns, without those that have no name, and its rows.

    Rows are read one by one, because a file may hold every booking there ever was; they may raise
    :class:`~pylantir.worklist.textfiles.UnreadableText` at any place.
    """

    header: tuple[str, ...]
    rows: Iterator[Row]


def read_table(
    data: bytes, encoding: str, separator: str, is_known: Callable[[str], bool]
) -> Table:
    """Take a file apart.

    Parameters
    ----------
    data : bytes
        The file.
    encoding : str
        Name of a codec; empty for UTF-8 (with or without byte order mark), UTF-16 with one, or
        else Windows-1252.
    separator : str
        One character; empty for the one of :data:`SEPARATORS` that makes the most known columns.
    is_known : callable
        Whether a column's name means something, for that choice.

    Raises
    ------
    UnreadableText
        Not text, or without a header; of its rows, not CSV, or cut off.
    """
    named, text = _said_separator(_decoded(data, encoding))
    chosen = separator or named or _separator(text, is_known)
    lines = _lines(text, chosen)
    header = [cell.strip() for cell in next(lines, (0, []))[1]]
    if not header:
        raise UnreadableText("expected a header row, found nothing")
    twice = [str(i) for i, name in enumerate(header, 1) if name and header.count(name) > 1]
    if twice:  # by number: without a header, the names are somebody's
        raise UnreadableText(f"columns {', '.join(twice)} have the same name in the header row")
    rows = _rows(lines, header, ends_whole=text.endswith(("\n", "\r")))
    return Table(tuple(filter(None, header)), rows)


def _lines(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Lines of the table that hold anything, with their number."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    number = 0
    try:
        for number, cells in enumerate(reader, start=1):
            if any(cell.strip() for cell in cells):
                yield number, cells
    except csv.Error as error:
        raise UnreadableText(f"row {number + 1} cannot be read: {error}") from None


def _rows(
    lines: Iterator[tuple[int, list[str]]], header: list[str], *, ends_whole: bool
) -> Iterator[Row]:
    row: Row | None = None
    for number, cells in lines:
        if row is not None:
            yield row
        row = _row(number, cells, header)
    if row is None:
        return
    if row.problem and not ends_whole:
        raise UnreadableText(f"row {row.number}, the last one, is cut off")
    yield row


def _decoded(data: bytes, encoding: str) -> str:
    if not encoding:
        return text_of(data)
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise UnreadableText(f"not {encoding} at byte {error.start}") from None


def _said_separator(text: str) -> tuple[str, str]:
    """The separator that the first line names, as Excel understands it, and the text after it."""
    said = _SAYS_SEPARATOR.match(text)
    return (said[1], text[said.end() :]) if said else ("", text)


def _separator(text: str, is_known: Callable[[str], bool]) -> str:
    first = text.lstrip("\r\n").partition("\n")[0].strip("\r")

    def worth(separator: str) -> tuple[int, int]:
        cells = [cell.strip().strip('"') for cell in first.split(separator)]
        return sum(map(is_known, filter(None, cells))), len(cells)

    return max(SEPARATORS, key=worth)


def _row(number: int, cells: list[str], header: list[str]) -> Row:
    missing = len(header) - len(cells)
    beyond = any(cell.strip() for cell in cells[len(header) :])
    problem = f"expected {len(header)} cells, got {len(cells)}" if missing > 0 or beyond else ""
    named = zip(header, cells + [""] * missing, strict=False)
    return Row(number, {name: _unprotected(cell.strip()) for name, cell in named if name}, problem)


def _unprotected(cell: str) -> str:
    return cell[1:] if _PROTECTED.match(cell) else cell
