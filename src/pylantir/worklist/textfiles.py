"""Items as CSV and as plain JSON: what spreadsheets and scripts write and read.

CSV: UTF-8 (with or without byte order mark), UTF-16 with one, else Windows-1252; separated by
comma, semicolon or tab. Several values of a cell are separated by a backslash, which no value can
hold; codes, sequences and extras stand in a cell as JSON. JSON: a list of objects.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pylantir.errors import ValueProblem
from pylantir.worklist.attributes import FIELDS
from pylantir.worklist.imports import Reading, Record, Refusal, refused_file
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.naming import canonical_name, is_sequence_name, unknown_name
from pylantir.worklist.plain import plain_item

_SEPARATORS = (",", ";", "\t")
_MAX_COLUMNS = 1000
_MAX_CELLS = 10_000_000
_MAX_JSON_PARTS = 10_000_000
"""Each becomes an object of its own: a file must not take thirty times its size in memory."""

_MAX_JSON_DEPTH = 40
_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_PROTECTED = re.compile("'+[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class UnreadableText(ValueError):
    """The bytes are no text, or a text that is not in its format; says why."""


@dataclass(frozen=True, slots=True)
class CsvTable:
    """A CSV file taken apart.

    Parameters
    ----------
    header : tuple of str
        Column names, without surrounding spaces.
    rows : tuple of (int, tuple of str)
        Number of each row as a spreadsheet shows it, the header being row 1, and its cells; blank
        rows are left out.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]


def text_of(data: bytes) -> str:
    """Text of a file in any of the encodings that spreadsheets write.

    Raises
    ------
    UnreadableText
        Not text.
    """
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if data.startswith(mark)), "")
    try:
        text = data.decode(encoding or "utf-8")
    except UnicodeDecodeError:
        if encoding:
            raise UnreadableText(f"not text in {encoding}, which its first bytes promise") from None
        text = _windows_text(data)
    if "\0" in text:
        raise UnreadableText("not text but binary data")
    return text


def _windows_text(data: bytes) -> str:
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        raise UnreadableText("not text in UTF-8 or Windows-1252") from None


def csv_table(text: str) -> CsvTable:
    """Take a CSV text apart, strictly: an open quotation mark means a file cut in half.

    Raises
    ------
    UnreadableText
        No header, or not CSV; names the row.
    """
    separator = _separator(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: list[tuple[int, tuple[str, ...]]] = []
    number = count = 0
    limit = csv.field_size_limit()
    try:
        for number, cells in enumerate(reader, start=1):
            count += max(1, len(cells))
            if count > _MAX_CELLS:
                raise UnreadableText(f"expected at most {_MAX_CELLS} cells")
            if any(cell.strip() for cell in cells):
                rows.append((number, tuple(cells)))
    except csv.Error as error:
        reason = "a cell that does not end" if "unexpected end" in str(error) else str(error)
        if "field limit" in reason:
            reason = f"a cell of more than {limit} characters"
        raise UnreadableText(f"row {number + 1}: {reason}; nothing of the file was read") from None
    if not rows:
        raise UnreadableText("empty, expected a header row")
    header = tuple(cell.strip() for cell in rows[0][1])
    if len(header) > _MAX_COLUMNS:
        raise UnreadableText(f"expected at most {_MAX_COLUMNS} columns, got {len(header)}")
    return CsvTable(header, tuple(rows[1:]))


def _separator(text: str) -> str:
    """The separator that makes most known names of the header."""
    first = text.lstrip("\r\n").partition("\n")[0]
    return max(_SEPARATORS, key=lambda candidate: _known_names(first, candidate))


def _known_names(line: str, separator: str) -> tuple[int, int]:
    cells = [cell.strip().strip('"') for cell in line.split(separator)]
    return sum(bool(canonical_name(cell)) for cell in cells[:_MAX_COLUMNS]), len(cells)


def read_csv(data: bytes, *, ignore_unknown: bool = False) -> Reading:
    """Read bookings out of a CSV file.

    Parameters
    ----------
    data : bytes
        The file. Its header names item fields, published names, DICOM keywords or aliases.
    ignore_unknown : bool
        Leave out columns that nothing knows, instead of refusing the file.

    Returns
    -------
    Reading
        A record for each row; a row with too few or too many cells is refused, a file that is not
        CSV is refused as a whole.
    """
    try:
        table = csv_table(text_of(data))
    except UnreadableText as error:
        return refused_file(str(error))
    names = [canonical_name(column) for column in table.header]
    problems = _header_problems(table.header, names, ignore_unknown)
    if problems:
        return Reading(refused=(Refusal("row 1", tuple(problems)),))
    records: list[Record] = []
    refused: list[Refusal] = []
    for number, cells in table.rows:
        extra = [cell for cell in cells[len(names) :] if cell.strip()]
        if len(cells) < len(names) or extra:
            reason = f"expected {len(names)} cells, got {len(cells)}"
            refused.append(Refusal(f"row {number}", (ValueProblem("row", "", reason),)))
        else:
            records.append(_row_record(number, table.header, names, cells))
    return Reading(tuple(records), tuple(refused), _ignored(table.header, names))


def _header_problems(
    header: Sequence[str], names: Sequence[str], ignore_unknown: bool
) -> list[ValueProblem]:
    if not any(names):
        reason = (
            "expected a header row with names such as patient_name, patient_id and start_date, "
            "separated by comma, semicolon or tab"
        )
        return [ValueProblem("header", ",".join(header)[:80], reason)]
    problems = []
    for column, name in zip(header, names, strict=True):
        if column and not name and not ignore_unknown:
            problems.append(ValueProblem("column", column[:80], unknown_name(column)))
        elif name and names.count(name) > 1:
            problems.append(ValueProblem("column", column, f"{name} stands in several columns"))
    return problems


def _ignored(header: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    unknown = [column[:80] for column, name in zip(header, names, strict=True) if not name]
    columns = ", ".join(column for column in unknown if column)
    return (f"columns left out: {columns}",) if columns else ()


def _row_record(
    number: int, header: Sequence[str], names: Sequence[str], cells: Sequence[str]
) -> Record:
    values: dict[str, Any] = {}
    problems: list[ValueProblem] = []
    for column, name, cell in zip(header, names, cells, strict=False):
        if not column and cell.strip():
            problems.append(ValueProblem("row", cell[:80], "a value in a column without a name"))
        elif name and cell.strip():
            try:
                values[name] = _cell_value(name, _unprotected(cell))
            except ValueError as error:
                problems.append(ValueProblem(column, cell[:80], str(error)))
    return Record(f"row {number}", values, tuple(problems))


def _cell_value(name: str, cell: str) -> Any:
    """A cell as the value it stands for.

    Raises
    ------
    ValueError
        Not the JSON that the column wants.
    """
    if name == "extras" or is_sequence_name(name):
        return _json(cell, "expected JSON in this column")
    return cell


def write_csv(items: Iterable[WorklistItem]) -> str:
    """Items as CSV text that :func:`read_csv` reads back and a spreadsheet opens safely.

    A cell that a spreadsheet would take for a formula begins with an apostrophe, which reading
    takes away again.
    """
    plain = [plain_item(item) for item in items]
    header = list(plain[0]) if plain else _EMPTY_HEADER
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(header)
    for record in plain:
        writer.writerow([_protected(_cell(record[name])) for name in header])
    return out.getvalue()


_EMPTY_HEADER = [*(a.column for a in FIELDS), "extras", "data_source", "source_record_id"]


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        return json.dumps(value, ensure_ascii=False) if value else ""
    if isinstance(value, list):
        if all(isinstance(part, str) for part in value):
            return "\\".join(value)
        return json.dumps(value, ensure_ascii=False)
    return "" if value is None else str(value)


def _protected(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) else cell


def _unprotected(cell: str) -> str:
    return cell[1:] if _PROTECTED.match(cell) else cell


def parse_json(data: bytes) -> list[Any]:
    """What a JSON file lists; a single object counts as a list of one.

    Raises
    ------
    UnreadableText
        Not JSON, or something other than objects in a list.
    """
    try:
        parsed = _json(text_of(data), "not JSON")
    except ValueError as error:
        raise UnreadableText(str(error)) from None
    if isinstance(parsed, dict):
        return [parsed]
    if not isinstance(parsed, list):
        raise UnreadableText("expected a list of objects")
    return parsed


def is_dicom_json(objects: Sequence[Any]) -> bool:
    """Whether these are data sets in DICOM JSON (PS3.18 F): keys of eight hexadecimal digits."""
    keys = [key for entry in objects if isinstance(entry, Mapping) for key in entry]
    return bool(keys) and all(_TAG.fullmatch(key) for key in keys)


_TAG = re.compile("[0-9A-Fa-f]{8}")


def read_json(objects: Sequence[Any]) -> Reading:
    """Read bookings out of plain JSON objects, see :func:`parse_json`.

    Parameters
    ----------
    objects : sequence
        Of objects keyed by item field, published name, DICOM keyword or alias.
    """
    records: list[Record] = []
    refused: list[Refusal] = []
    for number, entry in enumerate(objects, start=1):
        where = f"object {number}"
        if isinstance(entry, Mapping):
            records.append(Record(where, entry))
        else:
            problem = ValueProblem("object", str(entry)[:80], "expected an object")
            refused.append(Refusal(where, (problem,)))
    return Reading(tuple(records), tuple(refused))


def write_json(items: Iterable[WorklistItem]) -> str:
    """Items as a JSON list under their published names, one object a line."""
    lines = [json.dumps(plain_item(item), ensure_ascii=False) for item in items]
    return "[" + ",".join(f"\n{line}" for line in lines) + "\n]\n"


def _json(shown: str, expected: str) -> Any:
    """Parse JSON strictly: no repeated keys, no NaN, bounded depth."""
    if sum(map(shown.count, ",[{")) > _MAX_JSON_PARTS:
        raise ValueError(f"{expected}: more than {_MAX_JSON_PARTS} values")
    try:
        parsed = json.loads(
            shown,
            parse_float=Decimal,
            parse_constant=_refuse_constant,
            object_pairs_hook=_without_repetition,
        )
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"{expected}: {error.msg} at {place}") from None
    except RecursionError:
        raise ValueError(f"{expected}: nested too deep") from None
    level = [parsed]
    for _ in range(_MAX_JSON_DEPTH):
        level = [part for outer in level for part in _inner(outer) if isinstance(part, dict | list)]
        if not level:
            return parsed
    raise ValueError(f"{expected}: nested too deep")


def _inner(outer: Any) -> Iterable[Any]:
    if isinstance(outer, dict):
        return outer.values()
    return outer if isinstance(outer, list) else ()


def _refuse_constant(shown: str) -> Any:
    raise ValueError(f"not JSON: {shown}")


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        repeated = next(name for name, times in Counter(n for n, _ in pairs).items() if times > 1)
        raise ValueError(f"{repeated[:80]!r} stands twice in one object")
    return found
