"""DIMSE messages in and out (PS3.7 6.3), with the library's classes and without its detours."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any, cast

from pynetdicom import evt
from pynetdicom.dimse import _RQ_TO_MESSAGE, _RSP_TO_MESSAGE, DIMSEServiceProvider
from pynetdicom.dimse_messages import DIMSEMessage
from pynetdicom.dimse_primitives import C_CANCEL, C_FIND
from pynetdicom.dsutils import encode
from pynetdicom.pdu_primitives import P_DATA

from pylantir.dicom.stream import Cut
from pylantir.dicom.transport.commands import InstanceRequest, read_request
from pylantir.dicom.transport.lines import Line
from pylantir.dicom.transport.requests import KnownRequest, KnownRequests

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pynetdicom.association import Association

_COMMAND, _LAST = 0x01, 0x02
_WHOLE_COMMAND = bytes([_COMMAND | _LAST])
"""Message control headers (PS3.8 E.2)."""

MAX_COMMAND_BYTES = 16_384
"""Of a command set; the longest is that of an N-GET that names every attribute it wants."""


@dataclass(slots=True)
class _Collected:
    """What has come of a message; it has a context when its command set has been read."""

    context_id: int | None = None
    command: bytearray = field(default_factory=bytearray)
    data_set: BytesIO = field(default_factory=BytesIO)
    has_data_set: bool = False
    known: KnownRequest | InstanceRequest | None = None
    read: DIMSEMessage | None = None


class Messages(DIMSEServiceProvider):
    """The library's DIMSE provider; every request waits for its turn, every answer is one send.

    The library serves N-EVENT-REPORT in a thread of its own at once, as many as a peer likes to
    send, takes the eleventh C-CANCEL for a request, and encodes each command set twice.
    """

    def __init__(self, association: Association, known: KnownRequests) -> None:
        self._assoc = association
        self._known = known
        self.cancel_req = {}
        self.cancelled: set[int] = set()
        """Message IDs of queries that were cancelled."""
        self.message: Any = None
        self.msg_queue: Any = Line()

    def receive_primitive(self, primitive: Any) -> None:
        """Collect the fragments of a P-DATA primitive."""
        for context_id, value in primitive.presentation_data_value_list:
            self.receive_value(context_id, value)

    def receive_value(self, context_id: int, value: bytes) -> None:
        """Collect a fragment; a complete message is announced, and waits unless it is a C-CANCEL.

        Raises
        ------
        Exception
            It is none. The library says so in many ways.
        """
        if self.message is None:
            self.message = _Collected()
        message: _Collected = self.message
        _check_order(message, context_id, value)
        if value[0] & _COMMAND:
            message.command += value[1:]
            if not value[0] & _LAST:
                return
            self._read_command(message, context_id)
            is_complete = not message.has_data_set
        else:
            message.data_set.write(value[1:])
            is_complete = bool(value[0] & _LAST)
        if is_complete:
            self.message = None
            self._take(context_id, self._request(message, context_id))

    def _read_command(self, message: _Collected, context_id: int) -> None:
        command = bytes(message.command)
        message.context_id = context_id
        if not self.assoc.get_handlers(evt.EVT_DIMSE_RECV):
            message.known = self._known.find(command) or read_request(command)
        if message.known is not None:
            message.has_data_set = message.known.has_data_set
            return
        message.read = DIMSEMessage()
        whole: Any = P_DATA()
        whole.presentation_data_value_list = [[context_id, _WHOLE_COMMAND + command]]
        message.has_data_set = not message.read.decode_msg(whole, self.assoc)

    def _request(self, message: _Collected, context_id: int) -> Any:
        """The library's primitive."""
        if message.known is not None:
            return message.known.primitive(context_id, message.data_set)
        read = message.read
        assert read is not None
        read.data_set = message.data_set
        evt.trigger(self.assoc, evt.EVT_DIMSE_RECV, {"message": read})
        request = read.message_to_primitive()
        self._known.keep(bytes(message.command), request, has_data_set=message.has_data_set)
        return request

    def _take(self, context_id: int, request: Any) -> None:
        if isinstance(request, C_CANCEL):
            self.cancelled.add(cast(int, request.MessageIDBeingRespondedTo))
            return
        if isinstance(request, C_FIND):
            # An earlier query with the same Message ID is over, cancelled or not.
            self.cancelled.discard(cast(int, request.MessageID))
        self.msg_queue.put((context_id, request))

    def send_msg(self, primitive: Any, context_id: int) -> None:
        """Announce a message and send it, command and data set together."""
        layer: Any = self.dul
        cut = Cut.within(context_id, self.maximum_pdu_size)
        kinds: dict[Any, Any] = (
            _RQ_TO_MESSAGE if primitive.MessageIDBeingRespondedTo is None else _RSP_TO_MESSAGE
        )
        message = kinds[type(primitive)]()
        message._set_command_group_length = _nothing
        message.primitive_to_message(primitive)
        message.context_id = context_id
        evt.trigger(self.assoc, evt.EVT_DIMSE_SENT, {"message": message})
        data = message.data_set.getvalue() if message.data_set is not None else b""
        sent = cut.command(command_bytes(message.command_set))
        layer.write(sent + cut.data(data) if data else sent)


def _check_order(message: _Collected, context_id: int, value: bytes) -> None:
    """A command set comes first, once, and is short (PS3.7 6.3.1, PS3.8 E.2).

    The library decodes all that it has of a command set each time one seems to end: a megabyte of
    them would keep it busy for minutes.

    Raises
    ------
    ValueError
        The fragment does not belong where it stands.
    """
    if not value:
        raise ValueError("a fragment without a message control header")
    is_command = bool(value[0] & _COMMAND)
    if message.context_id is None:
        if not is_command:
            raise ValueError("a data set without a command set")
        if len(message.command) + len(value) > MAX_COMMAND_BYTES:
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
