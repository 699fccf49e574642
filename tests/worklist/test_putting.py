"""Many items at a time become what one after the other would have become."""

from __future__ import annotations

import pytest
from tests.worklist.bookings import booking

from pylantir.worklist.item import WorklistItem
from pylantir.worklist.query import WorklistQuery
from pylantir.worklist.store import ItemStore


def names(items: ItemStore) -> dict[str, str]:
    return {item.source_record_id: item.patient_name for item in items.find(WorklistQuery())}


def test_a_booking_that_comes_twice_at_once_has_one_row_and_its_last_values(
    items: ItemStore,
) -> None:
    first, other = booking("1", patient_name="Old^Name"), booking("2", patient_name="Other^Name")
    report = items.put([first, other, booking("1", patient_name="New^Name")], by="rivera")
    assert names(items) == {"1": "New^Name", "2": "Other^Name"}
    assert (report.created, report.updated, report.unchanged) == (2, 1, 0)
    (kept,) = (i for i in items.find(WorklistQuery()) if i.source_record_id == "1")
    assert kept.study_instance_uid == first.study_instance_uid
    changes = items.history(kept.item_id or 0).changes
    assert [(each.kind, each.who) for each in changes] == [
        ("created", "rivera"),
        ("changed", "rivera"),
    ]


@pytest.mark.parametrize("number", [499, 500, 501, 1203])
def test_every_booking_of_a_long_list_is_written_and_numbered(
    items: ItemStore, number: int
) -> None:
    report = items.put([booking(str(n)) for n in range(number)])
    assert (report.created, report.unchanged) == (number, 0)
    found = {item.source_record_id: item.item_id for item in items.find(WorklistQuery())}
    assert found == {item.source_record_id: item.item_id for item in report.created_items}
    again = items.put([booking(str(n)) for n in range(number)])
    assert (again.created, again.updated, again.unchanged) == (0, 0, number)


def test_records_of_two_sources_with_the_same_number_are_two_bookings(items: ItemStore) -> None:
    def both(name: str) -> list[WorklistItem]:
        return [booking("1", source=source, patient_name=name) for source in ("a", "b")]

    assert items.put(both("One^Name")).created == 2
    report = items.put([*both("Two^Name"), booking("2", source="a")])
    assert (report.created, report.updated) == (1, 2)
