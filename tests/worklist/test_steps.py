"""Performed steps: kept whole, with their items, in one transaction."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from tests.worklist.bookings import (
    EQUIPMENT,
    WRONG_ENTRY,
    begin,
    booking,
    end,
    performed,
    reference,
    scheduled_step_attributes,
    status,
)
from tests.worklist.conftest import Foreign

from pylantir.errors import DuplicateStep, NotFound, StepClosed
from pylantir.worklist.status import ItemStatus, StepStatus
from pylantir.worklist.step import PerformedProcedureStep
from pylantir.worklist.step_rows import references_in
from pylantir.worklist.steps import StepStore
from pylantir.worklist.store import ItemStore
from pylantir.worklist.values import Code

# --- kept whole ---


def test_a_step_is_kept_whole(steps: StepStore, items: ItemStore) -> None:
    item = items.add(booking(accession_number="A1"))
    said = reference(item, referenced_study_uids=("1.2.3", "1.2.4"))
    step = performed(
        said,
        patient_name="Yamada^Tarou=山田^太郎",
        started=dt.datetime(2025, 7, 7, 8, 35, 1, 500),
        discontinuation_reason=EQUIPMENT,
        attributes={
            **scheduled_step_attributes(said),
            "00400254": {"vr": "LO", "Value": ["Schädel – MR"]},
            "00091010": {"vr": "UN", "InlineBinary": "AAEC"},
        },
        violations=("PatientID missing",),
    )
    created = steps.create(step)
    stored = steps.get(step.sop_instance_uid)
    assert stored == created
    assert stored.step == replace(step, version=created.step.version)
    assert stored.step.version > 0


def test_the_references_of_a_data_set_are_read() -> None:
    said = reference(
        study_instance_uid="1.2",
        accession_number="A1",
        requested_procedure_id="R1",
        scheduled_procedure_step_id="S1",
        referenced_study_uids=("1.3", "1.4"),
    )
    assert references_in(scheduled_step_attributes(said, reference())) == (said, reference())
    assert references_in({}) == ()
    assert references_in({"00400270": {"vr": "SQ"}}) == ()
    padded = {"00400270": {"Value": [{"00400009": {"Value": [" S1 "]}, "00401001": {}}]}}
    assert references_in(padded) == (reference(scheduled_procedure_step_id="S1"),)


def test_a_violation_is_noted_once_and_on_a_final_step_too(steps: StepStore) -> None:
    uid = begin(steps, violations=("PatientID missing",))
    end(steps, uid)
    for _ in range(2):
        steps.note_violation(uid, "N-SET of a step that has ended")
    noted = steps.get(uid).step.violations
    assert noted == ("PatientID missing", "N-SET of a step that has ended")
    with pytest.raises(NotFound):
        steps.note_violation("2.25.1", "whatever")


def test_a_uid_is_taken_once(steps: StepStore, items: ItemStore) -> None:
    item, other = items.add(booking("1")), items.add(booking("2"))
    uid = begin(steps, item)
    with pytest.raises(DuplicateStep, match=uid):
        begin(steps, other, sop_instance_uid=uid)
    assert status(items, other) == "SCHEDULED"
    assert len(steps.all()) == 1
    end(steps, uid)
    with pytest.raises(DuplicateStep):
        begin(steps, other, sop_instance_uid=uid)


def test_an_unknown_step_is_not_found(steps: StepStore) -> None:
    for call in (
        lambda: steps.get("1.2.3"),
        lambda: steps.update("1.2.3", lambda step: step),
        lambda: steps.link("1.2.3", 1),
    ):
        with pytest.raises(NotFound, match=r"1\.2\.3"):
            call()


def test_steps_are_listed_newest_first(steps: StepStore) -> None:
    starts = [dt.datetime(2025, 7, day, 8) for day in (7, 9, 8)]
    for started in starts:
        begin(steps, started=started)
    assert [one.step.started for one in steps.all()] == sorted(starts, reverse=True)


# --- the state machine ---


def test_the_item_follows_its_step(steps: StepStore, items: ItemStore) -> None:
    for number, (ending, expected) in enumerate(
        [("COMPLETED", "COMPLETED"), ("DISCONTINUED", "DISCONTINUED")]
    ):
        item = items.add(booking(str(number)))
        uid = begin(steps, item)
        assert status(items, item) == "IN_PROGRESS"
        ended = end(steps, uid, ending, EQUIPMENT)
        assert ended == steps.get(uid)
        assert status(items, item) == expected


def test_a_running_step_may_be_updated_without_end(steps: StepStore, items: ItemStore) -> None:
    item = items.add(booking())
    uid = begin(steps, item)
    for number in range(3):
        changed = steps.update(
            uid, lambda step, n=number: replace(step, attributes={**step.attributes, "n": n})
        )
        assert changed == steps.get(uid)
        assert changed.step.attributes["n"] == number
    assert status(items, item) == "IN_PROGRESS"


@pytest.mark.parametrize("final", ["COMPLETED", "DISCONTINUED"])
def test_a_closed_step_may_no_longer_be_updated(
    steps: StepStore, items: ItemStore, final: str
) -> None:
    item = items.add(booking())
    uid = begin(steps, item)
    closed = end(steps, uid, final)
    called: list[PerformedProcedureStep] = []

    def change(step: PerformedProcedureStep) -> PerformedProcedureStep:
        called.append(step)
        return replace(step, status=StepStatus.IN_PROGRESS)

    with pytest.raises(StepClosed, match="may no longer be updated"):
        steps.update(uid, change)
    assert called == []
    assert steps.get(uid) == closed


def test_a_change_that_fails_leaves_everything_as_it_was(
    steps: StepStore, items: ItemStore, foreign: Foreign
) -> None:
    item = items.add(booking())
    uid = begin(steps, item)
    before = steps.get(uid), items.get(item.item_id or 0), foreign("SELECT version FROM changes")

    def change(step: PerformedProcedureStep) -> PerformedProcedureStep:
        raise LookupError("from the data set")

    with pytest.raises(LookupError):
        steps.update(uid, change)
    after = steps.get(uid), items.get(item.item_id or 0), foreign("SELECT version FROM changes")
    assert after == before


def test_a_creation_that_fails_leaves_nothing(
    steps: StepStore, items: ItemStore, foreign: Foreign
) -> None:
    item = items.add(booking())
    foreign(
        "CREATE TRIGGER full_disk BEFORE UPDATE ON worklist_items"
        " BEGIN SELECT RAISE(ABORT, 'disk full'); END"
    )
    with pytest.raises(Exception, match="disk full"):
        begin(steps, item)
    foreign("DROP TRIGGER full_disk")
    assert steps.all() == []
    assert items.get(item.item_id or 0) == item
    assert foreign("SELECT count(*) FROM performed_step_links") == [(0,)]


# --- several steps, several items ---


def test_one_step_may_perform_several_items(steps: StepStore, items: ItemStore) -> None:
    both = [items.add(booking(str(n), study_instance_uid="1.2.3")) for n in range(2)]
    uid = begin(steps, *both)
    assert [status(items, item) for item in both] == ["IN_PROGRESS"] * 2
    end(steps, uid)
    assert [status(items, item) for item in both] == ["COMPLETED"] * 2


def test_an_item_in_two_steps_is_done_when_both_have_ended(
    steps: StepStore, items: ItemStore
) -> None:
    item = items.add(booking())
    first, second = begin(steps, item), begin(steps, item)
    end(steps, first)
    assert status(items, item) == "IN_PROGRESS"
    end(steps, second, "DISCONTINUED", EQUIPMENT)
    assert status(items, item) == "COMPLETED"


def test_a_later_step_may_append_to_a_completed_item(steps: StepStore, items: ItemStore) -> None:
    item = items.add(booking())
    end(steps, begin(steps, item))
    appended = begin(steps, item)
    assert status(items, item) == "IN_PROGRESS"
    end(steps, appended)
    assert status(items, item) == "COMPLETED"


def test_a_discontinued_item_may_be_done_again(steps: StepStore, items: ItemStore) -> None:
    item = items.add(booking())
    end(steps, begin(steps, item), "DISCONTINUED", EQUIPMENT)
    assert status(items, item) == "DISCONTINUED"
    again = begin(steps, item)
    assert status(items, item) == "IN_PROGRESS"
    end(steps, again)
    assert status(items, item) == "COMPLETED"


def test_a_cancelled_item_that_is_scanned_all_the_same_is_in_progress(
    steps: StepStore, items: ItemStore
) -> None:
    item = items.add(booking(status="CANCELLED"))
    end(steps, begin(steps, item))
    assert status(items, item) == "COMPLETED"


@pytest.mark.parametrize("by_hand", ["COMPLETED", "DISCONTINUED", "SCHEDULED"])
def test_what_a_person_did_meanwhile_does_not_stop_the_scanner(
    steps: StepStore, items: ItemStore, by_hand: str
) -> None:
    item = items.add(booking())
    uid = begin(steps, item)
    items.set_status(item.item_id or 0, ItemStatus(by_hand))
    steps.update(uid, lambda step: step)
    assert status(items, item) == "IN_PROGRESS"
    items.set_status(item.item_id or 0, ItemStatus(by_hand))
    end(steps, uid)
    assert status(items, item) == "COMPLETED"


# --- the wrong worklist entry (110514) ---


def test_the_wrong_entry_goes_back_to_the_list(steps: StepStore, items: ItemStore) -> None:
    item = items.add(booking())
    ended = end(steps, begin(steps, item), "DISCONTINUED", WRONG_ENTRY)
    assert ended.step.released
    stored = items.get(item.item_id or 0)
    assert stored.status is ItemStatus.SCHEDULED
    assert (stored.study_date, stored.study_time) == (None, None)
    end(steps, begin(steps, item))
    assert status(items, item) == "COMPLETED"


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (Code("110514", "99X"), "DISCONTINUED"),
        (Code("110513", "DCM"), "DISCONTINUED"),
        (None, "DISCONTINUED"),
        (Code("110514", "DCM"), "SCHEDULED"),
    ],
)
def test_only_that_reason_puts_it_back(
    steps: StepStore, items: ItemStore, reason: Code | None, expected: str
) -> None:
    item = items.add(booking())
    end(steps, begin(steps, item), "DISCONTINUED", reason)
    assert status(items, item) == expected


def test_the_reason_counts_only_for_a_discontinued_step(steps: StepStore, items: ItemStore) -> None:
    item = items.add(booking())
    end(steps, begin(steps, item), "COMPLETED", WRONG_ENTRY)
    assert status(items, item) == "COMPLETED"


def test_a_wrong_entry_does_not_take_back_what_another_step_does(
    steps: StepStore, items: ItemStore
) -> None:
    item = items.add(booking())
    wrong = begin(steps, item, started=dt.datetime(2025, 7, 7, 8))
    right = begin(steps, item, started=dt.datetime(2025, 7, 7, 9))
    end(steps, wrong, "DISCONTINUED", WRONG_ENTRY)
    stored = items.get(item.item_id or 0)
    assert stored.status is ItemStatus.IN_PROGRESS
    assert stored.study_time == dt.time(9)
    end(steps, right)
    assert status(items, item) == "COMPLETED"


# --- study date and time (F.7.2.1.3, note) ---


def test_the_study_begins_with_its_earliest_step(steps: StepStore, items: ItemStore) -> None:
    item = items.add(booking())
    for hour, earliest in ((10, 10), (9, 9), (11, 9)):
        begin(steps, item, started=dt.datetime(2025, 7, 7, hour))
        stored = items.get(item.item_id or 0)
        assert (stored.study_date, stored.study_time) == (dt.date(2025, 7, 7), dt.time(earliest))


def test_a_study_that_began_before_keeps_its_start(steps: StepStore, items: ItemStore) -> None:
    item = items.add(booking(study_date="20250701", study_time="07:00"))
    end(steps, begin(steps, item), "DISCONTINUED", WRONG_ENTRY)
    stored = items.get(item.item_id or 0)
    assert (stored.study_date, stored.study_time) == (dt.date(2025, 7, 1), dt.time(7))
