"""pynetdicom's upper layer (PS3.8), driven by the association's own thread.

The library runs two threads for each association, which hand each other everything through queues
and look for it every millisecond. Here one thread waits for the socket, feeds the library's state
machine and serves; other threads may send, one at a time.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from pynetdicom.dul import DULServiceProvider
from pynetdicom.fsm import TRANSITION_TABLE

from pylantir.dicom.transport import pdus
from pylantir.dicom.transport.blank import Blank
from pylantir.dicom.transport.message_limits import SHORT_BYTES, MessageLimits
from pylantir.dicom.transport.peer_socket import CLOSED, name_of

if TYPE_CHECKING:
    from pynetdicom.association import Association
    from pynetdicom.pdu_primitives import _PDUPrimitiveType

log = logging.getLogger(__name__)

_PDU_BYTES = {0x05: 4, 0x06: 4, 0x07: 4, 0x03: 4}
"""Length of those PDUs that have but one (PS3.8 9.3.4, 9.3.6 to 9.3.8)."""

_INVALID = "Evt19"
_GONE = "Sta1"
_WAITING_FOR_CLOSE = "Sta13"
_ASKS_THE_USER, _TRANSFERS, _ASKED_TO_RELEASE = "Sta3", "Sta6", "Sta8"
_MAY_SEND = (_TRANSFERS, _ASKED_TO_RELEASE)
"""States in which P-DATA goes out (actions DT-1 and AR-7, PS3.8 Table 9-7)."""

_MESSAGES_AHEAD = 8
"""Requests that a peer may send before the first is answered; then it is read no further."""


class UpperLayer(DULServiceProvider):
    """The library's provider without its thread.

    Parameters
    ----------
    association : Association
        The parent.
    limits : MessageLimits
        What the peer may send.
    blank : Blank
        What it is at first.
    """

    def __init__(self, association: Association, limits: MessageLimits, blank: Blank) -> None:
        blank.copy_to_layer(self, association)
        self._limits = limits
        self._turn = threading.RLock()
        self._owner = 0
        self._received = bytearray()
        self._message_bytes = 0
        self._space_taken = 0
        self._began: float | None = None
        """When the first byte of a message came whose last one has not."""
        self._last_traffic = time.monotonic()

    # --- for the association ---

    @property
    def is_asked_to_release(self) -> bool:
        """Whether the peer wants to leave (state 8)."""
        return self.state_machine.current_state == _ASKED_TO_RELEASE

    @property
    def is_over(self) -> bool:
        """Whether no more can come: aborted, released, rejected, hung up."""
        return self.state_machine.current_state in (_GONE, _WAITING_FOR_CLOSE)

    def open(self, request: bytes) -> None:
        """Take the connection and its association request (events 5 and 6)."""
        self._owner = threading.get_ident()
        with self._turn:
            self._work_off()
            self._received += request
            self._split()

    def open_again(self) -> None:
        """Likewise for a request that was read before: the user is asked next (state 3)."""
        self._owner = threading.get_ident()
        with self._turn:
            self.event_queue.get_nowait()  # event 5
            self.state_machine.current_state = _ASKS_THE_USER

    def accept(self, answer: bytes) -> None:
        """Send an A-ASSOCIATE-AC that was sent before (event 7, action AE-7)."""
        connection = self.socket
        with self._turn:
            if connection is None or self.state_machine.current_state != _ASKS_THE_USER:
                return  # another thread has aborted
            connection.send(answer)
            self.state_machine.current_state = _TRANSFERS
            self._work_off()

    def agree_to_release(self) -> None:
        """Send A-RELEASE-RP and leave it to the peer to hang up (event 14, action AR-4)."""
        connection = self.socket
        with self._turn:
            if connection is not None and self.state_machine.current_state == _ASKED_TO_RELEASE:
                connection.send(pdus.RELEASE_RP)
                self.state_machine.current_state = _WAITING_FOR_CLOSE
                self._work_off()

    def send_pdu(self, primitive: _PDUPrimitiveType) -> None:
        """Send at once; what the state does not allow to be sent any more is forgotten."""
        super().send_pdu(primitive)
        with self._turn:
            self._work_off()

    def write(self, data: bytes) -> None:
        """Write whole P-DATA-TF PDUs, after a look at what the peer says meanwhile."""
        self.look()
        connection = self.socket
        with self._turn:  # another thread may be about to change the state
            may_send = self.state_machine.current_state in _MAY_SEND
        if connection is not None and may_send:
            connection.send(data)
            if not self.event_queue.empty():
                with self._turn:
                    self._work_off()

    def look(self, for_s: float = 0.0) -> None:
        """Read what there is, or what comes within some seconds, while a request is served."""
        is_ours = threading.get_ident() == self._owner
        if is_ours and not self.is_over and self.assoc.dimse.msg_queue.qsize() < _MESSAGES_AHEAD:
            self._pump(for_s)

    def wait(self) -> None:
        """Wait for the peer and work off what it sends; returns at the latest at a deadline.

        A message that does not end in time is aborted. So is the association after too long a
        silence.
        """
        self._make_room()
        now = time.monotonic()
        if self._began is not None:
            left = self._began + self._limits.message_s - now
            reason = "a message does not end"
        else:
            left = self._last_traffic + self._limits.idle_s - now
            reason = "no traffic"
        if left > 0:
            self._pump(left)
            return
        log.info("association with %s ended: %s", name_of(self.assoc), reason)
        self.assoc.abort(block=False)

    def finish(self) -> socket.socket | None:
        """End for good; returns the socket if the peer is the one to close it (state 13)."""
        with self._turn:
            connection: Any = self.socket
            waits = self.state_machine.current_state == _WAITING_FOR_CLOSE
            given = connection.detach() if connection is not None and waits else None
            if connection is not None:
                connection._shutdown_socket()
            if self.state_machine.current_state != _GONE:
                self._do(CLOSED)
            self.assoc.dimse.message = None
            self._make_room()
            return given

    # --- the state machine ---

    def _pump(self, timeout_s: float) -> None:
        connection: Any = self.socket
        received = connection.receive(timeout_s) if connection is not None else b""
        if received is None:
            return
        with self._turn:
            if received:
                self._last_traffic = time.monotonic()
                self._received += received
                self._split()
            else:
                self.event_queue.put(CLOSED)
            self._work_off()

    def _split(self) -> None:
        """Cut what has come into PDUs and work off each; what is none ends the association."""
        messages = self.assoc.dimse.msg_queue.qsize()
        while len(self._received) >= pdus.HEADER_BYTES and not self.is_over:
            kind, length = pdus.header(self._received)
            wrong = self._wrong(kind, length)
            if wrong:
                self._protest(wrong)
                break
            size = pdus.HEADER_BYTES + length
            if len(self._received) < size:
                break
            pdu = bytes(self._received[:size])
            del self._received[:size]
            self._take(pdu)
        if self.is_over:
            self._received.clear()
        self._note_beginning(self.assoc.dimse.msg_queue.qsize() != messages)

    def _wrong(self, kind: int, length: int) -> str:
        if kind == pdus.P_DATA_TF:
            longest = self.assoc.acceptor.maximum_length or pdus.MAX_ASSOCIATE_BYTES
            if length > longest:
                return f"a P-DATA-TF of {length} bytes, {longest} were agreed"
            if self._message_bytes + length > self._limits.message_bytes:
                return f"a message longer than {self._limits.message_bytes} bytes"
            return ""
        if kind not in (0x01, 0x02) and kind not in _PDU_BYTES:
            return f"a PDU of unknown type {kind}"
        if length > pdus.MAX_ASSOCIATE_BYTES or length != _PDU_BYTES.get(kind, length):
            return f"a PDU of type {kind} and {length} bytes"
        return ""

    def _takes_room(self, length: int) -> bool:
        if self._message_bytes + length <= SHORT_BYTES:
            return True
        if not self._limits.space.take(length):
            return False
        self._space_taken += length
        return True

    def _make_room(self) -> None:
        """What was served needs no memory any more."""
        if self._space_taken and self.assoc.dimse.message is None:
            self._limits.space.give_back(self._space_taken)
            self._space_taken = 0

    def _take(self, pdu: bytes) -> None:
        if pdu[0] == pdus.P_DATA_TF:
            if not self._takes_room(len(pdu)):
                self._protest("a long message, beside too many others")
                return
            self._message_bytes += len(pdu)
            values = pdus.data_values(pdu)
            if values is not None and self.state_machine.current_state == _TRANSFERS:
                self._take_values(values)
                return
        if pdu[0] == pdus.A_RELEASE_RQ and self.state_machine.current_state == _TRANSFERS:
            self.state_machine.current_state = _ASKED_TO_RELEASE  # event 12, action AR-2
            return
        try:
            decoded, event = self._decode_pdu(bytearray(pdu))
        except Exception as error:  # noqa: BLE001 - a door: the library stumbles over what peers send
            self._protest(f"a PDU that is none ({type(error).__name__})")
            return
        self._recv_pdu.put(decoded)
        self.event_queue.put(event)
        self._work_off()
        if self.assoc.dimse.message is None:
            self._message_bytes = 0

    def _take_values(self, values: list[tuple[int, bytes]]) -> None:
        """Event 10 in state 6 (action DT-2), which is what nearly all PDUs are."""
        messages: Any = self.assoc.dimse
        try:
            for context_id, value in values:
                messages.receive_value(context_id, value)
        except Exception as error:  # a door: the library stumbles over what peers send
            log.debug("cause", exc_info=True)
            self._protest(f"a message that is none ({type(error).__name__})")
        if messages.message is None:
            self._message_bytes = 0

    def _note_beginning(self, a_message_has_ended: bool) -> None:
        if not self._received and self.assoc.dimse.message is None:
            self._began = None
        elif self._began is None or a_message_has_ended:
            self._began = time.monotonic()

    def _protest(self, words: str) -> None:
        log.info("association with %s ended: %s", name_of(self.assoc), words)
        self.event_queue.put(_INVALID)
        self._work_off()

    def _work_off(self) -> None:
        """Everything that waits: what the user sends, and the events that come of it."""
        while True:
            self._process_recv_primitive()
            try:
                event = self.event_queue.get_nowait()
            except queue.Empty:
                return
            self._do(event)

    def _do(self, event: str) -> None:
        state = self.state_machine.current_state
        if (event, state) not in TRANSITION_TABLE:
            with contextlib.suppress(queue.Empty):
                self.to_provider_queue.get_nowait()  # nobody is there any more
            return
        try:
            self.state_machine.do_action(event)
        except Exception as error:  # a door: a message that the library stumbles over
            log.debug("cause", exc_info=True)
            if event != _INVALID and (_INVALID, state) in TRANSITION_TABLE:
                self._protest(f"a message that is none ({type(error).__name__})")
            else:
                self._end_badly()
        if self.is_over:
            self.assoc.is_established = False

    def _end_badly(self) -> None:
        """Not even an abort can be sent."""
        self.state_machine.current_state = _GONE
        if self.socket is not None:
            self.socket._shutdown_socket()
