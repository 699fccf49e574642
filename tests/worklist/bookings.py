"""Invented bookings and performed steps for the tests of the worklist."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import replace
from typing import Any

from pylantir.worklist.item import WorklistItem, make_item
from pylantir.worklist.status import StepStatus
from pylantir.worklist.step import LinkedStep, PerformedProcedureStep, ScheduledStepReference
from pylantir.worklist.steps import StepStore
from pylantir.worklist.store import ItemStore
from pylantir.worklist.values import Code

DAY = dt.date(2025, 7, 7)
NOW = dt.datetime(2025, 7, 7, 12, tzinfo=dt.UTC)
WRONG_ENTRY = Code("110514", "DCM", "Incorrect worklist entry selected")
EQUIPMENT = Code("110501", "DCM", "Equipment failure")
NOON = dt.datetime(2025, 7, 7, 12)


def booking(record: str = "1", /, *, source: str = "test", **values: Any) -> WorklistItem:
    """An item with everything required; name what matters to the test."""
    return make_item(
        {
            "patient_name": "Doe^Jane",
            "patient_id": f"PID-{record}",
            "modality": "MR",
            "scheduled_station_ae_title": "MR1",
            "scheduled_procedure_step_start_date": DAY,
            "scheduled_procedure_step_start_time": "08:30",
            **values,
        },
        data_source=source,
        source_record_id=record,
    )


def reference(item: WorklistItem | None = None, **values: Any) -> ScheduledStepReference:
    """What a scanner says about the entry it picked; nothing when unscheduled."""
    if item is not None:
        values = {
            "study_instance_uid": item.study_instance_uid,
            "accession_number": item.accession_number,
            "requested_procedure_id": item.requested_procedure_id,
            "scheduled_procedure_step_id": item.scheduled_procedure_step_id,
            **values,
        }
    return ScheduledStepReference(**values)


def performed(*references: ScheduledStepReference, **values: Any) -> PerformedProcedureStep:
    """A step that begins; unscheduled unless it has references."""
    references = references or (ScheduledStepReference(),)
    return PerformedProcedureStep(
        **{
            "sop_instance_uid": f"2.25.{uuid.uuid4().int}",
            "status": StepStatus.IN_PROGRESS,
            "performed_procedure_step_id": "PPS1",
            "performed_station_ae_title": "MR1",
            "calling_ae_title": "MR1",
            "modality": "MR",
            "patient_id": "",
            "patient_name": "",
            "started": dt.datetime(2025, 7, 7, 8, 35),
            "references": references,
            "attributes": scheduled_step_attributes(*references),
            **values,
        }
    )


def begun(
    item: WorklistItem, started: dt.datetime | None = None, **values: Any
) -> PerformedProcedureStep:
    """A step of one item that a scanner has just begun, when it was booked for unless told."""
    about = {
        "sop_instance_uid": f"2.25.{item.item_id}",
        "patient_id": item.patient_id,
        "patient_name": item.patient_name,
        "started": started or item.start,
    }
    return performed(reference(item), **{**about, **values})


def scheduled_step_attributes(*references: ScheduledStepReference) -> dict[str, Any]:
    """A data set in DICOM JSON with its Scheduled Step Attributes Sequence (0040,0270)."""
    return {"00400270": {"vr": "SQ", "Value": [_reference_item(r) for r in references]}}


def _reference_item(reference: ScheduledStepReference) -> dict[str, Any]:
    item: dict[str, Any] = {
        tag: {"vr": vr, "Value": [value]}
        for tag, vr, value in (
            ("0020000D", "UI", reference.study_instance_uid),
            ("00080050", "SH", reference.accession_number),
            ("00401001", "SH", reference.requested_procedure_id),
            ("00400009", "SH", reference.scheduled_procedure_step_id),
        )
        if value
    }
    if reference.referenced_study_uids:
        item["00081110"] = {
            "vr": "SQ",
            "Value": [
                {"00081155": {"vr": "UI", "Value": [uid]}}
                for uid in reference.referenced_study_uids
            ],
        }
    return item


def begin(steps: StepStore, *items: WorklistItem, **values: Any) -> str:
    """A step on these items; returns its SOP Instance UID."""
    step = performed(*(reference(item) for item in items), **values)
    return steps.create(step).step.sop_instance_uid


def end(
    steps: StepStore, uid: str, status: str = "COMPLETED", reason: Code | None = None
) -> LinkedStep:
    """Close a step."""
    return steps.update(
        uid,
        lambda step: replace(
            step, status=StepStatus(status), ended=NOON, discontinuation_reason=reason
        ),
    )


def status(items: ItemStore, item: WorklistItem) -> str:
    """Its status as it is stored now."""
    return items.get(item.item_id or 0).status
