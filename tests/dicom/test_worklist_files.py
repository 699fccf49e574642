"""DICOM worklist files: what goes out comes back, and foreign ones are read."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from tests.dicom.exchanged import (
    ANY_CLASS,
    MANY,
    content,
    encoded,
    from_file,
    only,
    part_10,
    reason,
    step,
    worklist,
)
from tests.worklist.any_item import any_items
from tests.worklist.bookings import booking

from pylantir.dicom.worklist_files import (
    file_name,
    looks_like_dicom,
    read_worklist_file,
    write_worklist_file,
)
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.values import Code

SYNTAXES = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)


# --- What we write ---


@MANY
@given(any_items())
def test_every_field_and_extra_survives_a_worklist_file(item: WorklistItem) -> None:
    assert content(only(from_file(write_worklist_file(item)))) == content(item)


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
