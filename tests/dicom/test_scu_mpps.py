"""The data sets of a performed step, as PS3.4 Table F.7.2-1 asks of the SCU."""

from __future__ import annotations

import datetime as dt
from io import BytesIO

import pytest
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pynetdicom.dsutils import decode, encode

from pylantir.dicom.scu import (
    DISCONTINUATION_REASONS,
    build_identifier,
    final_attributes,
    new_uid,
    step_attributes,
)
from pylantir.errors import InvalidItem

STARTED = dt.datetime(2026, 3, 4, 9, 5, 7)

TYPE_1 = (
    "PerformedProcedureStepID",
    "PerformedStationAETitle",
    "PerformedProcedureStepStartDate",
    "PerformedProcedureStepStartTime",
    "PerformedProcedureStepStatus",
    "Modality",
    "ScheduledStepAttributesSequence",
)
TYPE_2 = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "ReferencedPatientSequence",
    "PerformedStationName",
    "PerformedLocation",
    "PerformedProcedureStepDescription",
    "PerformedProcedureTypeDescription",
    "ProcedureCodeSequence",
    "PerformedProcedureStepEndDate",
    "PerformedProcedureStepEndTime",
    "StudyID",
    "PerformedProtocolCodeSequence",
    "PerformedSeriesSequence",
)
SCHEDULED_TYPE_2 = (
    "ReferencedStudySequence",
    "AccessionNumber",
    "RequestedProcedureID",
    "RequestedProcedureDescription",
    "ScheduledProcedureStepID",
    "ScheduledProcedureStepDescription",
    "ScheduledProtocolCodeSequence",
)


def item(character_set: str = "ISO_IR 100", name: str = "Müller^Zoé") -> Dataset:
    """A worklist response as it comes off the wire: bytes in its own character set."""
    ds = build_identifier(
        {
            "PatientName": name,
            "PatientID": "P1",
            "PatientBirthDate": "19870412",
            "PatientSex": "F",
            "StudyInstanceUID": "1.2.3",
            "AccessionNumber": "A1",
            "RequestedProcedureID": "RP1",
            "RequestedProcedureDescription": "MRI brain",
            "RequestedProcedureCodeSequence.CodeValue": "MRBRAIN",
            "RequestedProcedureCodeSequence.CodingSchemeDesignator": "99SITE",
            "RequestedProcedureCodeSequence.CodeMeaning": name.partition("=")[0],
            "ScheduledProcedureStepID": "S1",
            "ScheduledProcedureStepDescription": "Brain 3T",
            "ScheduledStationName": "PRISMA\\SKYRA",
            "ScheduledProcedureStepLocation": "ROOM 1",
            "ScheduledProtocolCodeSequence.CodeValue": "T1",
            "ScheduledProtocolCodeSequence.CodingSchemeDesignator": "99SITE",
            "Modality": "MR",
        },
        character_set=character_set,
    )
    encoded = encode(ds, is_implicit_vr=True, is_little_endian=True)
    assert encoded is not None
    return decode(BytesIO(encoded), is_implicit_vr=True, is_little_endian=True)


def test_every_type_1_and_type_2_attribute_is_there() -> None:
    for source in (item(), None):
        ds = step_attributes(source, station_ae_title="MRI_1", started=STARTED)
        for keyword in TYPE_1:
            assert not ds[keyword].is_empty, keyword
        for keyword in TYPE_2:
            assert keyword in ds, keyword
        (scheduled,) = ds.ScheduledStepAttributesSequence
        assert scheduled.StudyInstanceUID
        for keyword in SCHEDULED_TYPE_2:
            assert keyword in scheduled, keyword


def test_the_step_takes_over_patient_and_order_from_the_worklist() -> None:
    ds = step_attributes(item(), station_ae_title="MRI_1", started=STARTED)
    assert (str(ds.PatientName), ds.PatientID, ds.PatientBirthDate, ds.PatientSex) == (
        "Müller^Zoé",
        "P1",
        "19870412",
        "F",
    )
    (scheduled,) = ds.ScheduledStepAttributesSequence
    assert scheduled.StudyInstanceUID == "1.2.3"
    assert scheduled.AccessionNumber == "A1"
    assert scheduled.RequestedProcedureID == "RP1"
    assert scheduled.ScheduledProcedureStepID == "S1"
    assert scheduled.ScheduledProtocolCodeSequence[0].CodeValue == "T1"
    assert ds.PerformedProtocolCodeSequence[0].CodeValue == "T1"
    assert ds.ProcedureCodeSequence[0].CodeValue == "MRBRAIN"
    assert ds.PerformedStationName == "PRISMA"
    assert ds.PerformedLocation == "ROOM 1"
    assert ds.PerformedProcedureStepDescription == "Brain 3T"


def test_the_step_tells_when_and_where_it_is_performed() -> None:
    ds = step_attributes(item(), station_ae_title="MRI_1", started=STARTED, step_id="PPS7")
    assert ds.PerformedProcedureStepStatus == "IN PROGRESS"
    assert ds.PerformedStationAETitle == "MRI_1"
    assert ds.PerformedProcedureStepStartDate == "20260304"
    assert ds.PerformedProcedureStepStartTime == "090507"
    assert ds.PerformedProcedureStepID == "PPS7"


def test_a_step_id_is_made_that_fits_its_representation() -> None:
    ds = step_attributes(None, station_ae_title="MRI_1", started=STARTED)
    assert ds.PerformedProcedureStepID == "PPS260304090507"
    assert len(ds.PerformedProcedureStepID) <= 16


def test_optional_attributes_without_a_value_stay_away() -> None:
    ds = step_attributes(item(), station_ae_title="MRI_1", started=STARTED)
    assert "IssuerOfPatientID" not in ds
    assert "PlacerOrderNumberImagingServiceRequest" not in ds.ScheduledStepAttributesSequence[0]


def test_an_unscheduled_step_has_a_study_of_its_own_and_no_order() -> None:
    first, second = (
        step_attributes(None, station_ae_title="MRI_1", started=STARTED) for _ in range(2)
    )
    scheduled = first.ScheduledStepAttributesSequence[0]
    assert scheduled.StudyInstanceUID.startswith("2.25.")
    other = second.ScheduledStepAttributesSequence[0]
    assert scheduled.StudyInstanceUID != other.StudyInstanceUID
    assert scheduled["AccessionNumber"].is_empty
    assert first["PatientName"].is_empty


def test_an_unscheduled_step_can_name_its_study() -> None:
    ds = step_attributes(
        None, station_ae_title="MRI_1", started=STARTED, study_instance_uid="1.2.9", modality="CT"
    )
    assert ds.ScheduledStepAttributesSequence[0].StudyInstanceUID == "1.2.9"
    assert ds.Modality == "CT"


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        ("ISO_IR 100", "Müller^Zoé"),
        ("\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
    ],
)
def test_names_survive_the_change_to_the_steps_own_character_set(
    character_set: str, name: str
) -> None:
    ds = step_attributes(item(character_set, name), station_ae_title="MRI_1", started=STARTED)
    encoded = encode(ds, is_implicit_vr=False, is_little_endian=True)
    assert encoded is not None
    kept = read_dataset(BytesIO(encoded), False, True)
    assert kept.SpecificCharacterSet == "ISO_IR 192"
    assert str(kept.PatientName) == name
    assert kept.ProcedureCodeSequence[0].CodeMeaning == name.partition("=")[0]


def test_a_code_in_a_character_set_of_its_own_takes_the_steps() -> None:
    source = item()
    code = source.RequestedProcedureCodeSequence[0]
    code.SpecificCharacterSet = "ISO_IR 101"
    code.CodeMeaning = "Głowa"
    ds = step_attributes(source, station_ae_title="MRI_1", started=STARTED)
    assert "SpecificCharacterSet" not in ds.ProcedureCodeSequence[0]
    assert ds.ProcedureCodeSequence[0].CodeMeaning == "Głowa"


def test_a_finished_step_has_its_end_and_a_complete_series() -> None:
    ds = final_attributes("COMPLETED", STARTED, protocol_name="T1w", series_uids=["1.2.4", "1.2.5"])
    assert ds.PerformedProcedureStepStatus == "COMPLETED"
    assert ds.PerformedProcedureStepEndDate == "20260304"
    assert ds.PerformedProcedureStepEndTime == "090507"
    assert [s.SeriesInstanceUID for s in ds.PerformedSeriesSequence] == ["1.2.4", "1.2.5"]
    for series in ds.PerformedSeriesSequence:
        assert series.ProtocolName == "T1w"
        for keyword in (
            "PerformingPhysicianName",
            "OperatorsName",
            "SeriesDescription",
            "RetrieveAETitle",
            "ReferencedImageSequence",
            "ReferencedNonImageCompositeSOPInstanceSequence",
        ):
            assert series[keyword].is_empty
    assert "PerformedProcedureStepDiscontinuationReasonCodeSequence" not in ds


def test_the_final_state_never_lacks_a_series() -> None:
    (series,) = final_attributes("COMPLETED", STARTED, protocol_name="T1w").PerformedSeriesSequence
    assert series.SeriesInstanceUID.startswith("2.25.")


@pytest.mark.parametrize("reason", DISCONTINUATION_REASONS)
def test_a_discontinued_step_names_its_reason(reason: str) -> None:
    ds = final_attributes("DISCONTINUED", STARTED, protocol_name="T1w", reason=reason)
    (code,) = ds.PerformedProcedureStepDiscontinuationReasonCodeSequence
    assert code.CodeValue == reason
    assert code.CodingSchemeDesignator == "DCM"
    assert code.CodeMeaning == DISCONTINUATION_REASONS[reason]


def test_the_reasons_are_those_of_the_standard() -> None:
    from pydicom.sr.codedict import codes

    group = codes.cid9301
    known = [getattr(group, name) for name in group.dir()]
    standard = {code.value: code.meaning for code in known if code.scheme_designator == "DCM"}
    assert standard == DISCONTINUATION_REASONS


def test_the_reason_can_be_updated_because_the_step_was_created_with_it() -> None:
    created = step_attributes(None, station_ae_title="MRI_1", started=STARTED)
    ended = final_attributes("DISCONTINUED", STARTED, protocol_name="T1w", reason="110514")
    assert {element.tag for element in ended} <= {element.tag for element in created}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"status": "DISCONTINUED", "reason": "110599"}, "between 110500 and 110516.*'110599'"),
        ({"status": "COMPLETED", "reason": "110501"}, "only for a DISCONTINUED step"),
        ({"protocol_name": ""}, "ProtocolName: expected a name"),
        ({"protocol_name": "T" * 65}, "ProtocolName: expected at most 64 characters"),
    ],
)
def test_an_ending_that_breaks_the_rules_is_refused(settings: dict[str, str], said: str) -> None:
    given = {"status": "COMPLETED", "protocol_name": "T1w", "reason": None, **settings}
    status = given.pop("status")
    with pytest.raises(InvalidItem, match=said):
        final_attributes(status, STARTED, **given)  # type: ignore[arg-type]


def test_uids_are_made_under_2_25_and_never_twice() -> None:
    made = {new_uid() for _ in range(100)}
    assert len(made) == 100
    assert all(uid.startswith("2.25.") and len(uid) <= 64 for uid in made)
