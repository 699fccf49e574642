"""Pending responses of one C-FIND, written straight to the association's socket (PS3.7 9.3.2).

The library hands each response through a queue to another thread, as two sends, and reads nothing
while that queue is not empty: a C-CANCEL would be seen when all answers are out. Here a response is
its prebuilt command set and its identifier, several go out in one send, and the other thread is
free to read meanwhile. The final response takes the library's way.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from pylantir.dicom.transport import write

if TYPE_CHECKING:
    from pynetdicom.events import Event

_C_FIND_RSP = 0x8020
_DATA_SET_FOLLOWS = 0x0001
_P_DATA_TF = 0x04
_COMMAND, _LAST = 0x01, 0x02
_PDV_HEADER = 6
_UNLIMITED = 0x0100_0000
_SEND_AT = 32_768
"""Bytes that are collected before they are sent; the first response goes out at once."""


class PendingResponses:
    """The pending responses to one request.

    Parameters
    ----------
    event : Event
        Of the request.
    status : int
        0xFF00 or 0xFF01.
    """

    def __init__(self, event: Event, status: int) -> None:
        request: Any = event.request
        self._association = event.assoc
        self._context_id: int = event.context.context_id
        self._longest = (event.assoc.requestor.maximum_length or _UNLIMITED) - _PDV_HEADER
        command = command_set(str(request.AffectedSOPClassUID), request.MessageID, status)
        self._command = b"".join(self._pdus(command, _COMMAND))
        self._waiting = bytearray()
        self.sent = 0

    def add(self, identifier: bytes) -> None:
        """One more response; sent now or with the next ones.

        Parameters
        ----------
        identifier : bytes
            The encoded identifier.
        """
        self._waiting += self._command
        for pdu in self._pdus(identifier, 0):
            self._waiting += pdu
        self.sent += 1
        if self.sent == 1 or len(self._waiting) >= _SEND_AT:
            self.flush()

    def flush(self) -> None:
        """Send what waits."""
        if self._waiting:
            write(self._association, bytes(self._waiting))
            self._waiting.clear()

    def _pdus(self, message: bytes, kind: int) -> list[bytes]:
        """P-DATA-TF PDUs of one PDV each, none longer than the peer takes (PS3.8 9.3.5, E.2)."""
        fragments = [
            message[start : start + self._longest]
            for start in range(0, len(message), self._longest)
        ]
        flags = [kind] * (len(fragments) - 1) + [kind | _LAST]
        return [self._pdu(part, flag) for part, flag in zip(fragments, flags, strict=True)]

    def _pdu(self, fragment: bytes, flags: int) -> bytes:
        length = len(fragment) + _PDV_HEADER
        header = struct.pack(">BxIIBB", _P_DATA_TF, length, length - 4, self._context_id, flags)
        return header + fragment


def command_set(sop_class_uid: str, message_id: int, status: int) -> bytes:
    """The command set of a C-FIND-RSP with an identifier (PS3.7 Table 9.3-4)."""
    uid = sop_class_uid.encode("ascii")
    uid += b"\0" * (len(uid) & 1)
    body = struct.pack("<HHI", 0, 0x0002, len(uid)) + uid
    for element, value in (
        (0x0100, _C_FIND_RSP),
        (0x0120, message_id),
        (0x0800, _DATA_SET_FOLLOWS),
        (0x0900, status),
    ):
        body += struct.pack("<HHIH", 0, element, 2, value)
    return struct.pack("<HHII", 0, 0x0000, 4, len(body)) + body
