"""How another process, such as ``pylantir health`` or ``start-api``, reaches the DICOM server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pylantir.daemon import ANY_ADDRESS
from pylantir.dicom.peer import Peer, PeerTls

if TYPE_CHECKING:
    from pylantir.config.schema import Config

_USUAL_PORT = 4242


def told_peer(said: Mapping[str, Any], config: Config, timeout_s: float) -> Peer | None:
    """How the server reaches itself: it lets that in, whatever its rules are.

    Parameters
    ----------
    said : mapping
        What the server said last, see :func:`pylantir.worklist.instance.told`.
    config : Config
        The site's settings; what the server presents over TLS is what they name.
    timeout_s : float
        Longest wait for an answer, in seconds.

    Returns
    -------
    Peer or None
        Nothing when the server has not said where it listens.
    """
    if not said.get("port"):
        return None
    return Peer(
        host=str(said.get("host_address")),
        port=int(said["port"]),
        called_ae_title=str(said.get("called")),
        calling_ae_title=str(said.get("calling")),
        timeout_s=timeout_s,
        tls=_own_tls(config) if said.get("tls") else None,
    )


def configured_peer(config: Config, timeout_s: float) -> Peer:
    """Where the server listens by the configuration; it need not let us in."""
    return Peer(
        host=ANY_ADDRESS.get(config.ip, config.ip),
        port=config.port or _USUAL_PORT,
        called_ae_title=config.ae_title,
        calling_ae_title=config.allowed_aet[0] if config.allowed_aet else config.ae_title,
        timeout_s=timeout_s,
    )


def _own_tls(config: Config) -> PeerTls | None:
    from pylantir.tls import pinned_context

    settings = config.tls
    if settings is None:
        return None
    return PeerTls(make=lambda: pinned_context(settings.certificate, settings.key))
