"""Items that were read before, kept for as long as their row has the same version."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pylantir.worklist.item import WorklistItem

MAX_ITEMS = 20_000
"""Items that are kept, some 1.5 KB each."""

Place = tuple[int, int]
"""Number and version of a row; every change of a row raises its version."""


class ItemCache:
    """Items by their number and version.

    Parameters
    ----------
    limit : int
        How many are kept at most.
    """

    def __init__(self, limit: int = MAX_ITEMS) -> None:
        self.limit = limit
        self._items: dict[int, WorklistItem] = {}

    def known(self, places: Iterable[Place]) -> dict[int, WorklistItem]:
        """Those of some rows that are kept, by their number."""
        items = self._items
        return {
            number: item
            for number, version in places
            if (item := items.get(number)) is not None and item.version == version
        }

    def keep(self, items: Sequence[WorklistItem]) -> None:
        """Keep items that were read from the database."""
        if len(self._items) + len(items) > self.limit:
            self._items = {}  # another thread may still look at the old one: it stays whole
        if len(items) <= self.limit:
            self._items.update((i.item_id, i) for i in items if i.item_id is not None)
