"""What performed steps do to the item they are linked to: its status and the start of its study.

Both follow from facts, so they do not ask the transition table: a report of the scanner is never
refused because of what people did to the item, or another program to its row, meanwhile.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, select

from pylantir import clock
from pylantir.worklist.status import progress
from pylantir.worklist.step import PerformedProcedureStep
from pylantir.worklist.store import next_version
from pylantir.worklist.tables import worklist_items

_table = worklist_items
_columns = (
    _table.c.performed_procedure_step_status,
    _table.c.study_date,
    _table.c.study_time,
    _table.c.rejected_reason,
)


def follow_steps(
    connection: Connection,
    item_id: int,
    steps: Sequence[PerformedProcedureStep],
    stamp: str,
    *,
    gone: PerformedProcedureStep | None = None,
) -> None:
    """Bring an item in line with its performed steps, inside a write transaction.

    Parameters
    ----------
    item_id : int
        Which item; its row may have been set aside meanwhile.
    steps : sequence of PerformedProcedureStep
        All steps that are linked to it now.
    gone : PerformedProcedureStep, optional
        A step that was linked to it until now.
    """
    statement = select(*_columns).where(_table.c.id == item_id)
    row = connection.execute(statement).mappings().first()
    if row is None:
        return
    values: dict[str, Any] = {}
    status = progress((step.status, step.released) for step in steps)
    if row["performed_procedure_step_status"] != status:
        values["performed_procedure_step_status"] = status.value
    if row["rejected_reason"] is None:
        values |= _study_start(row, steps, gone)
    if values:
        values |= {"version": next_version(connection), "updated_at": stamp}
        connection.execute(_table.update().where(_table.c.id == item_id).values(values))


def _study_start(
    row: RowMapping,
    steps: Sequence[PerformedProcedureStep],
    gone: PerformedProcedureStep | None,
) -> dict[str, str | None]:
    """Study Date and Time from the earliest performed start (PS3.4 F.7.2.1.3, note).

    An earlier start that the source knows stays; one that came from a step which does not count
    any more is taken back.
    """
    known = _moment(row)
    counted = [step.started for step in steps if not step.released]
    not_counted = [step.started for step in steps if step.released]
    if gone is not None:
        not_counted.append(gone.started)
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


def _moment(row: RowMapping) -> dt.datetime | None:
    if not row["study_date"]:
        return None
    time = clock.parse_time(row["study_time"]) if row["study_time"] else dt.time()
    return dt.datetime.combine(dt.date.fromisoformat(row["study_date"]), time)
