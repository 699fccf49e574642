"""Finding items inside a transaction that is already open, for the stores and for linking."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from sqlalchemy import ColumnElement, Connection, and_, select

from pylantir.errors import NotFound
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.rows import COLUMNS, item_of
from pylantir.worklist.tables import worklist_items

_table = worklist_items

SERVED = and_(_table.c.version > 0, _table.c.rejected_reason.is_(None))
"""Rows that are items: checked, and not rejected."""

by_start = (_table.c.scheduled_start_date, _table.c.scheduled_start_time, _table.c.id)
"""The order in which a scanner sees items."""


def item_with(connection: Connection, condition: ColumnElement[bool], name: str) -> WorklistItem:
    """The one served item that satisfies a condition.

    Raises
    ------
    NotFound
        There is none.
    """
    found = items_with(connection, condition)
    if not found:
        raise NotFound(f"no {name} in the worklist")
    return found[0]


def items_with(connection: Connection, *condition: ColumnElement[bool]) -> list[WorklistItem]:
    """The served items that satisfy the conditions, sorted by scheduled start."""
    statement = select(*COLUMNS).where(SERVED, *condition).order_by(*by_start)
    return list(map(item_of, connection.execute(statement)))


def items_of_studies(connection: Connection, uids: Iterable[str]) -> list[WorklistItem]:
    """Items whose Study Instance UID is one of these."""
    wanted = [uid for uid in uids if uid]
    return items_with(connection, _table.c.study_instance_uid.in_(wanted)) if wanted else []


def items_of_order(connection: Connection, accession: str, procedure_id: str) -> list[WorklistItem]:
    """Items of one accession number and Requested Procedure ID."""
    return items_with(
        connection,
        _table.c.accession_number == accession,
        _table.c.requested_procedure_id == procedure_id,
    )


def items_of_patient_on(
    connection: Connection, patient_id: str, day: dt.date
) -> list[WorklistItem]:
    """Items of one Patient ID that are scheduled to start on one day."""
    return items_with(
        connection,
        _table.c.patient_id == patient_id,
        _table.c.scheduled_start_date == day.isoformat(),
    )


def item_number(connection: Connection, item_id: int) -> WorklistItem:
    """The served item of that number.

    Raises
    ------
    NotFound
        There is none.
    """
    return item_with(connection, _table.c.id == item_id, f"item {item_id}")
