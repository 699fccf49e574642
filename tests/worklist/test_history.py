"""When an item came and changed; steps by day, by item and by scanner."""

from __future__ import annotations

import datetime as dt
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
from tests.worklist.bookings import booking, performed, reference

from pylantir.errors import Conflict, NotFound
from pylantir.worklist.history import KEPT, ChangeKind
from pylantir.worklist.status import ItemStatus
from pylantir.worklist.steps import StepStore
from pylantir.worklist.store import ItemStore


def test_an_item_knows_when_it_came_and_when_it_changed(items: ItemStore) -> None:
    item = items.add(booking())
    number = item.item_id or 0
    before = items.history(number)
    items.set_status(number, ItemStatus.ARRIVED)
    after = items.history(number)

    assert before.created_at == before.updated_at
    assert after.created_at == before.created_at
    assert after.updated_at >= before.updated_at
    assert items.changed_at([number, 4711]) == {number: after.updated_at}


def test_what_is_not_there_has_no_history(items: ItemStore) -> None:
    with pytest.raises(NotFound, match="4711"):
        items.history(4711)


def test_who_changed_what_is_remembered_in_order(items: ItemStore) -> None:
    number = items.add(booking(), by="rivera").item_id or 0
    items.set_status(number, ItemStatus.ARRIVED, by="boss")
    items.set_status(number, ItemStatus.ARRIVED, by="boss")
    items.replace(replace(items.get(number), patient_sex="F"), by="rivera")
    items.replace(replace(items.get(number), patient_sex="M"))
    items.set_status(number, ItemStatus.CANCELLED, by="boss")

    found = items.history(number).changes

    status = ("performed_procedure_step_status",)
    assert [(each.kind, each.who, each.fields) for each in found] == [
        (ChangeKind.CREATED, "rivera", ()),
        (ChangeKind.CHANGED, "boss", status),
        (ChangeKind.CHANGED, "rivera", ("patient_sex",)),
        (ChangeKind.CANCELLED, "boss", status),
    ]
    assert [each.at for each in found] == sorted(each.at for each in found)


def test_a_change_that_is_refused_leaves_no_trace(items: ItemStore) -> None:
    item = items.add(booking())
    items.set_status(item.item_id or 0, ItemStatus.CANCELLED, by="boss")

    with pytest.raises(Conflict):
        items.replace(replace(item, patient_sex="F"), by="rivera")

    assert [each.who for each in items.history(item.item_id or 0).changes] == ["boss"]


def test_only_so_many_changes_of_an_item_are_kept(items: ItemStore) -> None:
    first, second = items.add(booking("1"), by="a"), items.add(booking("2"), by="b")
    for number in range(KEPT + 5):
        item = items.get(first.item_id or 0)
        items.replace(replace(item, patient_comments=str(number)), by=f"c{number}")

    kept = items.history(first.item_id or 0).changes
    assert [each.who for each in kept] == [f"c{number}" for number in range(5, KEPT + 5)]
    assert [each.who for each in items.history(second.item_id or 0).changes] == ["b"]


def test_an_import_says_who_ran_it_for_each_item(items: ItemStore) -> None:
    items.put([booking("1"), booking("2")], by="root (command line)")
    changed = replace(booking("1"), patient_sex="O")
    items.put([changed, booking("2")], by="root (command line)")

    one, two = (items.history(n).changes for n in (1, 2))
    assert [(each.kind, each.fields) for each in one] == [
        (ChangeKind.CREATED, ()),
        (ChangeKind.CHANGED, ("patient_sex",)),
    ]
    assert [each.kind for each in two] == [ChangeKind.CREATED]


def test_the_history_of_a_row_that_another_program_deletes_goes_with_it(items: ItemStore) -> None:
    """SQLite gives its number to the next row: that is somebody else."""
    number = items.add(booking(), by="rivera").item_id or 0
    path = items.database.path
    assert path is not None
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM worklist_items")

    again = items.add(booking("other"))

    assert again.item_id == number
    assert items.history(number).changes == ()


@pytest.mark.parametrize(
    ("first", "last", "found"), [(7, 7, ["1.2.7"]), (8, 9, ["1.2.8"]), (1, 6, [])]
)
def test_steps_of_some_days_are_those_that_started_on_them(
    steps: StepStore, first: int, last: int, found: list[str]
) -> None:
    for day, hour in ((7, 23), (8, 0)):
        started = dt.datetime(2025, 7, day, hour, 59 * (hour > 0), 59)
        steps.create(replace(performed(), sop_instance_uid=f"1.2.{day}", started=started))

    days = {"first_day": dt.date(2025, 7, first), "last_day": dt.date(2025, 7, last)}

    assert [each.step.sop_instance_uid for each in steps.all(**days)] == found


def test_steps_of_an_item_are_those_that_are_linked_to_it(
    steps: StepStore, items: ItemStore
) -> None:
    item = items.add(booking())
    own = steps.create(replace(performed(reference(item)), sop_instance_uid="1.2.1"))
    steps.create(replace(performed(), sop_instance_uid="1.2.2"))

    assert steps.all(item_id=item.item_id) == [own]


def test_each_scanner_has_its_newest_step(steps: StepStore) -> None:
    noon = dt.datetime(2025, 7, 7, 12)
    for number, (title, hours) in enumerate((("MR1", 0), ("MR1", 2), ("MR2", 1))):
        step = replace(
            performed(),
            sop_instance_uid=f"1.2.{number}",
            calling_ae_title=title,
            started=noon + dt.timedelta(hours=hours),
        )
        steps.create(step)

    assert steps.newest_of_each() == {
        "MR1": noon + dt.timedelta(hours=2),
        "MR2": noon + dt.timedelta(hours=1),
    }
