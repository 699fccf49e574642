"""Responses to one C-FIND, written straight to the association's socket (PS3.7 9.3.2).

The library makes each response of data sets that it encodes, which takes longer than to find what
is in it, and sends its parts one by one. Here a response is its prebuilt command set and its
identifier, and several go out in one send; the final one goes with the last of a short answer.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pylantir.dicom.transport.messages import write

if TYPE_CHECKING:
    from pynetdicom.events import Event

C_FIND_RSP, C_ECHO_RSP, N_CREATE_RSP, N_SET_RSP = 0x8020, 0x8030, 0x8140, 0x8120
_DATA_SET_FOLLOWS, _NO_DATA_SET = 0x0001, 0x0101
_P_DATA_TF = 0x04
_DATA, _COMMAND, _LAST = 0x00, 0x01, 0x02
_PDV_HEADER = 6
_UNLIMITED = 0x0100_0000
_PDU = struct.Struct(">BxIIBB")
_HEADER = struct.Struct("<HHI")
_LENGTH = struct.Struct("<HHII")
_VALUES = struct.Struct("<" + "HHIH" * 4)


@dataclass(frozen=True, slots=True)
class Cut:
    """How an association wants its P-DATA-TF PDUs (PS3.8 9.3.5).

    Parameters
    ----------
    context_id : int
        The presentation context.
    longest : int
        Bytes of a message in one PDU, more the peer does not take.
    """

    context_id: int
    longest: int

    @classmethod
    def of(cls, event: Event) -> Cut:
        """That of the association and context of a request."""
        return cls.within(event.context.context_id, event.assoc.requestor.maximum_length)

    @classmethod
    def within(cls, context_id: int, longest_pdu: int | None) -> Cut:
        """That of a maximum length of P-DATA-TF PDUs (PS3.8 D.1); 0 is no limit."""
        return cls(context_id, (longest_pdu or _UNLIMITED) - _PDV_HEADER)

    def data(self, identifier: bytes) -> bytes:
        """The PDUs of an encoded data set."""
        return self._pdus(identifier, _DATA)

    def command(self, command: bytes) -> bytes:
        """The PDUs of a command set."""
        return self._pdus(command, _COMMAND)

    def _pdus(self, message: bytes, kind: int) -> bytes:
        """PDUs of one PDV each, the last one marked (PS3.8 E.2)."""
        if len(message) <= self.longest:
            return self._pdu(message, kind | _LAST)
        whole = (len(message) - 1) // self.longest * self.longest
        parts = [message[at : at + self.longest] for at in range(0, whole, self.longest)]
        pdus = [self._pdu(part, kind) for part in parts]
        return b"".join([*pdus, self._pdu(message[whole:], kind | _LAST)])

    def _pdu(self, fragment: bytes, flags: int) -> bytes:
        length = len(fragment) + _PDV_HEADER
        return _PDU.pack(_P_DATA_TF, length, length - 4, self.context_id, flags) + fragment


class Responses:
    """The responses to one request.

    Parameters
    ----------
    event : Event
        Of the request.
    pending : int
        Status of those with an identifier, 0xFF00 or 0xFF01.
    """

    def __init__(self, event: Event, pending: int) -> None:
        self._event, self._cut = event, Cut.of(event)
        self._command = self._command_set(pending, with_identifier=True)
        self.sent = 0

    def send(self, identifiers: Sequence[bytes], *, final: int | None = None) -> None:
        """One response for each identifier, all in one send.

        Parameters
        ----------
        identifiers : sequence of bytes
            Encoded and cut, see :meth:`Cut.data`.
        final : int, optional
            Status of the final response, if it is time for that.
        """
        said = self._command + self._command.join(identifiers) if identifiers else b""
        if final is not None:
            said += self._command_set(final, with_identifier=False)
        write(self._event.assoc, said)
        self.sent += len(identifiers)

    def _command_set(self, status: int, *, with_identifier: bool) -> bytes:
        request: Any = self._event.request
        sop_class = str(request.AffectedSOPClassUID)
        command = command_set(
            C_FIND_RSP, sop_class, request.MessageID, status, with_data_set=with_identifier
        )
        return self._cut.command(command)


def command_set(
    command_field: int,
    sop_class_uid: str,
    message_id: int,
    status: int,
    *,
    with_data_set: bool = False,
    instance_uid: str | None = None,
) -> bytes:
    """The command set of a response (PS3.7 9.3 and 10.3, such as Tables 9.3-4 and 10.3-10).

    Parameters
    ----------
    command_field : int
        Which response.
    sop_class_uid : str
        Affected SOP Class UID.
    message_id : int
        Message ID Being Responded To.
    status : int
        Status, without further elements that would explain it.
    with_data_set : bool
        Whether a data set follows.
    instance_uid : str, optional
        Affected SOP Instance UID.
    """
    data_set = _DATA_SET_FOLLOWS if with_data_set else _NO_DATA_SET
    values = _VALUES.pack(
        *(0, 0x0100, 2, command_field),
        *(0, 0x0120, 2, message_id),
        *(0, 0x0800, 2, data_set),
        *(0, 0x0900, 2, status),
    )
    body = _uid_element(0x0002, sop_class_uid) + values
    if instance_uid is not None:
        body += _uid_element(0x1000, instance_uid)
    return _LENGTH.pack(0, 0x0000, 4, len(body)) + body


def _uid_element(element: int, uid: str) -> bytes:
    value = uid.encode("ascii")
    value += b"\0" * (len(value) & 1)
    return _HEADER.pack(0, element, len(value)) + value
