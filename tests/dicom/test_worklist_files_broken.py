"""DICOM worklist files that are broken or none: refused, with the reason."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, JPEGBaseline8Bit
from tests.dicom.exchanged import MANY, from_file, part_10, reason, step, worklist


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
