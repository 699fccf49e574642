"""Finding the items of a query in parts, so that the first is there soon and no list gets long.

A short answer is read in one transaction. For a long one there is a transaction for its beginning,
one for the numbers of all its rows and one for each part of them that is not known yet; between
them the transaction is over, for a scanner may take its time to read. What somebody changes
meanwhile is seen as it was or as it is now, never as it was before the question; see the decision
"Long answers in parts, repeated answers kept".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import Connection, Executable, and_, bindparam, select

from pylantir.worklist import narrow
from pylantir.worklist.cache import ItemCache, Place
from pylantir.worklist.database import Database
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.lookup import SERVED, by_start
from pylantir.worklist.query import WorklistQuery
from pylantir.worklist.rows import COLUMNS, item_of
from pylantir.worklist.tables import worklist_items

_BEGINNING = 32
"""Rows that are read first: what a scanner room has in a day, more or less."""

_SOON = 4
"""Rows of a longer answer that become items before its first part goes out."""

_PART = 500
"""Row numbers in one statement; SQLite allows 32 766 since 2020, older ones 999."""

_MAX_SEARCHES = 128

_table = worklist_items
_places = select(_table.c.id, _table.c.version)

_numbered = select(*COLUMNS).where(SERVED, _table.c.id.in_(bindparam("numbers", expanding=True)))

_SERVED_IN_ORDER = and_(_table.c.version + 0 > 0, _table.c.rejected_reason.is_(None))
"""As SERVED, said so that nobody takes the index on ``version`` for it and then sorts all rows."""


class Finder:
    """Finds items; keeps those that it has read.

    Parameters
    ----------
    database : Database
        Where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._cache = ItemCache()
        self._reopened = database.reopened
        self._search = lru_cache(maxsize=_MAX_SEARCHES)(_Search.of)

    def parts(self, query: WorklistQuery) -> Iterator[list[WorklistItem]]:
        """The items that match, sorted by scheduled start; limit and offset are not looked at.

        Between two parts no transaction is open.

        Raises
        ------
        StoreError
            The database cannot be read.
        """
        search, cache = self._search(query), self._present_cache()
        with self._database.read() as connection:
            beginning = _found(connection, search.beginning)
            is_long = len(beginning) == _BEGINNING
            if is_long:
                beginning = beginning[:_SOON]
            items = _complete(connection, beginning, cache)
        yield list(filter(search.matches, items))
        if not is_long:
            return
        with self._database.read() as connection:
            every = _found(connection, search.every)
        if len(every) > cache.limit:
            cache = ItemCache(limit=0)
        given = {number for number, _ in beginning}
        rest = [place for place in every if place[0] not in given]
        for start in range(0, len(rest), _PART):
            items = self._read(rest[start : start + _PART], cache)
            yield list(filter(search.matches, items))

    def _present_cache(self) -> ItemCache:
        if self._reopened != self._database.reopened:
            self._cache = ItemCache()  # a restored database may count versions from before
            self._reopened = self._database.reopened
        return self._cache

    def _read(self, places: Sequence[Place], cache: ItemCache) -> list[WorklistItem]:
        known = cache.known(places)
        if len(known) == len(places):
            return list(known.values())
        with self._database.read() as connection:
            return _complete(connection, places, cache)


@dataclass(frozen=True, slots=True)
class _Search:
    """How a query is answered; putting SQL into words takes longer than having it done."""

    beginning: Executable
    every: Executable
    matches: Callable[[WorklistItem], bool]

    @classmethod
    def of(cls, query: WorklistQuery) -> _Search:
        narrowed = _places.where(*narrow.conditions(query)).order_by(*by_start)
        beginning = narrowed.where(_SERVED_IN_ORDER).limit(_BEGINNING)
        return cls(beginning, narrowed.where(SERVED), query.matcher())


def _found(connection: Connection, statement: Executable) -> list[Place]:
    return [(row[0], row[1]) for row in connection.execute(statement)]


def _complete(
    connection: Connection, places: Sequence[Place], cache: ItemCache
) -> list[WorklistItem]:
    """The items of some rows, in their order; only unknown ones are read."""
    items = cache.known(places)
    missing = [number for number, _ in places if number not in items]
    if missing:
        fresh = list(map(item_of, connection.execute(_numbered, {"numbers": missing})))
        cache.keep(fresh)
        items |= {item.item_id: item for item in fresh if item.item_id is not None}
    return [items[number] for number, _ in places if number in items]
