"""The same booking under another key: its record, event or instrument was renamed at its source.

Without this a renamed event would put every one of its bookings on the scanners' list anew, with
other Study Instance UIDs, and those that were scanned already a second time.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, select

from pylantir.worklist.item import WorklistItem
from pylantir.worklist.lookup import SERVED
from pylantir.worklist.packed import PackedList
from pylantir.worklist.schedule import KNOWN, Known, Plan, in_parts, known_of, plan_claimed
from pylantir.worklist.status import ItemStatus
from pylantir.worklist.tables import worklist_items

_table = worklist_items
_Appointment = tuple[str, dt.datetime]


def former_items(
    connection: Connection, source: str, created: Iterable[WorklistItem]
) -> dict[str, Known]:
    """By the key of a new booking: the one item that it may be under its former key.

    It has the same patient and the same start, and so has no other item and no other new booking.
    Whether the former key is gone is for the source to say.
    """
    keys: dict[_Appointment, str] = {}
    number: Counter[_Appointment] = Counter()
    for item in created:
        keys[_appointment(item)] = item.source_record_id
        number[_appointment(item)] += 1
    found: dict[_Appointment, list[Known]] = {}
    for patients in in_parts(sorted({patient for patient, _ in keys})):
        for known in _of_patients(connection, source, patients):
            found.setdefault(_appointment(known.item), []).append(known)
    taken = _taken(connection, source, sorted(keys.values()))
    return {
        key: found[appointment][0]
        for appointment, key in keys.items()
        if number[appointment] == len(found.get(appointment, ())) == 1 and key not in taken
    }


def plan_renamed(plan: Plan, former: Mapping[str, Known]) -> None:
    """Let new bookings be the items that they are; what a scanner has begun keeps its values."""
    if not former:
        return
    kept = {known.item.source_record_id for known in former.values()}
    created, plan.created = plan.created, PackedList()
    for item in created:
        known = former.get(item.source_record_id)
        if known is None:
            plan.created.append(item)
        else:
            plan_claimed(plan, known, item)
    plan.withdrawn = PackedList(
        (each, reason) for each, reason in plan.withdrawn if each.item.source_record_id not in kept
    )


def _appointment(item: WorklistItem) -> _Appointment:
    return item.patient_id, item.start


def _of_patients(connection: Connection, source: str, patients: Iterable[str]) -> Iterable[Known]:
    statement = select(*KNOWN).where(
        _table.c.data_source == source,
        SERVED,
        _table.c.patient_id.in_(patients),
        _table.c.performed_procedure_step_status != ItemStatus.CANCELLED.value,
    )
    return map(known_of, connection.execute(statement))


def _taken(connection: Connection, source: str, keys: Iterable[str]) -> set[str]:
    """Keys that a row has which is no item, such as one that was set aside."""
    taken: set[str] = set()
    for some in in_parts(list(keys)):
        named = _table.c.source_record_id.in_(some)
        statement = select(_table.c.source_record_id).where(_table.c.data_source == source, named)
        taken.update(connection.scalars(statement))
    return taken
