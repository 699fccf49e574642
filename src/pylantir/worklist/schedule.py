"""What a batch of a source does to the worklist: created, changed, withdrawn, held back.

The source owns the schedule, the scanner owns progress. An item is named by its source and the
source's own key; it keeps its row and its Study Instance UID for ever. What a scanner has begun is
not changed: the source's new values are held back and shown to people.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Connection, select

from pylantir.worklist.database import Database
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.lookup import SERVED
from pylantir.worklist.packed import PackedList
from pylantir.worklist.plain import changed_names, plain_item
from pylantir.worklist.rows import ADOPTED, COLUMNS, item_of
from pylantir.worklist.status import SCHEDULED_STATUSES, ItemStatus
from pylantir.worklist.tables import worklist_items

_table = worklist_items

GUARD_SHARE = 0.25
GUARD_NUMBER = 3
"""More than this share and more than this number at once: nothing is withdrawn (mass vanishing)."""

Covers = Callable[[str, dt.date], bool]
"""Whether an item of that record id and day belongs to what a batch covers completely."""

_Visit = tuple[str, dt.date]
_T = TypeVar("_T")
_AT_ONCE = 500


class KnownState(NamedTuple):
    """What has to be known of every item of a source; the rest is read when it is needed."""

    status: ItemStatus
    day: dt.date

    @property
    def is_scheduled(self) -> bool:
        """Whether no scanner has begun it and nobody has cancelled it."""
        return self.status in SCHEDULED_STATUSES


@dataclass(frozen=True, slots=True)
class Known:
    """An item of the source as it stands, with what is remembered about it."""

    item: WorklistItem
    withdrawn_reason: str
    missing_since: str
    held_back: str

    @property
    def is_scheduled(self) -> bool:
        """Whether no scanner has begun it and nobody has cancelled it."""
        return self.item.status in SCHEDULED_STATUSES


@dataclass(slots=True)
class Plan:
    """What would be done, before it is done.

    Parameters
    ----------
    created, changed : PackedList of WorklistItem
        New items, and items with their new values.
    changed_fields : PackedList of tuple of str
        Names of what is new of each changed item, in the same order.
    unchanged : int
        Items that are as the source says.
    withdrawn : PackedList of (Known, str)
        Scheduled items to cancel, each with the reason.
    missing : PackedList of Known
        Scheduled items that a complete batch does not name, not yet confirmed.
    back : PackedList of Known
        Items that were missing and are there again.
    held_back : PackedList of (Known, str)
        Begun items whose source has changed them, with the new values as JSON.
    scheduled : int
        Scheduled items of the source before the batch.
    """

    created: PackedList[WorklistItem] = field(default_factory=PackedList)
    changed: PackedList[WorklistItem] = field(default_factory=PackedList)
    changed_fields: PackedList[tuple[str, ...]] = field(default_factory=PackedList)
    unchanged: int = 0
    withdrawn: PackedList[tuple[Known, str]] = field(default_factory=PackedList)
    missing: PackedList[Known] = field(default_factory=PackedList)
    back: PackedList[Known] = field(default_factory=PackedList)
    held_back: PackedList[tuple[Known, str]] = field(default_factory=PackedList)
    scheduled: int = 0

    @property
    def is_mass_withdrawal(self) -> bool:
        """Whether so much would go at once that a person should look first."""
        gone = len(self.withdrawn)
        return gone > GUARD_NUMBER and gone > GUARD_SHARE * self.scheduled


def known_states(connection: Connection, source: str) -> dict[str, KnownState]:
    """What has to be known of every served item of a source, by its record id."""
    status, day = _table.c.performed_procedure_step_status, _table.c.scheduled_start_date
    statement = select(_table.c.source_record_id, status, day).where(*_served_of(source))
    return {
        record_id: KnownState(ItemStatus(status or "SCHEDULED"), dt.date.fromisoformat(day))
        for record_id, status, day in connection.execute(statement)
    }


def known_items(connection: Connection, source: str, record_ids: Sequence[str]) -> dict[str, Known]:
    """Some served items of a source by their record ids."""
    found: dict[str, Known] = {}
    for some in in_parts(record_ids):
        named = _table.c.source_record_id.in_(some)
        for row in connection.execute(select(*KNOWN).where(*_served_of(source), named)):
            known = known_of(row)
            found[known.item.source_record_id] = known
    return found


def known_in_parts(database: Database, source: str, record_ids: Sequence[str]) -> Iterator[Known]:
    """The same, read some at a time: a project may be large."""
    for some in in_parts(record_ids):
        with database.read() as connection:
            found = known_items(connection, source, some)
        yield from found.values()


def as_scheduled(item: WorklistItem) -> WorklistItem:
    """An item as a source may say it: it does not know what a scanner has begun."""
    if item.status is ItemStatus.IN_PROGRESS:
        return replace(item, status=ItemStatus.SCHEDULED)
    return item


def _served_of(source: str) -> tuple[ColumnElement[bool], ...]:
    return _table.c.data_source == source, SERVED


def in_parts(sequence: Sequence[_T], at_once: int = _AT_ONCE) -> Iterator[Sequence[_T]]:
    """A sequence in parts of a size that a statement takes and a small memory holds."""
    for start in range(0, len(sequence), at_once):
        yield sequence[start : start + at_once]


def adoptable_items(connection: Connection) -> list[Known]:
    """Rows of the published release that have no key of their source yet."""
    statement = select(*KNOWN).where(_table.c.source_record_id.startswith(ADOPTED), SERVED)
    return [known_of(row) for row in connection.execute(statement)]


KNOWN = (*COLUMNS, _table.c.withdrawn_reason, _table.c.missing_since, _table.c.held_back)
"""The columns of what is known of an item."""


def known_of(row: Sequence[Any]) -> Known:
    """What a row of :data:`KNOWN` says."""
    return Known(item_of(row), *(text or "" for text in row[len(COLUMNS) :]))


def plan_items(
    plan: Plan, known: Mapping[str, Known], items: Iterable[WorklistItem], claims: Claims
) -> None:
    """Compare bookings that a batch names with the worklist.

    Parameters
    ----------
    plan : Plan
        Gets what has to be done.
    known : mapping
        The items of these bookings as they stand, by record id.
    items : iterable of WorklistItem
        The bookings.
    claims : Claims
        Rows that the published release kept without a key of their source.
    """
    for item in items:
        present = known.get(item.source_record_id)
        claimed = None if present else claims.of(item)
        if claimed is not None:
            plan_claimed(plan, claimed, item)
        else:
            _plan_item(plan, present, item)


def plan_withdrawals(plan: Plan, known: Mapping[str, Known], withdrawn: Mapping[str, str]) -> None:
    """Cancel what the source says must not be scanned, as long as no scanner has begun it."""
    for record_id, reason in withdrawn.items():
        present = known.get(record_id)
        if present is not None and present.is_scheduled:
            plan.withdrawn.append((present, reason))


def absent(states: Mapping[str, KnownState], named: Collection[str], covers: Covers) -> list[str]:
    """Record ids of scheduled items that a complete batch should name and does not."""
    return [
        record_id
        for record_id, state in states.items()
        if state.is_scheduled and record_id not in named and covers(record_id, state.day)
    ]


def _plan_item(plan: Plan, present: Known | None, item: WorklistItem) -> None:
    if present is None:
        plan.created.append(item)
        return
    if present.missing_since:
        plan.back.append(present)
    old = present.item
    merged = _with_schedule(present, item)
    if merged.content() == old.content():
        plan.unchanged += 1
        if present.held_back:
            plan.held_back.append((present, ""))
    elif present.is_scheduled or old.status is ItemStatus.CANCELLED:
        _plan_change(plan, old, merged)
    else:
        changes = _differences(old, merged)
        if changes == present.held_back:
            plan.unchanged += 1
        else:
            plan.held_back.append((present, changes))


def _plan_change(plan: Plan, old: WorklistItem, new: WorklistItem) -> None:
    plan.changed.append(new)
    plan.changed_fields.append(changed_names(old, new))


class Claims:
    """Rows without a key, and which booking each of them certainly is.

    A claim holds when one row and one booking have the same patient and day, and no other has.
    """

    def __init__(self, adoptable: Sequence[Known], items: Sequence[WorklistItem]) -> None:
        self._rows: dict[_Visit, list[Known]] = {}
        for each in adoptable:
            self._rows.setdefault(_visit(each.item), []).append(each)
        self._bookings = Counter(map(_visit, items)) if adoptable else Counter()

    def of(self, item: WorklistItem) -> Known | None:
        """The row that is this booking, if one certainly is."""
        rows = self._rows.get(_visit(item), [])
        return rows[0] if len(rows) == 1 and self._bookings[_visit(item)] == 1 else None


def _visit(item: WorklistItem) -> _Visit:
    return item.patient_id, item.scheduled_procedure_step_start_date


def plan_claimed(plan: Plan, present: Known, item: WorklistItem) -> None:
    """Put an item under the key that its source has; what a scanner has begun keeps its values."""
    _plan_change(plan, present.item, _claimed(present, item))


def _claimed(present: Known, item: WorklistItem) -> WorklistItem:
    values = _with_schedule(present, item) if present.is_scheduled else present.item
    return replace(values, data_source=item.data_source, source_record_id=item.source_record_id)


def _with_schedule(present: Known, item: WorklistItem) -> WorklistItem:
    """The source's values on the row that the booking has."""
    old = present.item
    merged = replace(
        item,
        item_id=old.item_id,
        version=old.version,
        status=old.status,
        study_instance_uid=old.study_instance_uid,
        requested_procedure_id=old.requested_procedure_id,
        scheduled_procedure_step_id=old.scheduled_procedure_step_id,
        study_date=old.study_date,
        study_time=old.study_time,
    )
    revived = old.status is ItemStatus.CANCELLED and (
        present.withdrawn_reason or merged.content() != old.content()
    )
    return replace(merged, status=item.status) if revived else merged


def _differences(old: WorklistItem, new: WorklistItem) -> str:
    """New values under their published names, as JSON with sorted keys."""
    before, after = plain_item(old), plain_item(new)
    changed = {name: value for name, value in after.items() if before[name] != value}
    return json.dumps(changed, ensure_ascii=False, sort_keys=True, default=str)
