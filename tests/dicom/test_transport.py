"""The private parts of pynetdicom that the transport touches: they exist, and do what it relies on.

When one of these fails after an upgrade of the library, read ``dicom/transport`` before anything
else.
"""

from __future__ import annotations

import gc
import inspect
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pynetdicom
import pytest
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import N_CREATE_RSP
from pynetdicom.dul import DULServiceProvider
from pynetdicom.fsm import TRANSITION_TABLE, StateMachine
from pynetdicom.timer import Timer
from pynetdicom.transport import AddressInformation, AssociationSocket
from tests.dicom.modality import MPPS, VERIFICATION, WORKLIST, Aborted, HungUp, Modality, Refused
from tests.dicom.performing import begun, new_uid
from tests.dicom.serving import Server, query
from tests.standins.delivery import reset

from pylantir.dicom.transport import cancellations, messages
from pylantir.dicom.transport.association import ScannerAssociation
from pylantir.dicom.transport.blank import Address, Where
from pylantir.dicom.transport.lines import Line
from pylantir.dicom.transport.peer_socket import PeerSocket
from pylantir.dicom.transport.server import AssociationServer, Limits, LocalAE
from pylantir.dicom.transport.slots import Slots
from pylantir.dicom.transport.upper_layer import UpperLayer

Handler = Callable[[evt.Event], Any]


@contextmanager
def listening(*handlers: tuple[Any, Handler]) -> Iterator[AssociationServer]:
    """An AE of the library behind our server."""
    ae = LocalAE(ae_title="LIBRARY")
    for uid in (VERIFICATION, WORKLIST, MPPS):
        ae.add_supported_context(uid)
    server = AssociationServer(ae, handlers, Limits(Slots(10, 10, 10)))
    server.start(("127.0.0.1", 0))
    try:
        yield server
    finally:
        server.stop(5.0)


def scanner_of(server: AssociationServer) -> Modality:
    proposals = [(uid, ["1.2.840.10008.1.2"]) for uid in (VERIFICATION, WORKLIST, MPPS)]
    return Modality(server.server_address[1], proposals=proposals)


@contextmanager
def accepted() -> Iterator[tuple[Modality, ScannerAssociation]]:
    """A scanner, and the library's side of its association."""
    with listening() as server, scanner_of(server) as scanner:
        (association,) = server.active_associations
        yield scanner, association


def test_the_library_is_one_without_known_holes() -> None:
    """Before 3.0.4, files could be written outside their folder (CVE-2026-56445)."""
    assert tuple(int(part) for part in pynetdicom.__version__.split(".")[:3]) >= (3, 0, 4)


# --- What we override, call or look at: named here, so that an upgrade that moves it is noticed ---


@pytest.mark.parametrize(
    ("cls", "names"),
    [
        (Association, "_abort_blocking _bind_defaults _serve_request abort bind kill set_socket"),
        (DULServiceProvider, "_decode_pdu _process_recv_primitive receive_pdu send_pdu"),
        (AssociationSocket, "_shutdown_socket close send"),
        (DIMSEServiceProvider, "get_msg receive_primitive send_msg"),
        (StateMachine, "do_action"),
        (N_CREATE_RSP, "_set_command_group_length message_to_primitive decode_msg"),
    ],
)
def test_the_library_has_the_methods_that_we_rely_on(cls: type, names: str) -> None:
    assert [name for name in names.split() if not callable(getattr(cls, name, None))] == []


def test_the_library_has_the_attributes_that_we_rely_on() -> None:
    with accepted() as (_, association):
        association_names = "_accepted_cx _handlers _kill _sent_abort acse dimse dul is_established"
        layer_names = "_recv_pdu event_queue socket state_machine to_provider_queue to_user_queue"
        dimse_names = "cancel_req message msg_queue"
        for held, names in (
            (association, association_names),
            (association.dul, layer_names),
            (association.dimse, dimse_names),
        ):
            assert [name for name in names.split() if not hasattr(held, name)] == []
    for name in ("_INTERVENTION_EVENTS", "_add_handler", "get_default_handler"):
        assert hasattr(evt, name)


def test_an_association_has_all_that_the_library_gives_it() -> None:
    """Its constructors are not called for each association; a new attribute would be missed."""
    with accepted() as (_, association):
        made = Association(association.ae, "acceptor")
        for ours, theirs in (
            (association, made),
            (association.dul, made.dul),
            (association.dimse, made.dimse),
            (association.acse, made.acse),
            (association.requestor, made.requestor),
            (association.acceptor, made.acceptor),
            (association.requestor.address_info, AddressInformation("127.0.0.1", 1)),
        ):
            assert set(vars(theirs)) - set(vars(ours)) == set()


def test_associations_share_nothing_that_one_could_change_for_another() -> None:
    """Arguments of a thread that is never started aside."""

    def changeable(held: object) -> set[int]:
        kinds = (dict, list, set, StateMachine, Line, queue.Queue, Timer)
        fields = {name: value for name, value in vars(held).items() if name != "_kwargs"}
        return {id(value) for value in fields.values() if isinstance(value, kinds)}

    with listening() as server, scanner_of(server), scanner_of(server):
        one, other = server.active_associations
        assert one._handlers is other._handlers  # until one of them binds something
        one.bind(evt.EVT_PDU_SENT, str)
        other.bind(evt.EVT_PDU_SENT, str)
        other.unbind(evt.EVT_PDU_SENT, str)
        assert (evt.EVT_PDU_SENT in one._handlers, evt.EVT_PDU_SENT in server._shared.handlers) == (
            1,
            0,
        )
        for name in ("dul", "dimse", "acse", "requestor", "acceptor"):
            assert changeable(getattr(one, name)) & changeable(getattr(other, name)) == set()
        assert changeable(one) & changeable(other) == set()


@pytest.mark.parametrize(
    "where", [("127.0.0.1", 104), ("10.1.2.3", 1), ("::1", 104, 0, 0), ("::ffff:10.1.2.3", 7, 0, 0)]
)
def test_an_address_is_what_the_library_says_of_it(where: Where) -> None:
    theirs, ours = AddressInformation.from_tuple(where), Address(where)
    assert vars(ours) == vars(theirs)
    assert ours.as_tuple == theirs.as_tuple


def test_the_library_sends_by_the_method_that_we_override() -> None:
    assert "self.socket.send(pdu.encode())" in inspect.getsource(DULServiceProvider._send)


def test_the_library_closes_by_the_method_that_we_override() -> None:
    assert "_shutdown_socket" in inspect.getsource(AssociationSocket.close)


def test_a_new_socket_is_a_transport_connection_indication() -> None:
    """Event 5, which the state machine begins with."""
    assert 'put("Evt5")' in inspect.getsource(AssociationSocket.__init__)


def test_the_state_table_is_that_of_the_standard() -> None:
    """PS3.8 Table 9-10 in the places that decide how an acceptor ends."""
    assert TRANSITION_TABLE["Evt19", "Sta6"] == "AA-8"
    assert TRANSITION_TABLE["Evt17", "Sta13"] == "AR-5"
    assert TRANSITION_TABLE["Evt14", "Sta8"] == "AR-4"
    assert ("Evt9", "Sta13") not in TRANSITION_TABLE


def test_an_association_needs_no_thread_of_the_library() -> None:
    with accepted() as (scanner, association):
        assert isinstance(association.dul, UpperLayer)
        assert isinstance(association.dul.socket, PeerSocket)
        assert not association.is_alive()
        assert not association.dul.is_alive()
        assert scanner.echo().status == 0x0000


def test_an_association_that_has_ended_leaves_nothing_to_the_garbage_collector() -> None:
    """Memory would grow until a collection, which stops everybody."""
    with listening() as server:

        def come_and_go() -> None:
            with scanner_of(server) as scanner:
                scanner.echo()
            assert wait_until(lambda: server.active_associations == [])

        come_and_go()
        gc.collect()
        gc.disable()
        try:
            come_and_go()
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            left = [type(found).__name__ for found in gc.garbage]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
    ours = {"ScannerAssociation", "UpperLayer", "Messages", "PeerSocket", "DULServiceProvider"}
    assert ours & set(left) == set()


# --- The connection ---


def test_messages_are_sent_at_once() -> None:
    with accepted() as (_, association):
        connection = association.dul.socket
        assert connection is not None
        assert isinstance(connection.socket, socket.socket)
        assert connection.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_what_several_threads_write_arrives_whole() -> None:
    pdu = b"\x04\x00\x00\x00\x00\x08" + b"\x00\x00\x00\x04\x01\x03\x0a\x0b"
    with accepted() as (scanner, association):
        writers = [
            threading.Thread(target=messages.write, args=(association, pdu * 50)) for _ in range(4)
        ]
        for writer in writers:
            writer.start()
        for _ in range(200):
            assert scanner._pdu() == (0x04, pdu[6:])
        for writer in writers:
            writer.join()
        assert scanner.echo().status == 0x0000


def test_a_write_to_a_broken_connection_ends_the_association() -> None:
    with listening() as server:
        scanner = scanner_of(server)
        scanner.open()
        (association,) = server.active_associations
        connection = association.dul.socket
        assert connection is not None
        assert connection.socket is not None
        connection.socket.shutdown(socket.SHUT_RDWR)
        messages.write(association, b"\x04")
        with pytest.raises((HungUp, Aborted)):
            scanner.wait_for_the_end()
        assert wait_until(lambda: server.active_associations == [])
        assert connection.socket is None or connection.socket.fileno() == -1


def wait_until(holds: Callable[[], bool]) -> bool:
    pause = threading.Event()
    for _ in range(1000):
        if holds():
            return True
        pause.wait(0.01)
    return False


@pytest.mark.parametrize("heard_before", [False, True])
def test_a_peer_that_resets_the_connection_while_it_is_accepted_leaves_nothing_behind(
    heard_before: bool,
) -> None:
    """Else its thread would wait for a connection that is not there, over and over."""
    served: list[Association] = []
    is_asked, is_gone = threading.Event(), threading.Event()

    def wait_for_the_reset(event: evt.Event) -> None:
        served.append(event.assoc)
        if len(served) > heard_before:
            is_asked.set()
            assert is_gone.wait(10)

    with listening((evt.EVT_REQUESTED, wait_for_the_reset)) as server:
        if heard_before:
            with scanner_of(server):
                pass
        with socket.create_connection(server.server_address, 10) as peer:
            peer.sendall(scanner_of(server)._associate_rq())
            assert is_asked.wait(10)
            reset(peer)
        is_gone.set()
        assert wait_until(lambda: server.active_associations == [])
        assert not served[-1].is_established


# --- Rejection and abort ---


def test_a_refusal_is_sent_and_ends_the_association() -> None:
    seen: list[Association] = []

    def turn_away(event: evt.Event) -> None:
        seen.append(event.assoc)
        messages.refuse(event.assoc, 1, 1, 3)

    with listening((evt.EVT_REQUESTED, turn_away)) as server:
        with pytest.raises(Refused) as refused:
            scanner_of(server).open()
        assert refused.value.args == (1, 1, 3)
        assert wait_until(lambda: server.active_associations == [])
        assert (seen[0].is_rejected, seen[0].is_established) == (True, False)


def test_an_abort_of_another_thread_reaches_the_peer() -> None:
    with listening() as server:
        scanner = scanner_of(server)
        scanner.open()
        (association,) = server.active_associations
        association.break_off(1.0)
        with pytest.raises(Aborted):
            scanner.wait_for_the_end()
        assert wait_until(lambda: server.active_associations == [])


# --- Messages ---


def test_a_message_is_announced_before_it_is_encoded() -> None:
    def comment(event: evt.Event) -> None:
        event.message.command_set.ErrorComment = "written on the way"
        event.message._set_command_group_length()

    with listening((evt.EVT_DIMSE_SENT, comment)) as server, scanner_of(server) as scanner:
        answer = scanner.create(begun(), new_uid())  # which nobody handles
    assert (answer.status, answer.comment) == (0x0110, "written on the way")


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
    with listening(*handlers) as server, scanner_of(server) as scanner:
        scanner.echo()
    assert seen == ["announced 0030", "served"]


def test_cancels_of_nothing_harm_nobody() -> None:
    """The library takes the eleventh for a request and dies of it."""
    with accepted() as (scanner, association):
        for message_id in range(1, 40):
            scanner.cancel(message_id)
        assert scanner.echo().status == 0x0000
        assert association.dimse.msg_queue.empty()


def test_a_cancelled_query_is_known_until_the_next_one() -> None:
    known: list[bool] = []

    def find(event: evt.Event) -> Iterator[tuple[int, None]]:
        known.append(cancellations.listen(event, 5.0 if not known else 0.0))
        yield 0x0000, None

    with listening((evt.EVT_C_FIND, find)) as server, scanner_of(server) as scanner:
        scanner.find(query(), cancel_after=0)
        scanner._message_id = 0  # some consoles give every query the same Message ID
        scanner.find(query())
    assert known == [True, False]
