"""The attribute table agrees with the DICOM dictionary, the item and the database."""

from __future__ import annotations

import dataclasses

import pytest
from pydicom.datadict import dictionary_VM, dictionary_VR, keyword_for_tag, tag_for_keyword

from pylantir.worklist import attributes
from pylantir.worklist.attributes import BY_NAME, FIELDS, MODEL, Attribute, Level, attribute_named
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.tables import worklist_items
from pylantir.worklist.values import Code

EACH = pytest.mark.parametrize("attribute", MODEL, ids=[a.keyword for a in MODEL])

REQUIRED_KEYS = {
    "ScheduledStationAETitle",
    "ScheduledProcedureStepStartDate",
    "ScheduledProcedureStepStartTime",
    "Modality",
    "ScheduledPerformingPhysicianName",
    "PatientName",
    "PatientID",
}
"""Table K.6-1; the eighth is the sequence itself."""

TYPE_1 = {
    "ScheduledStationAETitle",
    "ScheduledProcedureStepStartDate",
    "ScheduledProcedureStepStartTime",
    "Modality",
    "ScheduledProcedureStepID",
    "RequestedProcedureID",
    "StudyInstanceUID",
    "PatientName",
    "PatientID",
}
TYPE_1C = {
    "ScheduledProcedureStepDescription",
    "ScheduledProtocolCodeSequence",
    "RequestedProcedureDescription",
    "RequestedProcedureCodeSequence",
}
TYPE_2 = {
    "ScheduledPerformingPhysicianName",
    "ScheduledStationName",
    "ScheduledProcedureStepLocation",
    "ReferencedStudySequence",
    "RequestedProcedurePriority",
    "PatientTransportArrangements",
    "AccessionNumber",
    "ReferringPhysicianName",
    "RequestingPhysician",
    "AdmissionID",
    "CurrentPatientLocation",
    "ReferencedPatientSequence",
    "PatientBirthDate",
    "PatientSex",
    "PatientWeight",
    "ConfidentialityConstraintOnPatientDataDescription",
    "PatientState",
    "SpecialNeeds",
    "PregnancyStatus",
    "MedicalAlerts",
    "Allergies",
}
TYPE_2C = {"PreMedication", "RequestedContrastAgent"}

PUBLISHED_COLUMNS = {
    "study_instance_uid": "StudyInstanceUID",
    "patient_name": "PatientName",
    "patient_id": "PatientID",
    "patient_birth_date": "PatientBirthDate",
    "patient_sex": "PatientSex",
    "accession_number": "AccessionNumber",
    "referring_physician_name": "ReferringPhysicianName",
    "modality": "Modality",
    "study_description": "StudyDescription",
    "scheduled_station_aetitle": "ScheduledStationAETitle",
    "scheduled_start_date": "ScheduledProcedureStepStartDate",
    "scheduled_start_time": "ScheduledProcedureStepStartTime",
    "performing_physician": "ScheduledPerformingPhysicianName",
    "procedure_description": "RequestedProcedureDescription",
    "station_name": "ScheduledStationName",
    "performed_procedure_step_status": "ScheduledProcedureStepStatus",
}
"""What the published release sends to a scanner from each column that it sends as it is."""


@EACH
def test_tag_keyword_and_vr_are_those_of_the_dictionary(attribute: Attribute) -> None:
    assert tag_for_keyword(attribute.keyword) == attribute.tag
    assert keyword_for_tag(attribute.tag) == attribute.keyword
    assert dictionary_VR(attribute.tag) == attribute.vr


@EACH
def test_multiplicity_is_that_of_the_dictionary(attribute: Attribute) -> None:
    if not attribute.is_sequence:
        assert attribute.multiple == (dictionary_VM(attribute.tag) != "1")


@EACH
def test_key_types_are_those_of_the_standard(attribute: Attribute) -> None:
    assert attribute.matching in ("R", "O", "-")
    assert (attribute.matching == "R") == (attribute.keyword in REQUIRED_KEYS)
    assert (attribute.return_type == "1") == (attribute.keyword in TYPE_1)
    assert (attribute.return_type == "1C") == (attribute.keyword in TYPE_1C)
    assert (attribute.return_type == "2") == (attribute.keyword in TYPE_2)
    assert (attribute.return_type == "2C") == (attribute.keyword in TYPE_2C)
    assert attribute.return_type in ("1", "1C", "2", "2C", "3")


@EACH
def test_what_has_no_field_is_a_sequence_that_is_never_matched(attribute: Attribute) -> None:
    if not attribute.name:
        assert attribute.is_sequence
        assert attribute.matching == "-"


def test_no_attribute_that_must_be_answered_is_missing() -> None:
    keywords = {a.keyword for a in MODEL}
    assert keywords >= REQUIRED_KEYS | TYPE_1 | TYPE_1C | TYPE_2 | TYPE_2C
    assert len(keywords) == len(MODEL)


def test_the_attributes_of_the_step_stand_in_its_sequence() -> None:
    keywords = {a.keyword for a in MODEL if a.level is Level.STEP}
    assert keywords == {k for k in keywords if "Scheduled" in k and "ScheduledSpec" not in k} | {
        "Modality",
        "PreMedication",
        "RequestedContrastAgent",
    }
    assert tag_for_keyword("ScheduledProcedureStepSequence") == attributes.STEP_SEQUENCE_TAG


def test_the_fields_of_an_item_are_the_rows_of_the_table_in_its_order() -> None:
    names = [field.name for field in dataclasses.fields(WorklistItem)]
    beyond = ["extras", "data_source", "source_record_id", "item_id", "version"]
    assert names == [a.name for a in FIELDS] + beyond


def test_each_attribute_has_its_column() -> None:
    columns = [column.name for column in worklist_items.columns]
    assert columns[1 : len(FIELDS) + 1] == [a.column for a in FIELDS]
    assert len(set(columns)) == len(columns)


def test_the_fields_of_a_code_are_those_of_its_keys() -> None:
    assert {keyword_for_tag(tag): name for tag, name in attributes.CODE_KEYS.items()} == {
        "CodeValue": "value",
        "CodingSchemeDesignator": "scheme",
        "CodingSchemeVersion": "version",
        "CodeMeaning": "meaning",
    }
    assert {f.name for f in dataclasses.fields(Code)} == set(attributes.CODE_KEYS.values())


@pytest.mark.parametrize(("column", "keyword"), PUBLISHED_COLUMNS.items())
def test_the_columns_of_the_published_release_keep_their_meaning(column: str, keyword: str) -> None:
    attribute = attribute_named(column)
    assert attribute is not None
    assert (attribute.keyword, attribute.column) == (keyword, column)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("scheduled_station_ae_title", "scheduled_station_ae_title"),
        ("ScheduledStationAETitle", "scheduled_station_ae_title"),
        ("scheduledstationaetitle", "scheduled_station_ae_title"),
        ("station_aet", "scheduled_station_ae_title"),
        ("Start Date", "scheduled_procedure_step_start_date"),
        ("start-time", "scheduled_procedure_step_start_time"),
        (" Accession ", "accession_number"),
        ("PatientWeight", "patient_weight_kg"),
        ("PatientName", "patient_name"),
    ],
)
def test_people_may_spell_a_name_their_way(name: str, field: str) -> None:
    assert attribute_named(name) is BY_NAME[field]


@pytest.mark.parametrize("name", ["", "patient", "ReferencedStudySequence", "patient_weight_lb"])
def test_what_is_no_single_attribute_has_no_row(name: str) -> None:
    assert attribute_named(name) is None


def test_no_spelling_means_two_attributes() -> None:
    for attribute in FIELDS:
        for name in (attribute.name, attribute.keyword, attribute.column, *attribute.alias):
            assert attribute_named(name) is attribute
