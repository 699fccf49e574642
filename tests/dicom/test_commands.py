"""Usual command sets are read and written as the library would; all others are left to it."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pynetdicom.dimse import _RQ_TO_MESSAGE, _RSP_TO_MESSAGE
from pynetdicom.dimse_messages import DIMSEMessage
from pynetdicom.dimse_primitives import N_CREATE, N_SET
from pynetdicom.dsutils import encode
from pynetdicom.pdu_primitives import P_DATA

from pylantir.dicom import charsets
from pylantir.dicom.sop_classes import MPPS, VERIFICATION, WORKLIST_FIND
from pylantir.dicom.stream import N_CREATE_RSP, N_SET_RSP, command_set
from pylantir.dicom.transport.commands import read_request

CONTEXT = 5
DATA = b"\x08\x00\x05\x00\x00\x00\x00\x00"
KINDS = [N_CREATE, N_SET]


def request(kind: Any) -> Any:
    primitive = kind()
    primitive.MessageID = 513
    if kind is N_SET:
        primitive.RequestedSOPClassUID = MPPS
        primitive.RequestedSOPInstanceUID = "1.2.3"
        primitive.ModificationList = BytesIO(DATA)
    else:
        primitive.AffectedSOPClassUID = MPPS
        primitive.AffectedSOPInstanceUID = "1.2.3"
        primitive.AttributeList = BytesIO(DATA)
    return primitive


def command(primitive: Any, **elements: Any) -> bytes:
    """The command set of a request as the library encodes it, with some elements changed."""
    message = _RQ_TO_MESSAGE[type(primitive)]()
    message.primitive_to_message(primitive)
    for keyword, value in elements.items():
        if value is None:
            delattr(message.command_set, keyword)
        else:
            setattr(message.command_set, keyword, value)
    message._set_command_group_length()
    encoded = encode(message.command_set, True, True)
    assert encoded is not None
    return encoded


def by_the_library(encoded: bytes) -> tuple[bool, dict[str, Any] | str]:
    """Whether a data set follows, and the request with it, or why there is none."""
    message, part = DIMSEMessage(), P_DATA()
    part.presentation_data_value_list = [[CONTEXT, b"\x03" + encoded]]
    has_data_set = not message.decode_msg(part)
    if has_data_set:
        message.data_set = BytesIO(DATA)
    try:
        return has_data_set, fields(message.message_to_primitive())
    except ValueError as error:
        return has_data_set, str(error)


def by_us(encoded: bytes) -> tuple[bool, dict[str, Any] | str] | None:
    read = read_request(encoded)
    if read is None:
        return None
    try:
        data_set = BytesIO(DATA if read.has_data_set else b"")
        return read.has_data_set, fields(read.primitive(CONTEXT, data_set))
    except ValueError as error:
        return read.has_data_set, str(error)


def fields(primitive: Any) -> dict[str, Any]:
    """What a primitive consists of; a data set by its bytes."""
    found = {
        name: value.getvalue() if isinstance(value, BytesIO) else value
        for name, value in vars(primitive).items()
        if value is not None
    }
    return {"kind": type(primitive), **found}


@pytest.mark.parametrize(
    ("kind", "elements"),
    [
        (N_CREATE, {}),
        (N_CREATE, {"AffectedSOPInstanceUID": None}),
        (N_CREATE, {"CommandDataSetType": 0x0101}),
        (N_SET, {}),
        (N_SET, {"MessageID": 65535}),
        (N_SET, {"RequestedSOPInstanceUID": "1.2.34"}),
        (N_SET, {"RequestedSOPClassUID": VERIFICATION}),
    ],
)
def test_a_request_is_read_as_the_library_reads_it(kind: Any, elements: dict[str, Any]) -> None:
    encoded = command(request(kind), **elements)
    assert by_us(encoded) == by_the_library(encoded)


@pytest.mark.parametrize(
    ("kind", "elements"),
    [
        (N_CREATE, {"AffectedSOPInstanceUID": ""}),
        (N_CREATE, {"MessageID": [1, 2]}),
        (N_CREATE, {"RequestedSOPInstanceUID": "1.2.3"}),
        (N_CREATE, {"CommandField": 0x0020}),
        (N_SET, {"ErrorComment": "why not"}),
        (N_SET, {"CommandDataSetType": None}),
    ],
)
def test_an_unusual_request_is_left_to_the_library(kind: Any, elements: dict[str, Any]) -> None:
    assert read_request(command(request(kind), **elements)) is None


def test_what_is_cut_off_or_no_command_set_is_left_to_the_library() -> None:
    whole = command(request(N_SET))
    assert read_request(whole) is not None
    last = whole.index(b"\x00\x00\x01\x10")  # without that element it is a whole one, too
    for size in {*range(len(whole))} - {last}:
        assert read_request(whole[:size]) is None
    assert read_request(whole + whole[12:]) is None, "elements that stand there twice"
    assert read_request(whole[:4] + b"\x06" + whole[5:]) is None, "a group length of six bytes"


@settings(deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    changes=st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 255)), max_size=3),
)
def test_what_is_read_is_never_read_otherwise_than_by_the_library(
    kind: Any, changes: list[tuple[int, int]]
) -> None:
    encoded = bytearray(command(request(kind)))
    for place, value in changes:
        encoded[place % len(encoded)] = value
    ours = by_us(bytes(encoded))
    if ours is not None:
        with charsets.quietly():
            assert ours == by_the_library(bytes(encoded))


@pytest.mark.parametrize(("kind", "field"), [(N_CREATE, N_CREATE_RSP), (N_SET, N_SET_RSP)])
@pytest.mark.parametrize("instance", [None, "1.2.3", "1.2.34"])
@pytest.mark.parametrize("sop_class", [MPPS, WORKLIST_FIND])
def test_a_success_is_what_the_library_would_have_sent(
    kind: Any, field: int, sop_class: str, instance: str | None
) -> None:
    primitive = kind()
    primitive.MessageIDBeingRespondedTo = 7
    primitive.AffectedSOPClassUID = sop_class
    primitive.AffectedSOPInstanceUID = instance
    primitive.Status = 0x0000
    message = _RSP_TO_MESSAGE[kind]()
    message.primitive_to_message(primitive)
    ours = command_set(field, sop_class, 7, 0x0000, instance_uid=instance)
    assert ours == encode(message.command_set, True, True)
