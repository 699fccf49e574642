"""Items that were read before, kept for as long as their row has the same version."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from pylantir.worklist.item import WorklistItem
from pylantir.worklist.rows import item_of
from pylantir.worklist.tables import worklist_items

_MAX_ITEMS = 20_000
_AT_ONCE = 500
"""Row numbers in one statement; SQLite allows 32 766 since 2020, older ones 999."""

_table = worklist_items


class ItemCache:
    """Items by their number and version; every change of a row raises its version."""

    def __init__(self) -> None:
        self._items: dict[int, WorklistItem] = {}

    def items(self, connection: Connection, found: Sequence[tuple[int, int]]) -> list[WorklistItem]:
        """The items of some rows, in their order; only unknown ones are read.

        Parameters
        ----------
        connection : Connection
            The read transaction in which the rows were found.
        found : sequence of (int, int)
            Number and version of each row.
        """
        known = self._items
        # Other threads keep other versions meanwhile: what is taken here is held here.
        held = {
            number: item
            for number, version in found
            if (item := known.get(number)) is not None and item.version == version
        }
        missing = [number for number, _ in found if number not in held]
        fresh: dict[int, WorklistItem] = {}
        for start in range(0, len(missing), _AT_ONCE):
            some = missing[start : start + _AT_ONCE]
            rows = connection.execute(select(_table).where(_table.c.id.in_(some))).mappings()
            fresh |= {row["id"]: item_of(row) for row in rows}
        self._keep(fresh)
        held |= fresh
        return [held[number] for number, _ in found]

    def _keep(self, fresh: dict[int, WorklistItem]) -> None:
        if len(self._items) + len(fresh) > _MAX_ITEMS:
            self._items = {}  # another thread may still hold the old one: it stays whole
        if len(fresh) <= _MAX_ITEMS:
            self._items.update(fresh)
