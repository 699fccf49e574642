"""Whom a scanner calls: address, AE titles, TLS."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from pylantir import tls
from pylantir.errors import ConfigProblem, ConfigurationError


@dataclass(frozen=True, slots=True)
class PeerTls:
    """How to speak TLS with a peer (PS3.15 B.12).

    Parameters
    ----------
    ca : str, optional
        PEM file of the authorities that certify the peer; those of the system when absent.
    certificate, key : str, optional
        Our own, for a peer that demands one.
    check_host_name : bool
        Whether the peer's certificate must name the host that is called.
    make : callable, optional
        Makes the context in place of all that: the server that asks itself.
    """

    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    check_host_name: bool = True
    make: Callable[[], ssl.SSLContext] | None = None

    def context(self) -> ssl.SSLContext:
        """The TLS client.

        Raises
        ------
        ConfigurationError
            A file cannot be used.
        """
        if self.make is not None:
            return self.make()
        return tls.client_context(
            self.ca, self.certificate, self.key, check_host_name=self.check_host_name
        )


@dataclass(frozen=True)
class Peer:
    """The Application Entity to talk to, and who we say we are.

    Parameters
    ----------
    host : str
        Host name or address.
    port : int
        1 to 65535.
    called_ae_title, calling_ae_title : str
        1 to 16 ASCII characters each, no backslash (PS3.5 6.2).
    timeout_s : float
        Longest wait for the connection, for the association and for each response; seconds,
        above 0.
    transfer_syntaxes : tuple of str
        UIDs proposed for every presentation context, best first.
    tls : PeerTls, optional
        Speak TLS; without it the connection is plain.

    Raises
    ------
    ConfigurationError
        A value outside these bounds.
    """

    host: str
    port: int
    called_ae_title: str = "MWL_SERVER"
    calling_ae_title: str = "PYLANTIR_SCU"
    timeout_s: float = 10.0
    transfer_syntaxes: tuple[str, ...] = (ImplicitVRLittleEndian, ExplicitVRLittleEndian)
    tls: PeerTls | None = None

    def __post_init__(self) -> None:
        problems = []
        for name in ("called_ae_title", "calling_ae_title"):
            title = getattr(self, name)
            if not _is_ae_title(title):
                expected = f"expected 1 to 16 ASCII characters without backslash, got {title!r}"
                problems.append(ConfigProblem("peer", name, expected))
        if not 1 <= self.port <= 65535:
            expected = f"expected 1 to 65535, got {self.port}"
            problems.append(ConfigProblem("peer", "port", expected))
        if not self.timeout_s > 0:
            expected = f"expected seconds above 0, got {self.timeout_s}"
            problems.append(ConfigProblem("peer", "timeout_s", expected))
        if problems:
            raise ConfigurationError(problems)

    @property
    def address(self) -> str:
        """Host and port as people write them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def _is_ae_title(title: str) -> bool:
    printable = title.isascii() and title.isprintable() and "\\" not in title
    return printable and 1 <= len(title) <= 16 and bool(title.strip())
