"""WorklistItem: always valid, or refused with everything that is wrong."""

from __future__ import annotations

import dataclasses
import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from tests.worklist.bookings import DAY, booking

from pylantir.errors import InvalidItem
from pylantir.worklist import identity
from pylantir.worklist.attributes import BY_NAME, FIELDS
from pylantir.worklist.item import (
    MAX_EXTRAS,
    WorklistItem,
    change_item,
    known_names,
    make_item,
)
from pylantir.worklist.status import ItemStatus
from pylantir.worklist.values import Code

LEAST = {
    "patient_name": "Doe^Jane",
    "patient_id": "1",
    "modality": "MR",
    "scheduled_procedure_step_start_date": "2025-07-07",
    "scheduled_procedure_step_start_time": "08:30",
}


def make(values: dict[str, Any]) -> WorklistItem:
    return make_item(values, data_source="test", source_record_id="1", authority="site")


def problems_of(values: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(InvalidItem) as caught:
        make(values)
    return {problem.field: problem.reason for problem in caught.value.problems}


def test_the_least_that_makes_an_item_is_completed_to_all_type_1_values() -> None:
    item = make(LEAST)
    origin = ("site", "test", "1")
    assert item.study_instance_uid == identity.study_instance_uid(*origin)
    assert item.requested_procedure_id == identity.requested_procedure_id(*origin)
    assert item.scheduled_procedure_step_id == identity.scheduled_procedure_step_id(*origin)
    assert item.scheduled_procedure_step_description == "MR"
    assert item.requested_procedure_description == "MR"
    assert item.status is ItemStatus.SCHEDULED
    assert item.start == dt.datetime(2025, 7, 7, 8, 30)
    assert (item.item_id, item.version) == (None, 0)
    assert item.patient_weight_kg is None


@pytest.mark.parametrize("name", LEAST)
@pytest.mark.parametrize("empty", ["", None, " "])
def test_a_missing_required_value_is_named(name: str, empty: object) -> None:
    assert problems_of({**LEAST, name: empty}) == {name: "required, but empty"}


def test_everything_that_is_wrong_is_said_at_once() -> None:
    problems = problems_of(
        {
            "patient_name": "a^b^c^d^e^f",
            "modality": "M-R",
            "start_date": "tomorrow",
            "start_time": "08:30",
            "patient_weight": "heavy",
            "PatientAge": "34",
            "patient_nme": "x",
            "protocol_name": "x" * 65,
        }
    )
    assert set(problems) == {
        "patient_name",
        "patient_id",
        "modality",
        "scheduled_procedure_step_start_date",
        "patient_weight_kg",
        "PatientAge",
        "patient_nme",
        "protocol_name",
    }
    assert problems["patient_id"] == "required, but empty"
    assert problems["patient_nme"] == "unknown name (did you mean patient_name?)"


def test_the_log_never_shows_a_value() -> None:
    with pytest.raises(InvalidItem) as caught:
        make({**LEAST, "patient_birth_date": "SECRET"})
    assert "SECRET" in str(caught.value)
    assert "SECRET" not in caught.value.for_log
    assert "patient_birth_date" in caught.value.for_log


def test_a_long_offending_value_is_shortened() -> None:
    with pytest.raises(InvalidItem) as caught:
        make({**LEAST, "patient_id": "x" * 5000})
    assert len(str(caught.value)) < 300


def test_an_empty_value_counts_as_absent_when_a_name_is_given_twice() -> None:
    assert make({**LEAST, "PatientID": ""}).patient_id == "1"
    assert make({**LEAST, "patient_id": "", "PatientID": "2"}).patient_id == "2"


def test_published_names_and_keywords_make_the_same_item() -> None:
    published = {
        "patient_name": "Doe^Jane",
        "patient_id": "1",
        "modality": "MR",
        "scheduled_start_date": "2025-07-07",
        "scheduled_start_time": "08:30",
        "scheduled_station_aetitle": "MR1",
        "performing_physician": "Curie^Marie",
        "performed_procedure_step_status": "IN_PROGRESS",
    }
    keywords = {
        "PatientName": "Doe^Jane",
        "PatientID": "1",
        "Modality": "MR",
        "ScheduledProcedureStepStartDate": "20250707",
        "ScheduledProcedureStepStartTime": "083000",
        "ScheduledStationAETitle": "MR1",
        "ScheduledPerformingPhysicianName": "Curie^Marie",
        "ScheduledProcedureStepStatus": "STARTED",
    }
    assert make(published) == make(keywords)


def test_a_source_may_give_pounds() -> None:
    assert make({**LEAST, "patient_weight_lb": "160"}).patient_weight_kg == Decimal("72.57")
    both = make({**LEAST, "patient_weight_lb": "160", "patient_weight_kg": 70})
    assert both.patient_weight_kg == Decimal(70)
    assert "patient_weight_lb" in problems_of({**LEAST, "patient_weight_lb": "heavy"})


def test_a_published_protocol_becomes_a_code_where_it_can() -> None:
    coded = make({**LEAST, "protocol_name": "BRAIN", "hisris_coding_designator": "99SITE"})
    assert coded.scheduled_protocol_codes == (Code("BRAIN", "99SITE", "BRAIN"),)
    assert coded.scheduled_procedure_step_description == "BRAIN"
    uncoded = make({**LEAST, "protocol_name": "BRAIN"})
    assert uncoded.scheduled_protocol_codes == ()
    assert uncoded.scheduled_procedure_step_description == "BRAIN"
    long_name = make({**LEAST, "protocol_name": "B" * 17, "hisris_coding_designator": "99SITE"})
    assert long_name.scheduled_protocol_codes == ()
    assert long_name.scheduled_procedure_step_description == "B" * 17


def test_descriptions_come_from_what_is_known() -> None:
    study = make({**LEAST, "study_description": "Study of sleep"})
    assert study.requested_procedure_description == "Study of sleep"
    assert study.scheduled_procedure_step_description == "Study of sleep"
    step = make({**LEAST, "step_description": "T1"})
    assert step.requested_procedure_description == "T1"
    code = {"value": "1", "scheme": "99X", "meaning": "Brain"}
    coded = make({**LEAST, "scheduled_protocol_codes": [code]})
    assert coded.scheduled_procedure_step_description == ""
    assert coded.requested_procedure_description == "Brain"
    procedure = make({**LEAST, "requested_procedure_codes": [code]})
    assert procedure.requested_procedure_description == ""


def test_further_keywords_become_extras() -> None:
    item = make({**LEAST, "PatientAge": "034Y", "PatientReligiousPreference": ""})
    assert dict(item.extras) == {"PatientAge": "034Y"}
    sequence = {"ReferencedStudySequence": [{"ReferencedSOPInstanceUID": "1.2"}]}
    assert dict(make({**LEAST, **sequence}).extras) == sequence


def test_an_item_cannot_be_changed_in_place() -> None:
    item = make({**LEAST, "PatientAge": "034Y"})
    with pytest.raises(dataclasses.FrozenInstanceError):
        item.patient_id = "2"  # type: ignore[misc]
    with pytest.raises(TypeError):
        item.extras["PatientAge"] = "035Y"  # type: ignore[index]


def test_items_are_equal_and_hashable_by_what_they_say() -> None:
    one, other = make({**LEAST, "PatientAge": "034Y"}), make({**LEAST, "PatientAge": "034Y"})
    assert one == other
    assert hash(one) == hash(other)
    assert one != make({**LEAST, "PatientAge": "035Y"})


def test_making_an_item_of_its_own_fields_changes_nothing() -> None:
    item = booking(
        scheduled_station_ae_title=["MR1", "MR2"],
        patient_weight_kg="72.5",
        medical_alerts=["Pacemaker", "Claustrophobia"],
        pregnancy_status=4,
        patient_birth_date="1980-02-29",
        study_date=DAY,
        study_time="08:31:02.5",
        status="STARTED",
        PatientAge="034Y",
    )
    assert change_item(item, {}) == item


def test_values_of_an_attribute_leave_out_what_is_empty() -> None:
    item = booking(scheduled_station_ae_title="MR1\\MR2", pregnancy_status=1)
    assert item.values_of(BY_NAME["scheduled_station_ae_title"]) == ("MR1", "MR2")
    assert item.values_of(BY_NAME["pregnancy_status"]) == (1,)
    assert item.values_of(BY_NAME["accession_number"]) == ()
    assert item.values_of(BY_NAME["patient_birth_date"]) == ()
    assert all(isinstance(item.values_of(attribute), tuple) for attribute in FIELDS)


def test_a_change_keeps_identity_number_version_and_the_rest() -> None:
    item = dataclasses.replace(
        booking(accession_number="A1", PatientAge="034Y"), item_id=7, version=3
    )
    changed = change_item(item, {"start_time": "09:00", "AccessionNumber": "", "PatientAge": None})
    assert changed.scheduled_procedure_step_start_time == dt.time(9)
    assert changed.accession_number == ""
    assert dict(changed.extras) == {}
    assert (
        dataclasses.replace(
            changed,
            scheduled_procedure_step_start_time=item.scheduled_procedure_step_start_time,
            accession_number="A1",
            extras=item.extras,
        )
        == item
    )


def test_a_change_to_something_invalid_is_refused() -> None:
    for values in ({"patient_id": ""}, {"modality": "M-R"}, {"nonsense": "1"}):
        with pytest.raises(InvalidItem):
            change_item(booking(), values)


def test_emptied_identifiers_keep_their_values() -> None:
    item = booking(study_instance_uid="1.2.3", requested_procedure_id="R1", step_id="S1")
    empty = {"study_instance_uid": "", "requested_procedure_id": None, "step_id": ""}
    assert change_item(item, empty) == item


def test_a_change_of_the_weight_may_come_in_pounds() -> None:
    item = booking(patient_weight_kg=70)
    assert change_item(item, {"patient_weight_lb": "160"}).patient_weight_kg == Decimal("72.57")
    assert change_item(item, {"patient_weight_lb": ""}).patient_weight_kg is None
    both = change_item(item, {"patient_weight_lb": "160", "patient_weight_kg": "80"})
    assert both.patient_weight_kg == Decimal(80)


def test_a_change_of_the_protocol_may_come_by_its_published_name() -> None:
    coded = booking(protocol_name="BRAIN", hisris_coding_designator="99SITE")
    knee = change_item(coded, {"protocol_name": "KNEE"})
    assert knee.scheduled_protocol_codes == (Code("KNEE", "99SITE", "KNEE"),)
    assert knee.scheduled_procedure_step_description == "KNEE"
    moved = change_item(coded, {"hisris_coding_designator": "99NEW"})
    assert moved.scheduled_protocol_codes == (Code("BRAIN", "99NEW", "BRAIN"),)
    uncoded = change_item(booking(protocol_name="BRAIN"), {"protocol_name": "KNEE"})
    assert uncoded.scheduled_procedure_step_description == "KNEE"
    worded = booking(
        protocol_name="BRAIN", hisris_coding_designator="99SITE", step_description="Head, fast"
    )
    kept = change_item(worded, {"protocol_name": "KNEE"})
    assert kept.scheduled_procedure_step_description == "Head, fast"
    assert kept.scheduled_protocol_codes == (Code("KNEE", "99SITE", "KNEE"),)


def test_known_names_are_fields_and_published_names() -> None:
    assert set(known_names()) == set(BY_NAME) | {
        "patient_weight_lb",
        "protocol_name",
        "hisris_coding_designator",
    }


def test_repeating_what_published_names_show_changes_nothing() -> None:
    item = booking(
        patient_weight_kg="72.5",
        scheduled_protocol_codes=[{"value": "1", "scheme": "99X", "meaning": "Brain"}],
        step_description="Head",
    )
    shown = {
        "patient_weight_lb": "159.8",
        "protocol_name": "1",
        "hisris_coding_designator": "99X",
    }
    assert change_item(item, shown) == item


def test_an_item_has_so_many_attributes_beyond_the_model_and_no_more() -> None:
    with pytest.raises(InvalidItem) as refused:
        booking("1", **{f"Unknown{n}": "x" for n in range(MAX_EXTRAS + 1)})
    assert [problem.field for problem in refused.value.problems] == ["extras"]
    with pytest.raises(InvalidItem) as refused:
        booking("1", **{"Q" * 100_000: "x"})
    assert len(str(refused.value)) < 300
