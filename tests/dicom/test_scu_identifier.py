"""Request identifiers, as scanners build them."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset

from pylantir.dicom.scu import build_identifier
from pylantir.errors import InvalidQuery
from pylantir.worklist.attributes import MODEL, Level


def step_of(identifier: Dataset) -> Dataset:
    (step,) = identifier.ScheduledProcedureStepSequence
    return step


def test_every_attribute_of_the_model_is_asked_for_at_its_level() -> None:
    identifier = build_identifier({})
    step = step_of(identifier)
    for attribute in MODEL:
        place = step if attribute.level is Level.STEP else identifier
        assert place[attribute.tag].is_empty, attribute.keyword
    assert len(step) + len(identifier) == len(MODEL) + 2  # the sequence, the character set


def test_keys_of_the_scheduled_step_go_into_its_sequence() -> None:
    keys = {
        "ScheduledStationAETitle": "PRISMA",
        "Modality": "MR",
        "ScheduledProcedureStepStartDate": "20260301-20260307",
        "PatientName": "M?ller*",
    }
    identifier = build_identifier(keys, return_all=False)
    step = step_of(identifier)
    assert step.ScheduledStationAETitle == "PRISMA"
    assert step.Modality == "MR"
    assert step.ScheduledProcedureStepStartDate == "20260301-20260307"
    assert identifier.PatientName == "M?ller*"
    assert "Modality" not in identifier
    assert len(step) == 3


def test_only_the_keys_are_sent_when_only_they_are_asked_for() -> None:
    identifier = build_identifier({"PatientID": "P1"}, return_all=False, character_set=None)
    assert [element.keyword for element in identifier] == ["PatientID"]


def test_sequences_are_reached_with_a_dotted_path() -> None:
    identifier = build_identifier(
        {
            "RequestedProcedureCodeSequence.CodeValue": "MRBRAIN",
            "RequestedProcedureCodeSequence.CodingSchemeDesignator": "99SITE",
            "ScheduledProtocolCodeSequence.CodeValue": "T1",
            "ScheduledProcedureStepSequence.ScheduledProcedureStepID": "S1",
        }
    )
    (code,) = identifier.RequestedProcedureCodeSequence
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("MRBRAIN", "99SITE")
    step = step_of(identifier)
    assert step.ScheduledProtocolCodeSequence[0].CodeValue == "T1"
    assert step.ScheduledProcedureStepID == "S1"


def test_the_step_sequence_can_be_sent_without_items() -> None:
    identifier = build_identifier({"ScheduledProcedureStepSequence": ""})
    assert len(identifier.ScheduledProcedureStepSequence) == 0


def test_names_that_people_use_find_their_keyword() -> None:
    identifier = build_identifier({"patient_id": "P1", "station_ae_title": "MRI"})
    assert identifier.PatientID == "P1"
    assert step_of(identifier).ScheduledStationAETitle == "MRI"


def test_several_values_and_numbers_keep_their_kind() -> None:
    identifier = build_identifier(
        {"StudyInstanceUID": "1.2\\1.3", "PregnancyStatus": "4", "PatientWeight": "72.5"}
    )
    assert list(identifier.StudyInstanceUID) == ["1.2", "1.3"]
    assert identifier.PregnancyStatus == 4
    assert str(identifier.PatientWeight) == "72.5"


@pytest.mark.parametrize(
    ("character_set", "sent"),
    [
        ("ISO_IR 192", "ISO_IR 192"),
        ("\\ISO 2022 IR 87", ["", "ISO 2022 IR 87"]),
    ],
)
def test_the_character_set_of_the_keys_is_named(character_set: str, sent: object) -> None:
    assert build_identifier({}, character_set=character_set).SpecificCharacterSet == sent


def test_no_character_set_is_named_when_none_is_wanted() -> None:
    assert "SpecificCharacterSet" not in build_identifier({}, character_set=None)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("PatientNam", "X", r"PatientNam: expected a DICOM keyword \(did you mean PatientName\?\)"),
        ("patientssex", "X", "did you mean PatientSex"),
        ("Xyzzy", "X", "Xyzzy: expected a DICOM keyword, got 'X'"),
        ("PatientName.CodeValue", "X", "PatientName is none"),
        ("ScheduledProtocolCodeSequence", "X", "SEQUENCE.KEYWORD"),
        ("PregnancyStatus", "late", "expected a number"),
        ("PregnancyStatus", "70000", "expected between 0 and 65535"),
        ("PatientWeight", "heavy", "PatientWeight"),
        ("PixelData", "X", "expected a text, number or sequence attribute"),
    ],
)
def test_a_key_that_cannot_be_is_refused_by_name(key: str, value: str, said: str) -> None:
    with pytest.raises(InvalidQuery, match=said):
        build_identifier({key: value})


def test_all_impossible_keys_are_told_at_once() -> None:
    with pytest.raises(InvalidQuery) as caught:
        build_identifier({"PatientNam": "X", "Modalty": "MR", "PatientID": "P1"})
    assert [problem.field for problem in caught.value.problems] == ["PatientNam", "Modalty"]
