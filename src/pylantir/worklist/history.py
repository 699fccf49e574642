"""What is remembered about an item beside the item itself: when it came, and why it went."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from pylantir.errors import NotFound
from pylantir.worklist.tables import worklist_items


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
    """

    created_at: str
    updated_at: str
    withdrawn_reason: str
    held_back: Mapping[str, Any]


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
        created or "", updated or "", withdrawn or "", known if isinstance(known, dict) else {}
    )


def changed_at(connection: Connection, item_ids: Collection[int]) -> dict[int, str]:
    """When each of some items was changed last, inside a transaction."""
    table = worklist_items
    statement = select(table.c.id, table.c.updated_at).where(table.c.id.in_(item_ids))
    return {number: at or "" for number, at in connection.execute(statement)}
