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
from pylantir.dicom.stream import Cut, PendingResponses, command_set


def library_pdus(identifier: bytes, longest: int, message_id: int, status: int) -> bytes:
    primitive = C_FIND()
    primitive.MessageIDBeingRespondedTo = message_id
    primitive.AffectedSOPClassUID = WORKLIST_FIND
    primitive.Identifier = BytesIO(identifier)
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

    PendingResponses(event, 0xFF00).send([Cut.of(event).data(identifier)])

    assert wire.sends == [library_pdus(identifier, longest, 7, 0xFF00)]


def test_several_responses_go_out_in_one_send() -> None:
    event, wire = asked(16384)
    responses = PendingResponses(event, 0xFF01)
    identifiers = [bytes([n]) * 100 for n in range(50)]

    responses.send([Cut.of(event).data(identifier) for identifier in identifiers])

    expected = [library_pdus(identifier, 16384, 7, 0xFF01) for identifier in identifiers]
    assert wire.sends == [b"".join(expected)]
    assert responses.sent == 50


def test_a_command_set_names_the_message_it_answers() -> None:
    assert command_set(WORKLIST_FIND, 0xABCD, 0xFF01) in library_pdus(b"xx", 0, 0xABCD, 0xFF01)
