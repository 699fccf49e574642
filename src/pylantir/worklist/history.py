"""What is remembered about an item beside the item itself: when it came, who changed what of it.

Of a change its moment, its author and the names of the fields are kept, never a value: old values
would be patient data that nobody thinks of any more.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any

from sqlalchemy import Connection, delete, func, select

from pylantir.errors import NotFound
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.plain import changed_names
from pylantir.worklist.status import ItemStatus
from pylantir.worklist.tables import item_changes, worklist_items

_AT_ONCE = 500

KEPT = 200
"""Changes of one item that are kept; of more, the oldest are forgotten."""


class ChangeKind(StrEnum):
    """What somebody did to an item."""

    CREATED = "created"
    CHANGED = "changed"
    CANCELLED = "cancelled"
    WITHDRAWN = "withdrawn"
    LINKED = "linked"


@dataclass(frozen=True, slots=True)
class ItemChange:
    """Something that somebody did to an item.

    Parameters
    ----------
    item_id : int
        Which item.
    kind : ChangeKind
        What.
    who : str
        Account, source, or whoever ran the command.
    fields : tuple of str
        Published names of the fields that changed.
    at : str
        When: UTC, ISO 8601.
    """

    item_id: int
    kind: ChangeKind
    who: str
    fields: tuple[str, ...] = ()
    at: str = ""


@dataclass(frozen=True, slots=True)
class ItemHistory:
    """Bookkeeping of one item. Instants are UTC, ISO 8601; empty when unknown.

    Parameters
    ----------
    created_at, updated_at : str
        When it was first kept, and last changed.
    withdrawn_reason : str
        Why its source took it back; empty when it did not.
    held_back : mapping
        What its source changed after a scanner had begun, and is therefore not shown.
    changes : tuple of ItemChange
        Who did what to it, the oldest first.
    """

    created_at: str
    updated_at: str
    withdrawn_reason: str
    held_back: Mapping[str, Any]
    changes: tuple[ItemChange, ...] = ()


def history_of(connection: Connection, item_id: int) -> ItemHistory:
    """The history of an item, inside a transaction.

    Raises
    ------
    NotFound
        There is no such item.
    """
    table = worklist_items
    columns = (table.c.created_at, table.c.updated_at, table.c.withdrawn_reason, table.c.held_back)
    row = connection.execute(select(*columns).where(table.c.id == item_id)).first()
    if row is None:
        raise NotFound(f"no item {item_id} in the worklist")
    created, updated, withdrawn, held = row
    known = json.loads(held) if held else {}
    return ItemHistory(
        created or "",
        updated or "",
        withdrawn or "",
        known if isinstance(known, dict) else {},
        _changes_of(connection, item_id),
    )


def _changes_of(connection: Connection, item_id: int) -> tuple[ItemChange, ...]:
    table = item_changes
    statement = (
        select(table.c.kind, table.c.who, table.c.fields, table.c.at)
        .where(table.c.item_id == item_id)
        .order_by(table.c.id)
    )
    return tuple(
        ItemChange(item_id, ChangeKind(kind), who, tuple(json.loads(fields)), at)
        for kind, who, fields, at in connection.execute(statement)
    )


def note_changes(connection: Connection, changes: Iterable[ItemChange], stamp: str) -> None:
    """Remember what somebody did to items, inside the write transaction that does it.

    Parameters
    ----------
    connection : Connection
        Of the write transaction.
    changes : iterable of ItemChange
        What was done; a change without an author is not noted.
    stamp : str
        When: UTC, ISO 8601.
    """
    noted = (each for each in changes if each.who)
    while rows := _rows(islice(noted, _AT_ONCE), stamp):
        connection.execute(item_changes.insert(), rows)
        _forget_oldest(connection, sorted({row["item_id"] for row in rows}))


def _rows(changes: Iterable[ItemChange], stamp: str) -> list[dict[str, Any]]:
    return [
        {
            "item_id": each.item_id,
            "at": stamp,
            "kind": each.kind.value,
            "who": each.who,
            "fields": json.dumps(each.fields),
        }
        for each in changes
    ]


def _forget_oldest(connection: Connection, item_ids: Sequence[int]) -> None:
    table = item_changes
    place = func.row_number().over(partition_by=table.c.item_id, order_by=table.c.id.desc())
    placed = select(table.c.id, place.label("place")).where(table.c.item_id.in_(item_ids))
    old = placed.subquery()
    connection.execute(
        delete(table).where(table.c.id.in_(select(old.c.id).where(old.c.place > KEPT)))
    )


def change_of(before: WorklistItem, after: WorklistItem, who: str) -> ItemChange:
    """What a change of an item is, as its history tells it."""
    cancelled = after.status is ItemStatus.CANCELLED and before.status is not after.status
    kind = ChangeKind.CANCELLED if cancelled else ChangeKind.CHANGED
    return ItemChange(before.item_id or 0, kind, who, changed_names(before, after))


def changed_at(connection: Connection, item_ids: Collection[int]) -> dict[int, str]:
    """When each of some items was changed last, inside a transaction."""
    table = worklist_items
    statement = select(table.c.id, table.c.updated_at).where(table.c.id.in_(item_ids))
    return {number: at or "" for number, at in connection.execute(statement)}
