"""Command sets are encoded as the library encodes them, only once instead of twice."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from pynetdicom.dimse import _RSP_TO_MESSAGE
from pynetdicom.dimse_primitives import C_ECHO, C_FIND, N_ACTION, N_CREATE, N_DELETE, N_GET, N_SET
from pynetdicom.dsutils import encode

from pylantir.dicom.sop_classes import MPPS
from pylantir.dicom.transport.dimse import command_bytes

ODD_UID, EVEN_UID = "1.2.840.10008.1.1", "1.2.840.10008.5.1.4.31"
EXTRAS: tuple[dict[str, Any], ...] = (
    {},
    {"ErrorComment": "odd"},
    {"ErrorComment": "even"},
    {"AffectedSOPInstanceUID": "1.2.3"},
    {"ErrorID": 0xA710, "AttributeIdentifierList": [0x00100010, 0x00400270]},
    {"AttributeIdentifierList": [0x00100010]},
    {"OffendingElement": [0x00100010], "ErrorComment": ""},
)


@pytest.mark.parametrize("extra", EXTRAS)
@pytest.mark.parametrize("uid", [ODD_UID, EVEN_UID, MPPS])
@pytest.mark.parametrize("kind", [C_ECHO, C_FIND, N_CREATE, N_SET, N_GET, N_ACTION, N_DELETE])
def test_a_command_set_is_what_the_library_makes_of_it(
    kind: Any, uid: str, extra: dict[str, Any]
) -> None:
    primitive = kind()
    primitive.MessageIDBeingRespondedTo = 513
    primitive.AffectedSOPClassUID = uid
    primitive.Status = 0xC000
    for keyword, value in extra.items():
        if hasattr(primitive, keyword):
            setattr(primitive, keyword, value)
    message = _RSP_TO_MESSAGE[kind]()
    message.primitive_to_message(primitive)
    assert command_bytes(message.command_set) == encode(message.command_set, True, True)


def test_what_it_does_not_know_is_left_to_the_library() -> None:
    primitive = C_FIND()
    primitive.MessageIDBeingRespondedTo = 1
    primitive.AffectedSOPClassUID = EVEN_UID
    primitive.Status = 0
    primitive.Identifier = BytesIO()
    message = _RSP_TO_MESSAGE[C_FIND]()
    message.primitive_to_message(primitive)
    message.command_set.PatientWeight = "72.5"  # DS
    encoded = command_bytes(message.command_set)
    assert encoded == encode(message.command_set, True, True)
    assert b"72.5" in encoded
