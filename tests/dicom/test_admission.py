"""Who gets in, who is sent away and with which words, before there is an association (PS3.8)."""

from __future__ import annotations

import contextlib
import logging
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
from tests.dicom.serving import Server
from tests.faults.pdus import abort, associate_rq, echo_rq, p_data, release_rq

from pylantir.dicom.transport import pdus
from pylantir.dicom.transport.admission import Admission, Doorway
from pylantir.dicom.transport.complaints import Complaints
from pylantir.dicom.transport.pdus import AssociateRequest, NotARequest
from pylantir.dicom.transport.slots import NoSlot, Slots

MakeServer = Callable[..., Server]
REQUEST = associate_rq().encode()
USER_ABORT = b"\x07\x00\x00\x00\x00\x04\x00\x00\x00\x00"
HELLO = bytes.fromhex("16030100a5010000a10303")


class Door:
    """An admission thread by itself, which remembers whom it let in."""

    def __init__(self, doorway: Doorway, trusted: bool = False) -> None:
        self.admitted: list[AssociateRequest] = []
        self.came = threading.Semaphore(0)
        self.answer: bytes | None = None
        self._taken: list[socket.socket] = []
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        self.admission = Admission(listener, self._admit, doorway, lambda host: trusted)
        self.admission.start(128)

    def _admit(self, request: AssociateRequest, connection: socket.socket) -> bytes | None:
        self.admitted.append(request)
        self.came.release()
        if self.answer is None:
            self._taken.append(connection)
        return self.answer

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def close(self) -> None:
        self.admission.stop()
        for connection in self._taken:
            connection.close()


@pytest.fixture
def door() -> Iterator[Door]:
    with contextlib.closing(Door(Doorway(deadline_s=60.0))) as found:
        yield found


def the_end(connection: socket.socket) -> bytes:
    """What is said until the connection ends."""
    said = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(4096):
            said += part
    return said


# --- What is let in ---


def test_a_request_in_pieces_is_let_in_whole(door: Door) -> None:
    with door.connect() as scanner:
        for at in range(0, len(REQUEST), 50):
            scanner.sendall(REQUEST[at : at + 50])
        assert door.came.acquire(timeout=20)
    (request,) = door.admitted
    assert (request.calling, request.called) == ("HOSTILE", "MWL_SERVER")
    assert (request.pdu, request.host) == (REQUEST, "127.0.0.1")


def test_who_is_not_admitted_hears_why_and_is_hung_up_on(door: Door) -> None:
    door.answer = pdus.reject(2, 3, 2)
    with door.connect() as scanner:
        scanner.sendall(REQUEST)
        assert the_end(scanner) == bytes.fromhex("03000000000400020302")


# --- What is sent away ---


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        HELLO,
        b"\x00",
        b"\xff" * 100,
        p_data(b"".join(echo_rq())),
        release_rq(),
        b"\x01\x00\xff\xff\xff\xff",
        b"\x01\x00\x00\x00\x00\x00",
        struct.pack(">BxI", 1, pdus.MAX_ASSOCIATE_BYTES),
        associate_rq(calling=b"").encode(),
        associate_rq(calling=b"A\nB").encode(),
        associate_rq(called=b"A\\B").encode(),
        REQUEST + b"\x04",
    ],
    ids=lambda said: repr(said[:12]),
)
def test_what_is_no_request_is_aborted_at_once(door: Door, said: bytes) -> None:
    """Action AA-1 in state 2 (PS3.8 Table 9-10)."""
    with door.connect() as stranger:
        stranger.sendall(said)
        assert the_end(stranger) == USER_ABORT
    assert door.admitted == []


def test_who_aborts_is_hung_up_on_without_a_word(door: Door) -> None:
    """Action AA-2."""
    with door.connect() as stranger:
        stranger.sendall(abort())
        assert the_end(stranger) == b""


def test_another_protocol_version_is_rejected(door: Door) -> None:
    with door.connect() as scanner:
        scanner.sendall(associate_rq(version=2).encode())
        assert the_end(scanner)[6:] == bytes((0, 1, 2, 2))


def test_only_the_first_bit_of_the_version_counts(door: Door) -> None:
    """PS3.8 9.3.2: a peer of versions 1 and 2 is one of ours."""
    with door.connect() as scanner:
        scanner.sendall(associate_rq(version=3).encode())
        assert door.came.acquire(timeout=20)


def test_what_has_been_turned_away_may_talk_on_and_is_not_heard(door: Door) -> None:
    with door.connect() as stranger:
        stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert stranger.recv(10) == USER_ABORT
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                stranger.sendall(b"x" * 1000)
        assert the_end(stranger) == b""


# --- Who says nothing ---


def test_a_silent_a_trickling_and_a_stalled_connection_end_at_the_deadline() -> None:
    with contextlib.closing(Door(Doorway(deadline_s=0.3))) as door:
        with door.connect() as silent, door.connect() as trickling, door.connect() as stalled:
            stalled.sendall(REQUEST[:-1])
            trickling.settimeout(0.05)
            ended = False
            for at in range(len(REQUEST)):
                with contextlib.suppress(TimeoutError):
                    try:
                        trickling.sendall(REQUEST[at : at + 1])
                        ended = trickling.recv(1) == b""
                    except ConnectionError:
                        ended = True
                if ended:
                    break
            assert ended
            assert the_end(silent) == the_end(stalled) == b""
        assert door.admitted == []


def test_of_too_many_from_one_address_the_oldest_goes() -> None:
    with contextlib.closing(Door(Doorway(60.0, per_address=3))) as door:
        crowd = [door.connect() for _ in range(5)]
        assert the_end(crowd[0]) == the_end(crowd[1]) == b""
        crowd[4].sendall(REQUEST)
        assert door.came.acquire(timeout=20)
        crowd[2].sendall(REQUEST)
        assert door.came.acquire(timeout=20)
        for connection in crowd:
            connection.close()


def test_an_address_of_scanners_may_have_more() -> None:
    with contextlib.closing(Door(Doorway(60.0, per_address=3), trusted=True)) as door:
        crowd = [door.connect() for _ in range(25)]
        assert the_end(crowd[0]) == b""
        crowd[1].sendall(REQUEST)
        assert door.came.acquire(timeout=20)
        for connection in crowd:
            connection.close()


@pytest.mark.skipif(sys.platform != "linux", reason="needs several loopback addresses")
def test_strangers_go_before_scanners() -> None:
    with contextlib.closing(Door(Doorway(60.0, total=2))) as door:
        door.admission._trusted = lambda host: host == "127.0.0.1"
        scanner = door.connect()
        crowd = [
            socket.create_connection(("127.0.0.1", door.port), 20, (f"127.0.0.{n}", 0))
            for n in (2, 3)
        ]
        assert the_end(crowd[0]) == b""
        scanner.sendall(REQUEST)
        assert door.came.acquire(timeout=20)
        for connection in (scanner, *crowd):
            connection.close()


def test_a_failure_inside_does_not_close_the_door(
    door: Door, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(door.admission, "_admit", lambda *_: 1 // 0)
    with door.connect() as unlucky, caplog.at_level(logging.ERROR):
        unlucky.sendall(REQUEST)
        assert the_end(unlucky) == b""
    assert "ZeroDivisionError" in caplog.text
    monkeypatch.undo()
    with door.connect() as scanner:
        scanner.sendall(REQUEST)
        assert door.came.acquire(timeout=20)


# --- With a server behind ---


def test_who_is_rejected_and_stays_connected_keeps_no_slot(make_server: MakeServer) -> None:
    server = make_server(maximum_associations=1, allowed_aet=["MR1"])
    with socket.create_connection(("127.0.0.1", server.port), 20) as stranger:
        stranger.sendall(REQUEST)
        assert stranger.recv(10)[6:] == bytes((0, 1, 1, 3))
        with server.scanner() as scanner:
            assert scanner.echo().status == 0


def test_a_released_slot_is_free_before_the_scanner_knows(make_server: MakeServer) -> None:
    server = make_server(maximum_associations=1)
    for _ in range(50):
        with server.scanner() as scanner:
            assert scanner.echo().status == 0


def test_a_known_scanner_gets_in_however_many_strangers_there_are(make_server: MakeServer) -> None:
    server = make_server(
        maximum_associations=6,
        limits={"reserved_per_scanner": 2, "per_address": 4},
        scanners=[{"ae_title": "MR1"}],
    )
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(server.scanner(calling="STRANGER"))
        for _ in range(2):
            scanner = stack.enter_context(server.scanner(calling="MR1"))
            assert scanner.echo().status == 0


# --- Slots ---


def test_each_limit_is_named() -> None:
    slots = Slots(total=4, per_ae_title=2, per_address=3)
    first = slots.take("A", "1")
    slots.take("A", "1")
    with pytest.raises(NoSlot, match="per_ae_title is 2"):
        slots.take("A", "2")
    slots.take("B", "1")
    with pytest.raises(NoSlot, match="per_address is 3"):
        slots.take("C", "1")
    slots.take("C", "2")
    with pytest.raises(NoSlot, match="maximum_associations is 4"):
        slots.take("D", "3")
    first.free()
    first.free()
    slots.take("A", "2")
    assert slots.taken == 4


def test_nobody_takes_what_is_reserved() -> None:
    slots = Slots(10, 10, 10, reserved=2, known=["MR1", "MR2"])
    for _ in range(6):
        slots.take("STRANGER", "1")
    with pytest.raises(NoSlot):
        slots.take("STRANGER", "1")
    held = [slots.take("MR1", "1"), slots.take("MR1", "1")]
    with pytest.raises(NoSlot):
        slots.take("MR1", "1")
    slots.take("MR2", "1")
    held[0].free()
    with pytest.raises(NoSlot):
        slots.take("STRANGER", "1")
    slots.take("MR1", "1")


def test_at_most_half_is_reserved() -> None:
    slots = Slots(4, 10, 10, reserved=4, known=["MR1", "MR2", "MR3"])
    for _ in range(4):
        slots.take("STRANGER", "1")
    with pytest.raises(NoSlot):
        slots.take("MR1", "1")


def test_the_server_reaches_itself_whatever_happens() -> None:
    slots = Slots(1, 1, 1, own="OWN")
    slots.take("MR1", "1")
    slots.take("OWN", "1").free()
    assert slots.taken == 1


# --- The rest ---


def test_a_request_that_ends_within_an_item_is_none() -> None:
    broken = bytearray(REQUEST)
    broken[76:78] = b"\xff\xff"
    with pytest.raises(NotARequest, match="within an item"):
        pdus.associate_request(bytes(broken), ("127.0.0.1", 1))


def test_a_complaint_is_said_once_and_then_counted(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    complaints = Complaints(now=lambda: now)
    log = logging.getLogger("test")
    with caplog.at_level(logging.INFO):
        for _ in range(5):
            complaints.say(log.info, "1.2.3.4", "silent")
        complaints.say(log.info, "1.2.3.5", "silent")
        now = 61.0
        complaints.say(log.info, "1.2.3.4", "silent")
    assert [record.getMessage() for record in caplog.records] == [
        "1.2.3.4: silent",
        "1.2.3.5: silent",
        "1.2.3.4: silent (4 more in the last minutes)",
    ]
