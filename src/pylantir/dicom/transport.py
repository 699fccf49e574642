"""The socket under an association: the only module that touches private parts of pynetdicom.

Checked against pynetdicom 3.0.4; ``tests/dicom/test_transport.py`` fails when an upgrade moves one
of them.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from pynetdicom import AE, evt
from pynetdicom.pdu import A_ABORT_RQ
from pynetdicom.transport import ThreadedAssociationServer

if TYPE_CHECKING:
    from pynetdicom.association import Association
    from pynetdicom.events import Event

_C_FIND_RQ, _C_CANCEL_RQ = 0x0020, 0x0FFF
_LISTEN_BACKLOG = 128
_POLL_S = 0.1
"""How soon the accept loop notices that it shall end."""


class AssociationServer(ThreadedAssociationServer):
    """Listens for scanners; on Windows nobody else can take the same port in silence."""

    request_queue_size = _LISTEN_BACKLOG

    def server_bind(self) -> None:
        """Bind, exclusively on Windows, where SO_REUSEADDR lets two daemons share a port."""
        if sys.platform == "win32":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
            self.socket.bind(self.server_address)
            self.server_address = self.socket.getsockname()
        else:
            super().server_bind()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that failed before it was an association says nothing on stderr."""


def socket_server(
    ae: AE, address: tuple[str, int], handlers: list[evt.EventHandlerType]
) -> AssociationServer:
    """Bind, listen, and accept in a thread.

    Raises
    ------
    OSError
        The address cannot be bound.
    """
    server = AssociationServer(
        ae, address, ae.ae_title, ae.supported_contexts, evt_handlers=handlers
    )
    threading.Thread(
        target=server.serve_forever, args=(_POLL_S,), name="dicom-accept", daemon=True
    ).start()
    ae._servers.append(server)
    return server


def hang_up(server: ThreadedAssociationServer, within_s: float) -> None:
    """Stop listening and abort every association at once; one by one takes 0.1 s each.

    Parameters
    ----------
    server : ThreadedAssociationServer
        What listens.
    within_s : float
        Longest wait for the peers to take their A-ABORT, in seconds.
    """
    server.shutdown()
    associations = server.active_associations
    sent = threading.Semaphore(0)
    waiting = 0
    for association in associations:
        if association.is_established:
            association.bind(evt.EVT_PDU_SENT, _count_aborts, [sent])
            association.abort(block=False)
            waiting += 1
    deadline = time.monotonic() + within_s
    for _ in range(waiting):
        if not sent.acquire(timeout=max(0.0, deadline - time.monotonic())):
            break  # somebody does not read
    for association in associations:
        # The library's thread would wait for the peer to hang up, and the process for the thread.
        association.dul.kill_dul()
        if association.dul.socket is not None:
            association.dul.socket.close()


def _count_aborts(event: Event, sent: threading.Semaphore) -> None:
    if isinstance(event.pdu, A_ABORT_RQ):
        sent.release()


def prepare_connection(event: Event) -> None:
    """Handler of ``EVT_CONN_OPEN``.

    Messages are sent at once: Nagle's algorithm and delayed ACK cost 40 ms an answer. And one
    thread writes at a time, because answers are written by another thread than the library's own.
    At the end the socket is closed, whatever state it is in.
    """
    connection = event.assoc.dul.socket
    if connection is None or connection.socket is None:
        return
    connected = connection.socket
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    send, writing = connection.send, threading.Lock()

    def send_alone(bytestream: bytes) -> None:
        with writing:
            send(bytestream)

    def end() -> None:
        with contextlib.suppress(OSError):  # the peer was faster; the library then closes nothing
            connected.shutdown(socket.SHUT_RDWR)
        connected.close()

    connection.send = send_alone  # type: ignore[method-assign]
    connection._shutdown_socket = end  # type: ignore[method-assign]


def write(association: Association, data: bytes) -> None:
    """Write whole PDUs to the peer; a broken connection ends the association, as always."""
    connection = association.dul.socket
    if connection is not None:
        connection.send(data)


def refuse(association: Association, result: int, source: int, diagnostic: int) -> None:
    """Send A-ASSOCIATE-RJ (PS3.8 Table 9-21) and end the association."""
    association.acse.send_reject(result, source, diagnostic)
    evt.trigger(association, evt.EVT_REJECTED, {})
    association.kill()


def name_attributes(association: Association, tags: list[int]) -> None:
    """Put an Attribute Identifier List (0000,1005) into the N-CREATE response that comes next.

    The library has no place for one there, though PS3.7 Annex C wants it beside the status.
    """

    def add(event: Event) -> None:
        association.unbind(evt.EVT_DIMSE_SENT, add)
        event.message.command_set.AttributeIdentifierList = tags
        event.message._set_command_group_length()

    association.bind(evt.EVT_DIMSE_SENT, add)


class Cancellations:
    """Which queries their scanners have cancelled (PS3.7 9.3.2.3).

    The library forgets a C-CANCEL that is read before the query's handler runs, and takes the
    eleventh late one for a request, which ends the association's thread without a word to the
    scanner. So they are noted here, in the order in which the messages come.
    """

    def __init__(self) -> None:
        self._message_ids: WeakKeyDictionary[Association, set[int]] = WeakKeyDictionary()
        self._heard = threading.Condition()

    def note(self, event: Event) -> None:
        """Handler of ``EVT_DIMSE_RECV``."""
        command = event.message.command_set
        if command.CommandField == _C_FIND_RQ:
            # Whatever was cancelled earlier is over, even if it had the same Message ID.
            self._message_ids[event.assoc] = set()
        elif command.CommandField == _C_CANCEL_RQ:
            event.assoc.dimse.cancel_req.clear()
            cancelled = self._message_ids.setdefault(event.assoc, set())
            with self._heard:
                cancelled.add(command.MessageIDBeingRespondedTo)
                self._heard.notify_all()

    def listen(self, event: Event, for_s: float) -> bool:
        """Wait for a C-CANCEL of this query; returns whether one came in time.

        Parameters
        ----------
        event : Event
            Of the query.
        for_s : float
            Longest wait in seconds.
        """
        with self._heard:
            return self._heard.wait_for(lambda: self.is_cancelled(event), for_s)

    def is_cancelled(self, event: Event) -> bool:
        """Whether the query that an ``EVT_C_FIND`` brought has been cancelled."""
        request: Any = event.request
        return request.MessageID in self._message_ids.get(event.assoc, ())
