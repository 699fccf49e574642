"""Which booking a performed step belongs to (PS3.4 F.7.2.1.2 and its notes). Never a guess."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from tests.worklist.bookings import booking, performed, reference

from pylantir.worklist.item import WorklistItem
from pylantir.worklist.linking import BY_HAND, RULES
from pylantir.worklist.status import ItemStatus
from pylantir.worklist.step import LinkedStep
from pylantir.worklist.steps import StepStore
from pylantir.worklist.store import ItemStore

ORDER = {"accession_number": "A1", "requested_procedure_id": "R1", "step_id": "S1"}
STUDY, ORDERED, REFERENCED, SAME_DAY = (name for name, _ in RULES)


def linked_to(linked: LinkedStep) -> list[tuple[int | None, str]]:
    return [(link.item_id, link.rule) for link in linked.links]


def add(items: ItemStore, record: str = "1", **values: Any) -> WorklistItem:
    return items.add(booking(record, **{**ORDER, **values}))


def test_study_and_step_id_link(items: ItemStore, steps: StepStore) -> None:
    item = add(items)
    assert linked_to(steps.create(performed(reference(item)))) == [(item.item_id, STUDY)]
    assert items.get(item.item_id or 0).status is ItemStatus.IN_PROGRESS


def test_the_step_id_chooses_among_the_steps_of_a_study(items: ItemStore, steps: StepStore) -> None:
    add(items, "1", study_instance_uid="1.2.3", step_id="S1")
    second = add(items, "2", study_instance_uid="1.2.3", step_id="S2")
    linked = steps.create(performed(reference(second)))
    assert linked_to(linked) == [(second.item_id, STUDY)]


def test_a_study_alone_links_when_it_has_one_step(items: ItemStore, steps: StepStore) -> None:
    item = add(items)
    linked = steps.create(performed(reference(study_instance_uid=item.study_instance_uid)))
    assert linked_to(linked) == [(item.item_id, STUDY)]


def test_a_study_alone_with_two_steps_does_not_link(items: ItemStore, steps: StepStore) -> None:
    # Nor may a weaker rule choose: patient, scanner and day would name the second.
    add(items, "1", study_instance_uid="1.2.3", patient_id="P", step_id="S1", start_date="20250101")
    add(items, "2", study_instance_uid="1.2.3", patient_id="P", step_id="S2")
    step = performed(reference(study_instance_uid="1.2.3"), patient_id="P")
    assert linked_to(steps.create(step)) == [(None, "")]


def test_accession_procedure_and_step_id_link_a_study_made_by_the_scanner(
    items: ItemStore, steps: StepStore
) -> None:
    item = add(items)
    add(items, "2", step_id="S2")
    linked = steps.create(performed(reference(item, study_instance_uid="1.2.99")))
    assert linked_to(linked) == [(item.item_id, ORDERED)]


@pytest.mark.parametrize(
    "missing", ["accession_number", "requested_procedure_id", "scheduled_procedure_step_id"]
)
def test_an_order_is_named_by_all_three(items: ItemStore, steps: StepStore, missing: str) -> None:
    item = add(items)
    said = reference(item, **{"study_instance_uid": "1.2.99", missing: ""})
    assert linked_to(steps.create(performed(said))) == [(None, "")]


def test_an_order_that_two_bookings_have_does_not_link(items: ItemStore, steps: StepStore) -> None:
    item = add(items, "1", patient_id="P1")
    add(items, "2", patient_id="P2")
    step = performed(reference(item, study_instance_uid="1.2.99"), patient_id="P1")
    assert linked_to(steps.create(step)) == [(None, "")]


def test_a_referenced_study_links_in_a_group_case(items: ItemStore, steps: StepStore) -> None:
    first, second = add(items, "1", accession_number="A1"), add(items, "2", accession_number="A2")
    references = [
        reference(
            study_instance_uid="1.2.99",
            scheduled_procedure_step_id="S1",
            referenced_study_uids=(item.study_instance_uid,),
        )
        for item in (first, second)
    ]
    linked = steps.create(performed(*references))
    assert linked_to(linked) == [(first.item_id, REFERENCED), (second.item_id, REFERENCED)]
    assert {i.status for i in (items.get(first.item_id or 0), items.get(second.item_id or 0))} == {
        ItemStatus.IN_PROGRESS
    }


def test_a_referenced_study_with_another_step_id_does_not_link(
    items: ItemStore, steps: StepStore
) -> None:
    item = add(items)
    said = reference(
        scheduled_procedure_step_id="S9", referenced_study_uids=(item.study_instance_uid,)
    )
    assert linked_to(steps.create(performed(said))) == [(None, "")]


def test_several_referenced_studies_do_not_link(items: ItemStore, steps: StepStore) -> None:
    uids = tuple(add(items, str(n)).study_instance_uid for n in range(2))
    said = reference(scheduled_procedure_step_id="S1", referenced_study_uids=uids)
    assert linked_to(steps.create(performed(said))) == [(None, "")]


def test_rules_are_tried_in_their_order(items: ItemStore, steps: StepStore) -> None:
    by_study = add(items, "1", accession_number="X")
    by_order = add(items, "2")
    by_reference = add(items, "3", accession_number="Y")
    said = reference(
        by_order,
        study_instance_uid=by_study.study_instance_uid,
        referenced_study_uids=(by_reference.study_instance_uid,),
    )
    assert linked_to(steps.create(performed(said))) == [(by_study.item_id, STUDY)]
    said = reference(
        by_order,
        study_instance_uid="1.2.99",
        referenced_study_uids=(by_reference.study_instance_uid,),
    )
    assert linked_to(steps.create(performed(said))) == [(by_order.item_id, ORDERED)]


# --- the patient's only booking of the day on this scanner ---

UNSCHEDULED: dict[str, Any] = {"patient_id": "PID-1", "patient_name": "DOE^JANE"}


def test_the_only_booking_of_the_patient_that_day_on_that_scanner_links(
    items: ItemStore, steps: StepStore
) -> None:
    item = add(items)
    add(items, "2", patient_id="PID-1", start_date="20250708")
    add(items, "3", patient_id="PID-1", scheduled_station_ae_title="MR2")
    add(items, "4")
    step = performed(reference(study_instance_uid="1.2.99"), **UNSCHEDULED)
    assert linked_to(steps.create(step)) == [(item.item_id, SAME_DAY)]


def test_the_calling_title_names_the_scanner_too(items: ItemStore, steps: StepStore) -> None:
    item = add(items, scheduled_station_ae_title="MR1\\MR2")
    step = performed(performed_station_ae_title="CONSOLE", calling_ae_title="MR2", **UNSCHEDULED)
    assert linked_to(steps.create(step)) == [(item.item_id, SAME_DAY)]


@pytest.mark.parametrize(
    "changed",
    [
        {"patient_id": ""},
        {"patient_id": "PID-2"},
        {"patient_name": "Roe^Jane"},
        {"modality": "CT"},
        {"performed_station_ae_title": "MR2", "calling_ae_title": "MR2"},
        {"started": dt.datetime(2025, 7, 8, 8, 35)},
        {"started": dt.datetime(2025, 7, 6, 23, 59)},
    ],
)
def test_another_patient_scanner_or_day_does_not_link(
    items: ItemStore, steps: StepStore, changed: dict[str, Any]
) -> None:
    add(items)
    step = performed(**{**UNSCHEDULED, **changed})
    assert linked_to(steps.create(step)) == [(None, "")]


@pytest.mark.parametrize(
    "said",
    [
        {"accession_number": "A9"},
        {"requested_procedure_id": "R9"},
        {"scheduled_procedure_step_id": "S9"},
    ],
)
def test_what_names_another_order_contradicts(
    items: ItemStore, steps: StepStore, said: dict[str, str]
) -> None:
    add(items)
    assert linked_to(steps.create(performed(reference(**said), **UNSCHEDULED))) == [(None, "")]


def test_what_names_the_study_of_another_booking_contradicts(
    items: ItemStore, steps: StepStore
) -> None:
    add(items)
    other = add(items, "2", step_id="S2")
    for said in (
        reference(study_instance_uid=other.study_instance_uid, scheduled_procedure_step_id="S1"),
        reference(
            referenced_study_uids=(other.study_instance_uid,), scheduled_procedure_step_id="S1"
        ),
    ):
        assert linked_to(steps.create(performed(said, **UNSCHEDULED))) == [(None, "")]


@pytest.mark.parametrize("status", ["IN_PROGRESS", "COMPLETED", "DISCONTINUED", "CANCELLED"])
def test_what_is_not_waiting_any_more_is_not_guessed(
    items: ItemStore, steps: StepStore, status: str
) -> None:
    add(items, status=status)
    assert linked_to(steps.create(performed(**UNSCHEDULED))) == [(None, "")]


def test_two_bookings_of_the_day_do_not_link(items: ItemStore, steps: StepStore) -> None:
    add(items, "1")
    add(items, "2", patient_id="PID-1", start_time="10:00")
    assert linked_to(steps.create(performed(**UNSCHEDULED))) == [(None, "")]


def test_of_two_bookings_the_one_that_nothing_contradicts_links(
    items: ItemStore, steps: StepStore
) -> None:
    add(items, "1", modality="CT")
    item = add(items, "2", patient_id="PID-1")
    assert linked_to(steps.create(performed(**UNSCHEDULED))) == [(item.item_id, SAME_DAY)]


def test_a_booking_without_a_station_is_not_guessed(items: ItemStore, steps: StepStore) -> None:
    add(items, scheduled_station_ae_title="")
    assert linked_to(steps.create(performed(**UNSCHEDULED))) == [(None, "")]


# --- unscheduled, and by hand ---


def test_what_belongs_to_nothing_is_kept_and_listed(items: ItemStore, steps: StepStore) -> None:
    item = add(items)
    scheduled = steps.create(performed(reference(item)))
    walk_in = steps.create(performed(reference(study_instance_uid="1.2.99"), patient_id="X"))
    assert walk_in.is_unlinked
    assert [one.step for one in steps.all(unlinked=True)] == [walk_in.step]
    assert {one.step.sop_instance_uid for one in steps.all()} == {
        scheduled.step.sop_instance_uid,
        walk_in.step.sop_instance_uid,
    }


def test_a_step_without_any_reference_is_listed_and_can_be_tied(
    items: ItemStore, steps: StepStore
) -> None:
    item = add(items)
    bare = replace(performed(attributes={}), references=())
    uid = steps.create(bare).step.sop_instance_uid
    assert [one.step.sop_instance_uid for one in steps.all(unlinked=True)] == [uid]
    assert linked_to(steps.link(uid, item.item_id or 0)) == [(item.item_id, BY_HAND)]
    assert steps.all(unlinked=True) == []


def test_a_reference_that_does_not_link_is_listed_beside_one_that_does(
    items: ItemStore, steps: StepStore
) -> None:
    item = add(items)
    linked = steps.create(performed(reference(item), reference(study_instance_uid="1.2.99")))
    assert linked_to(linked) == [(item.item_id, STUDY), (None, "")]
    assert [one.step for one in steps.all(unlinked=True)] == [linked.step]
