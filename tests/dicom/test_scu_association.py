"""Associations of the scanner's side, and the words for every way they fail."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import evt
from tests.standins.dicom_server import server

from pylantir.dicom import scu
from pylantir.errors import ConfigurationError, PeerError


def test_echo_tells_success() -> None:
    with server() as peer:
        status = scu.echo(peer)
    assert status.is_success
    assert status.words == "0x0000 Success"


def test_a_scanner_keeps_one_association_for_many_requests() -> None:
    opened: list[object] = []
    with (
        server([(evt.EVT_CONN_OPEN, opened.append)]) as peer,
        scu.Scanner(peer) as scanner,
    ):
        assert [scanner.echo().code for _ in range(3)] == [0, 0, 0]
        assert scanner.message_id == 3
        assert set(scanner.accepted) == set(scu.SOP_CLASSES)
    assert len(opened) == 1
    assert not scanner.is_open


def test_a_one_shot_request_proposes_only_what_it_needs() -> None:
    proposed: list[str] = []

    def on_request(event: evt.Event) -> None:
        contexts = event.assoc.requestor.primitive.presentation_context_definition_list
        proposed.extend(str(c.abstract_syntax) for c in contexts)

    with server([(evt.EVT_REQUESTED, on_request)]) as peer:
        scu.echo(peer)
    assert proposed == [scu.VERIFICATION]


def test_the_peer_is_told_who_calls_and_whom() -> None:
    seen: list[tuple[str, str]] = []

    def on_request(event: evt.Event) -> None:
        primitive = event.assoc.requestor.primitive
        seen.append((primitive.calling_ae_title, primitive.called_ae_title))

    with server([(evt.EVT_REQUESTED, on_request)]) as peer:
        scu.echo(scu.Peer("localhost", peer.port, "THERE", "HERE", 5))
    assert seen == [("HERE", "THERE")]


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]
)
def test_items_arrive_whole_in_the_transfer_syntax_that_was_proposed(syntax: str) -> None:
    def respond(event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        assert event.identifier.PatientName == "Müller*"
        item = scu.build_identifier(
            {"PatientName": "Müller^Ana", "PregnancyStatus": "4"}, return_all=False
        )
        yield 0xFF00, item

    with server([(evt.EVT_C_FIND, respond)], syntaxes=(syntax,)) as offered:
        peer = scu.Peer(offered.host, offered.port, timeout_s=5, transfer_syntaxes=(syntax,))
        with scu.Scanner(peer, (scu.WORKLIST_FIND,)) as scanner:
            assert scanner.accepted == {scu.WORKLIST_FIND: syntax}
            result = scanner.find(scu.build_identifier({"PatientName": "Müller*"}))
    assert [str(item.PatientName) for item in result.items] == ["Müller^Ana"]
    assert result.items[0].PregnancyStatus == 4


def test_nothing_listening_is_said_in_plain_words() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening
        port = taken.getsockname()[1]
        with pytest.raises(PeerError, match=rf"nothing listens on 127\.0\.0\.1:{port}; is the"):
            scu.echo(scu.Peer("127.0.0.1", port, timeout_s=10))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse when the queue is full")
def test_a_host_out_of_reach_is_given_up_after_the_timeout() -> None:
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):  # nobody takes these, so that the next one waits in vain
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        peer = scu.Peer("127.0.0.1", full.getsockname()[1], timeout_s=0.3)
        with pytest.raises(PeerError, match=r"cannot be reached within 0\.3 s; check the address"):
            scu.echo(peer)


def test_an_unknown_host_is_named() -> None:
    with pytest.raises(PeerError, match=r"no host named scanner-room\.invalid"):
        scu.echo(scu.Peer("scanner-room.invalid", 104, timeout_s=2))


def test_an_unknown_calling_ae_title_names_the_way_out() -> None:
    with (
        server(require_calling_aet=["MRI_1"]) as peer,
        pytest.raises(PeerError) as caught,
    ):
        scu.echo(peer)
    assert str(caught.value) == (
        "rejected by the peer: calling AE title not recognised (1,1,3); "
        "add PYLANTIR_SCU to allowed_aet"
    )


def test_a_wrong_called_ae_title_is_said() -> None:
    with server(require_called_aet=True) as offered:
        peer = scu.Peer(offered.host, offered.port, "OTHER", timeout_s=5)
        with pytest.raises(PeerError, match=r"called AE title not recognised \(1,1,7\).*OTHER"):
            scu.echo(peer)


def test_a_server_that_is_full_asks_to_come_back() -> None:
    with (
        server(maximum_associations=1) as peer,
        scu.Scanner(peer),
        pytest.raises(PeerError, match=r"\(2,3,2\); too many associations are open there, try"),
    ):
        scu.echo(peer)


def test_a_peer_without_any_of_our_contexts_is_said() -> None:
    with (
        server(classes=(scu.VERIFICATION,)) as peer,
        pytest.raises(PeerError, match=r"accepted no presentation context .*abstract syntax not"),
    ):
        scu.find(peer, scu.build_identifier({}))


def test_a_context_the_peer_refused_is_named_and_the_others_work() -> None:
    with server(classes=(scu.VERIFICATION,)) as peer, scu.Scanner(peer) as scanner:
        with pytest.raises(PeerError, match="does not offer Modality Worklist Information Model"):
            scanner.find(scu.build_identifier({}))
        assert scanner.echo().is_success


def test_a_slow_peer_is_given_up_after_the_timeout() -> None:
    release = threading.Event()

    def slow(event: evt.Event) -> int:
        release.wait(10)
        return 0x0000

    with server([(evt.EVT_C_ECHO, slow)]) as offered:
        peer = scu.Peer(offered.host, offered.port, timeout_s=0.3)
        try:
            with pytest.raises(PeerError, match=r"gave no answer within 0\.3 s"):
                scu.echo(peer)
        finally:
            release.set()


def test_a_peer_that_accepts_the_connection_and_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        peer = scu.Peer("127.0.0.1", mute.getsockname()[1], timeout_s=0.3)
        with pytest.raises(PeerError, match=r"gave no answer within 0\.3 s"):
            scu.echo(peer)


def test_an_abort_by_the_peer_is_no_time_out() -> None:
    def abort(event: evt.Event) -> int:
        event.assoc.abort()
        return 0x0000

    with (
        server([(evt.EVT_C_ECHO, abort)]) as peer,
        pytest.raises(PeerError, match="aborted the association: by the application there"),
    ):
        scu.echo(peer)


def test_a_lost_connection_is_no_abort() -> None:
    def hang_up(event: evt.Event) -> int:
        event.assoc.dul.socket.close()
        return 0x0000

    with (
        server([(evt.EVT_C_ECHO, hang_up)]) as peer,
        pytest.raises(PeerError, match="closed the connection without an answer"),
    ):
        scu.echo(peer)


def test_a_peer_that_speaks_no_dicom_is_said() -> None:
    def speak(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as web:
        thread = threading.Thread(target=speak, args=(web,))
        thread.start()
        peer = scu.Peer("127.0.0.1", web.getsockname()[1], timeout_s=3)
        with pytest.raises(PeerError, match="sent an answer that breaks the DICOM protocol"):
            scu.echo(peer)
        thread.join()


def test_requests_on_a_dead_association_are_refused_with_the_reason() -> None:
    def abort(event: evt.Event) -> int:
        event.assoc.abort()
        return 0x0000

    with server([(evt.EVT_C_ECHO, abort)]) as peer, scu.Scanner(peer) as scanner:
        with pytest.raises(PeerError, match="aborted the association"):
            scanner.echo()
        begun = time.monotonic()
        with pytest.raises(PeerError, match="aborted the association"):
            scanner.echo()
        assert time.monotonic() - begun < peer.timeout_s / 2, "it waited for an answer"
        assert not scanner.is_open


def test_a_scanner_that_is_switched_off_leaves_without_release() -> None:
    ended: list[str] = []
    over = threading.Event()

    def note(event: evt.Event) -> None:
        ended.append(event.event.name)
        over.set()

    with server([(evt.EVT_ABORTED, note), (evt.EVT_RELEASED, note)]) as peer:
        scanner = scu.Scanner(peer)
        scanner.open()
        scanner.abort()
        assert over.wait(5)
        assert scanner.echo().is_success  # a new association
        over.clear()
        scanner.close()
        assert over.wait(5)
    assert ended == ["EVT_ABORTED", "EVT_RELEASED"]


@pytest.mark.parametrize(
    ("field", "settings"),
    [
        ("called_ae_title", {"called_ae_title": "A" * 17}),
        ("calling_ae_title", {"calling_ae_title": "MÜ"}),
        ("calling_ae_title", {"calling_ae_title": "   "}),
        ("port", {"port": 0}),
        ("timeout_s", {"timeout_s": 0}),
    ],
)
def test_a_peer_out_of_bounds_is_refused_by_name(field: str, settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=field):
        scu.Peer(**{"host": "127.0.0.1", "port": 104, **settings})
