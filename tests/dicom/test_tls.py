"""DICOM over TLS: for whom, with which certificate, and what the others are told."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from tests.audit.trails import lines
from tests.authority import Authority
from tests.conftest import dcmtk_program
from tests.dicom.conftest import MakeServer
from tests.dicom.serving import Server
from tests.worklist.bookings import booking

from pylantir.config.schema import Config
from pylantir.daemon import Daemon, open_worklist
from pylantir.dicom.peer import Peer, PeerTls
from pylantir.dicom.scu import Scanner, echo
from pylantir.dicom.scu_identifier import build_identifier
from pylantir.errors import ConfigurationError, PeerError, PeerRejected, StartError
from pylantir.tls import client_context, expiry


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def tls_settings(authority: Authority, **settings: Any) -> dict[str, Any]:
    return {
        "certificate": authority.issue("127.0.0.1", file="server.pem"),
        "port": 0,
        "ca": authority.path,
        **settings,
    }


def over_tls(server: Server, authority: Authority, calling: str = "MR1", **tls: Any) -> Peer:
    address = server.ae.tls_address
    assert address is not None
    return Peer(
        "127.0.0.1", address[1], calling_ae_title=calling, tls=PeerTls(authority.path, **tls)
    )


def test_one_worklist_behind_two_doors(make_server: MakeServer, authority: Authority) -> None:
    server = make_server(tls=tls_settings(authority))
    server.book("1")
    peers = (over_tls(server, authority), Peer("127.0.0.1", server.port, calling_ae_title="MR1"))

    for peer in peers:
        with Scanner(peer) as scanner:
            assert scanner.echo().is_success
            assert len(scanner.find(build_identifier({})).items) == 1
    assert peers[0].port != peers[1].port


def test_a_long_answer_over_tls_is_whole(make_server: MakeServer, authority: Authority) -> None:
    server = make_server(tls=tls_settings(authority))
    server.items.put([booking(f"{n:04}", patient_comments="x" * 3000) for n in range(300)])

    with Scanner(over_tls(server, authority)) as scanner:
        found = scanner.find(build_identifier({"PatientComments": ""}))
    assert [len(item.PatientComments) for item in found.items] == [3000] * 300


def test_without_the_plain_door_there_is_only_tls(
    make_server: MakeServer, authority: Authority
) -> None:
    server = make_server(tls=tls_settings(authority, plain=False))

    assert server.ae.address == server.ae.tls_address
    assert echo(over_tls(server, authority)).is_success
    with pytest.raises(PeerError):
        echo(Peer("127.0.0.1", server.port, timeout_s=3))


def test_mutual_turns_away_who_shows_no_certificate(
    make_server: MakeServer, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server = make_server(audited=True, tls=tls_settings(authority, mutual=True))
    certificate = authority.issue("mr1.example")

    assert echo(over_tls(server, authority, certificate=certificate)).is_success
    with pytest.raises(PeerError, match="certificate"):
        echo(over_tls(server, authority))
    server.stop()
    (alert,) = lines(server.trail)
    assert (alert["event"], alert["actors"][1]["address"]) == ("refused", "127.0.0.1")
    assert alert["reason"].startswith("TLS: ")
    assert "TLS" in caplog.text


def test_a_bound_title_is_let_in_with_its_certificate_only(
    make_server: MakeServer, authority: Authority
) -> None:
    names = {"MR1": "mr1.example", "MR2": "MR TWO"}
    server = make_server(audited=True, tls=tls_settings(authority, scanner_names=names))
    first = authority.issue("mr1.example")
    second = authority.issue("two.example", common_name="MR TWO")

    assert echo(over_tls(server, authority, certificate=first)).is_success
    assert echo(over_tls(server, authority, "MR2", certificate=second)).is_success
    assert echo(over_tls(server, authority, "OTHER", certificate=second)).is_success
    for impostor in (
        over_tls(server, authority, certificate=second),
        over_tls(server, authority, "MR2", certificate=first),
        over_tls(server, authority),
        Peer("127.0.0.1", server.port, calling_ae_title="MR1"),
    ):
        with pytest.raises(PeerRejected, match=r"\(1,1,3\)"):
            echo(impostor)

    server.stop()
    assert [line["reason"] for line in lines(server.trail)] == [
        "calling AE title not recognised with this certificate (MR TWO, two.example)",
        "calling AE title not recognised with this certificate (mr1.example)",
        "calling AE title not recognised with this certificate (none)",
        "calling AE title not recognised without TLS",
    ]


def test_silent_and_half_finished_handshakes_hold_nobody_up(
    make_server: MakeServer, authority: Authority
) -> None:
    server = make_server(tls=tls_settings(authority), timeouts={"acse_s": 2})
    address = server.ae.tls_address
    assert address is not None
    silent = [socket.create_connection(address) for _ in range(12)]
    for number, connection in enumerate(silent):
        connection.sendall(b"\x16\x03\x01\x02\x00\x01"[: number % 7])

    assert echo(over_tls(server, authority)).is_success
    for connection in silent:
        connection.settimeout(30)
        assert connection.recv(100) == b"" or connection.recv(100) == b""
        connection.close()
    assert echo(over_tls(server, authority)).is_success


def test_who_speaks_no_tls_is_hung_up_on(make_server: MakeServer, authority: Authority) -> None:
    server = make_server(tls=tls_settings(authority))
    address = server.ae.tls_address
    assert address is not None
    with socket.create_connection(address) as connection:
        connection.settimeout(30)
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n" * 9)
        try:
            while connection.recv(4096):
                pass
        except ConnectionResetError:
            return
    assert echo(over_tls(server, authority)).is_success


def test_a_tls_record_may_come_in_pieces(make_server: MakeServer, authority: Authority) -> None:
    """What OpenSSL has read ahead is no longer in the socket, and must not be forgotten."""
    server = make_server(tls=tls_settings(authority))
    server.items.put([booking(str(n)) for n in range(3)])
    with Scanner(over_tls(server, authority)) as scanner:
        for _ in range(20):
            assert len(scanner.find(build_identifier({})).items) == 3
            assert scanner.echo().is_success


def test_a_renewed_certificate_is_shown_without_a_restart(
    make_server: MakeServer, authority: Authority
) -> None:
    settings = tls_settings(authority)
    server = make_server(tls=settings)
    with Scanner(over_tls(server, authority)) as scanner:
        before = expiry(settings["certificate"])
        authority.issue("127.0.0.1", file="server.pem", days=300)
        assert server.ae.certificates is not None
        server.ae.certificates.refresh()

        assert scanner.echo().is_success, "who is connected stays"
    address = server.ae.tls_address
    assert address is not None
    with (
        socket.create_connection(address) as plain,
        client_context(authority.path).wrap_socket(plain, server_hostname="127.0.0.1") as secured,
    ):
        shown = secured.getpeercert()
    assert shown is not None
    assert ssl.cert_time_to_seconds(str(shown["notAfter"])) > before.timestamp() + 86400


@pytest.mark.parametrize("mutual", [False, True])
def test_a_daemon_behind_tls_only_proves_itself(
    authority: Authority, tmp_path: Path, mutual: bool
) -> None:
    settings = tls_settings(authority, plain=False, mutual=mutual)
    config = Config(
        db_path=str(tmp_path / "worklist.db"),
        ip="127.0.0.1",
        tls=settings,
        access=[{"ae_title": "MR1", "address": "10.255.0.1"}],
    )
    daemon = Daemon(open_worklist(config, to_serve=True))
    try:
        daemon.start()
        assert daemon.pulse.prove()
        (check,) = [c for c in daemon.pulse.health().checks if c.name == "certificate"]
        assert (check.state.name, check.message[:10]) == ("OK", "good until")
        Path(settings["certificate"]).write_text("rubbish")
        assert daemon.ae.certificates is not None
        daemon.ae.certificates.refresh()
        assert daemon.pulse.prove(), "with the old one"
        (check,) = [c for c in daemon.pulse.health().checks if c.name == "certificate"]
        assert check.state.name == "WARNING"
    finally:
        daemon.stop()


def test_a_port_for_tls_that_is_taken_is_told_with_its_setting(
    authority: Authority, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        tls = tls_settings(authority, port=taken.getsockname()[1])
        config = Config(db_path=str(tmp_path / "w.db"), ip="127.0.0.1", port=0, tls=tls)
        daemon = Daemon(open_worklist(config))
        with pytest.raises(StartError, match=r"choose another port with tls\.port"):
            daemon.start()


def test_a_certificate_that_cannot_be_used_ends_the_start(
    authority: Authority, tmp_path: Path
) -> None:
    tls = tls_settings(authority, certificate=str(tmp_path / "none.pem"))
    config = Config(db_path=str(tmp_path / "w.db"), ip="127.0.0.1", port=0, tls=tls)
    daemon = Daemon(open_worklist(config))
    with pytest.raises(ConfigurationError, match=r"none\.pem"):
        daemon.start()


def dcmtk(program: str, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    path = dcmtk_program(program)
    if path is None:
        pytest.skip("DCMTK is not installed")
    return subprocess.run(
        [path, "-v", *words], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture
def split(authority: Authority, tmp_path: Path) -> tuple[str, str]:
    """Key and certificate of a scanner in files of their own, as DCMTK wants them."""
    whole = Path(authority.issue("mr1.example", common_name="MR1")).read_text()
    at = whole.index("-----BEGIN CERTIFICATE-----")
    (tmp_path / "mr1.key").write_text(whole[:at])
    (tmp_path / "mr1.crt").write_text(whole[at:])
    return str(tmp_path / "mr1.key"), str(tmp_path / "mr1.crt")


@pytest.mark.dcmtk
def test_echoscu_and_findscu_come_in_over_tls(
    make_server: MakeServer, authority: Authority, split: tuple[str, str], tmp_path: Path
) -> None:
    names = {"MR1": "mr1.example"}
    server = make_server(tls=tls_settings(authority, mutual=True, scanner_names=names))
    server.book("1")
    address = server.ae.tls_address
    assert address is not None
    where = ["127.0.0.1", str(address[1])]
    with_tls = ["+tls", *split, "+cf", authority.path, "-aet", "MR1"]

    echoed = dcmtk("echoscu", tmp_path, *with_tls, *where)
    assert echoed.returncode == 0, echoed.stderr
    found = dcmtk("findscu", tmp_path, "-W", *with_tls, "-k", "PatientID", *where)
    assert found.returncode == 0, found.stderr
    assert found.stderr.count("(Pending)") == 1
    impostor = ["-aet", "MR1", "+cf", authority.path]
    refused = dcmtk("echoscu", tmp_path, "+tla", *impostor, *where)
    assert refused.returncode != 0
    plain = dcmtk("echoscu", tmp_path, "-aet", "MR1", "127.0.0.1", str(server.port))
    assert "Calling AE Title Not Recognized" in plain.stderr


@pytest.mark.dcmtk
def test_our_scanner_talks_to_dcmtks_server_over_tls(authority: Authority, tmp_path: Path) -> None:
    path = dcmtk_program("storescp")
    if path is None:
        pytest.skip("DCMTK is not installed")
    whole = Path(authority.issue("127.0.0.1", file="server.pem")).read_text()
    at = whole.index("-----BEGIN CERTIFICATE-----")
    (tmp_path / "server.key").write_text(whole[:at])
    (tmp_path / "server.crt").write_text(whole[at:])
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [path, "+tls", "server.key", "server.crt", "-ic", "+cf", authority.path, str(port)]
    process = subprocess.Popen(
        words, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    peer = Peer("127.0.0.1", port, tls=PeerTls(authority.path))
    try:
        deadline = time.monotonic() + 30
        while process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(PeerError):  # it has not come up yet
                assert echo(peer).is_success
                return
            time.sleep(0.05)
        process.kill()
        assert process.stderr is not None
        pytest.fail(process.stderr.read())
    finally:
        process.kill()
        process.communicate()
