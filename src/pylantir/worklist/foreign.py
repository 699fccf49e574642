"""Rows that other programs write into our table: checked before they are served, or set aside."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, RowMapping, or_, select

from pylantir.errors import InvalidItem
from pylantir.worklist.database import lenient_text
from pylantir.worklist.identity import new_record
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.item_rows import change_row
from pylantir.worklist.rows import ADOPTED, item_of_foreign_row, row_of
from pylantir.worklist.status import ItemStatus, parse_status
from pylantir.worklist.tables import worklist_items
from pylantir.worklist.values import uid

log = logging.getLogger(__name__)

_table = worklist_items
_unchecked = or_(_table.c.version.is_(None), _table.c.version < 0)
_first_unchecked = select(_table.c.id).where(_unchecked).limit(1)

is_any_unchecked = select(_table.c.id).where(_unchecked).exists()
"""The same question as :func:`any_unchecked`, as a part of another one."""

SCANNER_OWNS = frozenset({ItemStatus.IN_PROGRESS, ItemStatus.COMPLETED, ItemStatus.DISCONTINUED})
"""Statuses that no source and no other program takes back."""


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that cannot be served, with the reason; for people only, it may hold their data."""

    item_id: int
    data_source: str
    source_record_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Admission:
    """How unchecked rows become items.

    Parameters
    ----------
    authority : str
        Who issues the identifiers they lack, see :mod:`pylantir.worklist.identity`.
    settle : callable
        What is done to an item before it is kept, such as naming the default station.
    stamp : str
        The present instant.
    """

    authority: str
    settle: Callable[[WorklistItem], WorklistItem]
    stamp: str


def any_unchecked(connection: Connection) -> bool:
    """Whether some row waits to be checked."""
    return connection.execute(_first_unchecked).first() is not None


def admit_rows(connection: Connection, admission: Admission, version: int) -> tuple[int, int]:
    """Check every waiting row, inside a write transaction.

    Returns
    -------
    (int, int)
        How many were looked at, and how many of these cannot be served.
    """
    with lenient_text(connection):
        rows = connection.execute(select(_table).where(_unchecked)).mappings().all()
    rejected = sum(not _admit(connection, row, admission, version) for row in rows)
    return len(rows), rejected


def _admit(connection: Connection, row: RowMapping, admission: Admission, version: int) -> bool:
    values: dict[str, Any]
    published = (row["version"] or 0) < 0
    try:
        item = item_of_foreign_row(row, published=published, authority=admission.authority)
    except InvalidItem as error:
        values = {"rejected_reason": str(error)}
    except Exception as error:  # a door: whatever a row holds, the others are served
        log.debug("cause", exc_info=True)
        values = {"rejected_reason": f"cannot be read: {type(error).__name__}"}
    else:
        taken = _is_taken(connection, row, item)
        if taken and published:
            item = replace(item, source_record_id=ADOPTED + new_record())
        if taken and not published:
            values = {"rejected_reason": "another row has this data_source and source_record_id"}
        else:
            values = row_of(admission.settle(item))
            values["created_at"] = row["created_at"] or admission.stamp
    values |= {"version": version, "updated_at": admission.stamp}
    change_row(connection, row["id"], values)
    return values["rejected_reason"] is None


def _is_taken(connection: Connection, row: RowMapping, item: WorklistItem) -> bool:
    """Whether the identity that the row would get belongs to another one."""
    if (row["data_source"], row["source_record_id"]) == item.origin:
        return False  # the unique index has seen to that
    others = select(_table.c.id).where(
        _table.c.data_source == item.data_source,
        _table.c.source_record_id == item.source_record_id,
        _table.c.id != row["id"],
    )
    return connection.execute(others).first() is not None


def rejected_rows(connection: Connection) -> list[RejectedRow]:
    """Rows that cannot be served, with their reasons."""
    columns = (
        _table.c.id,
        _table.c.data_source,
        _table.c.source_record_id,
        _table.c.rejected_reason,
    )
    statement = select(*columns).where(_table.c.rejected_reason.is_not(None)).order_by(_table.c.id)
    with lenient_text(connection):
        rows = connection.execute(statement).all()
    return [RejectedRow(number, str(s or ""), str(r or ""), why) for number, s, r, why in rows]


def over_rejected(connection: Connection, row_id: int, item: WorklistItem) -> WorklistItem:
    """The item that takes the place of a rejected row; the row's study and progress stay."""
    columns = (_table.c.study_instance_uid, _table.c.performed_procedure_step_status)
    with lenient_text(connection):
        stored_uid, stored_status = connection.execute(
            select(*columns).where(_table.c.id == row_id)
        ).one()
    study, status = item.study_instance_uid, item.status
    try:
        study = uid(str(stored_uid or "")) or study
    except ValueError:
        study = item.study_instance_uid
    try:
        begun = parse_status(stored_status)
        status = begun if begun in SCANNER_OWNS else status
    except ValueError:
        status = item.status
    return replace(item, item_id=row_id, study_instance_uid=study, status=status)
