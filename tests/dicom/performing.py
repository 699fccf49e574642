"""What scanners send about performed procedure steps: complete data sets of PS3.4 Table F.7.2-1."""

from __future__ import annotations

import uuid
from typing import Any

from pydicom.dataset import Dataset

from pylantir.worklist.item import WorklistItem


def new_uid() -> str:
    return f"2.25.{uuid.uuid4().int}"


def scheduled(item: WorklistItem | None = None, **changes: Any) -> Dataset:
    """One item of the Scheduled Step Attributes Sequence; unscheduled without a booking."""
    ds = Dataset()
    ds.StudyInstanceUID = item.study_instance_uid if item else new_uid()
    ds.ReferencedStudySequence = []
    ds.AccessionNumber = item.accession_number if item else ""
    ds.RequestedProcedureID = item.requested_procedure_id if item else ""
    ds.RequestedProcedureDescription = item.requested_procedure_description if item else ""
    ds.ScheduledProcedureStepID = item.scheduled_procedure_step_id if item else ""
    ds.ScheduledProcedureStepDescription = ""
    ds.ScheduledProtocolCodeSequence = []
    return changed(ds, changes)


def begun(*references: Dataset, **changes: Any) -> Dataset:
    """The attribute list of an N-CREATE; a change to ``None`` leaves the attribute out."""
    ds = Dataset()
    ds.ScheduledStepAttributesSequence = list(references) or [scheduled()]
    ds.PatientName = ds.PatientID = ds.PatientBirthDate = ds.PatientSex = ""
    ds.ReferencedPatientSequence = []
    ds.PerformedProcedureStepID = "PPS1"
    ds.PerformedStationAETitle = "MR1"
    ds.PerformedStationName = ds.PerformedLocation = ""
    ds.PerformedProcedureStepStartDate = "20250707"
    ds.PerformedProcedureStepStartTime = "083512"
    ds.PerformedProcedureStepStatus = "IN PROGRESS"
    ds.PerformedProcedureStepDescription = "Brain"
    ds.PerformedProcedureTypeDescription = ""
    ds.ProcedureCodeSequence = []
    ds.PerformedProcedureStepEndDate = ds.PerformedProcedureStepEndTime = ""
    ds.Modality = "MR"
    ds.StudyID = "1"
    ds.PerformedProtocolCodeSequence = []
    ds.PerformedSeriesSequence = []
    return changed(ds, changes)


def series(**changes: Any) -> Dataset:
    """One item of the Performed Series Sequence."""
    image = Dataset()
    image.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    image.ReferencedSOPInstanceUID = new_uid()
    ds = Dataset()
    ds.SeriesInstanceUID = new_uid()
    ds.ProtocolName = "t1_mprage"
    ds.PerformingPhysicianName = ds.OperatorsName = ds.SeriesDescription = ""
    ds.RetrieveAETitle = ""
    ds.ReferencedImageSequence = [image]
    ds.ReferencedNonImageCompositeSOPInstanceSequence = []
    return changed(ds, changes)


def ended(status: str = "COMPLETED", **changes: Any) -> Dataset:
    """The modification list of the N-SET that ends a step."""
    ds = Dataset()
    ds.PerformedProcedureStepStatus = status
    ds.PerformedProcedureStepEndDate = "20250707"
    ds.PerformedProcedureStepEndTime = "090102"
    ds.PerformedSeriesSequence = [series()]
    return changed(ds, changes)


def reason(value: str = "110514", scheme: str = "DCM") -> list[Dataset]:
    """A Discontinuation Reason Code Sequence."""
    ds = Dataset()
    ds.CodeValue, ds.CodingSchemeDesignator, ds.CodeMeaning = value, scheme, "a reason"
    return [ds]


def changed(ds: Dataset, changes: dict[str, Any]) -> Dataset:
    for keyword, value in changes.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    return ds


def only(**attributes: Any) -> Dataset:
    """A modification list of these attributes."""
    return changed(Dataset(), attributes)
