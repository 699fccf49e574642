"""The private parts of pynetdicom that transport.py touches: they exist, and do what it relies on.

When one of these fails after an upgrade of the library, read transport.py before anything else.
"""

from __future__ import annotations

import inspect
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pynetdicom
import pytest
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.dimse_messages import N_CREATE_RSP
from pynetdicom.pdu import A_ABORT_RQ
from pynetdicom.transport import AssociationSocket, ThreadedAssociationServer
from tests.dicom.modality import MPPS, VERIFICATION, WORKLIST, Aborted, HungUp, Modality, Refused
from tests.dicom.performing import begun, new_uid
from tests.dicom.serving import Server, query

from pylantir.dicom import transport

Handler = Callable[[evt.Event], Any]


@contextmanager
def listening(*handlers: tuple[Any, Handler]) -> Iterator[tuple[AE, Any]]:
    """An AE of the library behind our server class."""
    ae = AE(ae_title="LIBRARY")
    for uid in (VERIFICATION, WORKLIST, MPPS):
        ae.add_supported_context(uid)
    server = transport.socket_server(ae, ("127.0.0.1", 0), list(handlers))
    try:
        yield ae, server
    finally:
        transport.hang_up(server, 1.0)


def scanner_of(server: Any) -> Modality:
    proposals = [(uid, ["1.2.840.10008.1.2"]) for uid in (VERIFICATION, WORKLIST, MPPS)]
    return Modality(server.server_address[1], proposals=proposals)


@contextmanager
def accepted() -> Iterator[tuple[Modality, Association]]:
    """A scanner, and the library's side of its association."""
    prepare = (evt.EVT_CONN_OPEN, transport.prepare_connection)
    with listening(prepare) as (_, server), scanner_of(server) as scanner:
        (association,) = server.active_associations
        yield scanner, association


def test_the_library_is_one_without_known_holes() -> None:
    """Before 3.0.4, files could be written outside their folder (CVE-2026-56445)."""
    assert tuple(int(part) for part in pynetdicom.__version__.split(".")[:3]) >= (3, 0, 4)


# --- The server ---


def test_the_server_takes_what_we_give_it() -> None:
    parameters = list(inspect.signature(ThreadedAssociationServer.__init__).parameters)
    assert parameters[:5] == ["self", "ae", "address", "ae_title", "contexts"]
    assert "evt_handlers" in parameters


def test_the_library_binds_where_we_override_it() -> None:
    assert ThreadedAssociationServer.server_bind.__module__ == "pynetdicom.transport"
    assert "handle_error" in inspect.getsource(ThreadedAssociationServer.process_request_thread)


def test_a_shutdown_takes_the_server_off_the_list() -> None:
    with listening() as (ae, server):
        assert ae._servers == [server]
    assert ae._servers == []


def test_the_backlog_is_the_one_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(socket.socket, "listen", lambda self, size: asked.append(size))
    ae = AE()
    ae.add_supported_context(VERIFICATION)
    server = transport.AssociationServer(ae, ("127.0.0.1", 0), b"LIBRARY", ae.supported_contexts)
    server.server_close()
    assert asked == [transport.AssociationServer.request_queue_size] == [128]


def test_active_associations_are_those_of_this_server() -> None:
    with accepted() as (_, association), listening() as (_, other):
        assert isinstance(association, Association)
        assert other.active_associations == []


# --- The connection ---


def test_the_socket_of_an_association_is_within_reach() -> None:
    with accepted() as (_, association):
        connection = association.dul.socket
        assert isinstance(connection, AssociationSocket)
        assert isinstance(connection.socket, socket.socket)
        assert connection.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_the_library_sends_by_the_method_that_we_replace() -> None:
    sent: list[bytes] = []
    with accepted() as (scanner, association):
        connection = association.dul.socket
        assert connection is not None
        send = connection.send

        def note_and_send(data: bytes) -> None:
            sent.append(data)
            send(data)

        connection.send = note_and_send
        scanner.echo()
    assert sent[0][0] == 0x04  # P-DATA-TF
    assert sent[-1][0] == 0x06  # A-RELEASE-RP


def test_what_is_written_beside_the_library_arrives_whole() -> None:
    pdu = b"\x04\x00\x00\x00\x00\x08" + b"\x00\x00\x00\x04\x01\x03\x0a\x0b"
    with accepted() as (scanner, association):
        writers = [
            threading.Thread(target=transport.write, args=(association, pdu * 50)) for _ in range(4)
        ]
        for writer in writers:
            writer.start()
        for _ in range(200):
            assert scanner._pdu() == (0x04, pdu[6:])
        for writer in writers:
            writer.join()
        assert scanner.echo().status == 0x0000


def test_a_write_to_a_broken_connection_ends_the_association() -> None:
    with accepted() as (scanner, association):
        connection = association.dul.socket
        assert connection is not None
        assert connection.socket is not None
        connection.socket.close()
        transport.write(association, b"\x04")
        association.join(5)
        assert not association.is_alive()
        with pytest.raises((HungUp, Aborted)):
            scanner.wait_for_the_end()
        scanner.open()  # so that it has something to release


def test_the_library_closes_by_the_method_that_we_replace() -> None:
    assert "_shutdown_socket" in inspect.getsource(AssociationSocket.close)
    with accepted() as (_, association):
        connection = association.dul.socket
        assert connection is not None
        connected = connection.socket
        assert connected is not None
        assert connection._shutdown_socket.__module__ == transport.__name__
    association.join(5)
    assert connected.fileno() == -1


# --- Rejection and abort ---


def test_a_refusal_is_sent_and_ends_the_association() -> None:
    seen: list[Association] = []

    def turn_away(event: evt.Event) -> None:
        seen.append(event.assoc)
        transport.refuse(event.assoc, 1, 1, 3)

    with listening((evt.EVT_REQUESTED, turn_away)) as (_, server):
        with pytest.raises(Refused) as refused:
            scanner_of(server).open()
        assert refused.value.args == (1, 1, 3)
        seen[0].join(5)
        assert (seen[0].is_alive(), seen[0].is_rejected) == (False, True)


def test_an_abort_that_does_not_wait_is_seen_when_it_is_sent() -> None:
    sent = threading.Event()

    def notice(event: evt.Event) -> None:
        if isinstance(event.pdu, A_ABORT_RQ):
            sent.set()

    with listening() as (_, server):
        scanner = scanner_of(server)
        scanner.open()
        (association,) = server.active_associations
        association.bind(evt.EVT_PDU_SENT, notice)
        association.abort(block=False)
        assert sent.wait(5)
        with pytest.raises(Aborted):
            scanner.wait_for_the_end()


# --- Messages ---


def test_a_message_is_announced_before_it_is_encoded() -> None:
    assert hasattr(N_CREATE_RSP, "_set_command_group_length")

    def comment(event: evt.Event) -> None:
        event.message.command_set.ErrorComment = "written on the way"
        event.message._set_command_group_length()

    with listening((evt.EVT_DIMSE_SENT, comment)) as (_, server), scanner_of(server) as scanner:
        answer = scanner.echo()
    assert (answer.status, answer.comment) == (0x0000, "written on the way")


def test_named_attributes_go_into_one_response_only(server: Server) -> None:
    refused = server.mr1.create(begun(PatientSex=None), new_uid())
    assert (refused.status, refused.tags) == (0x0120, [0x00100040])
    accepted = server.mr1.create(begun(), new_uid())
    assert (accepted.status, accepted.tags) == (0x0000, [])


def test_a_request_is_announced_before_it_is_served() -> None:
    seen: list[str] = []

    def announced(event: evt.Event) -> None:
        seen.append(f"announced {event.message.command_set.CommandField:04X}")

    def served(event: evt.Event) -> int:
        seen.append("served")
        return 0x0000

    handlers = (evt.EVT_DIMSE_RECV, announced), (evt.EVT_C_ECHO, served)
    with listening(*handlers) as (_, server), scanner_of(server) as scanner:
        scanner.echo()
    assert seen == ["announced 0030", "served"]


def test_the_library_keeps_late_cancels_where_we_forget_them() -> None:
    """It takes the eleventh for a request and dies of it; ours never lets two come together."""
    kept: list[int] = []
    cancellations = transport.Cancellations()

    def look(event: evt.Event) -> None:
        cancellations.note(event)
        kept.append(len(event.assoc.dimse.cancel_req))

    with listening((evt.EVT_DIMSE_RECV, look)) as (_, server), scanner_of(server) as scanner:
        for message_id in range(1, 13):
            scanner.cancel(message_id)
        assert scanner.echo().status == 0x0000
    assert set(kept[:12]) == {0}
    assert kept[12] == 1  # the last cancel, still there when the echo comes


def test_a_cancelled_query_is_known_until_the_next_one() -> None:
    known: list[bool] = []
    cancellations = transport.Cancellations()

    def find(event: evt.Event) -> Iterator[tuple[int, None]]:
        known.append(cancellations.listen(event, 0.5 if not known else 0.0))
        yield 0x0000, None

    handlers = (evt.EVT_DIMSE_RECV, cancellations.note), (evt.EVT_C_FIND, find)
    with listening(*handlers) as (_, server), scanner_of(server) as scanner:
        scanner.find(query(), cancel_after=0)
        scanner._message_id = 0  # some consoles give every query the same Message ID
        scanner.find(query())
    assert known == [True, False]
