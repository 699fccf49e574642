"""The Application Entity as a whole: start, stop, time-outs, what it offers (PS3.8, PS3.7 D)."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable

import pytest
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE
from tests.dicom.modality import (
    C_FIND,
    MPPS,
    RETRIEVE,
    VERIFICATION,
    WORKLIST,
    Aborted,
    HungUp,
    Refused,
)
from tests.dicom.serving import Server, everything
from tests.worklist.bookings import booking

from pylantir.dicom.implementation import CLASS_UID, version_name
from pylantir.dicom.sop_classes import SOP_CLASSES, TRANSFER_SYNTAXES
from pylantir.errors import StartError

MakeServer = Callable[..., Server]


def seconds_to_stop(server: Server) -> float:
    began = time.monotonic()
    server.ae.stop()
    return time.monotonic() - began


# --- What it offers ---


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]
)
def test_every_class_is_offered_in_every_syntax(server: Server, syntax: str) -> None:
    with server.scanner(syntax=syntax) as scanner:
        assert set(scanner.results) == {VERIFICATION, WORKLIST, MPPS, RETRIEVE}
        assert set(scanner.results.values()) == {(0, syntax)}
        assert scanner.echo().status == 0x0000


def test_nothing_else_is_offered() -> None:
    assert set(SOP_CLASSES) == {VERIFICATION, WORKLIST, MPPS, RETRIEVE}
    syntaxes = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]
    assert list(TRANSFER_SYNTAXES) == syntaxes


def test_an_echo_is_one_line_in_the_log(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    with server.scanner(calling="MR7") as scanner, caplog.at_level(logging.INFO):
        scanner.echo()
    assert [record.getMessage() for record in caplog.records] == ["C-ECHO from MR7"]


# --- Start ---


def test_an_association_names_the_implementation(server: Server) -> None:
    ae = AE(ae_title="MR1")
    ae.add_requested_context(VERIFICATION)
    assoc = ae.associate(*server.ae.address)
    assert assoc.is_established
    assert assoc.acceptor.implementation_class_uid == CLASS_UID
    assert assoc.acceptor.implementation_version_name == version_name()
    assoc.release()


def test_the_address_tells_the_real_port(make_server: MakeServer) -> None:
    server = make_server(port=0)
    host, port = server.ae.address
    assert (host, port > 0) == ("127.0.0.1", True)
    with server.scanner() as scanner:
        assert scanner.echo().status == 0x0000


def test_two_servers_on_one_port_are_told_apart(make_server: MakeServer) -> None:
    first = make_server()
    with pytest.raises(StartError, match=rf"port {first.port} on 127.0.0.1 is taken"):
        make_server(port=first.port)
    with first.scanner() as scanner:
        assert scanner.echo().status == 0x0000


def test_a_port_that_another_program_has_is_taken(make_server: MakeServer) -> None:
    with (
        contextlib.closing(socket.create_server(("127.0.0.1", 0))) as other,
        pytest.raises(StartError, match="is taken"),
    ):
        make_server(port=other.getsockname()[1])


def test_an_address_of_another_machine_is_refused(make_server: MakeServer) -> None:
    with pytest.raises(StartError, match=r"cannot listen on 192\.0\.2\.1 port 0"):
        make_server(ip="192.0.2.1")


def test_a_name_that_is_no_address_is_refused(make_server: MakeServer) -> None:
    with pytest.raises(StartError, match=r"cannot listen on no-such-host\.invalid"):
        make_server(ip="no-such-host.invalid")


# --- Stop ---


def test_an_idle_scanner_is_told_by_an_abort(make_server: MakeServer) -> None:
    server = make_server()
    scanner = server.scanner()
    scanner.open()
    assert seconds_to_stop(server) < 2
    with pytest.raises(Aborted) as aborted:
        scanner.wait_for_the_end()
    assert aborted.value.args[0] == 0  # by the application, not by its library


def test_a_connection_that_never_asked_does_not_hold_the_stop_up(make_server: MakeServer) -> None:
    server = make_server()
    with contextlib.closing(socket.create_connection(("127.0.0.1", server.port))) as silent:
        assert seconds_to_stop(server) < 2
        silent.settimeout(2)
        with contextlib.suppress(ConnectionResetError):
            assert silent.recv(1) == b""


LONG_TEXTS = (
    "patient_comments",
    "additional_patient_history",
    "requested_procedure_comments",
    "scheduled_procedure_step_comments",
)


def test_a_scanner_that_does_not_read_does_not_hold_the_stop_up(
    make_server: MakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    before = set(threading.enumerate())
    server = make_server()
    texts = dict.fromkeys(LONG_TEXTS, "x" * 10_000)
    server.items.put([booking(str(n), **texts) for n in range(250)])
    scanner = server.scanner()
    scanner.open()
    with caplog.at_level(logging.INFO):
        scanner._send(WORKLIST, C_FIND, everything(), AffectedSOPClassUID=WORKLIST, Priority=0)
        assert scanner._answer(WORKLIST).status == 0xFF00
        assert seconds_to_stop(server) < 2
    assert "C-FIND" not in caplog.text  # the answer was still on its way
    for thread in set(threading.enumerate()) - before:
        thread.join(2)
        assert thread.daemon or not thread.is_alive()  # else the process does not end
    scanner.hang_up()


def test_the_port_is_free_after_the_stop(make_server: MakeServer) -> None:
    first = make_server()
    port = first.port
    with first.scanner() as scanner:
        scanner.echo()
    first.ae.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    again = make_server(port=port)
    with again.scanner() as scanner:
        assert scanner.echo().status == 0x0000


def test_a_stopped_server_leaves_no_thread_behind(make_server: MakeServer) -> None:
    """Not even where a scanner takes no notice of its abort and stays connected."""
    before = set(threading.enumerate())
    server = make_server()
    scanners = [server.scanner() for _ in range(3)]
    for scanner in scanners:
        scanner.open()
    server.ae.stop()
    left = set(threading.enumerate()) - before
    for thread in left:
        thread.join(2)
    assert [thread.name for thread in left if thread.is_alive()] == []
    for scanner in scanners:
        scanner.hang_up()


def test_stopping_twice_or_before_the_start_does_nothing(make_server: MakeServer) -> None:
    server = make_server()
    server.ae.stop()
    server.ae.stop()


# --- Scanners that behave badly ---


def test_a_web_browser_on_the_dicom_port_harms_nobody(server: Server) -> None:
    with contextlib.closing(
        socket.create_connection(("127.0.0.1", server.port), timeout=5)
    ) as browser:
        browser.sendall(b"GET / HTTP/1.1\r\nHost: pylantir\r\n\r\n")
        with server.scanner() as scanner:
            assert scanner.echo().status == 0x0000


def test_a_silent_connection_is_closed_after_the_time_out(make_server: MakeServer) -> None:
    server = make_server(timeouts={"acse_s": 0.2})
    with contextlib.closing(
        socket.create_connection(("127.0.0.1", server.port), timeout=5)
    ) as silent:
        assert silent.recv(100)[:1] in (b"", b"\x07")  # hung up on, or aborted


def test_an_idle_association_is_aborted_after_the_time_out(make_server: MakeServer) -> None:
    server = make_server(timeouts={"network_s": 0.2})
    scanner = server.scanner()
    scanner.open()
    with pytest.raises((Aborted, HungUp)):
        scanner.wait_for_the_end()


def test_one_association_too_many_is_rejected_for_now(make_server: MakeServer) -> None:
    server = make_server(maximum_associations=2)
    with server.scanner() as first, server.scanner() as second:
        with pytest.raises(Refused) as refused:
            server.scanner().open()
        assert refused.value.args == (2, 3, 2)
        assert first.echo().status == second.echo().status == 0x0000


def test_a_scanner_that_hangs_up_in_the_middle_harms_nobody(server: Server) -> None:
    server.items.put([booking(str(n)) for n in range(100)])
    for _ in range(3):
        scanner = server.scanner()
        scanner.open()
        scanner._send(WORKLIST, C_FIND, everything(), AffectedSOPClassUID=WORKLIST, Priority=0)
        scanner.hang_up()
    assert len(server.find(everything()).items) == 100
