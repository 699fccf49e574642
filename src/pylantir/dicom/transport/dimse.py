"""DIMSE messages in and out (PS3.7 6.3), with the library's classes and without its detours."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from pynetdicom import evt
from pynetdicom.dimse import _RQ_TO_MESSAGE, _RSP_TO_MESSAGE, DIMSEServiceProvider
from pynetdicom.dimse_messages import DIMSEMessage
from pynetdicom.dimse_primitives import C_CANCEL
from pynetdicom.dsutils import encode
from pynetdicom.pdu_primitives import P_DATA

from pylantir.dicom.stream import Cut
from pylantir.dicom.transport.lines import Line

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pynetdicom.association import Association

_UNLIMITED = 0x0100_0000
_PDV_HEADER = 6
_COMMAND = 0x01

MAX_COMMAND_BYTES = 16_384
"""Of a command set; the longest is that of an N-GET that names every attribute it wants."""


class Messages(DIMSEServiceProvider):
    """The library's DIMSE provider; every request waits for its turn, every answer is one send.

    The library serves N-EVENT-REPORT in a thread of its own at once, as many as a peer likes to
    send, takes the eleventh C-CANCEL for a request, and encodes each command set twice.
    """

    def __init__(self, association: Association) -> None:
        self._assoc = association
        self.cancel_req = {}
        self.message: DIMSEMessage | None = None
        self.msg_queue: Any = Line()

    def receive_primitive(self, primitive: Any) -> None:
        """Collect fragments; a complete message is announced, and waits unless it is a C-CANCEL."""
        values = primitive.presentation_data_value_list
        for value in values:
            if len(values) > 1:
                primitive = P_DATA()
                primitive.presentation_data_value_list = [list(value)]
            self._receive_value(primitive, *value)

    def _receive_value(self, primitive: P_DATA, context_id: int, value: bytes) -> None:
        if self.message is None:
            self.message = DIMSEMessage()
        _check_order(self.message, context_id, value)
        if not self.message.decode_msg(primitive, self.assoc):
            return
        message, self.message = self.message, None
        evt.trigger(self.assoc, evt.EVT_DIMSE_RECV, {"message": message})
        request = message.message_to_primitive()
        if not isinstance(request, C_CANCEL):
            self.msg_queue.put((cast(int, message.context_id), request))

    def send_msg(self, primitive: Any, context_id: int) -> None:
        """Announce a message and send it, command and data set together."""
        kinds: dict[Any, Any] = (
            _RQ_TO_MESSAGE if primitive.MessageIDBeingRespondedTo is None else _RSP_TO_MESSAGE
        )
        message = kinds[type(primitive)]()
        message._set_command_group_length = _nothing
        message.primitive_to_message(primitive)
        message.context_id = context_id
        evt.trigger(self.assoc, evt.EVT_DIMSE_SENT, {"message": message})
        cut = Cut(context_id, (self.maximum_pdu_size or _UNLIMITED) - _PDV_HEADER)
        data = message.data_set.getvalue() if message.data_set is not None else b""
        layer: Any = self.dul
        sent = cut.command(command_bytes(message.command_set))
        layer.write(sent + cut.data(data) if data else sent)


def _check_order(message: DIMSEMessage, context_id: int, value: bytes) -> None:
    """A command set comes first, once, and is short (PS3.7 6.3.1, PS3.8 E.2).

    The library decodes all that it has of a command set each time one seems to end: a megabyte of
    them would keep it busy for minutes.

    Raises
    ------
    ValueError
        The fragment does not belong where it stands.
    """
    is_command = bool(value and value[0] & _COMMAND)
    if message.context_id is None:
        if not is_command:
            raise ValueError("a data set without a command set")
        if message.encoded_command_set.tell() + len(value) > MAX_COMMAND_BYTES:
            raise ValueError(f"a command set longer than {MAX_COMMAND_BYTES} bytes")
    elif is_command or context_id != message.context_id:
        raise ValueError("a message in the middle of another")


def command_bytes(command: Dataset) -> bytes:
    """A command set in implicit VR little endian, with its group length (PS3.7 6.3.1)."""
    body = b""
    for element in command:
        if element.tag == 0x0000_0000:
            continue
        encoded = _ENCODERS.get(element.VR)
        if encoded is None:
            return cast(bytes, encode(command, True, True))
        value = encoded(element.value)
        body += struct.pack("<HHI", element.tag >> 16, element.tag & 0xFFFF, len(value)) + value
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def _nothing() -> None:
    """In place of the library's group length, which costs as much as encoding all of it."""


def _number(value: Any) -> bytes:
    return b"" if value is None else struct.pack("<H", value)


def _text(value: Any) -> bytes:
    encoded = str(value or "").encode("ascii", "replace")
    return encoded + b" " * (len(encoded) & 1)


def _uid(value: Any) -> bytes:
    encoded = str(value or "").encode("ascii")
    return encoded + b"\0" * (len(encoded) & 1)


def _tags(value: Any) -> bytes:
    tags = [] if value is None else [value] if isinstance(value, int) else value
    return b"".join(struct.pack("<HH", tag >> 16, tag & 0xFFFF) for tag in tags)


_ENCODERS: dict[str, Callable[[Any], bytes]] = {
    "US": _number,
    "LO": _text,
    "AE": _text,
    "UI": _uid,
    "AT": _tags,
}
"""By value representation; others do not occur in answers of ours."""
