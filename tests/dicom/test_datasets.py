"""Items as data sets, and data sets as values for items (PS3.4 K.4.1.1.3.2)."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from pydicom.dataset import Dataset
from tests.dicom.modality import encode
from tests.worklist.bookings import booking

from pylantir.dicom.charsets import UTF_8
from pylantir.dicom.datasets import (
    item_data_set,
    response_identifier,
    texts_of,
)
from pylantir.dicom.identifiers import Asked
from pylantir.dicom.worklist_files import read_worklist_file
from pylantir.worklist.attributes import BY_KEYWORD, FIELDS, MODEL, Level
from pylantir.worklist.item import make_item
from pylantir.worklist.values import Code

FULL: dict[str, Any] = {
    "patient_name": "Müller^Zoë=山田^太郎",
    "patient_birth_date": "1970-01-31",
    "patient_sex": "F",
    "patient_weight_kg": "72.5",
    "patient_size_m": "1.72",
    "pregnancy_status": 2,
    "allergies": "latex\\nuts",
    "accession_number": "A1",
    "study_date": "2025-07-07",
    "study_time": "08:31:02.5",
    "status": "IN_PROGRESS",
    "scheduled_station_ae_title": "MR1\\MR2",
    "scheduled_protocol_codes": [{"value": "T1", "scheme": "L", "meaning": "T1", "version": "2"}],
    "requested_procedure_codes": [{"value": "B", "scheme": "L"}],
    "patient_comments": "first line\r\nsecond line",
    "OtherPatientIDsSequence": [{"PatientID": "X1", "IssuerOfPatientID": "Elsewhere"}],
    "BodyPartExamined": "HEAD",
}


def asked(*names: str) -> tuple[Asked, ...]:
    """Return keys at the root."""
    return tuple(Asked(BY_KEYWORD[n].tag, n, BY_KEYWORD[n]) for n in names)


@pytest.mark.parametrize("values", [{}, FULL], ids=["required only", "full"])
def test_an_item_survives_being_written_and_read(values: dict[str, Any]) -> None:
    item = booking("1", **values)
    (record,) = read_worklist_file(encode(item_data_set(item))).records
    made = make_item(
        record.values, data_source=item.data_source, source_record_id=item.source_record_id
    )
    assert made == item
    assert dict(made.extras) == dict(item.extras)


def test_a_whole_item_has_every_attribute_of_the_model() -> None:
    ds = item_data_set(booking("1"))
    (step,) = ds.ScheduledProcedureStepSequence
    for attribute in MODEL:
        assert attribute.tag in (step if attribute.level is Level.STEP else ds), attribute.keyword


def test_an_attribute_is_written_in_its_own_representation() -> None:
    ds = item_data_set(booking("1", **FULL))
    (step,) = ds.ScheduledProcedureStepSequence
    for attribute in FIELDS:
        level = step if attribute.level is Level.STEP else ds
        assert attribute.vr == level[attribute.tag].VR


@pytest.mark.parametrize(
    ("values", "keyword", "expected"),
    [
        ({"study_date": dt.date(2025, 7, 7)}, "StudyDate", "20250707"),
        ({"study_time": dt.time(8, 31)}, "StudyTime", "083100"),
        ({"study_time": dt.time(8, 31, 2, 500_000)}, "StudyTime", "083102.500000"),
        ({"patient_weight_kg": "72.50"}, "PatientWeight", "72.5"),
        ({"patient_weight_kg": "72"}, "PatientWeight", "72"),
        ({"pregnancy_status": 3}, "PregnancyStatus", 3),
        ({"allergies": "latex\\nuts"}, "Allergies", ["latex", "nuts"]),
        ({}, "PregnancyStatus", None),
        ({}, "Allergies", ""),
        ({}, "ReferencedStudySequence", []),
    ],
)
def test_values_stand_in_the_forms_of_the_standard(
    values: dict[str, Any], keyword: str, expected: Any
) -> None:
    value = response_identifier(booking("1", **values), asked(keyword))[keyword].value
    if isinstance(expected, list):
        assert list(value) == expected
    else:
        assert value is None if expected is None else str(value) == str(expected)


def test_a_status_is_told_in_the_words_of_the_standard() -> None:
    (step,) = item_data_set(booking("1", status="IN_PROGRESS")).ScheduledProcedureStepSequence
    assert step.ScheduledProcedureStepStatus == "STARTED"


def test_a_code_without_version_does_not_name_one() -> None:
    item = booking("1", requested_procedure_codes=(Code("T1", "L"),))
    (code,) = response_identifier(item, asked("RequestedProcedureCodeSequence"))[0x00321064].value
    assert [element.keyword for element in code] == [
        "CodeValue",
        "CodingSchemeDesignator",
        "CodeMeaning",
    ]


def test_the_character_set_is_named_only_where_it_is_needed() -> None:
    keys = asked("PatientName", "PatientID")
    assert "SpecificCharacterSet" not in response_identifier(booking("1"), keys)
    german = booking("1", patient_name="Müller")
    assert response_identifier(german, keys).SpecificCharacterSet == "ISO_IR 192"
    latin = response_identifier(german, keys, character_set=("ISO_IR 100",))
    assert latin.SpecificCharacterSet == "ISO_IR 100"
    preferred = response_identifier(german, keys, character_set=UTF_8, preferred=("ISO_IR 100",))
    assert preferred.SpecificCharacterSet == "ISO_IR 100"


def test_several_terms_of_a_character_set_are_several_values() -> None:
    item = booking("1", patient_name="山田")
    ds = response_identifier(item, asked("PatientName"), character_set=("", "ISO 2022 IR 87"))
    assert list(ds.SpecificCharacterSet) == ["", "ISO 2022 IR 87"]


def test_every_text_counts_for_the_character_set() -> None:
    inner, ds = Dataset(), Dataset()
    inner.CodeMeaning = "deep"
    ds.RequestedProcedureCodeSequence = [inner]
    ds.PatientName, ds.PatientID, ds.Allergies = "name", "id", ["one", "two"]
    ds.Modality, ds.StudyDate, ds.PatientComments = "MR", "20250707", ""
    assert sorted(texts_of(ds)) == ["deep", "id", "name", "one", "two"]
