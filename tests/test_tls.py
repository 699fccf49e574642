"""TLS as BCP 195 wants it, and what certificates say."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest
from tests.authority import Authority

from pylantir.errors import ConfigurationError
from pylantir.tls import (
    CIPHERS,
    client_context,
    client_reason,
    expiry,
    names_in,
    pinned_context,
    server_context,
)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def shake_hands(
    server: ssl.SSLContext, client: ssl.SSLContext, host: str = "127.0.0.1"
) -> tuple[str, str, frozenset[str]]:
    """Version, cipher, and what the client has shown; raises what the client meets."""
    ours, theirs = socket.socketpair()
    shown: list[frozenset[str]] = []

    def serve() -> None:
        try:
            with server.wrap_socket(theirs, server_side=True) as secured:
                shown.append(names_in(secured.getpeercert()))
                secured.sendall(b".")
        except OSError:
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(ours, server_hostname=host) as secured:
            assert secured.recv(1) == b".", "turned away"
            cipher = secured.cipher()
            assert cipher is not None
            return str(secured.version()), cipher[0], shown[0]
    finally:
        ours.close()
        thread.join(30)


def test_the_newest_version_and_forward_secrecy(authority: Authority) -> None:
    server = server_context(authority.issue("127.0.0.1"))
    client = client_context(authority.path)
    assert shake_hands(server, client)[0] == "TLSv1.3"
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    version, cipher, _ = shake_hands(server, client)
    assert version == "TLSv1.2"
    assert cipher in CIPHERS.split(":")


@pytest.mark.parametrize(
    ("version", "ciphers"),
    [
        (ssl.TLSVersion.TLSv1_1, "DEFAULT@SECLEVEL=0"),
        (ssl.TLSVersion.TLSv1_2, "AES128-SHA"),
        (ssl.TLSVersion.TLSv1_2, "AES256-GCM-SHA384"),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-RSA-AES256-SHA384:ECDHE-ECDSA-AES256-SHA384"),
    ],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_what_is_old_is_turned_away(
    authority: Authority, version: ssl.TLSVersion, ciphers: str
) -> None:
    server = server_context(authority.issue("127.0.0.1"))
    client = ssl.create_default_context(cafile=authority.path)
    client.minimum_version = client.maximum_version = version
    client.set_ciphers(ciphers)

    with pytest.raises(ssl.SSLError):
        shake_hands(server, client)


def test_mutual_means_nobody_without_a_certificate(authority: Authority, tmp_path: Path) -> None:
    server = server_context(authority.issue("127.0.0.1"), ca=authority.path, mutual=True)
    ours = authority.issue("mr1.example", common_name="MR1")
    stranger = Authority(tmp_path, "other").issue("mr1.example", file="stranger.pem")

    assert shake_hands(server, client_context(authority.path, ours))[2] == {"MR1", "mr1.example"}
    for certificate in (None, stranger):
        with pytest.raises((ssl.SSLError, OSError, AssertionError)):
            shake_hands(server, client_context(authority.path, certificate))


def test_without_mutual_a_certificate_is_looked_at_when_it_is_shown(authority: Authority) -> None:
    server = server_context(authority.issue("127.0.0.1"), ca=authority.path)
    client = client_context(authority.path, authority.issue("mr1.example"))

    assert shake_hands(server, client_context(authority.path))[2] == frozenset()
    assert shake_hands(server, client)[2] == {"mr1.example"}


def test_the_host_must_be_named_unless_told_otherwise(authority: Authority) -> None:
    server = server_context(authority.issue("server.example"))

    with pytest.raises(ssl.SSLCertVerificationError) as error:
        shake_hands(server, client_context(authority.path))
    assert "name its authority, or check the host" in client_reason(error.value)
    assert shake_hands(server, client_context(authority.path, check_host_name=False))


def test_a_pinned_certificate_trusts_itself_and_nobody_else(
    authority: Authority, tmp_path: Path
) -> None:
    certificate = authority.issue("server.example")
    server = server_context(certificate, ca=authority.path, mutual=True)
    other = server_context(authority.issue("server.example", file="renewed.pem"))

    assert shake_hands(server, pinned_context(certificate))[2] == {"server.example"}
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(other, pinned_context(certificate))


@pytest.mark.parametrize("days", [1, 400, 12_000])
def test_the_end_of_a_certificate_is_read(authority: Authority, days: int) -> None:
    ends = expiry(authority.issue("server.example", days=days))

    assert abs(ends - dt.datetime.now(dt.UTC) - dt.timedelta(days=days)) < dt.timedelta(minutes=5)


def test_openssl_reads_the_same_end(authority: Authority) -> None:
    path = authority.issue("server.example", days=77)
    try:
        said = subprocess.run(
            ["openssl", "x509", "-noout", "-enddate", "-in", path],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except FileNotFoundError:
        pytest.skip("openssl is not installed")

    told = dt.datetime.strptime(said.strip(), "notAfter=%b %d %H:%M:%S %Y GMT")
    assert told.replace(tzinfo=dt.UTC) == expiry(path)


def test_files_that_cannot_be_used_are_named(authority: Authority, tmp_path: Path) -> None:
    good, other = authority.issue("a.example"), authority.issue("b.example")
    (tmp_path / "rubbish.pem").write_text("rubbish")
    rubbish, missing = str(tmp_path / "rubbish.pem"), str(tmp_path / "missing.pem")

    for make, told in (
        (lambda: server_context(missing), "certificate: cannot read .*missing.pem"),
        (lambda: server_context(good, missing), "key: cannot read .*missing.pem"),
        (lambda: server_context(rubbish), "certificate: .*rubbish.pem and its key cannot be used"),
        (lambda: server_context(good, other), "a.example.pem and its key cannot be used"),
        (lambda: server_context(good, ca=rubbish), "ca: .*rubbish.pem cannot be used"),
        (lambda: client_context(missing), "ca: cannot read .*missing.pem"),
        (lambda: expiry(rubbish), "certificate: cannot read .*rubbish.pem"),
        (lambda: expiry(missing), "certificate: cannot read .*missing.pem"),
    ):
        with pytest.raises(ConfigurationError, match=told):
            make()  # type: ignore[no-untyped-call]


def test_a_key_with_a_password_is_told_instead_of_asked_for(
    authority: Authority, tmp_path: Path
) -> None:
    good = authority.issue("a.example")
    locked = tmp_path / "locked.pem"
    words = ["openssl", "pkey", "-in", good, "-aes256", "-passout", "pass:x", "-out", str(locked)]
    try:
        subprocess.run(words, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")

    with pytest.raises(ConfigurationError, match="the key needs a password"):
        server_context(good, str(locked))
