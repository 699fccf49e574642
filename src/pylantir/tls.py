"""TLS as PS3.15 B.12 wants it: BCP 195 (RFC 8996, RFC 9325), so TLS 1.2 or 1.3 and forward secrecy.

Contexts of servers and clients, and what a certificate says.
"""

from __future__ import annotations

import datetime as dt
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pylantir.errors import ConfigProblem, ConfigurationError

CIPHERS = ":".join(
    (
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
    )
)
"""For TLS 1.2 what RFC 9325 section 4.2 recommends; all of TLS 1.3 is as good."""

_PEM_BEGIN = "-----BEGIN CERTIFICATE-----"
_SEQUENCE, _EXPLICIT_0, _UTC_TIME = 0x30, 0xA0, 0x17


def server_context(
    certificate: str, key: str | None = None, *, ca: str | None = None, mutual: bool = False
) -> ssl.SSLContext:
    """What a server presents and demands.

    Parameters
    ----------
    certificate, key : str
        PEM files; the key may stand in the file of the certificate.
    ca : str, optional
        PEM file of the authorities that certify clients.
    mutual : bool
        Whether a client without a certificate of theirs is turned away.

    Raises
    ------
    ConfigurationError
        A file cannot be read, or certificate and key do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _restrict(context)
    # A connection lasts as long as its association: nothing to resume, and nothing to remember.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    _load_certificate(context, certificate, key)
    if ca is not None:
        _load_authorities(context, ca)
        context.verify_mode = ssl.CERT_REQUIRED if mutual else ssl.CERT_OPTIONAL
    return context


def client_context(
    ca: str | None = None,
    certificate: str | None = None,
    key: str | None = None,
    *,
    check_host_name: bool = True,
) -> ssl.SSLContext:
    """What a client presents and demands; the server's certificate is always verified.

    Parameters
    ----------
    ca : str, optional
        PEM file of the authorities that certify servers; those of the system when absent.
    certificate, key : str, optional
        PEM files, for a server that demands them.
    check_host_name : bool
        Whether the certificate must name the host that is connected to.

    Raises
    ------
    ConfigurationError
        As :func:`server_context`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _restrict(context)
    context.check_hostname = check_host_name
    if ca is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        _load_authorities(context, ca)
    if certificate is not None:
        _load_certificate(context, certificate, key)
    return context


def pinned_context(certificate: str, key: str | None = None) -> ssl.SSLContext:
    """A client that trusts one certificate and shows it, too: the server asking itself.

    Raises
    ------
    ConfigurationError
        As :func:`server_context`.
    """
    context = client_context(certificate, certificate, key, check_host_name=False)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _restrict(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION


def _load_certificate(context: ssl.SSLContext, certificate: str, key: str | None) -> None:
    _require_file(certificate, "certificate")
    if key is not None:
        _require_file(key, "key")
    try:
        context.load_cert_chain(_path(certificate), _path(key) if key else None, _no_password)
    except (ssl.SSLError, OSError, ValueError) as error:
        raise _problem("certificate", f"{certificate} and its key cannot be used", error) from error


def _load_authorities(context: ssl.SSLContext, ca: str) -> None:
    _require_file(ca, "ca")
    try:
        context.load_verify_locations(_path(ca))
    except (ssl.SSLError, OSError, ValueError) as error:
        raise _problem("ca", f"{ca} cannot be used", error) from error


def _no_password() -> str:
    raise ValueError("the key needs a password; give one without, readable by the service only")


def _require_file(path: str, name: str) -> None:
    try:
        with _path(path).open("rb"):
            return
    except OSError as error:
        raise _problem(name, f"cannot read {path}", error) from error


def _path(shown: str) -> Path:
    return Path(shown).expanduser()


def reason(error: OSError) -> str:
    """Why a handshake failed, in OpenSSL's words made readable."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not trusted: {error.verify_message.rstrip('.')}"
    told = getattr(error, "reason", None) or error.strerror or str(error)
    return str(told).replace("_", " ").lower()


def client_reason(error: ssl.SSLError) -> str:
    """Why there is no TLS with a server, and the way out."""
    told = reason(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its {told}; name its authority, or check the host"
    if "certificate required" in told or "handshake failure" in told:
        return f"{told}; it may want a certificate of ours"
    if "wrong version number" in told or "unexpected eof" in told:
        return f"{told}; is that port one for TLS?"
    return told


def _problem(name: str, message: str, error: Exception) -> ConfigurationError:
    reason = getattr(error, "strerror", None) or getattr(error, "reason", None) or str(error)
    hint = "expected PEM files that belong together"
    return ConfigurationError([ConfigProblem("tls", name, f"{message}: {reason}", hint)])


def expiry(certificate: str) -> dt.datetime:
    """When the first certificate of a PEM file ends, aware, in UTC.

    Raises
    ------
    ConfigurationError
        The file cannot be read, or holds no certificate.
    """
    try:
        text = _path(certificate).read_text("ascii", errors="replace")
        start = text.index(_PEM_BEGIN)
        end = text.index("-----END CERTIFICATE-----", start) + len("-----END CERTIFICATE-----")
        return _not_after(ssl.PEM_cert_to_DER_cert(text[start:end] + "\n"))
    except (OSError, ValueError, IndexError) as error:
        raise _problem("certificate", f"cannot read {certificate}", error) from error


def _not_after(der: bytes) -> dt.datetime:
    """The end of the validity of an X.509 certificate (RFC 5280 4.1.2.5)."""
    (_, whole), *_ = _values(der)
    (_, to_be_signed), *_ = _values(whole)
    parts = list(_values(to_be_signed))
    if parts[0][0] == _EXPLICIT_0:
        parts = parts[1:]
    (_, _), (kind, after) = _values(parts[3][1])
    form = "%y%m%d%H%M%SZ" if kind == _UTC_TIME else "%Y%m%d%H%M%SZ"
    return dt.datetime.strptime(after.decode("ascii"), form).replace(tzinfo=dt.UTC)


def _values(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each value in a row (X.690, definite lengths)."""
    at = 0
    while at < len(der):
        tag, length, at = der[at], der[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(der[at : at + size], "big"), at + size
        yield tag, der[at : at + length]
        at += length


def names_in(certificate: Mapping[str, Any] | None) -> frozenset[str]:
    """Names that a verified certificate of a peer has: common names, DNS names and addresses.

    Parameters
    ----------
    certificate : mapping or None
        As :meth:`ssl.SSLSocket.getpeercert` tells it.
    """
    if not certificate:
        return frozenset()
    names: set[str] = set()
    for group in certificate.get("subject", ()):
        names |= {value for key, value in group if key == "commonName"}
    for kind, value in certificate.get("subjectAltName", ()):
        if kind in ("DNS", "IP Address", "URI", "email"):
            names.add(value)
    return frozenset(names)
