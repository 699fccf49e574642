"""Performed steps that are tied by hand, met by a restart, or by other programs."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from tests.worklist.bookings import (
    EQUIPMENT,
    NOW,
    begin,
    booking,
    end,
    performed,
    reference,
    status,
)
from tests.worklist.conftest import Foreign

from pylantir.errors import Conflict, NotFound
from pylantir.worklist.database import Database
from pylantir.worklist.linking import BY_HAND
from pylantir.worklist.query import WorklistQuery
from pylantir.worklist.schema import prepare
from pylantir.worklist.status import ItemStatus, StepStatus
from pylantir.worklist.steps import StepStore
from pylantir.worklist.store import ItemStore

# --- by hand ---


def test_a_step_is_tied_to_an_item_by_hand(steps: StepStore, items: ItemStore) -> None:
    item = items.add(booking())
    uid = begin(steps)
    end(steps, uid)
    linked = steps.link(uid, item.item_id or 0)
    assert [(link.item_id, link.rule) for link in linked.links] == [(item.item_id, BY_HAND)]
    assert steps.get(uid) == linked
    assert status(items, item) == "COMPLETED"
    assert items.get(item.item_id or 0).study_date == dt.date(2025, 7, 7)


@pytest.mark.parametrize("final", ["IN PROGRESS", "COMPLETED", "DISCONTINUED"])
def test_a_step_is_moved_from_one_item_to_another_by_hand(
    steps: StepStore, items: ItemStore, final: str
) -> None:
    wrong, right = items.add(booking("1")), items.add(booking("2"))
    uid = begin(steps, wrong)
    if final != "IN PROGRESS":
        end(steps, uid, final, EQUIPMENT)
    with pytest.raises(Conflict, match="linked already"):
        steps.link(uid, right.item_id or 0)
    steps.link(uid, right.item_id or 0, position=0)
    released = items.get(wrong.item_id or 0)
    assert released.status is ItemStatus.SCHEDULED
    assert (released.study_date, released.study_time) == (None, None)
    assert status(items, right) == final.replace(" ", "_")


def test_what_is_left_after_moving_a_step_follows_the_other_steps(
    steps: StepStore, items: ItemStore
) -> None:
    item, other = items.add(booking("1")), items.add(booking("2"))
    end(steps, begin(steps, item, started=dt.datetime(2025, 7, 7, 9)), "DISCONTINUED", EQUIPMENT)
    uid = begin(steps, item, started=dt.datetime(2025, 7, 7, 8))
    end(steps, uid)
    steps.link(uid, other.item_id or 0, position=0)
    left = items.get(item.item_id or 0)
    assert left.status is ItemStatus.DISCONTINUED
    assert left.study_time == dt.time(9)


def test_tying_goes_to_the_first_free_reference(steps: StepStore, items: ItemStore) -> None:
    item, other = items.add(booking("1")), items.add(booking("2"))
    step = performed(reference(item), reference(study_instance_uid="1.2.9"))
    uid = steps.create(step).step.sop_instance_uid
    linked = steps.link(uid, other.item_id or 0)
    assert linked.item_ids == (item.item_id, other.item_id)
    assert not linked.is_unlinked


def test_what_cannot_be_tied_is_said(steps: StepStore, items: ItemStore) -> None:
    item = items.add(booking())
    uid = begin(steps, item)
    with pytest.raises(Conflict, match=f"item {item.item_id} already"):
        steps.link(uid, item.item_id or 0, position=0)
    with pytest.raises(NotFound, match="item 99"):
        steps.link(uid, 99)
    other = items.add(booking("2"))
    for position in (-1, 1):
        with pytest.raises(NotFound, match="references 0 to 0"):
            steps.link(uid, other.item_id or 0, position=position)
    assert status(items, other) == "SCHEDULED"


# --- restart, and other programs ---


def test_a_restart_in_the_middle_of_a_scan_loses_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "worklist.db")

    def open_again() -> tuple[Database, ItemStore, StepStore]:
        database = Database(path)
        prepare(database, now=NOW)
        return database, ItemStore(database), StepStore(database)

    database, items, steps = open_again()
    item = items.add(booking())
    begun = steps.create(performed(reference(item)))
    database.close()
    database, items, steps = open_again()
    uid = begun.step.sop_instance_uid
    assert steps.get(uid) == begun
    assert status(items, item) == "IN_PROGRESS"
    end(steps, uid)
    database.close()
    database, items, steps = open_again()
    assert steps.get(uid).step.status is StepStatus.COMPLETED
    assert status(items, item) == "COMPLETED"
    database.close()


def test_a_row_that_another_program_has_just_changed_still_links(
    steps: StepStore, items: ItemStore, foreign: Foreign
) -> None:
    item = items.add(booking())
    foreign("UPDATE worklist_items SET accession_number = 'A1'")
    uid = begin(steps, item)
    assert steps.get(uid).item_ids == (item.item_id,)
    foreign("UPDATE worklist_items SET accession_number = 'A2'")
    end(steps, uid)
    assert status(items, item) == "COMPLETED"
    other = items.add(booking("2"))
    foreign("UPDATE worklist_items SET accession_number = 'A3'")
    steps.link(uid, other.item_id or 0, position=0)
    assert status(items, other) == "COMPLETED"


def test_a_row_that_another_program_has_spoilt_does_not_stop_the_scanner(
    steps: StepStore, items: ItemStore, foreign: Foreign
) -> None:
    item = items.add(booking())
    uid = begin(steps, item)
    foreign("UPDATE worklist_items SET patient_id = '', study_date = 'never'")
    end(steps, uid)
    assert steps.get(uid).step.status is StepStatus.COMPLETED
    assert items.find(WorklistQuery()) == []
    assert len(items.rejected()) == 1
    foreign("UPDATE worklist_items SET patient_id = 'P1', study_date = NULL")
    assert status(items, item) == "COMPLETED"


def test_a_row_that_another_program_has_deleted_does_not_stop_the_scanner(
    steps: StepStore, items: ItemStore, foreign: Foreign
) -> None:
    item = items.add(booking("1"))
    uid = begin(steps, item)
    foreign("DELETE FROM worklist_items")
    stranger = items.add(booking("2"))  # SQLite gives it the number that has become free
    assert stranger.item_id == item.item_id
    assert steps.get(uid).is_unlinked
    end(steps, uid)
    assert status(items, stranger) == "SCHEDULED"
    assert [one.step.sop_instance_uid for one in steps.all(unlinked=True)] == [uid]
