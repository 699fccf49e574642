"""Finding the items of a query in parts, so that the first is there soon and no list gets long.

A short answer is read in one transaction. For a long one there is a transaction for its beginning,
one for the numbers of all its rows and one for each part of them that is not known yet; between
them the transaction is over, for a scanner may take its time to read. What somebody changes
meanwhile is seen as it was or as it is now, never as it was before the question; see the decision
"Long answers in parts, repeated answers kept".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, Executable, and_, select

from pylantir.worklist import narrow
from pylantir.worklist.cache import MAX_ITEMS, ItemCache, Place
from pylantir.worklist.database import Database
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.lookup import SERVED, by_start
from pylantir.worklist.query import WorklistQuery
from pylantir.worklist.rows import COLUMNS, item_of
from pylantir.worklist.tables import worklist_items

_BEGINNING = 32
"""Rows that are read first: what a scanner room has in a day, more or less."""

_PART = 500
"""Row numbers in one statement; SQLite allows 32 766 since 2020, older ones 999."""

_table = worklist_items
_places = select(_table.c.id, _table.c.version)

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

    def parts(self, query: WorklistQuery) -> Iterator[list[WorklistItem]]:
        """The items that match, sorted by scheduled start; limit and offset are not looked at.

        Between two parts no transaction is open.

        Raises
        ------
        StoreError
            The database cannot be read.
        """
        if self._reopened != self._database.reopened:
            self._cache = ItemCache()  # a restored database may count versions from before
            self._reopened = self._database.reopened
        matches = query.matcher()
        conditions = narrow.conditions(query)
        soon = _places.where(_SERVED_IN_ORDER, *conditions).order_by(*by_start).limit(_BEGINNING)
        with self._database.read() as connection:
            beginning = _found(connection, soon)
            items = self._complete(connection, beginning, keep=True)
        yield list(filter(matches, items))
        if len(beginning) < _BEGINNING:
            return
        with self._database.read() as connection:
            every = _found(connection, _places.where(SERVED, *conditions).order_by(*by_start))
        given = {number for number, _ in beginning}
        rest = [place for place in every if place[0] not in given]
        for start in range(0, len(rest), _PART):
            items = self._read(rest[start : start + _PART], keep=len(every) <= MAX_ITEMS)
            yield list(filter(matches, items))

    def _read(self, places: Sequence[Place], *, keep: bool) -> list[WorklistItem]:
        known = self._cache.known(places)
        if len(known) == len(places):
            return list(known.values())
        with self._database.read() as connection:
            return self._complete(connection, places, keep=keep)

    def _complete(
        self, connection: Connection, places: Sequence[Place], *, keep: bool
    ) -> list[WorklistItem]:
        """The items of some rows, in their order; only unknown ones are read."""
        items = self._cache.known(places)
        missing = [number for number, _ in places if number not in items]
        if missing:
            statement = select(*COLUMNS).where(SERVED, _table.c.id.in_(missing))
            fresh = list(map(item_of, connection.execute(statement)))
            if keep:
                self._cache.keep(fresh)
            items |= {item.item_id: item for item in fresh if item.item_id is not None}
        return [items[number] for number, _ in places if number in items]


def _found(connection: Connection, statement: Executable) -> list[Place]:
    return [(row[0], row[1]) for row in connection.execute(statement)]
