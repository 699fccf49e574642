"""Doing what a plan says: rows are written in transactions that leave room for scanners' reports.

A scanner waits some ten seconds for the answer to its report, and one transaction for the eighty
thousand bookings of a first import takes longer. So a large plan is done in parts. Whoever ends
in between does no harm: an item is found again by its source and the source's key, and the cursor
moves with the last part only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from pylantir.worklist.foreign import over_rejected
from pylantir.worklist.history import ChangeKind, ItemChange, note_changes
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.item_rows import (
    add_items,
    change_item,
    change_untouched,
    numbers_of,
)
from pylantir.worklist.packed import PackedList
from pylantir.worklist.rows import row_of
from pylantir.worklist.schedule import Known, Plan, in_parts
from pylantir.worklist.status import SCHEDULED_STATUSES, ItemStatus
from pylantir.worklist.tables import worklist_items
from pylantir.worklist.versions import next_version

_table = worklist_items

AT_ONCE = 1000
"""Changes in one transaction: some tenths of a second, commit included."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a plan; its lists are those of :class:`~pylantir.worklist.schedule.Plan`."""

    created: Sequence[WorklistItem] = ()
    changed: Sequence[WorklistItem] = ()
    changed_fields: Sequence[tuple[str, ...]] = ()
    withdrawn: Sequence[tuple[Known, str]] = ()
    missing: Sequence[Known] = ()
    back: Sequence[Known] = ()
    held_back: Sequence[tuple[Known, str]] = ()


def parts(plan: Plan, at_once: int = AT_ONCE) -> Iterator[Part]:
    """A plan as the parts that are done one after the other; at least one, which may be empty.

    Parameters
    ----------
    plan : Plan
        What shall be done.
    at_once : int
        Changes in one part; a plan of no more is a single part.
    """
    # What is known to be missing already needs no writing, however often it is said.
    missing = PackedList(each for each in plan.missing if not each.missing_since)
    changes = len(plan.created) + len(plan.changed) + len(plan.withdrawn)
    if changes + len(missing) + len(plan.back) + len(plan.held_back) <= at_once:
        yield Part(
            plan.created,
            plan.changed,
            plan.changed_fields,
            plan.withdrawn,
            missing,
            plan.back,
            plan.held_back,
        )
        return
    yield from (Part(created=some) for some in in_parts(plan.created, at_once))
    changed = in_parts(plan.changed, at_once), in_parts(plan.changed_fields, at_once)
    for some, names in zip(*changed, strict=True):
        yield Part(changed=some, changed_fields=names)
    yield from (Part(withdrawn=some) for some in in_parts(plan.withdrawn, at_once))
    yield from (Part(missing=some) for some in in_parts(missing, at_once))
    yield from (Part(back=some) for some in in_parts(plan.back, at_once))
    yield from (Part(held_back=some) for some in in_parts(plan.held_back, at_once))


def apply_part(connection: Connection, part: Part, stamp: str) -> None:
    """Do what a part says, inside a write transaction."""
    _insert(connection, part.created, stamp)
    _change_all(connection, part, stamp)
    for each, reason in part.withdrawn:
        _withdraw(connection, each, reason, stamp)
    # What follows is bookkeeping: no scanner sees it, so the version stays.
    for each in part.missing:
        change_untouched(connection, each.item, {"missing_since": stamp})
    for each in part.back:
        change_untouched(connection, each.item, {"missing_since": None})
    for each, changes in part.held_back:
        change_untouched(connection, each.item, {"held_back": changes or None})


def _change_all(connection: Connection, part: Part, stamp: str) -> None:
    noted = [
        ItemChange(item.item_id or 0, ChangeKind.CHANGED, item.data_source, names)
        for item, names in zip(part.changed, part.changed_fields, strict=True)
        if _change(connection, item, stamp)
    ]
    note_changes(connection, noted, stamp)


def _withdraw(connection: Connection, each: Known, reason: str, stamp: str) -> None:
    values = {
        "performed_procedure_step_status": ItemStatus.CANCELLED.value,
        "withdrawn_reason": reason,
        "missing_since": None,
        "updated_at": stamp,
    }
    if change_untouched(connection, each.item, values | {"version": next_version(connection)}):
        item = each.item
        gone = ItemChange(item.item_id or 0, ChangeKind.WITHDRAWN, item.data_source)
        note_changes(connection, [gone], stamp)


def withdraw_scheduled(connection: Connection, source: str, reason: str) -> int:
    """Cancel every scheduled item of a source; returns how many there were."""
    result = connection.execute(
        _table.update()
        .where(
            _table.c.data_source == source,
            _table.c.performed_procedure_step_status.in_(SCHEDULED_STATUSES),
        )
        .values(
            performed_procedure_step_status=ItemStatus.CANCELLED.value,
            withdrawn_reason=reason,
            version=next_version(connection),
        )
    )
    return result.rowcount


def _insert(connection: Connection, items: Sequence[WorklistItem], stamp: str) -> None:
    """Insert; over rows that were set aside or not checked yet, whose study and progress stay."""
    for some in in_parts(items):
        version = next_version(connection)
        set_aside = numbers_of(connection, some)
        new = []
        for item in some:
            row_id = set_aside.get(item.origin)
            if row_id is None:
                new.append(item)
            else:
                kept = over_rejected(connection, row_id, item)
                change_item(connection, kept, version, stamp)
        add_items(connection, new, version, stamp)


def _change(connection: Connection, item: WorklistItem, stamp: str) -> bool:
    """Whether it was changed: a scanner may have begun it since the plan was made."""
    values = row_of(item) | {
        "version": next_version(connection),
        "updated_at": stamp,
        "withdrawn_reason": None,
        "missing_since": None,
        "held_back": None,
    }
    # Of what a scanner has begun the next batch holds the change back.
    return change_untouched(connection, item, values)
