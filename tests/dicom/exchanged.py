"""Worklist files and DICOM JSON of others: made, and read as an import reads them."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from hypothesis import HealthCheck, settings
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from pylantir.dicom.worklist_files import read_dicom_json, read_worklist_file
from pylantir.worklist.imports import Importer, Reading
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.textfiles import parse_json

MANY = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
ANY_CLASS = "1.2.276.0.7230010.3.1.0.1"


def taking(*readings: Reading) -> Importer:
    importer = Importer()
    for number, reading in enumerate(readings, start=1):
        importer.take(f"{number}.wl", reading)
    return importer


def from_file(data: bytes) -> Importer:
    return taking(read_worklist_file(data))


def from_json(data: str) -> Importer:
    return taking(read_dicom_json(parse_json(data.encode())))


def only(importer: Importer) -> WorklistItem:
    assert [str(refusal) for refusal in importer.refused] == []
    (item,) = importer.items
    return item


def reason(importer: Importer) -> str:
    assert importer.items == []
    (refusal,) = importer.refused
    return str(refusal)


def content(item: WorklistItem) -> dict[str, Any]:
    """All that a data set can hold: a record id of ours is not among it."""
    return {
        name: value
        for name, value in item.content().items()
        if name not in ("data_source", "source_record_id")
    }


def step(number: int = 1, **values: Any) -> Dataset:
    ds = Dataset()
    ds.Modality = "MR"
    ds.ScheduledStationAETitle = "MRC1"
    ds.ScheduledProcedureStepStartDate = "20260302"
    ds.ScheduledProcedureStepStartTime = "090000"
    ds.ScheduledProcedureStepDescription = "Brain"
    ds.ScheduledProcedureStepID = f"SPS{number}"
    for name, value in values.items():
        setattr(ds, name, value)
    return ds


def worklist(*steps: Dataset, **values: Any) -> Dataset:
    ds = Dataset()
    ds.AccessionNumber = "A1"
    ds.PatientName = "Doe^Jane"
    ds.PatientID = "P1"
    ds.StudyInstanceUID = "1.2.3"
    ds.RequestedProcedureID = "RP1"
    for name, value in values.items():
        setattr(ds, name, value)
    ds.ScheduledProcedureStepSequence = list(steps or [step()])
    return ds


def encoded(
    ds: Dataset, syntax: str = ExplicitVRLittleEndian, *, explicit_length: bool = True
) -> bytes:
    """A bare data set, as ``dump2dcm --write-dataset`` writes it."""
    from pydicom.filebase import DicomBytesIO

    out = DicomBytesIO()
    out.is_implicit_VR = syntax == ImplicitVRLittleEndian
    out.is_little_endian = syntax != ExplicitVRBigEndian
    for sequence in (ds["ScheduledProcedureStepSequence"],) if not explicit_length else ():
        sequence.is_undefined_length = True
        for item in sequence.value:
            item.is_undefined_length_sequence_item = True
    write_dataset(out, ds)
    return out.getvalue()


def part_10(ds: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.file_meta.MediaStorageSOPClassUID = ANY_CLASS
    ds.file_meta.MediaStorageSOPInstanceUID = "1.2.3.1"
    out = BytesIO()
    dcmwrite(out, ds, enforce_file_format=True)
    return out.getvalue()
