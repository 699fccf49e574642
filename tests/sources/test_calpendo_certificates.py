"""Certificates of Calpendo: which are trusted, and what is said of the others."""

from __future__ import annotations

import datetime as dt
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests.sources.calpendo_asked import DAY, NEXT, ask, client, dripping, refused
from tests.standins.calpendo import CalpendoStandIn
from tests.standins.calpendo_samples import probe

from pylantir.errors import SourceUnavailable
from pylantir.sources.calpendo_client import (
    CalpendoClient,
)


@contextmanager
def secure(tmp_path: Path, *names: str, **when: Any) -> Iterator[tuple[CalpendoStandIn, str]]:
    """A server with a certificate of a private authority, and the file of that authority."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*(names or ("127.0.0.1",)), **when).configure_cert(context)
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    with CalpendoStandIn(ssl_context=context) as server:
        probe(server.bookings, DAY.date())
        yield server, str(path)


def test_a_private_authority_works_through_ca_bundle(tmp_path: Path) -> None:
    with secure(tmp_path) as (server, bundle):
        assert len(ask(server, verify=bundle)) == 3


def test_a_certificate_that_nobody_vouches_for_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with secure(tmp_path) as (server, _):
        told = refused(server, SourceUnavailable)
    assert "certificate is not trusted" in told
    assert "set ca_bundle" in told
    assert "issuer" in told or "self-signed" in told


def test_a_self_signed_certificate_is_named_as_such(tmp_path: Path) -> None:
    with secure(tmp_path) as (server, _):
        server.ssl_context = self_signed(tmp_path)
        told = refused(server, SourceUnavailable)
    assert "self-signed certificate" in told


def self_signed(tmp_path: Path) -> ssl.SSLContext:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "self.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(path))
    return context


def test_a_certificate_of_another_host_says_so(tmp_path: Path) -> None:
    with (
        secure(tmp_path, "other.example.org") as (server, bundle),
        pytest.raises(SourceUnavailable, match="mismatch") as caught,
    ):
        ask(server, verify=bundle)
    assert "ca_bundle" not in str(caught.value)


def test_an_expired_certificate_says_so(tmp_path: Path) -> None:
    over = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    with (
        secure(tmp_path, not_after=over) as (server, bundle),
        pytest.raises(SourceUnavailable, match="expired"),
    ):
        ask(server, verify=bundle)


def test_https_to_a_plain_server_says_that_there_is_no_secure_connection() -> None:
    with CalpendoStandIn() as server:
        asking = CalpendoClient(server.url.replace("http:", "https:"), "/api", "u", "p")
        with pytest.raises(SourceUnavailable, match="secure connection"):
            asking.bookings(DAY, NEXT, ["3T"])


def test_a_bundle_that_vanished_is_a_failure_that_names_it(tmp_path: Path) -> None:
    with secure(tmp_path) as (server, bundle):
        Path(bundle).unlink()
        with pytest.raises(SourceUnavailable, match="ca_bundle cannot be used"):
            ask(server, verify=bundle)


@pytest.mark.parametrize("from_byte", [0, 5], ids=["at once", "after a header"])
def test_a_handshake_that_drips_ends_by_the_deadline(from_byte: int) -> None:
    hello = b"\x16\x03\x03\x3f\xff"  # a record of 16 KiB that never gets whole
    with dripping(hello[:from_byte] or hello[:1], then=b"\x02") as url:
        asking = CalpendoClient(
            url.replace("http:", "https:"), "/api", "u", "p", request_timeout_s=0.4
        )
        with pytest.raises(SourceUnavailable, match=r"within 0\.4 s|secure connection"):
            asking.bookings(DAY, NEXT, ["3T"])


def test_a_body_that_drips_over_tls_ends_by_the_deadline(tmp_path: Path) -> None:
    with secure(tmp_path) as (server, bundle):
        fault = server.fault("query", drip_s=0.05)
        told = refused(server, SourceUnavailable, verify=bundle, request_timeout_s=1.0)
        assert "within 1 s" in told
        assert server.journal.count() == 1
        server.faults.remove(fault)
        assert len(ask(server, verify=bundle)) == 3


def test_a_certificate_that_is_renewed_meanwhile_needs_no_restart(tmp_path: Path) -> None:
    with secure(tmp_path) as (server, bundle):
        asking = client(server, verify=bundle)
        assert len(asking.bookings(DAY, NEXT, ["3T Diagnostic"])) == 3
        authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        server.stop()
        server.ssl_context = context
        server.start()
        with pytest.raises(SourceUnavailable, match="certificate is not trusted"):
            asking.bookings(DAY, NEXT, ["3T Diagnostic"])
        authority.cert_pem.write_to_path(bundle, append=True)
        assert len(asking.bookings(DAY, NEXT, ["3T Diagnostic"])) == 3
        asking.close()
