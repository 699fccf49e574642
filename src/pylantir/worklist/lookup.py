"""Finding items inside a transaction that is already open, for the stores and for linking."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, and_, bindparam, select

from pylantir.errors import NotFound
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.prepared import Prepared
from pylantir.worklist.rows import COLUMNS, item_of
from pylantir.worklist.tables import worklist_items

_table = worklist_items

SERVED = and_(_table.c.version > 0, _table.c.rejected_reason.is_(None))
"""Rows that are items: checked, and not rejected."""

by_start = (_table.c.scheduled_start_date, _table.c.scheduled_start_time, _table.c.id)
"""The order in which a scanner sees items."""


_ITEMS = select(*COLUMNS).where(SERVED).order_by(*by_start)
_OF_NUMBER = Prepared(_ITEMS.where(_table.c.id == bindparam("number")))
_OF_STUDY = Prepared(_ITEMS.where(_table.c.study_instance_uid == bindparam("uid")))
_OF_STUDIES = _ITEMS.where(_table.c.study_instance_uid.in_(bindparam("uids", expanding=True)))
_OF_ORDER = Prepared(
    _ITEMS.where(
        _table.c.accession_number == bindparam("accession"),
        _table.c.requested_procedure_id == bindparam("procedure_id"),
    )
)
_OF_PATIENT_ON = Prepared(
    _ITEMS.where(
        _table.c.patient_id == bindparam("patient_id"),
        _table.c.scheduled_start_date == bindparam("day"),
    )
)


def _found(connection: Connection, statement: Prepared, **values: Any) -> list[WorklistItem]:
    return list(map(item_of, statement.rows(connection, **values)))


def items_of_number(connection: Connection, item_id: int) -> list[WorklistItem]:
    """The served item of that number; none when its row was set aside."""
    return _found(connection, _OF_NUMBER, number=item_id)


def item_number(connection: Connection, item_id: int) -> WorklistItem:
    """The served item of that number.

    Raises
    ------
    NotFound
        There is none.
    """
    for item in items_of_number(connection, item_id):
        return item
    raise NotFound(f"no item {item_id} in the worklist")


def items_of_studies(connection: Connection, uids: Iterable[str]) -> list[WorklistItem]:
    """Items whose Study Instance UID is one of these."""
    wanted = [uid for uid in uids if uid]
    if len(wanted) == 1:
        return _found(connection, _OF_STUDY, uid=wanted[0])
    if not wanted:
        return []
    return list(map(item_of, connection.execute(_OF_STUDIES, {"uids": wanted})))


def items_of_order(connection: Connection, accession: str, procedure_id: str) -> list[WorklistItem]:
    """Items of one accession number and Requested Procedure ID."""
    return _found(connection, _OF_ORDER, accession=accession, procedure_id=procedure_id)


def items_of_patient_on(
    connection: Connection, patient_id: str, day: dt.date
) -> list[WorklistItem]:
    """Items of one Patient ID that are scheduled to start on one day."""
    return _found(connection, _OF_PATIENT_ON, patient_id=patient_id, day=day.isoformat())
