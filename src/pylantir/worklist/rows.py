"""Between rows and items: how each value stands in the database.

Dates are ``YYYY-MM-DD`` and times ``HH:MM[:SS]``, as the published release stores them; several
values are joined by a backslash, which no value can hold; codes and extras are JSON.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, func, literal_column

from pylantir import clock
from pylantir.errors import InvalidItem, ValueProblem
from pylantir.worklist import identity
from pylantir.worklist.attributes import FIELDS, Attribute
from pylantir.worklist.item import NO_EXTRAS, WorklistItem, make_item, published_protocol
from pylantir.worklist.query import fold_name
from pylantir.worklist.status import ItemStatus
from pylantir.worklist.tables import worklist_items
from pylantir.worklist.values import Code, pounds

Row = RowMapping


def row_of(item: WorklistItem) -> dict[str, Any]:
    """The columns of an item, without its number, version and times of change."""
    row = {a.column: _stored(a, getattr(item, a.name)) for a in FIELDS}
    protocol, scheme = published_protocol(item)
    row["protocol_name"] = protocol or None
    row["hisris_coding_designator"] = scheme or None
    weight = item.patient_weight_kg
    row["patient_weight_lb"] = None if weight is None else pounds(weight)
    row["data_source"] = item.data_source
    row["source_record_id"] = item.source_record_id
    row["extras"] = json.dumps(dict(item.extras), ensure_ascii=False) if item.extras else None
    row["patient_name_key"] = fold_name(item.patient_name)
    row["rejected_reason"] = None
    return row


def item_of(row: Sequence[Any]) -> WorklistItem:
    """The item of a row that was checked when it was written (its version is not NULL).

    Parameters
    ----------
    row : sequence
        Values of :data:`COLUMNS`; further ones are not looked at.
    """
    values = dict(zip(_NAMES, row, strict=False))
    for name, read in _READERS:
        values[name] = read(values[name])
    return WorklistItem(**values)


def _stored(attribute: Attribute, value: Any) -> str | None:
    if attribute.is_sequence:
        return json.dumps([asdict(code) for code in value], ensure_ascii=False) if value else None
    if attribute.multiple:
        return "\\".join(value) or None
    if value is None or value == "":
        return None
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, dt.time):
        return clock.as_iso_time(value)
    return str(value)


def _column(attribute: Attribute) -> ColumnElement[Any]:
    """Text comes as the item holds it; whatever else stands in a column has a reader."""
    column = worklist_items.c[attribute.column]
    return column if _reader(attribute) else func.coalesce(column, literal_column("''"))


def _reader(attribute: Attribute) -> Callable[[str | None], Any] | None:
    if attribute.name == "status":
        return lambda stored: _STATUSES[stored or "SCHEDULED"]
    if attribute.is_sequence:
        return lambda stored: _codes(stored) if stored else ()
    if attribute.multiple:
        return lambda stored: _several(stored) if stored else ()
    return _BY_VR.get(attribute.vr)


# What many items share, such as a day, a station or a protocol, is read and kept once for all.


@lru_cache(maxsize=4096)
def _codes(stored: str) -> tuple[Code, ...]:
    return tuple(Code(**code) for code in json.loads(stored))


@lru_cache(maxsize=4096)
def _several(stored: str) -> tuple[str, ...]:
    return tuple(stored.split("\\"))


@lru_cache(maxsize=4096)
def _date(stored: str) -> dt.date:
    return dt.date.fromisoformat(stored)


_time = lru_cache(maxsize=4096)(clock.parse_time)
_decimal = lru_cache(maxsize=4096)(Decimal)
_STATUSES = {status.value: status for status in ItemStatus}
_BY_VR: dict[str, Callable[[str | None], Any]] = {
    "DA": lambda stored: _date(stored) if stored else None,
    "TM": lambda stored: _time(stored) if stored else None,
    "DS": lambda stored: _decimal(stored) if stored else None,
    "US": lambda stored: int(stored) if stored else None,
}


def _extras(stored: str | None) -> Mapping[str, Any]:
    return MappingProxyType(json.loads(stored)) if stored else NO_EXTRAS


COLUMNS: tuple[ColumnElement[Any], ...] = (
    *map(_column, FIELDS),
    *(worklist_items.c[name] for name in ("extras", "data_source", "source_record_id")),
    *(worklist_items.c[name] for name in ("id", "version")),
)
"""What :func:`item_of` reads, in its order."""

_NAMES = (
    *(a.name for a in FIELDS),
    *("extras", "data_source", "source_record_id", "item_id", "version"),
)
_READERS = (
    *((a.name, read) for a in FIELDS if (read := _reader(a))),
    ("extras", _extras),
)

FOREIGN_COLUMNS = (
    *(a.column for a in FIELDS),
    "patient_weight_lb",
    "protocol_name",
    "hisris_coding_designator",
    "data_source",
    "source_record_id",
    "extras",
)
"""Columns that say something about the booking: when somebody else changes one, we check again."""

_INVENTED_WEIGHT_LB = "100"
"""The published release stores this for everybody whose weight it does not know."""

UNNAMED_SOURCE = "published"
"""Source of rows that name none: REST and early releases wrote such rows."""

_PUBLISHED_NAMELESS = "unknown"
_NAMELESS_CALPENDO = "calpendo"
"""What an entry of `data_sources` without a name is called: there always ``unknown``, here by its
type. Rows with a record id are Calpendo's: no other type of the published release wrote one."""

ADOPTED = "adopted:"
"""Record ids made here for rows that had none; the first sync of a source may claim such a row."""

_YEAR_OR_MONTH = re.compile(r"\d{4}(\d\d)?|\d{4}\.\d+")
_CODED = re.compile(r"\d+(\.\d*)?")
"""Early releases stored numbers as pandas wrote them: 2012.0, 1.0."""

_DEFAULT_MODALITY = "MR"
"""The published release sends this for a row without modality."""


def item_of_foreign_row(row: Row, *, published: bool, authority: str = "") -> WorklistItem:
    """The item of a row that somebody else wrote, checked like any outside data.

    Parameters
    ----------
    row : mapping
        Column to value, as stored.
    published : bool
        The row stood in a database of the published release when it was adopted. Its defaults
        (weight 100 lb, a birth year, a coded sex) then stand for "unknown"; see the decision
        "Adopting a published database".
    authority : str
        Who issues the identifiers it lacks, see :mod:`pylantir.worklist.identity`.

    Raises
    ------
    InvalidItem
        The row cannot be served; the reasons go into ``rejected_reason``.
    """
    for name in ("data_source", "source_record_id"):
        if isinstance(row[name], bytes):  # SQLite keeps them in any column
            raise InvalidItem([ValueProblem(name, "", "expected text, the column holds bytes")])
    values = {a.name: row[a.column] for a in FIELDS if row[a.column] is not None}
    for name in ("patient_weight_lb", "protocol_name", "hisris_coding_designator"):
        values[name] = row[name]
    # Only where somebody changed the pounds do they beat the kilograms that we stored.
    kilograms, given = row["patient_weight_kg"], row["patient_weight_lb"]
    if given and not (kilograms and _is_weight(kilograms, given)):
        values.pop("patient_weight_kg", None)
    _read_json(values, row)
    _read_protocol(values)
    if published:
        _forget_published_defaults(values)
    return make_item(
        values,
        data_source=_owner(row, published),
        source_record_id=row["source_record_id"] or ADOPTED + identity.new_record(),
        authority=authority,
    )


def _owner(row: Row, published: bool) -> str:
    name = row["data_source"] or UNNAMED_SOURCE
    if published and name == _PUBLISHED_NAMELESS and row["source_record_id"]:
        return _NAMELESS_CALPENDO
    return str(name)


def _read_json(values: dict[str, Any], row: Row) -> None:
    for attribute in FIELDS:
        if attribute.is_sequence and row[attribute.column]:
            values[attribute.name] = _json(row[attribute.column])
    extras = _json(row["extras"]) if row["extras"] else {}
    if not isinstance(extras, dict):
        raise InvalidItem([ValueProblem("extras", "", "expected an object keyed by DICOM keyword")])
    values.update(extras)


def _json(stored: str) -> Any:
    try:
        return json.loads(stored)
    except (ValueError, RecursionError):
        return stored  # the value's own parser says what is wrong with it


def _read_protocol(values: dict[str, Any]) -> None:
    """Only where somebody changed the published protocol does it replace what we stored."""
    codes = values.get("scheduled_protocol_codes")
    present = (values.get("scheduled_procedure_step_description") or "", "")
    if codes:
        first = codes[0] if isinstance(codes, list) else None
        if not isinstance(first, dict):
            return
        present = (first.get("value", ""), first.get("scheme", ""))
    given = (values["protocol_name"] or "", values["hisris_coding_designator"] or "")
    if given in (present, ("", "")):
        values["protocol_name"] = None
        return
    values.pop("scheduled_protocol_codes", None)
    if values.get("scheduled_procedure_step_description") == present[0]:
        del values["scheduled_procedure_step_description"]


def _is_weight(kilograms: str, given: str) -> bool:
    try:
        return pounds(Decimal(str(kilograms))) == given
    except ArithmeticError:
        return False


def _forget_published_defaults(values: dict[str, Any]) -> None:
    if str(values.get("patient_weight_lb") or "").strip() == _INVENTED_WEIGHT_LB:
        values["patient_weight_lb"] = None
    if _YEAR_OR_MONTH.fullmatch(str(values.get("patient_birth_date") or "").strip()):
        values["patient_birth_date"] = None
    if _CODED.fullmatch(str(values.get("patient_sex") or "").strip()):
        values["patient_sex"] = None
    if not values.get("modality"):
        values["modality"] = _DEFAULT_MODALITY
