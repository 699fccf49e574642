"""Pending responses on the wire: what the library would have sent, cut as the peer wants it."""

from __future__ import annotations

from io import BytesIO
from types import SimpleNamespace
from typing import Any

import pytest
from pynetdicom.dimse_messages import C_FIND_RSP
from pynetdicom.dimse_primitives import C_FIND
from pynetdicom.pdu import P_DATA_TF

from pylantir.dicom.sop_classes import WORKLIST_FIND
from pylantir.dicom.stream import Cut, Responses


def library_pdus(identifier: bytes, longest: int, message_id: int, status: int) -> bytes:
    primitive = C_FIND()
    primitive.MessageIDBeingRespondedTo = message_id
    primitive.AffectedSOPClassUID = WORKLIST_FIND
    primitive.Identifier = BytesIO(identifier) if identifier else None
    primitive.Status = status
    message = C_FIND_RSP()
    message.primitive_to_message(primitive)
    encoded = b""
    for data in message.encode_msg(5, longest):
        pdu = P_DATA_TF()
        pdu.from_primitive(data)
        encoded += pdu.encode()
    return encoded


class Wire:
    """The upper layer, which takes what would go over the socket."""

    def __init__(self) -> None:
        self.sends: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.sends.append(data)


def asked(longest: int, message_id: int = 7) -> tuple[Any, Wire]:
    """The event of a request on an association whose peer takes PDUs of a length."""
    wire = Wire()
    association = SimpleNamespace(requestor=SimpleNamespace(maximum_length=longest), dul=wire)
    event: Any = SimpleNamespace(
        assoc=association,
        context=SimpleNamespace(context_id=5),
        request=SimpleNamespace(AffectedSOPClassUID=WORKLIST_FIND, MessageID=message_id),
    )
    return event, wire


@pytest.mark.parametrize("longest", [0, 64, 100, 128, 16382, 1_000_000])
@pytest.mark.parametrize("size", [2, 58, 94, 116, 500, 40_000])
def test_a_response_is_what_the_library_would_have_sent(longest: int, size: int) -> None:
    identifier = bytes(n % 251 for n in range(size))
    event, wire = asked(longest)

    Responses(event, 0xFF00).send([Cut.of(event).data(identifier)])

    assert wire.sends == [library_pdus(identifier, longest, 7, 0xFF00)]


def test_several_responses_go_out_in_one_send() -> None:
    event, wire = asked(16384)
    responses = Responses(event, 0xFF01)
    identifiers = [bytes([n]) * 100 for n in range(50)]

    responses.send([Cut.of(event).data(identifier) for identifier in identifiers])

    expected = [library_pdus(identifier, 16384, 7, 0xFF01) for identifier in identifiers]
    assert wire.sends == [b"".join(expected)]
    assert responses.sent == 50


@pytest.mark.parametrize("final", [0x0000, 0xFE00])
@pytest.mark.parametrize("longest", [0, 64, 16382])
def test_the_final_response_is_what_the_library_would_have_sent(final: int, longest: int) -> None:
    event, wire = asked(longest)

    Responses(event, 0xFF00).send([], final=final)

    assert wire.sends == [library_pdus(b"", longest, 7, final)]


def test_a_short_answer_goes_out_with_the_final_response() -> None:
    event, wire = asked(16384)

    Responses(event, 0xFF00).send([Cut.of(event).data(b"xx")], final=0x0000)

    one, last = library_pdus(b"xx", 16384, 7, 0xFF00), library_pdus(b"", 16384, 7, 0x0000)
    assert wire.sends == [one + last]


def test_a_response_names_the_message_it_answers() -> None:
    event, wire = asked(0, message_id=0xABCD)

    Responses(event, 0xFF01).send([], final=0)

    assert wire.sends == [library_pdus(b"", 0, 0xABCD, 0x0000)]
