"""Items that come many at a time, as files do: new ones written together, known ones compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from pylantir.worklist import foreign
from pylantir.worklist.history import ChangeKind, ItemChange, change_of, note_changes
from pylantir.worklist.item import Origin, WorklistItem
from pylantir.worklist.item_rows import add_items, change_item, numbers_of
from pylantir.worklist.lookup import items_of_number
from pylantir.worklist.schedule import in_parts
from pylantir.worklist.versions import next_version


@dataclass(frozen=True, slots=True)
class PutReport:
    """What became of each item, in numbers, and which ones were created or changed."""

    created: int
    updated: int
    unchanged: int
    created_items: tuple[WorklistItem, ...] = field(default=(), compare=False, repr=False)
    updated_items: tuple[WorklistItem, ...] = field(default=(), compare=False, repr=False)


def put_items(
    connection: Connection, items: Sequence[WorklistItem], *, by: str, stamp: str
) -> PutReport:
    """Create or update items by their origin, inside a write transaction.

    Parameters
    ----------
    items : sequence of WorklistItem
        What shall be in the worklist; the last of those with the same origin counts.
    by : str
        Who wants it, for the history.
    stamp : str
        The present instant.
    """
    putting = _Putting(connection, by, stamp)
    for some in in_parts(items):
        numbers = numbers_of(connection, some)
        new: dict[Origin, WorklistItem] = {}
        for item in some:
            record = item.origin
            if record in new:  # the same once more: the first must have a row to be changed
                numbers |= putting.create(new)
                new = {}
            if record in numbers:
                putting.update(numbers[record], item)
            else:
                new[record] = item
        putting.create(new)
    note_changes(connection, putting.changes, stamp)
    created, updated = tuple(putting.created), tuple(putting.updated)
    unchanged = len(items) - len(created) - len(updated)
    return PutReport(len(created), len(updated), unchanged, created, updated)


class _Putting:
    """What has been written so far."""

    def __init__(self, connection: Connection, by: str, stamp: str) -> None:
        self._connection, self._by, self._stamp = connection, by, stamp
        self.created: list[WorklistItem] = []
        self.updated: list[WorklistItem] = []
        self.changes: list[ItemChange] = []

    def create(self, new: dict[Origin, WorklistItem]) -> dict[Origin, int]:
        """Write items that have no row; returns the numbers that they got."""
        if not new:
            return {}
        items = list(new.values())
        add_items(self._connection, items, next_version(self._connection), self._stamp)
        numbers = numbers_of(self._connection, items)
        for record, item in new.items():
            self.created.append(replace(item, item_id=numbers[record]))
            self.changes.append(ItemChange(numbers[record], ChangeKind.CREATED, self._by))
        return numbers

    def update(self, number: int, item: WorklistItem) -> None:
        """Write an item over its row, if that says something else."""
        known = next(iter(items_of_number(self._connection, number)), None)
        if known is None:
            merged = foreign.over_rejected(self._connection, number, item)
        else:
            merged = _merge(known, item)
            if merged.content() == known.content():
                return
        change_item(self._connection, merged, next_version(self._connection), self._stamp)
        self.updated.append(merged)
        self.changes.append(change_of(known or merged, merged, self._by))


def _merge(known: WorklistItem, new: WorklistItem) -> WorklistItem:
    """The source owns the schedule, the scanner owns progress, the study never changes."""
    begun = known.status in foreign.SCANNER_OWNS
    return replace(
        new,
        item_id=known.item_id,
        version=known.version,
        study_instance_uid=known.study_instance_uid,
        status=known.status if begun else new.status,
        study_date=known.study_date or new.study_date,
        study_time=known.study_time or new.study_time,
    )
