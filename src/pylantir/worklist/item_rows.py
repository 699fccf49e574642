"""Writing rows of items inside a transaction that is already open.

The statements are put together once: with sixty columns that takes ten times as long as to run
them, for each booking of a file or a source.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, select

from pylantir.worklist.item import Origin, WorklistItem
from pylantir.worklist.rows import row_of
from pylantir.worklist.tables import worklist_items

_table = worklist_items
_ADD = _table.insert()
_CHANGE = _table.update().where(_table.c.id == bindparam("row_id"))
_CHANGE_UNTOUCHED = _CHANGE.where(_table.c.version == bindparam("seen_version"))
_OF_RECORD = select(_table.c.id).where(
    _table.c.data_source == bindparam("source"),
    _table.c.source_record_id == bindparam("record"),
)
_OF_RECORDS = select(_table.c.id, _table.c.data_source, _table.c.source_record_id).where(
    _table.c.data_source.in_(bindparam("sources", expanding=True)),
    _table.c.source_record_id.in_(bindparam("records", expanding=True)),
)


def number_of(connection: Connection, item: WorklistItem) -> int | None:
    """Number of the row of an item's origin, whether it is served or set aside."""
    record = {"source": item.data_source, "record": item.source_record_id}
    number: int | None = connection.execute(_OF_RECORD, record).scalar()
    return number


def numbers_of(connection: Connection, items: Sequence[WorklistItem]) -> dict[Origin, int]:
    """The same of some hundred items; those without a row are left out."""
    wanted = {
        "sources": list({item.data_source for item in items}),
        "records": [item.source_record_id for item in items],
    }
    found = connection.execute(_OF_RECORDS, wanted)
    return {(source, record): number for number, source, record in found}


def add_item(connection: Connection, item: WorklistItem, version: int, stamp: str) -> int:
    """Write a new row and return its number."""
    result = connection.execute(_ADD, _new_row(item, version, stamp))
    number = result.inserted_primary_key
    assert number is not None
    return int(number[0])


def add_items(
    connection: Connection, items: Iterable[WorklistItem], version: int, stamp: str
) -> None:
    """Write new rows, all in one go."""
    rows = [_new_row(item, version, stamp) for item in items]
    if rows:
        connection.execute(_ADD, rows)


def change_item(connection: Connection, item: WorklistItem, version: int, stamp: str) -> None:
    """Write an item over its row."""
    change_row(connection, item.item_id, row_of(item) | {"version": version, "updated_at": stamp})


def change_row(connection: Connection, row_id: int | None, values: Mapping[str, Any]) -> None:
    """Write some columns of a row."""
    connection.execute(_CHANGE, {**values, "row_id": row_id})


def change_untouched(connection: Connection, item: WorklistItem, values: Mapping[str, Any]) -> bool:
    """The same, unless somebody has changed the row since the item was read; returns whether."""
    seen = {"row_id": item.item_id, "seen_version": item.version}
    return connection.execute(_CHANGE_UNTOUCHED, {**values, **seen}).rowcount == 1


def _new_row(item: WorklistItem, version: int, stamp: str) -> dict[str, Any]:
    return row_of(item) | {"version": version, "created_at": stamp, "updated_at": stamp}
