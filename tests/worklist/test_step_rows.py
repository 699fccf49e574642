"""What a performed step asks of the database: little, and never more for a longer history."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event
from tests.worklist.bookings import WRONG_ENTRY, begin, booking, end, performed, reference, status
from tests.worklist.conftest import Foreign

from pylantir.errors import DatabaseUnavailable, DuplicateStep
from pylantir.worklist.database import Database
from pylantir.worklist.steps import StepStore
from pylantir.worklist.store import ItemStore


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """The SQL that is run meanwhile."""
    said: list[str] = []

    def note(statement: str) -> None:
        is_ours = statement.startswith(("SELECT", "INSERT", "UPDATE", "DELETE"))
        if is_ours and statement not in said[-1:]:  # a trigger is told under the words of its cause
            said.append(statement)

    def listen(driver: sqlite3.Connection, *_: object) -> None:
        driver.set_trace_callback(note)

    def leave(driver: sqlite3.Connection, *_: object) -> None:
        driver.set_trace_callback(None)

    event.listen(database.engine, "checkout", listen)
    event.listen(database.engine, "checkin", leave)
    try:
        yield said
    finally:
        event.remove(database.engine, "checkout", listen)
        event.remove(database.engine, "checkin", leave)


def test_a_step_costs_a_scanner_few_statements(
    database: Database, steps: StepStore, items: ItemStore
) -> None:
    """Version, rows of others, step and links, booking, progress, step and booking again."""
    item = items.add(booking())
    for earlier in range(3):
        end(steps, begin(steps, item, performed_procedure_step_id=f"P{earlier}"))
    with statements(database) as said:
        uid = begin(steps, item)
    assert len(said) == 8, said
    with statements(database) as said:
        end(steps, uid)
    assert len(said) == 7, said
    assert not [each for each in said if each.startswith("DELETE")]


def test_the_items_of_a_step_come_with_it(steps: StepStore, items: ItemStore) -> None:
    first, second = items.add(booking("1")), items.add(booking("2"))
    created = steps.create(performed(reference(first), reference(), reference(second)))
    assert created.items == (first, second)
    uid = created.step.sop_instance_uid
    assert [item.item_id for item in end(steps, uid).items] == [first.item_id, second.item_id]


def test_an_item_that_was_set_aside_follows_its_step_all_the_same(
    steps: StepStore, items: ItemStore, foreign: Foreign
) -> None:
    item = items.add(booking())
    uid = begin(steps, item)
    foreign("UPDATE worklist_items SET scheduled_start_date = 'some day'")
    assert end(steps, uid).items == ()
    assert foreign("SELECT performed_procedure_step_status FROM worklist_items") == [("COMPLETED",)]


def test_a_booking_that_a_step_names_twice_is_no_row_of_another_program(
    steps: StepStore, items: ItemStore, foreign: Foreign
) -> None:
    """An update without a new version is what gives those away."""
    item = items.add(booking())
    created = steps.create(performed(reference(item), reference(item)))
    assert created.item_ids == (item.item_id, item.item_id)
    assert foreign("SELECT count(*) FROM worklist_items WHERE version IS NULL") == [(0,)]
    end(steps, created.step.sop_instance_uid, "DISCONTINUED", WRONG_ENTRY)
    assert foreign("SELECT count(*) FROM worklist_items WHERE version IS NULL") == [(0,)]
    assert status(items, item) == "SCHEDULED"


def test_a_step_that_cannot_be_written_is_not_told_to_exist(
    steps: StepStore, foreign: Foreign
) -> None:
    """A scanner that hears of a duplicate takes its step for kept."""
    foreign(
        "CREATE TRIGGER refuse BEFORE INSERT ON performed_steps "
        "BEGIN SELECT RAISE(ABORT, 'for whatever reason'); END"
    )
    with pytest.raises(DatabaseUnavailable):
        begin(steps)


def test_a_step_that_is_refused_leaves_the_versions_alone(
    steps: StepStore, items: ItemStore, foreign: Foreign
) -> None:
    uid = begin(steps, items.add(booking()))
    before = foreign("SELECT version FROM changes")
    with pytest.raises(DuplicateStep):
        begin(steps, sop_instance_uid=uid)
    assert foreign("SELECT version FROM changes") == before
