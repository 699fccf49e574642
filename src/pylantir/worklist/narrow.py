"""From a query to SQL: conditions that leave out rows which cannot match, and never one that does.

The database narrows on its indexes; :meth:`WorklistQuery.matches` decides. So the answer is the
plain reading of the standard whatever the SQL dialect thinks of case, accents or wild cards.
"""

from __future__ import annotations

import datetime as dt

from sqlalchemy import ColumnElement, or_

from pylantir import clock
from pylantir.worklist.attributes import BY_NAME, Attribute
from pylantir.worklist.query import (
    START_DATE,
    STATION,
    AnyOf,
    Key,
    Match,
    PersonName,
    Range,
    SingleValue,
    WorklistQuery,
    has_wild_card,
)
from pylantir.worklist.tables import worklist_items

_columns = worklist_items.c
_PATIENT_NAME = BY_NAME["patient_name"]
_EXACT = frozenset(
    BY_NAME[name]
    for name in (
        "modality",
        "patient_id",
        "accession_number",
        "study_instance_uid",
        "requested_procedure_id",
        "scheduled_procedure_step_id",
        "status",
        "scheduled_procedure_step_start_date",
        "scheduled_procedure_step_start_time",
    )
)
"""Attributes whose stored text is equal exactly when their values are."""


def conditions(query: WorklistQuery) -> list[ColumnElement[bool]]:
    """Conditions that every served item of the answer satisfies."""
    found = _for_range(START_DATE, query.window)
    for key in query.keys:
        found += _for_key(key)
    if query.start is not None:
        days = Range(
            query.start.first.date() if query.start.first else None,
            query.start.last.date() if query.start.last else None,
        )
        found += _for_range(START_DATE, days)
    if query.only_statuses:
        found.append(_columns.performed_procedure_step_status.in_(query.only_statuses))
    if query.hidden and not query.names_status:
        found.append(_columns.performed_procedure_step_status.not_in(query.hidden))
    if query.only_modalities:
        found.append(_columns.modality.in_(query.only_modalities))
    if query.only_sources:
        found.append(_columns.data_source.in_(query.only_sources))
    return found


def _for_key(key: Key) -> list[ColumnElement[bool]]:
    column = _columns[key.attribute.column]
    if isinstance(key.match, Range):
        return _for_range(key.attribute, key.match)
    if key.attribute is STATION and isinstance(key.match, SingleValue):
        # Nothing stored means any scanner; a backslash means several.
        return [
            or_(column == key.match.value, column.is_(None), column.contains("\\", autoescape=True))
        ]
    if key.attribute in _EXACT:
        values = _single_values(key.match)
        return [column.in_([_text(value) for value in values])] if values else []
    if key.attribute is _PATIENT_NAME and isinstance(key.match, PersonName):
        return _for_name(key.match.key)
    return []


def _single_values(match: Match) -> list[object]:
    if isinstance(match, SingleValue):
        return [match.value]
    if isinstance(match, AnyOf):
        parts = [_single_values(part) for part in match.matches]
        return [value for part in parts for value in part] if all(parts) else []
    return []


def _for_name(key: str) -> list[ColumnElement[bool]]:
    """A name of one group either starts the stored key or follows one of its ``=``."""
    column = _columns.patient_name_key
    if has_wild_card(key) or "=" in key or not key.isascii():
        prefix = key[: min((key.index(c) for c in "*?=" if c in key), default=len(key))]
        if not prefix or not prefix.isascii():
            return []
        return [or_(column.startswith(prefix, autoescape=True), column.contains("="))]
    return [or_(column == key, column.contains("="))]


def _for_range(attribute: Attribute, wanted: Range) -> list[ColumnElement[bool]]:
    if attribute.vr == "TM":
        return []  # stored with and without seconds: text does not sort like time
    column = _columns[attribute.column]
    found: list[ColumnElement[bool]] = []
    if wanted.first is not None:
        found.append(column >= _text(wanted.first))
    if wanted.last is not None:
        found.append(column <= _text(wanted.last))
    return found


def _text(value: object) -> str:
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, dt.time):
        return clock.as_iso_time(value)
    return str(value)
