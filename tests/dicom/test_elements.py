"""Encoded data sets are read strictly: what does not fit is an error (PS3.5 section 7)."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from tests.dicom.modality import encode

from pylantir.dicom.elements import (
    MAX_DEPTH,
    MAX_ELEMENTS,
    Element,
    Encoding,
    MalformedDataSet,
    read_elements,
)

IMPLICIT = Encoding(implicit_vr=True, little_endian=True)
EXPLICIT = Encoding(implicit_vr=False, little_endian=True)
BIG_ENDIAN = Encoding(implicit_vr=False, little_endian=False)
SYNTAXES = (
    (ImplicitVRLittleEndian, IMPLICIT),
    (ExplicitVRLittleEndian, EXPLICIT),
    (ExplicitVRBigEndian, BIG_ENDIAN),
)

ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
SEQUENCE = 0x00400100
UNDEFINED = 0xFFFFFFFF


def header(tag: int, length: int) -> bytes:
    """Tag and length in implicit VR little endian."""
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, length)


def element(tag: int, value: bytes = b"") -> bytes:
    return header(tag, len(value)) + value


def identifier() -> Dataset:
    step = Dataset()
    step.Modality = "MR"
    step.ScheduledStationAETitle = ["MR1", "MR22"]
    ds = Dataset()
    ds.PatientName = "Doe^Jane"
    ds.PregnancyStatus = 2
    ds.PatientComments = "x" * 300
    ds.ReferencedStudySequence = []
    ds.ScheduledProcedureStepSequence = [step]
    return ds


def as_text(elements: tuple[Element, ...]) -> dict[int, object]:
    return {
        e.tag: [as_text(i) for i in e.items] if e.items is not None else e.value for e in elements
    }


@pytest.mark.parametrize(("syntax", "encoding"), SYNTAXES)
@pytest.mark.parametrize("undefined", [False, True], ids=["lengths", "delimiters"])
def test_what_pydicom_writes_is_read(syntax: str, encoding: Encoding, undefined: bool) -> None:
    ds = identifier()
    ds["ScheduledProcedureStepSequence"].is_undefined_length = undefined
    ds.ScheduledProcedureStepSequence[0].is_undefined_length_sequence_item = undefined
    two = (2).to_bytes(2, "little" if encoding.little_endian else "big")
    assert as_text(read_elements(encode(ds, syntax), encoding)) == {
        0x00081110: [],
        0x00100010: b"Doe^Jane",
        0x001021C0: two,
        0x00104000: b"x" * 300,
        SEQUENCE: [{0x00080060: b"MR", 0x00400001: b"MR1\\MR22"}],
    }


def test_nothing_at_all_is_a_data_set_without_elements() -> None:
    assert read_elements(b"", IMPLICIT) == ()


def test_group_lengths_are_left_out() -> None:
    data = element(0x00100000, struct.pack("<I", 10)) + element(0x00100020, b"P1")
    assert [e.tag for e in read_elements(data, IMPLICIT)] == [0x00100020]


def test_odd_groups_are_private() -> None:
    private, public = read_elements(element(0x00091001, b"x ") + element(0x00100020), IMPLICIT)
    assert (private.is_private, public.is_private) == (True, False)


def test_an_unknown_attribute_of_undefined_length_is_a_sequence_in_implicit_vr() -> None:
    """PS3.5 6.2.2: so it is with UN, whatever the transfer syntax."""
    item = header(ITEM, UNDEFINED) + element(0x00100020, b"P1") + header(ITEM_END, 0)
    data = struct.pack("<HH2sHI", 0x0009, 0x1002, b"UN", 0, UNDEFINED) + item
    data += header(SEQUENCE_END, 0)
    assert as_text(read_elements(data, EXPLICIT)) == {0x00091002: [{0x00100020: b"P1"}]}


FAULTS = {
    "half a tag": b"\x10\x00\x20",
    "no length": b"\x10\x00\x20\x00\x02",
    "value longer than the data set": header(0x00100020, 4) + b"P1",
    "command element": element(0x00000002, b"1.2 "),
    "file meta element": element(0x00020010, b"1.2 "),
    "item outside a sequence": header(ITEM, 0),
    "delimiter outside a sequence": header(ITEM_END, 0),
    "sequence longer than the data set": header(SEQUENCE, 9) + header(ITEM, 0),
    "item longer than its sequence": header(SEQUENCE, 8) + header(ITEM, 8) + element(0x00100020),
    "element in a sequence": header(SEQUENCE, 8) + element(0x00100020),
    "sequence without end": header(SEQUENCE, UNDEFINED) + header(ITEM, 0),
    "item without end": header(SEQUENCE, 16) + header(ITEM, UNDEFINED) + element(0x00100020),
    "end of sequence in place of the item's": header(SEQUENCE, UNDEFINED)
    + header(ITEM, UNDEFINED)
    + header(SEQUENCE_END, 0),
    "delimiter in an item of known length": header(SEQUENCE, 24)
    + header(ITEM, 16)
    + header(ITEM_END, 0)
    + header(ITEM, 0),
    "too deep": (header(SEQUENCE, UNDEFINED) + header(ITEM, UNDEFINED)) * (MAX_DEPTH + 1),
    "too many": element(0x00100020) * (MAX_ELEMENTS + 1),
}


@pytest.mark.parametrize("data", FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_an_error(data: bytes) -> None:
    with pytest.raises(MalformedDataSet):
        read_elements(data, IMPLICIT)


def test_sequences_may_nest_up_to_the_limit() -> None:
    data = b""
    for _ in range(MAX_DEPTH):
        data = element(SEQUENCE, element(ITEM, data))
    elements, depth = read_elements(data, IMPLICIT), 0
    while elements:
        assert elements[0].items is not None
        elements, depth = elements[0].items[0], depth + 1
    assert depth == MAX_DEPTH


def test_an_unknown_value_representation_is_an_error() -> None:
    with pytest.raises(MalformedDataSet, match="value representation"):
        read_elements(b"\x10\x00\x20\x00ZZ\x02\x00P1", EXPLICIT)


@pytest.mark.parametrize(("syntax", "encoding"), SYNTAXES)
def test_a_data_set_in_another_transfer_syntax_is_an_error(syntax: str, encoding: Encoding) -> None:
    data = encode(identifier(), syntax)
    for _, other in SYNTAXES:
        if other != encoding:
            with pytest.raises(MalformedDataSet):
                read_elements(data, other)


@given(st.binary(max_size=200), st.sampled_from([encoding for _, encoding in SYNTAXES]))
def test_any_bytes_are_a_data_set_or_an_error(data: bytes, encoding: Encoding) -> None:
    try:
        elements = read_elements(data, encoding)
    except MalformedDataSet:
        return
    values = sum(len(e.value) for e in elements)
    assert values <= len(data)


@given(st.data())
def test_a_changed_byte_is_never_more_than_an_error(data: st.DataObject) -> None:
    syntax, encoding = data.draw(st.sampled_from(SYNTAXES))
    encoded = bytearray(encode(identifier(), syntax))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    try:
        read_elements(bytes(encoded), encoding)
    except MalformedDataSet:
        return
