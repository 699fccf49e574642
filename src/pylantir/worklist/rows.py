"""Between rows and items: how each value stands in the database.

Dates are ``YYYY-MM-DD`` and times ``HH:MM[:SS]``, as the published release stores them; several
values are joined by a backslash, which no value can hold; codes and extras are JSON.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable
from dataclasses import asdict
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from sqlalchemy import RowMapping

from pylantir import clock
from pylantir.errors import InvalidItem, ValueProblem
from pylantir.worklist import identity
from pylantir.worklist.attributes import FIELDS, Attribute
from pylantir.worklist.item import NO_EXTRAS, WorklistItem, make_item, published_protocol
from pylantir.worklist.query import fold_name
from pylantir.worklist.status import ItemStatus
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


def item_of(row: Row) -> WorklistItem:
    """The item of a row that was checked when it was written (its version is not NULL)."""
    fields = {a.name: read(row[a.column]) for a, read in _READERS}
    extras = row["extras"]
    return WorklistItem(
        **fields,
        extras=MappingProxyType(json.loads(extras)) if extras else NO_EXTRAS,
        data_source=row["data_source"],
        source_record_id=row["source_record_id"],
        item_id=row["id"],
        version=row["version"],
    )


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


def _reader(attribute: Attribute) -> Callable[[str | None], Any]:
    if attribute.name == "status":
        return lambda stored: ItemStatus(stored or "SCHEDULED")
    if attribute.is_sequence:
        return lambda stored: tuple(Code(**c) for c in json.loads(stored)) if stored else ()
    if attribute.multiple:
        return lambda stored: tuple(stored.split("\\")) if stored else ()
    by_vr: dict[str, Callable[[str | None], Any]] = {
        "DA": lambda stored: dt.date.fromisoformat(stored) if stored else None,
        "TM": lambda stored: clock.parse_time(stored) if stored else None,
        "DS": lambda stored: Decimal(stored) if stored else None,
        "US": lambda stored: int(stored) if stored else None,
    }
    return by_vr.get(attribute.vr, lambda stored: stored or "")


_READERS = tuple((a, _reader(a)) for a in FIELDS)

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
        data_source=row["data_source"] or UNNAMED_SOURCE,
        source_record_id=row["source_record_id"] or ADOPTED + identity.new_record(),
        authority=authority,
    )


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
