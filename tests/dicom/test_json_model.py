"""Values of an encoded data set as DICOM JSON: as pydicom has them, and never more than invalid."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from tests.dicom.modality import encode
from tests.dicom.performing import begun, ended, reason, scheduled, series

from pylantir.dicom.elements import Encoding, read_elements
from pylantir.dicom.json_model import MAX_VALUES, Attributes, attributes_of
from pylantir.dicom.performed import as_data_set

IMPLICIT = Encoding(implicit_vr=True, little_endian=True)
EXPLICIT = Encoding(implicit_vr=False, little_endian=True)
BIG_ENDIAN = Encoding(implicit_vr=False, little_endian=False)
SYNTAXES = (
    (ImplicitVRLittleEndian, IMPLICIT),
    (ExplicitVRLittleEndian, EXPLICIT),
    (ExplicitVRBigEndian, BIG_ENDIAN),
)


def read(data: bytes, encoding: Encoding = EXPLICIT) -> tuple[Attributes, set[int]]:
    return attributes_of(read_elements(data, encoding), encoding)


def spelt(tag: int, vr: str, value: bytes) -> bytes:
    """An element in explicit VR little endian."""
    start = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    if vr in ("OB", "OW", "UN", "SQ", "UT", "UC", "UR", "OF", "OD", "SV", "UV"):
        return start + struct.pack("<HI", 0, len(value)) + value
    return start + struct.pack("<H", len(value)) + value


def full() -> Dataset:
    """Something of every VR that a performed step may have."""
    ds = begun(scheduled(), PerformedSeriesSequence=[series(), series()])
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientName = "Müller^Zoë=山田^太郎=やまだ^たろう"
    ds.OperatorsName = ["One^Two", "Three"]
    ds.PatientID = "P-1"
    ds.PatientWeight = "72.5"
    ds.EntranceDoseInmGy = "1"
    ds.NumberOfSeriesRelatedInstances = 12
    ds.PregnancyStatus = 4
    ds.CommentsOnThePerformedProcedureStep = "line\r\nline"
    ds.PerformedProcedureStepDiscontinuationReasonCodeSequence = reason()
    ds.PixelSpacing = ["0.5", "0.25"]
    ds.FrameIncrementPointer = [0x00181063, 0x00181065]
    ds.EncryptedContent = b"\x01\x02"
    ds.DopplerSampleVolumeXPosition = -7
    ds.PhysicalDeltaX = 0.125
    ds.add_new(0x00091010, "LO", "private")
    return ds


@pytest.mark.parametrize(("syntax", "encoding"), SYNTAXES)
def test_a_data_set_is_what_pydicom_makes_of_it(syntax: str, encoding: Encoding) -> None:
    ds = full()
    attributes, invalid = read(encode(ds, syntax), encoding)
    expected = ds.to_json_dict()
    del expected["00080005"]
    if encoding.implicit_vr:  # there a private attribute has no VR
        expected["00091010"] = attributes["00091010"] = {"vr": "UN"}
    assert (attributes, invalid) == (expected, set())


@pytest.mark.parametrize(("syntax", "encoding"), SYNTAXES)
def test_what_is_kept_can_be_sent_again(syntax: str, encoding: Encoding) -> None:
    attributes, _ = read(encode(full(), syntax), encoding)
    again, invalid = read(encode(as_data_set(attributes), syntax), encoding)
    assert (again, invalid) == (attributes, set())


PATIENT_NAME, PATIENT_ID, BIRTH_DATE = 0x00100010, 0x00100020, 0x00100030
STEPS, STUDY_UID, WEIGHT, PREGNANCY = 0x00400270, 0x0020000D, 0x00101030, 0x001021C0
ITEM = struct.pack("<HHI", 0xFFFE, 0xE000, 0)


@pytest.mark.parametrize(
    ("tag", "vr", "value"),
    [
        (STEPS, "LO", b"text"),
        (STEPS, "UN", ITEM),
        (PATIENT_ID, "SQ", ITEM),
        (PATIENT_ID, "FD", b"\0" * 8),
        (PATIENT_ID, "OB", b"\xff\xd8"),
        (PREGNANCY, "LO", b"two "),
        (PREGNANCY, "US", b"\1"),
        (WEIGHT, "DS", b"heavy "),
        (WEIGHT, "DS", b"1e400 "),
        (WEIGHT, "DS", b"nan "),
        (0x00201209, "IS", b"99999999999999"),
        (0x00201209, "IS", "²".encode("latin-1") + b"1"),
        (0x00201209, "IS", b"+"),
        (0x0018602C, "FD", struct.pack("<d", float("nan"))),
        (0x0018602C, "FD", struct.pack("<d", float("inf"))),
        (0x0018602C, "FD", b"\0" * 9),
        (0x00280009, "AT", b"\0\0"),
        (PATIENT_ID, "LO", b"\\" * MAX_VALUES),
        (PREGNANCY, "US", b"\0\0" * (MAX_VALUES + 1)),
    ],
)
def test_a_value_that_has_no_place_is_named_and_left_out(tag: int, vr: str, value: bytes) -> None:
    assert read(spelt(tag, vr, value)) == ({}, {tag})


@pytest.mark.parametrize(
    ("tag", "vr", "value", "kept"),
    [
        (BIRTH_DATE, "DA", b"20269999", "20269999"),
        (STUDY_UID, "UI", b"../../..", "../../.."),
        (STUDY_UID, "UI", b"1.2;$(x)", "1.2;$(x)"),
        (PATIENT_ID, "LO", b"\x1b$B\x1b!", "\ufffd$B\ufffd!"),
    ],
)
def test_a_value_that_nobody_can_use_is_named_and_kept(
    tag: int, vr: str, value: bytes, kept: str
) -> None:
    attributes, invalid = read(spelt(tag, vr, value))
    assert (attributes[f"{tag:08X}"]["Value"], invalid) == ([kept], {tag})


@pytest.mark.parametrize(
    ("tag", "vr", "value", "expected"),
    [
        (PATIENT_ID, "SH", b"P1", {"vr": "LO", "Value": ["P1"]}),
        (PATIENT_ID, "UN", b"P1", {"vr": "LO", "Value": ["P1"]}),
        (PREGNANCY, "UN", b"\2\0", {"vr": "US", "Value": [2]}),
        (PATIENT_ID, "OB", b"", {"vr": "LO"}),
        (STEPS, "UN", b"", {"vr": "SQ", "Value": []}),
        (PATIENT_NAME, "PN", b"a=b=c=d", {"vr": "PN"}),
        (WEIGHT, "DS", b"72.50 ", {"vr": "DS", "Value": ["72.50"]}),
        (WEIGHT, "DS", b"1\\\\2", {"vr": "DS", "Value": [1, None, 2]}),
    ],
)
def test_another_way_to_write_the_same_is_understood(
    tag: int, vr: str, value: bytes, expected: dict[str, Any]
) -> None:
    attributes, invalid = read(spelt(tag, vr, value))
    assert expected.items() <= attributes[f"{tag:08X}"].items()
    assert invalid == set()


def test_an_item_with_a_character_set_of_its_own_is_read_in_it() -> None:
    item = spelt(0x00080005, "CS", b"ISO_IR 192") + spelt(0x00080050, "SH", "ü".encode())
    data = spelt(STEPS, "SQ", struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item)
    attributes, invalid = read(spelt(0x00080005, "CS", b"ISO_IR 100") + data)
    assert attributes["00400270"]["Value"] == [{"00080050": {"vr": "SH", "Value": ["ü"]}}]
    assert invalid == set()


STEPS_SENT = (full(), ended(), begun())
WHOLE = [(encode(ds, syntax), encoding) for ds in STEPS_SENT for syntax, encoding in SYNTAXES]


@st.composite
def broken(draw: st.DrawFn) -> tuple[bytes, Encoding]:
    """An encoded step with some bytes changed, in any transfer syntax."""
    encoded, encoding = draw(st.sampled_from(WHOLE))
    data = bytearray(encoded)
    for at in draw(st.lists(st.integers(0, len(data) - 1), max_size=6)):
        data[at] = draw(st.integers(0, 255))
    return bytes(data), encoding


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from texts(part)


@settings(max_examples=200, deadline=None)
@given(broken())
def test_whatever_is_a_data_set_is_json_that_can_be_kept_and_sent(
    found: tuple[bytes, Encoding],
) -> None:
    data, encoding = found
    try:
        elements = read_elements(data, encoding)
    except ValueError:
        return
    attributes, _ = attributes_of(elements, encoding)
    shown = json.dumps(attributes, allow_nan=False, ensure_ascii=False)
    assert json.loads(shown) == attributes
    assert all(text.encode() is not None for text in texts(attributes))
    assert encode(as_data_set(attributes), ExplicitVRLittleEndian) is not None
