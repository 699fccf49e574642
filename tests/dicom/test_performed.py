"""What a scanner reports is read value by value; one that is none is named and ends nothing."""

from __future__ import annotations

import struct

import pytest

from pylantir.dicom.elements import Encoding, MalformedDataSet
from pylantir.dicom.performed import as_data_set, read_attributes

IMPLICIT = Encoding(implicit_vr=True, little_endian=True)


def element(group: int, number: int, value: bytes) -> bytes:
    return struct.pack("<HHI", group, number, len(value)) + value


@pytest.mark.parametrize(
    "encoded",
    [
        pytest.param(element(0x0010, 0x21C0, b"abc"), id="a number of three bytes"),
        pytest.param(element(0x0040, 0x0244, b"20269999"), id="a day that is none"),
        pytest.param(element(0x0010, 0x1030, b"heavy "), id="a weight that is no number"),
        pytest.param(
            element(0x0008, 0x0005, b"ISO_IR 192") + element(0x0010, 0x0010, b"\xff\xfe"),
            id="a name that is no UTF-8",
        ),
    ],
)
def test_a_value_that_is_none_is_named(encoded: bytes) -> None:
    attributes, (violation,) = read_attributes(encoded, IMPLICIT)
    assert violation.kind == "invalid"
    as_data_set(attributes)


def test_what_is_no_data_set_at_all_is_refused() -> None:
    with pytest.raises(MalformedDataSet):
        read_attributes(b"\x10\x00\x10\x00\xff\x00\x00\x00short", IMPLICIT)


def test_chinese_with_escape_sequences_becomes_plain_text() -> None:
    """The name of PS3.5 K.2, and a description that changes the set in its middle."""
    to_gb_2312 = b"\x1b$)A"
    name = b"Wang^XiaoDong=" + to_gb_2312 + b"\xcd\xf5^" + to_gb_2312 + b"\xd0\xa1\xb6\xab="
    description = b"head " + to_gb_2312 + b"\xb2\xe2\xca\xd4 "
    attributes, violations = read_attributes(
        element(0x0008, 0x0005, b"\\ISO 2022 IR 58")
        + element(0x0010, 0x0010, name + b" " * (len(name) % 2))
        + element(0x0040, 0x0254, description),
        IMPLICIT,
    )
    assert violations == []
    (patient,) = attributes["00100010"]["Value"]
    assert (patient["Alphabetic"], patient["Ideographic"]) == ("Wang^XiaoDong", "王^小东")
    assert attributes["00400254"]["Value"] == ["head 测试"]
