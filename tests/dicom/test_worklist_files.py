"""DICOM worklist files and DICOM JSON: what goes out comes back, and foreign ones are read."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import write_dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
)
from tests.worklist.any_item import any_items
from tests.worklist.bookings import booking

from pylantir.dicom.worklist_files import (
    file_name,
    looks_like_dicom,
    read_dicom_json,
    read_worklist_file,
    write_dicom_json,
    write_worklist_file,
)
from pylantir.worklist.imports import Importer, Reading
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.textfiles import parse_json
from pylantir.worklist.values import Code

MANY = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
ANY_CLASS = "1.2.276.0.7230010.3.1.0.1"
SYNTAXES = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)


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


# --- Round trips ---


@MANY
@given(any_items())
def test_every_field_and_extra_survives_a_worklist_file(item: WorklistItem) -> None:
    assert content(only(from_file(write_worklist_file(item)))) == content(item)


@MANY
@given(any_items())
def test_every_field_and_extra_survives_dicom_json(item: WorklistItem) -> None:
    assert content(only(from_json(write_dicom_json([item])))) == content(item)


def test_several_items_are_several_data_sets_of_dicom_json() -> None:
    bookings = [booking("1"), booking("2", patient_name="Müller^Zoë")]
    written = json.loads(write_dicom_json(bookings))
    assert written[1]["00100010"]["Value"] == [{"Alphabetic": "Müller^Zoë"}]
    assert len(from_json(json.dumps(written)).items) == 2
    assert json.loads(write_dicom_json([])) == []


def test_decimals_are_numbers_in_dicom_json_where_nothing_is_lost() -> None:
    item = booking(patient_weight="72.5", patient_size="2", SliceThickness="0.50")
    (written,) = json.loads(write_dicom_json([item]))
    assert written["00101030"]["Value"] == [72.5]
    assert written["00101020"]["Value"] == [2]
    assert written["00180050"]["Value"] == ["0.50"]


# --- What we write ---


def test_a_written_file_is_part_10_in_explicit_vr_little_endian() -> None:
    ds = dcmread(BytesIO(write_worklist_file(booking())))
    assert ds.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert ds.file_meta.MediaStorageSOPClassUID == "1.2.840.10008.5.1.4.31"
    assert ds.file_meta.MediaStorageSOPInstanceUID.startswith("2.25.")
    assert ds.file_meta.ImplementationClassUID.startswith("2.25.")
    assert ds.PatientName == "Doe^Jane"
    assert "SpecificCharacterSet" not in ds


def test_a_written_file_holds_empty_attributes_only_where_they_are_type_2() -> None:
    ds = dcmread(BytesIO(write_worklist_file(booking())))
    (scheduled,) = ds.ScheduledProcedureStepSequence
    assert ds["ReferencedStudySequence"].is_empty
    assert ds["ReferencedPatientSequence"].is_empty
    assert ds["PatientWeight"].is_empty
    assert scheduled["ScheduledStationName"].is_empty
    assert "RequestedProcedureCodeSequence" not in ds
    assert "StudyDate" not in ds
    assert "ScheduledProtocolCodeSequence" not in scheduled
    assert "PreMedication" not in scheduled


@pytest.mark.parametrize(
    ("name", "character_set"),
    [
        ("Müller^Zoë", "ISO_IR 100"),
        ("Yamada=山田^太郎", "ISO_IR 192"),
        ("Nowak^Łukasz", "ISO_IR 192"),
    ],
)
def test_a_written_file_has_the_oldest_character_set_that_holds_it(
    name: str, character_set: str
) -> None:
    written = write_worklist_file(booking(patient_name=name))
    ds = dcmread(BytesIO(written))
    assert ds.SpecificCharacterSet == character_set
    assert str(ds.PatientName) == name
    assert only(from_file(written)).patient_name == name


def test_the_same_item_makes_the_same_bytes() -> None:
    assert write_worklist_file(booking()) == write_worklist_file(booking())
    assert write_worklist_file(booking("1")) != write_worklist_file(booking("2"))


@pytest.mark.parametrize(
    "record",
    ["../../etc/passwd", "C:\\Windows\\x", "a/b", "NUL", ".hidden", "x" * 255, "山田", "*?"],
)
def test_a_file_name_is_never_a_path_nor_tells_the_record(record: str) -> None:
    item = replace(booking(), source_record_id=record)
    name = file_name(item)
    stem, dot, suffix = name.partition(".")
    assert (dot, suffix, len(stem)) == (".", "wl", 24)
    assert stem.isalnum()
    assert stem.isascii()
    assert record not in name
    assert name == file_name(replace(item, patient_name="Other^Name"))
    assert name != file_name(replace(item, data_source="another"))


# --- Files of others ---


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_files_of_every_transfer_syntax_are_read(syntax: str) -> None:
    item = only(from_file(part_10(worklist(PatientName="Doe^J"), syntax)))
    assert (item.patient_name, item.accession_number) == ("Doe^J", "A1")
    assert item.scheduled_station_ae_title == ("MRC1",)
    assert item.source_record_id == "1.2.3/SPS1"


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("explicit_length", [True, False])
def test_bare_data_sets_are_read_without_being_told_how_they_are_encoded(
    syntax: str, explicit_length: bool
) -> None:
    data = encoded(worklist(), syntax, explicit_length=explicit_length)
    assert looks_like_dicom(data)
    assert only(from_file(data)).patient_id == "P1"


def test_a_file_without_preamble_is_read() -> None:
    data = part_10(worklist())[132:]
    assert looks_like_dicom(data)
    assert only(from_file(data)).patient_id == "P1"


def test_a_preamble_without_meta_information_is_read() -> None:
    assert only(from_file(b"\0" * 128 + b"DICM" + encoded(worklist()))).patient_id == "P1"


@pytest.mark.parametrize(
    ("terms", "name"),
    [
        ("ISO_IR 100", "Müller^Zoë"),
        ("ISO_IR 192", "Yamada=山田^太郎"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
        ("ISO_IR 144", "Люкceмбypг"),
    ],
)
def test_every_character_set_is_read(terms: Any, name: str) -> None:
    ds = worklist(SpecificCharacterSet=terms, PatientName=name)
    assert only(from_file(part_10(ds))).patient_name == name


def test_every_step_of_a_file_is_an_item_of_the_same_study() -> None:
    ds = worklist(step(1), step(2, Modality="PT"), step(3, ScheduledProcedureStepLocation="3T ?"))
    importer = from_file(part_10(ds).replace(b"3T ?", b"3T\n?"))
    assert [item.modality for item in importer.items] == ["MR", "PT"]
    assert {item.study_instance_uid for item in importer.items} == {"1.2.3"}
    assert [item.source_record_id for item in importer.items] == ["1.2.3/SPS1", "1.2.3/SPS2"]
    assert str(importer.refused[0]).startswith("1.wl, step 3: ")


def test_reading_a_data_set_gives_values_for_each_step() -> None:
    records = read_worklist_file(part_10(worklist(step(1), step(2)))).records
    first, second = (record.values for record in records)
    assert (first["PatientID"], first["ScheduledProcedureStepID"]) == ("P1", "SPS1")
    assert (second["PatientID"], second["ScheduledProcedureStepID"]) == ("P1", "SPS2")
    ds = worklist()
    ds.ScheduledProcedureStepSequence = []
    assert read_worklist_file(part_10(ds)).records == ()


def test_what_describes_the_file_is_no_extra() -> None:
    ds = worklist(SOPClassUID=ANY_CLASS, SOPInstanceUID="1.2.3.1", SpecificCharacterSet="ISO_IR 6")
    ds.add_new(0x0009_0010, "LO", "ACME")
    ds.add_new(0x0009_1001, "LO", "private")
    assert only(from_file(part_10(ds))).extras == {}


def test_what_an_item_cannot_keep_is_left_out_and_told() -> None:
    ds = worklist(EncapsulatedDocument=b"%PDF", DiffusionBValue=1.5)
    importer = from_file(part_10(ds))
    assert only(importer).extras == {}
    assert importer.notes == [
        "1.wl: neither text nor number, left out: DiffusionBValue, EncapsulatedDocument"
    ]


def code(value: str = "", **values: str) -> Dataset:
    ds = Dataset()
    ds.CodeValue = value
    for name, text in values.items():
        setattr(ds, name, text)
    return ds


def test_codes_are_read_without_what_only_refines_them() -> None:
    codes = [
        code("BRAIN", CodingSchemeDesignator="99L", CodeMeaning="Brain", ContextIdentifier="12"),
        code(),
        Dataset(),
    ]
    item = only(from_file(part_10(worklist(step(ScheduledProtocolCodeSequence=codes)))))
    assert item.scheduled_protocol_codes == (Code("BRAIN", "99L", "Brain"),)


def test_a_code_without_a_scheme_is_refused() -> None:
    ds = worklist(step(ScheduledProtocolCodeSequence=[code("BRAIN")]))
    assert "expected a code with a value and a coding scheme" in reason(from_file(part_10(ds)))


# --- Broken files ---


def test_a_wrong_value_is_told_with_its_attribute() -> None:
    data = part_10(worklist(step(Modality="MR"))).replace(b"20260302", b"20260231")
    assert reason(from_file(data)) == (
        "1.wl: scheduled_procedure_step_start_date: expected a day of the calendar as YYYY-MM-DD "
        "or YYYYMMDD, got '20260231'"
    )


def test_text_that_its_character_set_does_not_explain_is_refused() -> None:
    data = part_10(worklist(SpecificCharacterSet="ISO_IR 192", PatientName="Doe^Zoe"))
    assert "expected readable text" in reason(from_file(data.replace(b"Doe^Zoe", b"Doe^Zo\xeb")))


def test_a_number_of_the_wrong_length_is_refused() -> None:
    data = part_10(worklist(PregnancyStatus=4))
    element = struct.pack("<HH2sH", 0x10, 0x21C0, b"US", 2)
    assert element in data
    broken = data.replace(element + b"\4\0", element[:-2] + b"\3\0" + b"\4\0\0")
    assert "cannot be read" in reason(from_file(broken))


def test_a_file_without_a_scheduled_step_is_no_worklist_file() -> None:
    ds = worklist()
    del ds.ScheduledProcedureStepSequence
    assert reason(from_file(part_10(ds))) == (
        "1.wl: ScheduledProcedureStepSequence: required, but there is no scheduled step"
    )


def test_an_image_is_no_worklist_file() -> None:
    ds = Dataset()
    ds.PatientName = "Doe^Jane"
    ds.PixelData = b"\0" * 64
    ds["PixelData"].VR = "OB"
    assert "no scheduled step" in reason(from_file(part_10(ds)))
    compressed = part_10(ds).replace(
        ExplicitVRLittleEndian.encode() + b"\0", JPEGBaseline8Bit.encode()[:19].ljust(20, b"\0")
    )
    assert reason(from_file(compressed))


def test_a_deflated_file_is_refused_with_the_way_out() -> None:
    data = part_10(worklist(), DeflatedExplicitVRLittleEndian)
    assert "deflated; convert it with: dcmconv +te" in reason(from_file(data))


@pytest.mark.parametrize("data", [b"", b"\0" * 128 + b"DICM", b"patient_id,patient_name\n", b"[]"])
def test_what_is_no_dicom_is_refused(data: bytes) -> None:
    assert "not a DICOM worklist file" in reason(from_file(data))


def test_a_file_cut_anywhere_is_refused() -> None:
    data = part_10(worklist())
    for end in range(0, len(data), 7):
        importer = from_file(data[:end])
        assert importer.items == []
        assert len(importer.refused) == 1


@MANY
@given(st.binary(max_size=300), st.booleans())
def test_no_bytes_break_the_reader(data: bytes, preamble: bool) -> None:
    importer = from_file(b"\0" * 128 + b"DICM" + data if preamble else data)
    assert importer.items == []
    assert importer.refused


@MANY
@given(st.integers(0, 10**6), st.binary(min_size=1, max_size=4))
def test_no_damage_breaks_the_reader(at: int, damage: bytes) -> None:
    data = bytearray(part_10(worklist(PregnancyStatus=4, PatientWeight="70")))
    start = at % len(data)
    data[start : start + len(damage)] = damage
    importer = from_file(bytes(data))
    assert len(importer.items) + len(importer.refused) == 1


# --- DICOM JSON of others ---


def dicom_json(**attributes: Any) -> dict[str, Any]:
    written: dict[str, Any] = json.loads(worklist().to_json())
    return {**written, **attributes}


def test_dicom_json_of_others_is_read() -> None:
    pydicom = dicom_json()
    lower = {tag.lower(): value for tag, value in dicom_json().items()}
    for entry in (pydicom, lower):
        assert only(from_json(json.dumps([entry]))).source_record_id == "1.2.3/SPS1"


def test_dicom_json_holds_names_in_groups_numbers_and_null() -> None:
    entry = dicom_json()
    groups = {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎"}
    entry["00100010"] = {"vr": "PN", "Value": [groups]}
    entry["00101030"] = {"vr": "DS", "Value": [72.5]}
    entry["00100040"] = {"vr": "CS", "Value": [None]}
    entry["00102110"] = {"vr": "LO", "Value": ["Latex", "Nickel"]}
    entry["00081120"] = {"vr": "SQ", "Value": [None]}
    item = only(from_json(json.dumps(entry)))
    assert item.patient_name == "Yamada^Tarou=山田^太郎"
    assert (str(item.patient_weight_kg), item.patient_sex) == ("72.5", "")
    assert item.allergies == ("Latex", "Nickel")


def test_dicom_json_leaves_out_what_an_item_cannot_keep() -> None:
    entry = dicom_json()
    entry["00020010"] = {"vr": "UI", "Value": ["1.2.840.10008.1.2.1"]}
    entry["00091001"] = {"vr": "LO", "Value": ["private"]}
    entry["00080005"] = {"vr": "CS", "Value": ["ISO_IR 192"]}
    entry["7FE00010"] = {"vr": "OW", "InlineBinary": "AAAA"}
    importer = from_json(json.dumps([entry]))
    assert only(importer).extras == {}
    assert importer.notes == ["1.wl: neither text nor number, left out: PixelData"]


@pytest.mark.parametrize(
    ("attribute", "text"),
    [
        ({"00100020": "P1"}, "PatientID: expected an object with vr and a list of values"),
        ({"00100020": {"vr": "LO", "Value": "P1"}}, "PatientID: expected an object with vr"),
        ({"00100020": {"vr": "LO", "Value": [["P1"]]}}, "PatientID: expected text or a number"),
        ({"00100020": {"vr": "LO", "Value": [True]}}, "PatientID: expected text or a number"),
        ({"00100020": {"vr": "LO", "Value": ["a", "b"]}}, "expected one value: text or a number"),
        ({"00400100": {"vr": "SQ", "Value": ["x"]}}, "expected a data set in DICOM JSON"),
        ({"00400100": {"vr": "SQ"}}, "there is no scheduled step"),
        ({"00400100": {"vr": "SQ", "Value": [{"Modality": 1}]}}, "a tag of eight hexadecimal"),
        ({"00400100": {"vr": "SQ", "Value": [{}]}}, "modality: required, but empty"),
        ({"00100030": {"vr": "DA", "Value": ["soon"]}}, "patient_birth_date: expected a date"),
    ],
)
def test_broken_dicom_json_is_refused_by_its_place(attribute: dict[str, Any], text: str) -> None:
    entries = [dicom_json(), dicom_json(**attribute)]
    importer = from_json(json.dumps(entries))
    assert len(importer.items) == 1
    assert str(importer.refused[0]).startswith("1.wl, object 2: ")
    assert text in str(importer.refused[0])
