"""Pages of items: found once per change of the database, however often they are asked for."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

from pylantir.api.fields import encoded
from pylantir.api.listing import in_order
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.query import WorklistQuery
from pylantir.worklist.revision import Revision
from pylantir.worklist.store import ItemStore

_KEPT_ANSWERS = 16
_KEPT_ITEMS = 5000


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the items that match, and how many there are in all."""

    items: list[WorklistItem]
    total: int


class Pages:
    """Answers list requests from the store.

    Parameters
    ----------
    store : ItemStore
        Where the items are.
    """

    def __init__(self, store: ItemStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._answers: OrderedDict[tuple[str, WorklistQuery], list[WorklistItem]]
        self._answers = OrderedDict()
        self._revision: Revision | None = None
        self._encoded: dict[int, tuple[int, bytes]] = {}

    def page(self, query: WorklistQuery, sort: str, offset: int, limit: int) -> Page:
        """One page of the items that match, in an order of :mod:`pylantir.api.listing`.

        Raises
        ------
        StoreError
            The database cannot be read.
        """
        found = self._known((sort, query))
        if found is None:
            before = self._store.database.revision()
            found = in_order(self._store.find(query), sort)
            self._keep((sort, query), found, before)
        return Page(found[offset : offset + limit], len(found))

    def _known(self, asked: tuple[str, WorklistQuery]) -> list[WorklistItem] | None:
        revision = self._store.settled()
        with self._lock:
            if revision is None or revision != self._revision:
                return None
            return self._answers.get(asked)

    def _keep(
        self,
        asked: tuple[str, WorklistQuery],
        found: list[WorklistItem],
        before: Revision | None,
    ) -> None:
        """Keep an answer, unless somebody has committed anything meanwhile."""
        revision = self._store.settled()
        if revision is None or revision != before:
            return
        with self._lock:
            if revision != self._revision:
                self._answers.clear()
                self._revision = revision
            self._answers[asked] = found
            while len(self._answers) > _KEPT_ANSWERS:
                self._answers.popitem(last=False)

    def as_json(self, items: list[WorklistItem]) -> bytes:
        """The items as one JSON list."""
        return b"[" + b",".join(map(self._encode, items)) + b"]"

    def _encode(self, item: WorklistItem) -> bytes:
        number = item.item_id or 0
        known = self._encoded.get(number)
        if known is not None and known[0] == item.version:
            return known[1]
        text = encoded(item)
        if len(self._encoded) >= _KEPT_ITEMS:
            self._encoded = {}
        self._encoded[number] = (item.version, text)
        return text
