"""REDCap's bodies: JSON, CSV and XML of the same rows, and its errors."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence

from tests.standins.wire import JSON, XML, Reply

_PROLOGUE = '<?xml version="1.0" encoding="UTF-8" ?>'
FORMATS = ("json", "csv", "xml")
_TYPES = {"json": JSON, "csv": "text/csv; charset=utf-8", "xml": XML}

Row = Mapping[str, object]


class ApiError(Exception):
    """An answer other than 200: HTTP status and the sentence REDCap writes."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def rows_reply(
    rows: Sequence[Row], form: str, *, delimiter: str = ",", items: str = "records"
) -> Reply:
    """A list of rows in the format that was asked for."""
    if form == "json":
        return _reply(as_json(rows), form)
    if form == "csv":
        return _reply(as_csv(rows, delimiter), form)
    return _reply(_xml_rows(rows, items), form)


def value_reply(value: object, form: str, name: str) -> Reply:
    """A single answer, such as the count of an import."""
    if form == "json":
        return _reply(as_json(value), form)
    if form == "csv":
        return _reply(_csv_value(value), form)
    return _reply(f"{_PROLOGUE}\n<{name}>{_escape(_csv_value(value))}</{name}>", form)


def error_reply(error: ApiError, form: str) -> Reply:
    """An error in the format that was asked for; anything unknown counts as XML."""
    if form == "json":
        return _reply(as_json({"error": error.message}), form, error.status)
    if form == "csv":
        return _reply(f"ERROR: {error.message}", form, error.status)
    return xml_error(error.message, error.status)


def xml_error(message: str, status: int) -> Reply:
    """The XML form of an error, the default of REDCap."""
    body = f"{_PROLOGUE}<hash><error>{_escape(message)}</error></hash>"
    return _reply(body, "xml", status)


def as_json(value: object) -> str:
    """JSON as PHP writes it: compact, with ``\\u`` for all but ASCII."""
    return json.dumps(value, separators=(",", ":"))


def as_csv(rows: Sequence[Row], delimiter: str = ",") -> str:
    """CSV with a line of names; no rows, no text at all."""
    if not rows:
        return ""
    out = io.StringIO()
    mark = "\t" if delimiter == "tab" else delimiter
    writer = csv.DictWriter(out, list(rows[0]), delimiter=mark, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def parse_rows(text: str, form: str) -> list[dict[str, str]]:
    """The rows of an import in JSON or CSV, all values as text.

    Raises
    ------
    ApiError
        406 for what cannot be read.
    """
    if form == "csv":
        return [{k: v or "" for k, v in row.items()} for row in csv.DictReader(io.StringIO(text))]
    if form != "json":
        raise ApiError(406, "The data being imported is not formatted correctly")
    try:
        rows = json.loads(text)
    except json.JSONDecodeError:
        raise ApiError(
            406,
            "The data being imported is not formatted correctly. The JSON must be in an array "
            "as in [{field: value, ...}].",
        ) from None
    if isinstance(rows, dict):
        rows = [rows]
    return [{k: "" if v is None else str(v) for k, v in row.items()} for row in rows]


def quoted(*cells: str) -> str:
    """A line of REDCap's import errors: cells in double quotes, whatever they hold."""
    return ",".join('"' + cell.replace('"', '""') + '"' for cell in cells)


def _reply(text: str, form: str, status: int = 200) -> Reply:
    return Reply(status, text.encode(), _TYPES[form])


def _csv_value(value: object) -> str:
    if isinstance(value, Mapping):
        return "\n".join(str(v) for v in value.values())
    if isinstance(value, (list, tuple)):
        return "\n".join(["id", *map(str, value)])
    return str(value)


def _xml_rows(rows: Sequence[Row], items: str) -> str:
    parts = [_PROLOGUE, f"<{items}>"]
    for row in rows:
        cells = "".join(f"<{k}><![CDATA[{v}]]></{k}>" for k, v in row.items())
        parts.append(f"<item>{cells}</item>")
    parts.append(f"</{items}>")
    return "\n".join(parts)


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
