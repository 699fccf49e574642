"""An association that was accepted before is what the library would agree on again."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import UID
from pynetdicom import evt
from pynetdicom.fsm import TRANSITION_TABLE
from pynetdicom.pdu import A_RELEASE_RP
from tests.dicom.modality import MPPS, VERIFICATION, WORKLIST, Aborted, HungUp, Refused
from tests.dicom.test_transport import listening, scanner_of
from tests.faults.pdus import (
    A_ABORT,
    A_ASSOCIATE_AC,
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    P_DATA_TF,
    Item,
    associate_rq,
    command_set,
    echo_rq,
    message,
    release_rq,
)

from pylantir.dicom.transport import messages, pdus
from pylantir.dicom.transport.association import ScannerAssociation
from pylantir.dicom.transport.server import AssociationServer

LONG_S = 30.0
ECHO = message(1, command_set(*echo_rq()))
SYNTAXES = (IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED, "1.2.3")


def pdu(peer: socket.socket) -> bytes:
    head = whole(peer, 6)
    return head + whole(peer, struct.unpack(">BxI", head)[1])


def whole(peer: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        some = peer.recv(size - len(received))
        assert some, "it hung up"
        received += some
    return received


def answer_to(server: AssociationServer, request: bytes) -> bytes:
    """The answer to an association request; the association is released."""
    with socket.create_connection(("127.0.0.1", server.server_address[1]), LONG_S) as peer:
        peer.sendall(request)
        answer = pdu(peer)
        if answer[0] == A_ASSOCIATE_AC:
            peer.sendall(release_rq())
            assert pdu(peer)[0] == 6
        return answer


@pytest.fixture(scope="module")
def everybody() -> Iterator[AssociationServer]:
    with listening() as server:
        yield server


contexts = st.lists(
    st.tuples(
        st.sampled_from((1, 3, 5, 7, 255)),
        st.sampled_from((VERIFICATION, WORKLIST, MPPS, "1.2.840.10008.5.1.4.1.1.4")),
        st.lists(st.sampled_from(SYNTAXES), min_size=1, max_size=4),
    ),
    min_size=1,
    max_size=5,
)


def role(uid: str, scu: int, scp: int) -> Item:
    encoded = uid.encode()
    return Item(0x54, (struct.pack(">H", len(encoded)), encoded, bytes((scu, scp))))


users = st.tuples(
    st.integers(0, 2**32 - 1).map(lambda most: Item(0x51, (struct.pack(">I", most),))),
    st.just(Item(0x52, (b"2.25.1",))),
    st.lists(
        st.one_of(
            st.builds(
                role, st.sampled_from((WORKLIST, MPPS)), st.integers(0, 1), st.integers(0, 1)
            ),
            st.builds(
                lambda a, b: Item(0x53, (struct.pack(">HH", a, b),)),
                st.integers(0, 9),
                st.integers(0, 9),
            ),
            st.just(Item(0x55, (b"CONSOLE_1",))),
        ),
        max_size=3,
        unique_by=lambda item: item.kind,
    ),
).map(lambda given: (*given[:2], *given[2]))


@settings(deadline=None)
@given(contexts, users, st.sampled_from((b"MR1", b"MR 2", b"  MR3")))
def test_the_answer_is_the_same_each_time(
    everybody: AssociationServer,
    proposed: list[tuple[int, str, list[str]]],
    user: tuple[Item, ...],
    calling: bytes,
) -> None:
    request = associate_rq(contexts=proposed, user=user, calling=calling).encode()
    first, again = answer_to(everybody, request), answer_to(everybody, request)
    assert again == first


@contextmanager
def connected(server: AssociationServer) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.server_address[1]), LONG_S) as peer:
        peer.sendall(associate_rq().encode())
        assert pdu(peer)[0] == A_ASSOCIATE_AC
        yield peer


def facts(association: ScannerAssociation) -> dict[str, Any]:
    """What anybody can learn of an association."""
    requestor, acceptor = association.requestor, association.acceptor
    return {
        "state": association.dul.state_machine.current_state,
        "established": (association.is_established, association.is_rejected),
        "accepted": [c.as_tuple for c in association.accepted_contexts],
        "rejected": [(c.context_id, c.result) for c in association.rejected_contexts],
        "roles": [(c.as_scu, c.as_scp) for c in association.accepted_contexts],
        "titles": (requestor.ae_title, acceptor.ae_title),
        "addresses": (requestor.address, acceptor.address, acceptor.port),
        "lengths": (requestor.maximum_length, acceptor.maximum_length),
        "versions": (requestor.implementation_version_name, acceptor.implementation_version_name),
        "classes": (requestor.implementation_class_uid, acceptor.implementation_class_uid),
        "extended": (acceptor.asynchronous_operations, acceptor.accepted_common_extended),
        "waiting": association.dul.event_queue.qsize() + association.dul._recv_pdu.qsize(),
    }


def test_what_is_known_of_an_association_is_the_same_each_time() -> None:
    seen = []
    with listening() as server:
        for _ in range(2):
            with scanner_of(server) as scanner:
                (association,) = server.active_associations
                assert scanner.echo().status == 0x0000
                seen.append(facts(association))
        assert len(server._shared.openings._known) == 1
    assert seen[0]["state"] == "Sta6"
    assert seen[1] == seen[0]


@contextmanager
def admitting(decide: Callable[[evt.Event], None]) -> Iterator[AssociationServer]:
    with listening((evt.EVT_REQUESTED, decide)) as server:
        yield server


def test_who_may_connect_is_asked_each_time() -> None:
    asked: list[str] = []

    def decide(event: evt.Event) -> None:
        primitive = event.assoc.requestor.primitive
        assert primitive is not None
        asked.append(str(primitive.calling_ae_title))
        if len(asked) == 2:
            messages.refuse(event.assoc, 1, 1, 3)

    with admitting(decide) as server:
        for refused in (False, True, False):
            if refused:
                with pytest.raises(Refused) as error:
                    scanner_of(server).open()
                assert error.value.args == (1, 1, 3)
            else:
                with scanner_of(server) as scanner:
                    assert scanner.echo().status == 0x0000
    assert asked == ["MR1"] * 3


def test_what_is_withheld_is_asked_each_time() -> None:
    withheld = iter([frozenset[UID](), frozenset({UID(MPPS)})] * 2)

    def decide(event: evt.Event) -> None:
        messages.withhold(event.assoc, next(withheld))

    results = []
    with admitting(decide) as server:
        for _ in range(4):
            with scanner_of(server) as scanner:
                results.append([scanner.results[uid][0] for uid in (WORKLIST, MPPS)])
    assert results == [[0, 0], [0, 1]] * 2


def test_somebody_s_password_is_not_kept() -> None:
    identity = struct.pack(">BBH", 2, 0, 3) + b"dr." + struct.pack(">H", 6) + b"secret"
    user = (
        Item(0x51, (struct.pack(">I", 16_384),)),
        Item(0x52, (b"2.25.1",)),
        Item(0x58, (identity,)),
    )
    with listening() as server:
        first = answer_to(server, associate_rq(user=user).encode())
        assert first[0] == A_ASSOCIATE_AC
        assert server._shared.openings._known == {}


def test_long_and_many_requests_are_not_kept() -> None:
    many = [(number, WORKLIST, SYNTAXES) for number in range(1, 256, 2)]
    with listening() as server:
        assert answer_to(server, associate_rq(contexts=many).encode())[0] == A_ASSOCIATE_AC
        assert server._shared.openings._known == {}
        for number in range(40):
            answer_to(server, associate_rq(calling=b"MR%d" % number).encode())
        assert 0 < len(server._shared.openings._known) <= 32


def test_a_release_is_confirmed_as_the_library_does_it() -> None:
    assert A_RELEASE_RP().encode() == pdus.RELEASE_RP
    with listening() as server, connected(server) as peer:
        peer.sendall(release_rq())
        assert pdu(peer) == pdus.RELEASE_RP
        peer.shutdown(socket.SHUT_WR)
        assert peer.recv(1) == b""


def test_a_request_before_the_release_is_answered_first() -> None:
    with listening() as server, connected(server) as peer:
        peer.sendall(ECHO + release_rq())
        assert pdu(peer)[0] == P_DATA_TF
        assert pdu(peer) == pdus.RELEASE_RP


@pytest.mark.parametrize("more", [ECHO, release_rq(), associate_rq().encode()], ids=len)
def test_nothing_may_come_after_a_release_request(more: bytes) -> None:
    """PS3.8 Table 9-10, state 8: action AA-8."""
    assert {TRANSITION_TABLE[event, "Sta8"] for event in ("Evt6", "Evt10", "Evt12")} == {"AA-8"}
    with listening() as server, connected(server) as peer:
        peer.sendall(release_rq() + more)
        assert pdu(peer)[0] == A_ABORT
        assert peer.recv(1) == b""


def test_an_abort_while_it_is_decided_ends_the_association() -> None:

    def decide(event: evt.Event) -> None:
        if len(server._shared.openings._known):
            event.assoc.abort(block=False)

    with admitting(decide) as server:
        with scanner_of(server) as scanner:
            scanner.echo()
        with pytest.raises((Aborted, HungUp)):
            scanner_of(server).open()
