"""The store: the only SQL about worklist items.

It owns the truth. No session or row leaves it, only items; its transactions are short; a status
moves only by compare-and-set along :data:`~pylantir.worklist.status.MOVES`.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, func, or_, select

from pylantir import clock
from pylantir.clock import Now, utc_now
from pylantir.errors import Conflict, InvalidItem
from pylantir.worklist import narrow
from pylantir.worklist.database import Database
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.lookup import by_start, item_number
from pylantir.worklist.query import WorklistQuery
from pylantir.worklist.rows import item_of, item_of_foreign_row, row_of
from pylantir.worklist.status import MOVES, ItemStatus
from pylantir.worklist.tables import changes, worklist_items

log = logging.getLogger(__name__)

_table = worklist_items
_unchecked = or_(_table.c.version.is_(None), _table.c.version < 0)


@dataclass(frozen=True, slots=True)
class PutReport:
    """What :meth:`ItemStore.put` did with each item, in numbers."""

    created: int
    updated: int
    unchanged: int


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that cannot be served, with the reason; for people only, it may hold their data."""

    item_id: int
    data_source: str
    source_record_id: str
    reason: str


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

    def find(self, query: WorklistQuery) -> list[WorklistItem]:
        """The items that match, sorted by scheduled start; the read transaction is over.

        Raises
        ------
        DatabaseUnavailable
            The database cannot be read.
        """
        self.check_foreign_rows()
        statement = select(_table).where(*narrow.conditions(query)).order_by(*by_start)
        with self.database.read() as connection:
            rows = connection.execute(statement).mappings().all()
        found = [item for row in rows if query.matches(item := item_of(row))]
        last = None if query.limit is None else query.offset + query.limit
        return found[query.offset : last]

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
        with self.database.read() as connection:
            return item_number(connection, item_id)

    def put(self, items: Sequence[WorklistItem]) -> PutReport:
        """Create or update items by their identity (source, record), all or nothing.

        The source owns the schedule, the scanner owns progress: the status of an item that a
        scanner has begun is kept, and the Study Instance UID of an item never changes.
        """
        created = updated = 0
        with self.database.write() as connection:
            for item in map(self._with_station, items):
                row_id, known = _identity(connection, item)
                if (
                    known is not None
                    and (merged := _merge(known, item)).content() == known.content()
                ):
                    continue
                version = next_version(connection)
                if row_id is None:
                    self._insert(connection, item, version)
                    created += 1
                else:
                    self._update(connection, merged, version)
                    updated += 1
        return PutReport(created, updated, len(items) - created - updated)

    def add(self, item: WorklistItem) -> WorklistItem:
        """Keep a new item and return it with its number.

        Raises
        ------
        Conflict
            An item of that identity exists already.
        """
        item = self._with_station(item)
        with self.database.write() as connection:
            if _identity(connection, item)[0] is not None:
                raise Conflict(f"record {item.source_record_id} of {item.data_source} exists")
            version = next_version(connection)
            number = self._insert(connection, item, version)
        return replace(item, item_id=number, version=version)

    def replace(self, item: WorklistItem) -> WorklistItem:
        """Keep the changed item, if nobody else has changed it since it was read.

        Raises
        ------
        Conflict
            Its version is not the stored one.
        """
        with self.database.write() as connection:
            present = item_number(connection, item.item_id or 0)
            if present.version != item.version:
                raise Conflict(f"item {item.item_id} was changed by somebody else meanwhile")
            version = next_version(connection)
            self._update(connection, item, version)
        return replace(item, version=version)

    def set_status(self, item_id: int, status: ItemStatus) -> WorklistItem:
        """Move the status of an item along the transition table.

        Raises
        ------
        NotFound
            No such item.
        Conflict
            The present status does not allow it.
        """
        with self.database.write() as connection:
            item = item_number(connection, item_id)
            move_status(connection, item, status, self._stamp())
        return self.get(item_id)

    def rejected(self) -> list[RejectedRow]:
        """Rows that cannot be served, with their reasons."""
        self.check_foreign_rows()
        statement = (
            select(_table).where(_table.c.rejected_reason.is_not(None)).order_by(_table.c.id)
        )
        with self.database.read() as connection:
            rows = connection.execute(statement).mappings().all()
        return [
            RejectedRow(
                row["id"],
                row["data_source"] or "",
                row["source_record_id"] or "",
                row["rejected_reason"],
            )
            for row in rows
        ]

    def check_foreign_rows(self) -> int:
        """Check rows that other programs wrote; what cannot be served is set aside.

        Returns
        -------
        int
            How many rows were looked at.
        """
        waiting = select(_table.c.id).where(_unchecked).limit(1)
        with self.database.read() as connection:
            if connection.execute(waiting).first() is None:
                return 0
        with self.database.write() as connection:
            rows = connection.execute(select(_table).where(_unchecked)).mappings().all()
            version = next_version(connection)
            rejected = sum(not self._admit(connection, row, version) for row in rows)
        if rejected:
            log.warning(
                "%d of %d rows written by other programs cannot be served; "
                "pylantir query-db --rejected shows why",
                rejected,
                len(rows),
            )
        return len(rows)

    def _admit(self, connection: Connection, row: Any, version: int) -> bool:
        published = (row["version"] or 0) < 0
        try:
            item = item_of_foreign_row(row, published=published, authority=self.authority)
        except InvalidItem as error:
            values: dict[str, Any] = {"rejected_reason": str(error)}
        else:
            values = row_of(self._with_station(item))
            values["created_at"] = row["created_at"] or self._stamp()
        values |= {"version": version, "updated_at": self._stamp()}
        connection.execute(_table.update().where(_table.c.id == row["id"]).values(values))
        return values["rejected_reason"] is None

    def _insert(self, connection: Connection, item: WorklistItem, version: int) -> int:
        stamp = self._stamp()
        values = row_of(item) | {"version": version, "created_at": stamp, "updated_at": stamp}
        result = connection.execute(_table.insert().values(values))
        number = result.inserted_primary_key
        assert number is not None
        return int(number[0])

    def _update(self, connection: Connection, item: WorklistItem, version: int) -> None:
        values = row_of(item) | {"version": version, "updated_at": self._stamp()}
        connection.execute(_table.update().where(_table.c.id == item.item_id).values(values))

    def _with_station(self, item: WorklistItem) -> WorklistItem:
        if item.scheduled_station_ae_title or not self._default_station:
            return item
        return replace(item, scheduled_station_ae_title=self._default_station)

    def _stamp(self) -> str:
        return self._now().isoformat(timespec="milliseconds")


def next_version(connection: Connection) -> int:
    """The next number of the change counter; call inside a write transaction."""
    connection.execute(changes.update().values(version=changes.c.version + 1))
    return int(connection.execute(select(changes.c.version)).scalar_one())


def move_status(connection: Connection, item: WorklistItem, status: ItemStatus, stamp: str) -> None:
    """Compare-and-set of a status along the transition table, inside a write transaction.

    Raises
    ------
    Conflict
        The present status does not allow it, or somebody else has moved it meanwhile.
    """
    if item.status is status:
        return
    if status not in MOVES[item.status]:
        raise Conflict(f"item {item.item_id} is {item.status}, it cannot become {status}")
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


def _identity(connection: Connection, item: WorklistItem) -> tuple[int | None, WorklistItem | None]:
    """Number of the row of that identity and its item; no item when the row was rejected."""
    row = (
        connection.execute(
            select(_table).where(
                _table.c.data_source == item.data_source,
                _table.c.source_record_id == item.source_record_id,
            )
        )
        .mappings()
        .first()
    )
    if row is None:
        return None, None
    served = (row["version"] or 0) > 0 and row["rejected_reason"] is None
    return int(row["id"]), item_of(row) if served else None


def _merge(known: WorklistItem, new: WorklistItem) -> WorklistItem:
    begun = known.status in _SCANNER_OWNS
    return replace(
        new,
        item_id=known.item_id,
        version=known.version,
        study_instance_uid=known.study_instance_uid,
        status=known.status if begun else new.status,
        study_date=known.study_date or new.study_date,
        study_time=known.study_time or new.study_time,
    )


_SCANNER_OWNS = frozenset({ItemStatus.IN_PROGRESS, ItemStatus.COMPLETED, ItemStatus.DISCONTINUED})


def note_study_start(
    connection: Connection, item: WorklistItem, started: dt.datetime, stamp: str
) -> None:
    """Fill Study Date and Time from the earliest performed start (PS3.4 F.7.2.1.3, note)."""
    known = item.study_date
    if known is not None and (known, item.study_time or dt.time()) <= (
        started.date(),
        started.time(),
    ):
        return
    connection.execute(
        _table.update()
        .where(_table.c.id == item.item_id)
        .values(
            study_date=started.date().isoformat(),
            study_time=clock.as_iso_time(started.time()),
            version=next_version(connection),
            updated_at=stamp,
        )
    )
