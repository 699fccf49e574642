"""Long answers come in parts, each item as it was or as it is, and the first part comes soon."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy.dialects import sqlite
from tests.worklist.bookings import booking
from tests.worklist.conftest import Foreign

from pylantir.worklist import finder
from pylantir.worklist.attributes import BY_NAME
from pylantir.worklist.database import Database
from pylantir.worklist.finder import Finder
from pylantir.worklist.item import WorklistItem, change_item
from pylantir.worklist.query import Key, SingleValue, WorklistQuery
from pylantir.worklist.status import HIDDEN_BY_DEFAULT, ItemStatus
from pylantir.worklist.store import ItemStore

BOOKED = 12


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finder, "_BEGINNING", 3)
    monkeypatch.setattr(finder, "_PART", 4)


@pytest.fixture
def booked(items: ItemStore) -> ItemStore:
    items.put([booking(f"{n:02d}", start_time=f"{8 + n}:00") for n in range(BOOKED)])
    return items


def ids(*parts: list[WorklistItem]) -> list[str]:
    return [item.source_record_id for part in parts for item in part]


def everything() -> list[str]:
    return [f"{n:02d}" for n in range(BOOKED)]


def test_parts_together_are_the_whole_in_order(booked: ItemStore) -> None:
    parts = list(booked.parts(WorklistQuery()))

    assert [len(part) for part in parts] == [3, 4, 4, 1]
    assert ids(*parts) == everything()


@pytest.mark.parametrize("offset", [0, 2, 3, 5, 12, 20])
@pytest.mark.parametrize("limit", [None, 1, 3, 4, 9, 20])
def test_limit_and_offset_cut_across_parts(
    booked: ItemStore, limit: int | None, offset: int
) -> None:
    found = booked.find(WorklistQuery(limit=limit, offset=offset))

    last = None if limit is None else offset + limit
    assert ids(found) == everything()[offset:last]


def test_no_transaction_is_open_between_parts(booked: ItemStore, foreign: Foreign) -> None:
    """Else the log of the database would grow for as long as a console does not read."""
    for _ in booked.parts(WorklistQuery()):
        assert foreign("PRAGMA wal_checkpoint(TRUNCATE)") == [(0, 0, 0)]


def test_what_changes_meanwhile_is_as_it_is_now_or_not_there(booked: ItemStore) -> None:
    mr = Key(BY_NAME["modality"], SingleValue("MR"))
    parts = booked.parts(WorklistQuery(keys=(mr,), hidden=HIDDEN_BY_DEFAULT))
    first = next(parts)
    waiting = booked.find(WorklistQuery())[len(first) :]
    for change in (
        lambda: booked.set_status(waiting[5].item_id or 0, ItemStatus.CANCELLED),
        lambda: booked.replace(change_item(waiting[6], {"modality": "CT"})),
        lambda: booked.replace(change_item(waiting[7], {"patient_name": "Now^Another"})),
        lambda: booked.put([booking("new", start_time="07:00")]),
    ):
        change()
    rest = [item for part in parts for item in part]

    assert ids(first, rest) == ["00", "01", "02", "new", *everything()[3:8], "10", "11"]
    assert rest[-2].patient_name == "Now^Another"


def test_what_is_deleted_meanwhile_is_left_out(booked: ItemStore, foreign: Foreign) -> None:
    parts = booked.parts(WorklistQuery())
    begun = [next(parts), next(parts)]
    foreign("DELETE FROM worklist_items WHERE source_record_id = '09'")

    assert ids(*begun, *parts) == [number for number in everything() if number != "09"]


def test_nobody_is_told_of_twice(booked: ItemStore) -> None:
    """A booking that moves behind the others while they are told of has been told of."""
    parts = booked.parts(WorklistQuery())
    first = next(parts)
    booked.replace(change_item(first[0], {"start_time": "23:00"}))

    assert ids(first, *parts) == everything()


def test_an_item_that_was_read_is_not_read_again(booked: ItemStore) -> None:
    first, second = booked.find(WorklistQuery()), booked.find(WorklistQuery())

    assert all(one is other for one, other in zip(first, second, strict=True))


def test_the_beginning_is_read_in_order_and_nothing_is_sorted_for_it(
    items: ItemStore, database: Database
) -> None:
    """Ten thousand rows in the wrong order are 10 ms before the first answer."""
    items.put([booking(str(n)) for n in range(3)])
    statement = finder._places.where(finder._SERVED_IN_ORDER).order_by(*finder.by_start).limit(32)
    compiled = statement.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
    with database.read() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}").all()

    told = " ".join(str(row[3]) for row in plan)
    assert "USING INDEX ix_worklist_items_start" in told
    assert "ORDER BY" not in told, "every booking of a day would be read before the first"


def test_rows_of_other_programs_are_looked_for_again_only_after_a_commit(
    booked: ItemStore, foreign: Foreign, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []
    check = booked.check_foreign_rows
    monkeypatch.setattr(booked, "check_foreign_rows", lambda: looked.append(1) or check())
    booked.find(WorklistQuery())
    booked.find(WorklistQuery())
    assert len(looked) == 1

    foreign("UPDATE worklist_items SET patient_name = 'Foreign^Hand' WHERE id = 1")
    assert booked.find(WorklistQuery())[0].patient_name == "Foreign^Hand"


def test_a_finder_by_itself_looks_at_no_limit(booked: ItemStore) -> None:
    query = replace(WorklistQuery(), limit=2)

    assert ids(*Finder(booked.database).parts(query)) == everything()
