"""Pages of items: found once per change of the database, however often they are asked for.

What changes is read row by row; the rest of the worklist stays in memory, in order.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from pylantir.api.fields import encoded
from pylantir.api.listing import Contains, TextKey, in_order, searched_text
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.people import NameOrId, PatientKey
from pylantir.worklist.query import (
    STATUS,
    AnyOf,
    Key,
    Match,
    SingleValue,
    WorklistQuery,
    fold_name,
)
from pylantir.worklist.revision import Revision
from pylantir.worklist.store import ItemStore
from pylantir.worklist.whole import WholeList

_T = TypeVar("_T")

_EVERYTHING = WorklistQuery()

_KEPT_ANSWERS = 16
_KEPT_ITEMS = 5000
_KEPT_TEXTS = 40_000


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
        self._whole = WholeList(store.database)
        self._encoded = _OfVersion(encoded, _KEPT_ITEMS)
        self._texts = _OfVersion(searched_text, _KEPT_TEXTS)
        self._people = _OfVersion(_folded_patient, _KEPT_TEXTS)

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
            found = in_order(self._find(query), sort, lambda item: self._people.of(item)[0])
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

    def _find(self, query: WorklistQuery) -> list[WorklistItem]:
        """The items that match, by their start."""
        if self._store.try_foreign_rows() is not None:
            return self._store.find(query)  # which says what is wrong
        items = self._whole.items()
        return self._store.find(query) if items is None else self._filtered(items, query)

    def _filtered(self, items: list[WorklistItem], query: WorklistQuery) -> list[WorklistItem]:
        """The same as the query's own matcher, with what is asked most done at once for all."""
        rest: list[Key] = []
        for key in query.keys:
            statuses = _equal_to(key.match) if key.attribute is STATUS else None
            if isinstance(key, TextKey) and isinstance(key.match, Contains):
                part, text_of = key.match.part, self._texts.of
                items = [item for item in items if part in text_of(item)]
            elif statuses is not None:
                items = [item for item in items if item.status in statuses]
            else:
                items = self._perhaps(items, key)
                rest.append(key)
        left = replace(query, keys=tuple(rest))
        return list(items) if left == _EVERYTHING else list(filter(left.matcher(), items))

    def _perhaps(self, items: list[WorklistItem], key: Key) -> list[WorklistItem]:
        """Without items that a key about a patient certainly does not match."""
        match = key.match
        if not isinstance(key, PatientKey) or not isinstance(match, NameOrId):
            return items
        if any("=" in name.key for name in match.keys):
            return items  # groups of a name are compared one by one
        parts = [max(re.split(r"[*?]", name.key), key=len) for name in match.keys]
        of = self._people.of
        return [item for item in items if any(part in of(item)[1] for part in parts)]

    def as_json(self, items: list[WorklistItem]) -> bytes:
        """The items as one JSON list."""
        return b"[" + b",".join(map(self._encoded.of, items)) + b"]"


def _equal_to(match: Match) -> tuple[object, ...] | None:
    """The values that a match takes, when it is nothing but equality."""
    parts = match.matches if isinstance(match, AnyOf) else (match,)
    values = tuple(part.value for part in parts if isinstance(part, SingleValue) and part.value)
    return values if len(values) == len(parts) else None


def _folded_patient(item: WorklistItem) -> tuple[str, str]:
    """The name, and name and id together, as :class:`NameOrId` compares them."""
    name = fold_name(item.patient_name)
    return name, f"{name}\n{fold_name(item.patient_id)}"


class _OfVersion(Generic[_T]):
    """What follows from an item, made once for each version of it."""

    def __init__(self, make: Callable[[WorklistItem], _T], limit: int) -> None:
        self._make = make
        self._limit = limit
        self._made: dict[int, tuple[int, _T]] = {}

    def of(self, item: WorklistItem) -> _T:
        """What follows from the item."""
        number = item.item_id or 0
        known = self._made.get(number)
        if known is not None and known[0] == item.version:
            return known[1]
        made = self._make(item)
        if len(self._made) >= self._limit:
            self._made = {}
        self._made[number] = (item.version, made)
        return made
