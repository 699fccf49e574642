"""A request that was read before is what the library would make of it again."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydicom import config
from pynetdicom.dimse_messages import DIMSEMessage
from pynetdicom.dimse_primitives import C_ECHO, C_FIND
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.pdu_primitives import P_DATA
from tests.dicom.modality import VERIFICATION, WORKLIST

from pylantir.dicom.transport import pdus
from pylantir.dicom.transport.requests import KnownRequests

C_FIND_RQ, C_ECHO_RQ, N_CREATE_RQ = 0x0020, 0x0030, 0x0140
CONTEXT = 3


@pytest.fixture(scope="module", autouse=True)
def _as_in_a_server() -> Iterator[None]:
    """The server checks values itself."""
    before = config.settings.reading_validation_mode
    config.settings.reading_validation_mode = config.IGNORE
    yield
    config.settings.reading_validation_mode = before


def element(number: int, value: bytes) -> bytes:
    return struct.pack("<HHI", 0, number, len(value)) + value


def number(tag: int, value: int) -> bytes:
    return element(tag, struct.pack("<H", value))


def uid(value: str) -> bytes:
    encoded = value.encode()
    return element(2, encoded + b"\0" * (len(encoded) & 1))


def command(message_id: int, field: int = C_FIND_RQ, data_set: int = 1) -> bytes:
    about = uid(WORKLIST if field == C_FIND_RQ else VERIFICATION) + number(0x0100, field)
    body = about + number(0x0110, message_id) + number(0x0700, 0) + number(0x0800, data_set)
    return element(0, struct.pack("<I", len(body))) + body


def read(encoded: bytes) -> tuple[Any, bool]:
    """What the library makes of a command set, and whether a data set follows."""
    message, whole = DIMSEMessage(), P_DATA()
    values: Any = [[CONTEXT, b"\x03" + encoded]]
    whole.presentation_data_value_list = values
    has_data_set = not message.decode_msg(whole)
    return message.message_to_primitive(), has_data_set


def try_to_read(encoded: bytes) -> tuple[Any, bool] | None:
    try:
        return read(encoded)
    except Exception:  # noqa: BLE001 - the library says no in many ways
        return None


def fields(primitive: Any) -> dict[str, Any]:
    """What a primitive consists of; a data set by its bytes."""
    return {
        name: value.getvalue() if isinstance(value, BytesIO) else value
        for name, value in vars(primitive).items()
    }


def known(*encoded: bytes) -> KnownRequests:
    requests = KnownRequests()
    for each in encoded:
        primitive, has_data_set = read(each)
        requests.keep(each, primitive, has_data_set=has_data_set)
    return requests


def test_the_same_request_is_known_with_any_message_id() -> None:
    requests = known(command(7), command(7, C_ECHO_RQ, 0x0101))
    for field, kind in ((C_FIND_RQ, C_FIND), (C_ECHO_RQ, C_ECHO)):
        encoded = command(65535, field, 1 if kind is C_FIND else 0x0101)
        found = requests.find(encoded)
        assert found is not None
        made = found.primitive(CONTEXT, BytesIO())
        theirs, has_data_set = read(encoded)
        assert (type(made), fields(made)) == (kind, fields(theirs))
        assert (found.message_id, found.has_data_set) == (65535, has_data_set)


def test_a_request_gets_its_own_data_set_and_context() -> None:
    requests = known(command(7))
    made = []
    for context, data in ((1, b"one"), (5, b"other")):
        found = requests.find(command(8))
        assert found is not None
        made.append(found.primitive(context, BytesIO(data)))
    assert [request.Identifier.getvalue() for request in made] == [b"one", b"other"]
    assert [request._context_id for request in made] == [1, 5]


def test_what_differs_in_anything_else_is_not_known() -> None:
    requests = known(command(7))
    assert requests.find(command(7, data_set=2)) is None
    assert requests.find(command(7)[:-1]) is None
    assert requests.find(command(7) + b"\0") is None
    assert requests.find(b"") is None


def test_requests_about_one_instance_are_not_kept() -> None:
    requests = known(command(7, N_CREATE_RQ))
    assert requests.find(command(7, N_CREATE_RQ)) is None


def test_a_message_id_inside_another_value_is_not_taken_for_one() -> None:
    inside = element(0x0902, number(0x0110, 7))
    about = uid(WORKLIST) + number(0x0100, C_FIND_RQ) + number(0x0800, 1)
    twice = about + number(0x0110, 7) + inside
    for encoded in (about + inside, twice):
        assert known(encoded).find(encoded) is None


def test_not_everything_is_kept() -> None:
    requests = KnownRequests()
    for priority in range(1000):
        encoded = command(7)[:-10] + element(0x0902, b"%04d" % priority) + number(0x0800, 1)
        primitive, has_data_set = read(encoded)
        requests.keep(encoded, primitive, has_data_set=has_data_set)
    assert 0 < len(requests._known) <= 64
    long = command(7) + element(0x0902, bytes(1000))
    assert known(long).find(long) is None


commands = st.lists(
    st.one_of(
        st.builds(uid, st.sampled_from((WORKLIST, VERIFICATION, "1.2.3", "no uid", ""))),
        st.builds(number, st.just(0x0100), st.sampled_from((C_FIND_RQ, C_ECHO_RQ, N_CREATE_RQ))),
        st.builds(number, st.just(0x0110), st.integers(0, 65535)),
        st.builds(number, st.sampled_from((0x0700, 0x0800)), st.sampled_from((0, 1, 0x0101))),
        st.builds(element, st.integers(0, 0x1005), st.binary(max_size=12)),
        st.binary(max_size=12),
    ),
    max_size=8,
).map(b"".join)


@given(commands, st.integers(0, 65535), st.integers(0, 400), st.integers(0, 255))
@example(command(1), 2, 400, 0)
def test_what_is_known_is_what_the_library_makes_of_it(
    encoded: bytes, message_id: int, place: int, byte: int
) -> None:
    """Command sets of all sorts, one byte of them changed, then with another Message ID."""
    changed = bytearray(encoded if len(encoded) > 20 else command(1) + encoded)
    if place < len(changed):
        changed[place] = byte
    theirs = try_to_read(bytes(changed))
    if theirs is None:
        return
    requests = KnownRequests()
    requests.keep(bytes(changed), theirs[0], has_data_set=theirs[1])
    again = bytearray(changed)
    at = again.find(struct.pack("<HHI", 0, 0x0110, 2))
    if 0 <= at <= len(again) - 10:
        again[at + 8 : at + 10] = struct.pack("<H", message_id)
    found = requests.find(bytes(again))
    if found is None:
        return
    expected, has_data_set = read(bytes(again))
    made = found.primitive(CONTEXT, BytesIO())
    assert (type(made), fields(made)) == (type(expected), fields(expected))
    assert found.has_data_set == has_data_set


# --- Fragments of a P-DATA-TF ---


def fragment(context: int, value: bytes, length: int | None = None) -> bytes:
    return struct.pack(">IB", len(value) + 1 if length is None else length, context) + value


@given(
    st.lists(st.builds(fragment, st.integers(0, 255), st.binary(min_size=1, max_size=20))),
    st.binary(max_size=8),
)
def test_fragments_are_what_the_library_makes_of_them(some: list[bytes], rest: bytes) -> None:
    body = b"".join(some) + rest
    pdu = struct.pack(">BxI", pdus.P_DATA_TF, len(body)) + body
    values = pdus.data_values(pdu)
    if values is None:
        assert rest  # the library decides
        return
    theirs = P_DATA_TF()
    theirs.decode(pdu)
    assert values == theirs.to_primitive().presentation_data_value_list


def test_fragments_that_do_not_fill_their_pdu_are_left_to_the_library() -> None:
    header = struct.pack(">BxI", pdus.P_DATA_TF, 0)
    for body in (b"\0", fragment(1, b""), fragment(1, b"\3ab", 9), fragment(1, b"\3ab", 2)):
        assert pdus.data_values(header + body) is None
