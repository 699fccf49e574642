"""The whole worklist in order, brought up to date by what has changed.

For who asks again and again for pages of everything, such as the REST API: one change among ten
thousand items is one row to read, and not ten thousand to find and sort again.
"""

from __future__ import annotations

import threading
from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, func, select

from pylantir.worklist.cache import MAX_ITEMS
from pylantir.worklist.database import Database
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.lookup import SERVED, by_start
from pylantir.worklist.rows import COLUMNS, item_of
from pylantir.worklist.tables import changes, worklist_items

_MOST_CHANGES = 500
"""More rows than this are read with all others."""

_table = worklist_items
_newest = select(changes.c.version)
_number = select(func.count()).where(_table.c.version > 0)
_every = select(*COLUMNS).where(SERVED).order_by(*by_start)
_set_aside = select(_table.c.id).where(_table.c.version > 0, _table.c.rejected_reason.is_not(None))
_changed = (
    select(_table.c.rejected_reason, *COLUMNS)
    .where(_table.c.version > bindparam("version"))
    .limit(_MOST_CHANGES + 1)
)


@dataclass(frozen=True, slots=True)
class _Whole:
    """Every served item, at one version of the change counter."""

    items: list[WorklistItem]  # never changed, always replaced
    numbers: dict[int, WorklistItem]
    rejected: frozenset[int]
    version: int
    opened: int


class WholeList:
    """Every served item of a database, sorted by scheduled start.

    Parameters
    ----------
    database : Database
        Where they are; rows of other programs have been checked.
    limit : int
        Of a longer worklist nothing is kept.
    """

    def __init__(self, database: Database, limit: int = MAX_ITEMS) -> None:
        self._database = database
        self._limit = limit
        self._known: _Whole | None = None
        self._lock = threading.Lock()

    def items(self) -> list[WorklistItem] | None:
        """Every item as of now, not to be changed; nothing when there are too many.

        Raises
        ------
        StoreError
            The database cannot be read.
        """
        with self._lock:
            opened = self._database.reopened  # a restored database counts versions anew
            with self._database.read() as connection:
                number = connection.execute(_number).scalar_one()
                if number > self._limit:
                    self._known = None
                    return None
                known = self._known
                if known is not None and known.opened == opened:
                    known = _brought_up_to_date(connection, known)
                if known is None or known.opened != opened or _size(known) != number:
                    known = _read(connection, opened)  # somebody has deleted rows, or much is new
            self._known = known
            return known.items


def _size(known: _Whole) -> int:
    return len(known.items) + len(known.rejected)


def _read(connection: Connection, opened: int) -> _Whole:
    items = list(map(item_of, connection.execute(_every)))
    return _Whole(
        items,
        {item.item_id or 0: item for item in items},
        frozenset(connection.execute(_set_aside).scalars()),
        connection.execute(_newest).scalar_one(),
        opened,
    )


def _brought_up_to_date(connection: Connection, known: _Whole) -> _Whole | None:
    """The same with what has changed since; nothing when too much has."""
    version = connection.execute(_newest).scalar_one()
    if version == known.version:
        return known
    rows = connection.execute(_changed, {"version": known.version}).all()
    if len(rows) > _MOST_CHANGES or version < known.version:
        return None
    set_aside = {row.id for row in rows if row[0] is not None}
    fresh = [item_of(row[1:]) for row in rows if row[0] is None]
    gone = {row.id for row in rows}
    old = [known.numbers[number] for number in gone if number in known.numbers]
    numbers = {n: item for n, item in known.numbers.items() if n not in gone}
    numbers |= {item.item_id or 0: item for item in fresh}
    items = _replaced(known.items, old, fresh)
    return _Whole(items, numbers, (known.rejected - gone) | set_aside, version, known.opened)


def _replaced(
    items: list[WorklistItem], old: Iterable[WorklistItem], fresh: Iterable[WorklistItem]
) -> list[WorklistItem]:
    leaving = {id(item) for item in old}
    found = [item for item in items if id(item) not in leaving] if leaving else list(items)
    for item in fresh:
        insort(found, item, key=_place)
    return found


def _place(item: WorklistItem) -> tuple[object, object, int]:
    return (
        item.scheduled_procedure_step_start_date,
        item.scheduled_procedure_step_start_time,
        item.item_id or 0,
    )
