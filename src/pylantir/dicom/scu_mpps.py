"""What a scanner reports: the attributes of N-CREATE and of the final N-SET (PS3.4 F.7.2, F.8).

The data sets name ISO_IR 192 as their character set: one set must serve the whole step
(F.7.2.2.3), and this one holds every name a worklist can answer.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any, Literal

from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from pylantir import clock
from pylantir.dicom.scu_identifier import STEP_SEQUENCE, element, sequence
from pylantir.errors import InvalidItem, ValueProblem
from pylantir.worklist import values

# fmt: off
DISCONTINUATION_REASONS = {
    # PS3.16 CID 9301, the DCM codes
    "110500": "Doctor canceled procedure",
    "110501": "Equipment failure",
    "110502": "Incorrect procedure ordered",
    "110503": "Patient allergic to media/contrast",
    "110504": "Patient died",
    "110505": "Patient refused to continue procedure",
    "110506": "Patient taken for treatment or surgery",
    "110507": "Patient did not arrive",
    "110508": "Patient pregnant",
    "110509": "Change of procedure for correct charging",
    "110510": "Duplicate order",
    "110511": "Nursing unit cancel",
    "110512": "Incorrect side ordered",
    "110513": "Discontinued for unspecified reason",
    "110514": "Incorrect worklist entry selected",
    "110515": "Patient condition prevented continuing",
    "110516": "Equipment change",
}

_FROM_PROCEDURE, _FROM_STEP = "requested procedure", "scheduled procedure step"

# Scheduled Step Attributes Sequence: keyword, where the worklist item has it, type (SCU).
_SCHEDULED: tuple[tuple[str, str, str], ...] = (
    ("StudyInstanceUID", _FROM_PROCEDURE, "1"),
    ("ReferencedStudySequence", _FROM_PROCEDURE, "2"),
    ("AccessionNumber", _FROM_PROCEDURE, "2"),
    ("IssuerOfAccessionNumberSequence", _FROM_PROCEDURE, "3"),
    ("PlacerOrderNumberImagingServiceRequest", _FROM_PROCEDURE, "3"),
    ("FillerOrderNumberImagingServiceRequest", _FROM_PROCEDURE, "3"),
    ("RequestedProcedureID", _FROM_PROCEDURE, "2"),
    ("RequestedProcedureDescription", _FROM_PROCEDURE, "2"),
    ("RequestedProcedureCodeSequence", _FROM_PROCEDURE, "3"),
    ("ScheduledProcedureStepID", _FROM_STEP, "2"),
    ("ScheduledProcedureStepDescription", _FROM_STEP, "2"),
    ("ScheduledProtocolCodeSequence", _FROM_STEP, "2"),
)
_PATIENT: tuple[tuple[str, str], ...] = (
    ("PatientName", "2"),
    ("PatientID", "2"),
    ("IssuerOfPatientID", "3"),
    ("OtherPatientIDsSequence", "3"),
    ("PatientBirthDate", "2"),
    ("PatientSex", "2"),
    ("ReferencedPatientSequence", "2"),
    ("AdmissionID", "3"),
    ("ServiceEpisodeID", "3"),
)
# Performed attributes that a scanner takes over from the item: target, source, where.
_TAKEN_OVER: tuple[tuple[str, str, str], ...] = (
    ("PerformedStationName", "ScheduledStationName", _FROM_STEP),
    ("PerformedLocation", "ScheduledProcedureStepLocation", _FROM_STEP),
    ("PerformedProcedureStepDescription", "ScheduledProcedureStepDescription", _FROM_STEP),
    ("PerformedProtocolCodeSequence", "ScheduledProtocolCodeSequence", _FROM_STEP),
    ("ProcedureCodeSequence", "RequestedProcedureCodeSequence", _FROM_PROCEDURE),
    ("StudyID", "RequestedProcedureID", _FROM_PROCEDURE),
)
# Present from the beginning and empty; an N-SET may only update what N-CREATE brought.
_EMPTY_AT_FIRST = (
    "PerformedProcedureTypeDescription",
    "PerformedProcedureStepEndDate",
    "PerformedProcedureStepEndTime",
    "PerformedProcedureStepDiscontinuationReasonCodeSequence",
    "PerformedSeriesSequence",
)
_EMPTY_IN_SERIES = (
    "PerformingPhysicianName",
    "OperatorsName",
    "SeriesDescription",
    "RetrieveAETitle",
    "ReferencedImageSequence",
    "ReferencedNonImageCompositeSOPInstanceSequence",
)
# fmt: on

_ONE_CHARACTER_SET = "ISO_IR 192"
FinalStatus = Literal["COMPLETED", "DISCONTINUED"]


def new_uid() -> str:
    """A UID nobody else has: ``2.25.`` and the decimal form of a random UUID (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid4().int}"


def step_attributes(
    item: Dataset | None,
    *,
    station_ae_title: str,
    started: dt.datetime,
    step_id: str | None = None,
    study_instance_uid: str | None = None,
    modality: str = "MR",
) -> Dataset:
    """The attribute list of N-CREATE: every type 1 and type 2 attribute of PS3.4 Table F.7.2-1.

    Parameters
    ----------
    item : Dataset, optional
        A worklist response; nothing for an unscheduled step, whose patient and order are empty.
    station_ae_title : str
        AE title of the performing station.
    started : datetime
        Wall-clock time of the scanner room.
    step_id : str, optional
        Performed Procedure Step ID, 1 to 16 characters; made from the start when absent.
    study_instance_uid : str, optional
        For an unscheduled step; a new one when absent.
    modality : str
        Used where the item names none.
    """
    procedure = item if item is not None else Dataset()
    step = _first_item(procedure, STEP_SEQUENCE)
    sources = {_FROM_PROCEDURE: procedure, _FROM_STEP: step}
    scheduled = Dataset()
    for keyword, level, kind in _SCHEDULED:
        _take_over(scheduled, keyword, sources[level], keyword, kind)
    if not scheduled.get("StudyInstanceUID"):
        scheduled.add(element("StudyInstanceUID", study_instance_uid or new_uid()))
    ds = Dataset()
    ds.add(element("SpecificCharacterSet", _ONE_CHARACTER_SET))
    ds.add(sequence("ScheduledStepAttributesSequence", [scheduled]))
    for keyword, kind in _PATIENT:
        _take_over(ds, keyword, procedure, keyword, kind)
    for keyword, source, level in _TAKEN_OVER:
        _take_over(ds, keyword, sources[level], source, "2")
    if not ds.PerformedProcedureStepDescription:
        _take_over(
            ds, "PerformedProcedureStepDescription", procedure, "RequestedProcedureDescription", "2"
        )
    for keyword in _EMPTY_AT_FIRST:
        ds.add(element(keyword))
    _take_over(ds, "Modality", step, "Modality", "2")
    if not ds.Modality:
        ds.add(element("Modality", modality))
    ds.add(element("PerformedProcedureStepID", step_id or f"PPS{started:%y%m%d%H%M%S}"))
    ds.add(element("PerformedStationAETitle", station_ae_title))
    ds.add(element("PerformedProcedureStepStartDate", clock.as_da(started.date())))
    ds.add(element("PerformedProcedureStepStartTime", clock.as_tm(started.time())))
    ds.add(element("PerformedProcedureStepStatus", "IN PROGRESS"))
    return ds


def final_attributes(
    status: FinalStatus,
    ended: dt.datetime,
    *,
    protocol_name: str,
    series_uids: Sequence[str] = (),
    reason: str | None = None,
) -> Dataset:
    """The modification list of the N-SET that ends a step (final state of Table F.7.2-1).

    Parameters
    ----------
    status : str
        ``COMPLETED`` or ``DISCONTINUED``.
    ended : datetime
        Wall-clock time of the scanner room.
    protocol_name : str
        Protocol Name of every series, 1 to 64 characters.
    series_uids : sequence of str
        Series Instance UIDs; one new series when there are none, as the final state needs one.
    reason : str, optional
        Why it was discontinued: one of :data:`DISCONTINUATION_REASONS`.

    Raises
    ------
    InvalidItem
        Unknown reason, a reason for a completed step, or no protocol name.
    """
    problems = list(_final_problems(status, protocol_name, reason))
    if problems:
        raise InvalidItem(problems)
    ds = Dataset()
    ds.add(element("SpecificCharacterSet", _ONE_CHARACTER_SET))
    ds.add(element("PerformedProcedureStepStatus", status))
    ds.add(element("PerformedProcedureStepEndDate", clock.as_da(ended.date())))
    ds.add(element("PerformedProcedureStepEndTime", clock.as_tm(ended.time())))
    series = [_series(uid, protocol_name) for uid in series_uids or (new_uid(),)]
    ds.add(sequence("PerformedSeriesSequence", series))
    if reason is not None:
        code = [_reason_code(reason)]
        ds.add(sequence("PerformedProcedureStepDiscontinuationReasonCodeSequence", code))
    return ds


def _final_problems(status: str, protocol_name: str, reason: str | None) -> list[ValueProblem]:
    problems = []
    if reason is not None and reason not in DISCONTINUATION_REASONS:
        expected = "expected a code between 110500 and 110516 (PS3.16 CID 9301)"
        problems.append(ValueProblem("reason", reason, expected))
    if reason is not None and status != "DISCONTINUED":
        problems.append(ValueProblem("reason", reason, "expected only for a DISCONTINUED step"))
    try:
        if not values.text(protocol_name, "LO"):
            problems.append(ValueProblem("ProtocolName", "", "expected a name (type 1)"))
    except ValueError as error:
        problems.append(ValueProblem("ProtocolName", protocol_name, str(error)))
    return problems


def _series(uid: str, protocol_name: str) -> Dataset:
    series = Dataset()
    series.add(element("SeriesInstanceUID", uid))
    series.add(element("ProtocolName", protocol_name))
    for keyword in _EMPTY_IN_SERIES:
        series.add(element(keyword))
    return series


def _reason_code(code: str) -> Dataset:
    ds = Dataset()
    ds.add(element("CodeValue", code))
    ds.add(element("CodingSchemeDesignator", "DCM"))
    ds.add(element("CodeMeaning", DISCONTINUATION_REASONS[code]))
    return ds


def _first_item(ds: Dataset, keyword: str) -> Dataset:
    items = ds.get(keyword)
    return items[0] if items else Dataset()


def _take_over(target: Dataset, keyword: str, source: Dataset, named: str, kind: str) -> None:
    """Copy an attribute under its own or another keyword; type 2 is empty where there is none."""
    if named not in source or source[named].is_empty:
        if kind != "3":
            target.add(element(keyword))
        return
    empty = element(keyword)
    target.add(_element(empty.tag, empty.VR, source[named].value, single=keyword != named))


def _element(tag: Any, vr: str, value: Any, *, single: bool = False) -> DataElement:
    if vr == "SQ":
        return DataElement(tag, vr, [_copied(item) for item in value])
    if single and isinstance(value, MultiValue):
        value = value[0]
    return DataElement(tag, vr, value, validation_mode=config.IGNORE)


def _copied(item: Dataset) -> Dataset:
    copy = Dataset()
    for e in item:
        # The step has one character set, whatever the item was written in.
        if e.keyword != "SpecificCharacterSet":
            copy.add(_element(e.tag, e.VR, e.value))
    return copy
