"""What performed steps do to the item they are linked to: its status and the start of its study.

Both follow from facts, so they do not ask the transition table: a report of the scanner is never
refused because of what people did to the item, or another program to its row, meanwhile.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select

from pylantir import clock
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.prepared import Prepared
from pylantir.worklist.status import progress
from pylantir.worklist.step import StepProgress
from pylantir.worklist.tables import worklist_items

_table = worklist_items
_ROW = select(
    _table.c.performed_procedure_step_status,
    _table.c.study_date,
    _table.c.study_time,
    _table.c.rejected_reason,
).where(_table.c.id == bindparam("number"))


_CHANGE = Prepared(_table.update().where(_table.c.id == bindparam("number")))


@dataclass(frozen=True, slots=True)
class Mark:
    """What the rows that one transaction changes are marked with.

    Parameters
    ----------
    version : int
        The newest of the change counter; an item may be changed once only with the same one.
    stamp : str
        The present instant.
    """

    version: int
    stamp: str


@dataclass(frozen=True, slots=True)
class _Present:
    status: str | None
    study_start: dt.datetime | None
    is_rejected: bool


def follow_steps(
    connection: Connection,
    item_id: int,
    steps: Sequence[StepProgress],
    mark: Mark,
    *,
    item: WorklistItem | None = None,
    gone: dt.datetime | None = None,
) -> None:
    """Bring an item in line with its performed steps, inside a write transaction.

    Parameters
    ----------
    item_id : int
        Which item; its row may have been set aside meanwhile.
    steps : sequence of StepProgress
        All steps that are linked to it now.
    mark : Mark
        For its row, if that changes.
    item : WorklistItem, optional
        The item, if it was read in this transaction.
    gone : datetime, optional
        Start of a step that was linked to it until now.
    """
    present = _of_row(connection, item_id) if item is None else _of_item(item)
    if present is None:
        return
    values: dict[str, str | None] = {}
    status = progress((step.status, step.released) for step in steps)
    if present.status != status:
        values["performed_procedure_step_status"] = status.value
    if not present.is_rejected:
        values |= _study_start(present.study_start, steps, gone)
    if values:
        marked = {**values, "version": mark.version, "updated_at": mark.stamp}
        _CHANGE.rows(connection, number=item_id, **marked)


def _of_item(item: WorklistItem) -> _Present:
    start = None
    if item.study_date is not None:
        start = dt.datetime.combine(item.study_date, item.study_time or dt.time())
    return _Present(item.status, start, is_rejected=False)


def _of_row(connection: Connection, item_id: int) -> _Present | None:
    row = connection.execute(_ROW, {"number": item_id}).first()
    if row is None:
        return None
    status, date, time, rejected_reason = row
    start = None
    if date and rejected_reason is None:
        day = dt.date.fromisoformat(date)
        start = dt.datetime.combine(day, clock.parse_time(time) if time else dt.time())
    return _Present(status, start, rejected_reason is not None)


def _study_start(
    known: dt.datetime | None, steps: Sequence[StepProgress], gone: dt.datetime | None
) -> dict[str, str | None]:
    """Study Date and Time from the earliest performed start (PS3.4 F.7.2.1.3, note).

    An earlier start that the source knows stays; one that came from a step which does not count
    any more is taken back.
    """
    counted = [step.started for step in steps if not step.released]
    not_counted = [step.started for step in steps if step.released]
    if gone is not None:
        not_counted.append(gone)
    if known in not_counted:
        wanted = min(counted, default=None)
    else:
        wanted = min([*counted, *([known] if known else [])], default=None)
    if wanted == known:
        return {}
    return {
        "study_date": wanted.date().isoformat() if wanted else None,
        "study_time": clock.as_iso_time(wanted.time()) if wanted else None,
    }
