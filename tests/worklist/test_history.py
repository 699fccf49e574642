"""When an item came and changed; steps by day, by item and by scanner."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from tests.worklist.bookings import booking, performed, reference

from pylantir.errors import NotFound
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
