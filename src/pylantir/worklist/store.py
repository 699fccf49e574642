"""The store: the only SQL about worklist items.

It owns the truth. No session or row leaves it, only items; its transactions are short; a status
moves only by compare-and-set along :data:`~pylantir.worklist.status.MOVES`.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import chain

from sqlalchemy import Connection, func, select

from pylantir.clock import Now, utc_now
from pylantir.errors import Conflict, DatabaseUnavailable
from pylantir.worklist import foreign
from pylantir.worklist.database import Database
from pylantir.worklist.finder import Finder
from pylantir.worklist.foreign import Admission, RejectedRow
from pylantir.worklist.history import (
    ChangeKind,
    ItemChange,
    ItemHistory,
    change_of,
    changed_at,
    history_of,
    note_changes,
)
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.item_rows import add_item, change_item, number_of
from pylantir.worklist.lookup import item_number
from pylantir.worklist.prepared import Prepared
from pylantir.worklist.putting import PutReport, put_items
from pylantir.worklist.query import WorklistQuery
from pylantir.worklist.revision import Revision
from pylantir.worklist.status import MOVES, ItemStatus
from pylantir.worklist.tables import changes, worklist_items
from pylantir.worklist.versions import RAISE_VERSION, next_version

__all__ = [
    "ItemStore",
    "PutReport",
    "RejectedRow",
    "move_status",
]

log = logging.getLogger(__name__)

_table = worklist_items
_RAISE_VERSION = Prepared(RAISE_VERSION)
_VERSION_AND_UNCHECKED = Prepared(select(changes.c.version, foreign.is_any_unchecked))


class ItemStore:
    """Worklist items in a database that :func:`~pylantir.worklist.schema.prepare` made ready.

    Parameters
    ----------
    database : Database
        Where the items are.
    authority : str
        Who issues identifiers for items that have none, see :mod:`pylantir.worklist.identity`.
    default_station : str
        AE title for items that name no scanner; empty leaves them open to every scanner.
    now : Now
        The clock.
    """

    def __init__(
        self,
        database: Database,
        *,
        authority: str = "",
        default_station: str = "",
        now: Now = utc_now,
    ) -> None:
        self.database = database
        self.authority = authority
        self._default_station = (default_station,) if default_station else ()
        self._now = now
        self._finder = Finder(database)
        self._checked: Revision | None = None

    def find(self, query: WorklistQuery) -> list[WorklistItem]:
        """The items that match, sorted by scheduled start.

        Raises
        ------
        DatabaseUnavailable
            The database cannot be read.
        """
        return list(chain.from_iterable(self.parts(query)))

    def parts(self, query: WorklistQuery) -> Iterator[list[WorklistItem]]:
        """The same in parts, the first one soon; between two of them no transaction is open."""
        unchecked = self.try_foreign_rows()
        skipped, left = query.offset, query.limit
        for found in self._finder.parts(query):
            items = found[skipped:]
            skipped = max(0, skipped - len(found))
            if unchecked is not None:  # the others are served all the same
                log.error("rows of other programs cannot be checked: %s", unchecked.for_log)
                unchecked = None
            if left is None:
                yield items
                continue
            yield items[:left]
            left -= len(items)
            if left <= 0:
                return

    def try_foreign_rows(self) -> DatabaseUnavailable | None:
        """Check rows of other programs; says why, when nothing can be written."""
        revision = self.database.revision()
        if revision is not None and revision == self._checked:
            return None
        try:
            self.check_foreign_rows()
        except DatabaseUnavailable as error:
            return error
        self._checked = revision
        return None

    def settled(self) -> Revision | None:
        """The present revision of the database, when nothing of other programs waits for a check.

        What is found at one revision is found again for as long as it lasts; nothing when that
        cannot be told.
        """
        revision = self.database.revision()
        return revision if revision == self._checked else None

    def count(self) -> int:
        """How many rows there are in all, rejected ones included."""
        with self.database.read() as connection:
            return connection.execute(select(func.count()).select_from(_table)).scalar_one()

    def get(self, item_id: int) -> WorklistItem:
        """The item of that number.

        Raises
        ------
        NotFound
            There is none, or it was rejected.
        """
        self.check_foreign_rows()
        with self.database.read() as connection:
            return item_number(connection, item_id)

    def history(self, item_id: int) -> ItemHistory:
        """When an item came and changed, and why it went; raises NotFound."""
        with self.database.read() as connection:
            return history_of(connection, item_id)

    def changed_at(self, item_ids: Collection[int]) -> dict[int, str]:
        """When each of some items was changed last: UTC, ISO 8601."""
        with self.database.read() as connection:
            return changed_at(connection, item_ids)

    def put(self, items: Sequence[WorklistItem], *, by: str = "") -> PutReport:
        """Create or update items by their identity (source, record), all or nothing.

        The source owns the schedule, the scanner owns progress: the status of an item that a
        scanner has begun is kept, and the Study Instance UID of an item never changes. `by` says
        who wants it, for the history.
        """
        with self.database.write() as connection:
            self.check_within(connection)
            settled = [self._with_station(item) for item in items]
            return put_items(connection, settled, by=by, stamp=self._stamp())

    def add(self, item: WorklistItem, *, by: str = "") -> WorklistItem:
        """Keep a new item and return it with its number; `by` says who wants it.

        Raises
        ------
        Conflict
            An item of that identity exists already.
        """
        item = self._with_station(item)
        with self.database.write() as connection:
            if number_of(connection, item) is not None:
                raise Conflict(f"record {item.source_record_id} of {item.data_source} exists")
            version, stamp = next_version(connection), self._stamp()
            number = add_item(connection, item, version, stamp)
            note_changes(connection, [ItemChange(number, ChangeKind.CREATED, by)], stamp)
        return replace(item, item_id=number, version=version)

    def replace(self, item: WorklistItem, *, by: str = "") -> WorklistItem:
        """Keep the changed item, if nobody else has changed it since it was read.

        `by` says who wants it.

        Raises
        ------
        NotFound
            It is not in the worklist.
        Conflict
            Its version is not the stored one, its Study Instance UID would change, or its status
            does not allow the new one.
        """
        with self.database.write() as connection:
            self.check_within(connection)
            present = item_number(connection, item.item_id or 0)
            if present.version != item.version:
                raise Conflict(f"item {item.item_id} was changed by somebody else meanwhile")
            if present.study_instance_uid != item.study_instance_uid:
                raise Conflict(f"the Study Instance UID of item {item.item_id} never changes")
            _require_move(present, item.status)
            version, stamp = next_version(connection), self._stamp()
            change_item(connection, item, version, stamp)
            note_changes(connection, [change_of(present, item, by)], stamp)
        return replace(item, version=version)

    def set_status(self, item_id: int, status: ItemStatus, *, by: str = "") -> WorklistItem:
        """Move the status of an item along the transition table; `by` says who wants it.

        Raises
        ------
        NotFound
            No such item.
        Conflict
            The present status does not allow it.
        """
        with self.database.write() as connection:
            self.check_within(connection)
            item = item_number(connection, item_id)
            move_status(connection, item, status, self._stamp())
            if status is not item.status:
                change = change_of(item, replace(item, status=status), by)
                note_changes(connection, [change], self._stamp())
        return self.get(item_id)

    def rejected(self) -> list[RejectedRow]:
        """Rows that cannot be served, with their reasons."""
        self.check_foreign_rows()
        with self.database.read() as connection:
            return foreign.rejected_rows(connection)

    def check_foreign_rows(self) -> int:
        """Check rows that other programs wrote; what cannot be served is set aside.

        Returns
        -------
        int
            How many rows were looked at.
        """
        with self.database.read() as connection:
            if not foreign.any_unchecked(connection):
                return 0
        with self.database.write() as connection:
            return self.check_within(connection)

    def check_within(self, connection: Connection) -> int:
        """The same as :meth:`check_foreign_rows`, inside a write transaction."""
        if not foreign.any_unchecked(connection):
            return 0
        return self._admit(connection)

    def begin_change(self, connection: Connection) -> int:
        """The same, and :func:`next_version`, which it returns; asks the database less often."""
        _RAISE_VERSION.rows(connection)
        ((version, is_any_unchecked),) = _VERSION_AND_UNCHECKED.rows(connection)
        if is_any_unchecked:
            self._admit(connection)
            return next_version(connection)
        return int(version)

    def _admit(self, connection: Connection) -> int:
        admission = Admission(self.authority, self._with_station, self._stamp())
        looked, rejected = foreign.admit_rows(connection, admission, next_version(connection))
        if rejected:
            log.warning(
                "%d of %d rows written by other programs cannot be served; "
                "pylantir query-db --rejected shows why",
                rejected,
                looked,
            )
        return looked

    def _with_station(self, item: WorklistItem) -> WorklistItem:
        if item.scheduled_station_ae_title or not self._default_station:
            return item
        return replace(item, scheduled_station_ae_title=self._default_station)

    def _stamp(self) -> str:
        return self._now().isoformat(timespec="milliseconds")


def move_status(connection: Connection, item: WorklistItem, status: ItemStatus, stamp: str) -> None:
    """Compare-and-set of a status along the transition table, inside a write transaction.

    Raises
    ------
    Conflict
        The present status does not allow it, or somebody else has moved it meanwhile.
    """
    if item.status is status:
        return
    _require_move(item, status)
    result = connection.execute(
        _table.update()
        .where(_table.c.id == item.item_id, _table.c.version == item.version)
        .values(
            performed_procedure_step_status=status.value,
            version=next_version(connection),
            updated_at=stamp,
        )
    )
    if result.rowcount != 1:
        raise Conflict(f"item {item.item_id} was changed by somebody else meanwhile")


def _require_move(item: WorklistItem, status: ItemStatus) -> None:
    if status is not item.status and status not in MOVES[item.status]:
        raise Conflict(f"item {item.item_id} is {item.status}, it cannot become {status}")
