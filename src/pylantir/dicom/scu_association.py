"""An association that we request, and plain words for every way it can fail (PS3.8)."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Sequence
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import _config, evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_RJ
from pynetdicom.presentation import build_context
from pynetdicom.transport import AssociationSocket

from pylantir import tls
from pylantir.dicom.peer import Peer
from pylantir.dicom.scu_reactor import keep_in_step
from pylantir.errors import PeerError, PeerRejected


class _RequestingEntity(ApplicationEntity):
    """Keeps the socket at hand: pynetdicom never closes one that did not connect or was cut off."""

    connection: socket.socket | None = None

    def _create_socket(self, *args: Any, **kwargs: Any) -> AssociationSocket:
        created = super()._create_socket(*args, **kwargs)
        self.connection = created.socket
        return created


class _Wrapping:
    """Stands for an SSL context, and keeps at hand what it makes of a socket."""

    def __init__(self, context: ssl.SSLContext, entity: _RequestingEntity) -> None:
        self._context = context
        self._entity = entity

    def wrap_socket(self, plain: socket.socket, **how: Any) -> socket.socket:
        secured = self._context.wrap_socket(plain, **how)
        self._entity.connection = secured
        return secured


class _Witness:
    """What happened on the association, as pynetdicom's events tell it.

    The library reports an abort by the peer, its own time-out and a lost connection alike, as an
    empty status; it takes a peer that rejects and hangs up at once for one that never answered;
    and it drops parts of the command set. All are gathered here, in the thread that reads the
    socket, so they are known before the answer is.
    """

    def __init__(self) -> None:
        self.connected = False
        self.disconnected = False
        self.rejection: tuple[int, int, int] | None = None
        self.peer_abort: tuple[int, int] | None = None
        self.own_abort = False
        self.response: Dataset | None = None

    def handlers(self) -> list[Any]:
        return [
            (evt.EVT_CONN_OPEN, self._on_open),
            (evt.EVT_CONN_CLOSE, self._on_close),
            (evt.EVT_PDU_RECV, self._on_pdu_received),
            (evt.EVT_PDU_SENT, self._on_pdu_sent),
            (evt.EVT_DIMSE_RECV, self._on_response),
        ]

    def _on_open(self, event: evt.Event) -> None:
        keep_in_step(event.assoc)
        self.connected = True

    def _on_close(self, event: evt.Event) -> None:
        self.disconnected = True

    def _on_pdu_received(self, event: evt.Event) -> None:
        pdu = event.pdu
        if isinstance(pdu, A_ABORT_RQ):
            self.peer_abort = (pdu.source or 0, pdu.reason_diagnostic or 0)
        elif isinstance(pdu, A_ASSOCIATE_RJ):
            self.rejection = (pdu.result or 0, pdu.source or 0, pdu.reason_diagnostic or 0)

    def _on_pdu_sent(self, event: evt.Event) -> None:
        self.own_abort = self.own_abort or isinstance(event.pdu, A_ABORT_RQ)

    def _on_response(self, event: evt.Event) -> None:
        self.response = event.message.command_set

    @property
    def ended(self) -> bool:
        """Whether the association is over; pynetdicom itself notices a little later."""
        return self.disconnected or self.own_abort or self.peer_abort is not None


class RequestedAssociation:
    """One association with a peer, open until :meth:`close`.

    Parameters
    ----------
    peer : Peer
        Whom to call.
    sop_classes : sequence of str
        Abstract syntaxes, one presentation context each.

    Raises
    ------
    PeerError
        Nobody there, rejected, aborted, no answer, or no presentation context accepted.
    """

    def __init__(self, peer: Peer, sop_classes: Sequence[str]) -> None:
        # Identifiers are patient data, and pynetdicom would write them to the log.
        _config.LOG_REQUEST_IDENTIFIERS = False
        _config.LOG_RESPONSE_IDENTIFIERS = False
        self.peer = peer
        self._witness = _Witness()
        self._ae = _RequestingEntity(ae_title=peer.calling_ae_title)
        self._ae.connection_timeout = peer.timeout_s
        self._ae.acse_timeout = peer.timeout_s
        self._ae.dimse_timeout = peer.timeout_s
        self._ae.network_timeout = None  # a scanner may keep its association open and idle
        self._asked_at_s = time.monotonic()
        self.association = self._associate(sop_classes)
        if not self.association.is_established:
            error = self._not_established()
            self._close_socket()
            raise error

    def _associate(self, sop_classes: Sequence[str]) -> Association:
        syntaxes: list[str | UID] = [UID(uid) for uid in self.peer.transfer_syntaxes]
        try:
            return self._ae.associate(
                self.peer.host,
                self.peer.port,
                contexts=[build_context(UID(uid), syntaxes) for uid in sop_classes],
                ae_title=self.peer.called_ae_title,
                evt_handlers=self._witness.handlers(),
                tls_args=self._tls_args(),
            )
        except socket.gaierror as error:
            reason = f"there is no host named {self.peer.host} ({error.strerror})"
            raise PeerError(reason) from error
        except OSError as error:
            raise PeerError(f"cannot reach {self.peer.address}: {error.strerror}") from error

    def _tls_args(self) -> Any:
        if self.peer.tls is None:
            return None
        return _Wrapping(self.peer.tls.context(), self._ae), self.peer.host

    @property
    def is_open(self) -> bool:
        """Whether requests can be sent."""
        return bool(self.association.is_established) and not self._witness.ended

    @property
    def accepted(self) -> dict[str, str]:
        """Abstract syntaxes that the peer accepted, each with its transfer syntax."""
        contexts = self.association.accepted_contexts
        return {str(c.abstract_syntax): str(c.transfer_syntax[0]) for c in contexts}

    @property
    def response(self) -> Dataset | None:
        """Command set of the last response, complete as it came."""
        return self._witness.response

    def ready_for(self, sop_class: str) -> Association:
        """The association, ready for a request in a presentation context.

        Raises
        ------
        PeerError
            It is closed, or the peer did not accept the context.
        """
        if not self.is_open:
            raise self.lost()
        if sop_class not in self.accepted:
            refused = [
                c for c in self.association.rejected_contexts if c.abstract_syntax == sop_class
            ]
            reason = _CONTEXT_RESULTS.get(refused[0].result or 0, "") if refused else "not proposed"
            raise PeerError(f"{self.peer.address} does not offer {UID(sop_class).name}: {reason}")
        self.awaits_response()
        return self.association

    def awaits_response(self) -> None:
        """Forget the last response, as another one is due from now on."""
        self._witness.response = None
        self._asked_at_s = time.monotonic()

    def _waited_in_vain(self) -> bool:
        return time.monotonic() - self._asked_at_s >= self.peer.timeout_s

    def lost(self) -> PeerError:
        """Why there is no answer, or no association any more."""
        where, seen = self.peer.address, self._witness
        if seen.peer_abort is not None:
            return PeerError(f"{where} aborted the association: {_abort_words(*seen.peer_abort)}")
        if seen.own_abort and not self._waited_in_vain():
            return PeerError(f"{where} sent an answer that breaks the DICOM protocol")
        if seen.own_abort:
            return PeerError(
                f"{where} gave no answer within {self.peer.timeout_s:g} s; is the server busy?"
            )
        if self.association.is_released:
            return PeerError(f"the association with {where} is closed; open another one")
        words = f"{where} closed the connection without an answer; see the server's log"
        if self.peer.tls is not None and self.peer.tls.certificate is None:
            words += ", or it may want a certificate of ours (--tls-certificate)"
        return PeerError(words)

    def close(self) -> None:
        """Release the association; nothing happens when it has ended already."""
        if self.is_open:
            self.association.release()
        self._close_socket()

    def abort(self) -> None:
        """Abort the association, as a scanner that is switched off."""
        self.association.abort()
        self._close_socket()

    def _close_socket(self) -> None:
        for thread in (self.association, self.association.dul):
            if thread.is_alive():
                thread.join(self.peer.timeout_s)
        if self._ae.connection is not None:
            self._ae.connection.close()

    def _not_established(self) -> PeerError:
        if not self._witness.connected:
            return self._not_connected()
        if self._witness.rejection is not None:
            return PeerRejected(_rejection_words(self.peer, self._witness.rejection))
        if self.association.rejected_contexts:
            refused = ", ".join(
                f"{UID(str(c.abstract_syntax)).name}: {_CONTEXT_RESULTS.get(c.result or 0, '')}"
                for c in self.association.rejected_contexts
            )
            return PeerError(f"{self.peer.address} accepted no presentation context ({refused})")
        return self.lost()

    def _not_connected(self) -> PeerError:
        unreachable = PeerError(
            f"{self.peer.address} cannot be reached within {self.peer.timeout_s:g} s; "
            "check the address and the firewall"
        )
        if self._waited_in_vain():
            return unreachable
        # pynetdicom keeps the cause to itself, so ask once more and listen.
        try:
            self._connect_once()
        except ssl.SSLError as error:
            return PeerError(f"no TLS with {self.peer.address}: {tls.client_reason(error)}")
        except ConnectionRefusedError:
            return PeerError(f"nothing listens on {self.peer.address}; is the server running?")
        except TimeoutError:
            return unreachable
        except OSError as error:
            return PeerError(f"cannot reach {self.peer.address}: {error.strerror or error}")
        return PeerError(f"{self.peer.address} did not take the connection; try again")

    def _connect_once(self) -> None:
        address = (self.peer.host, self.peer.port)
        with socket.create_connection(address, timeout=self.peer.timeout_s) as plain:
            if self.peer.tls is not None:
                context = self.peer.tls.context()
                context.wrap_socket(plain, server_hostname=self.peer.host).close()


# fmt: off
_CONTEXT_RESULTS = {
    # PS3.8 Table 9-18
    1: "rejected by its user",
    2: "rejected without a reason",
    3: "abstract syntax not supported",
    4: "transfer syntaxes not supported",
}
_REJECTIONS = {
    # PS3.8 Table 9-21: (source, reason) to words and the way out
    (1, 1): ("no reason given", "see the server's log"),
    (1, 2): ("application context name not supported", "is that a DICOM server?"),
    (1, 3): ("calling AE title not recognised", "add {peer.calling_ae_title} to allowed_aet"),
    (1, 7): ("called AE title not recognised", "the server is not {peer.called_ae_title}"),
    (2, 1): ("no reason given", "see the server's log"),
    (2, 2): ("protocol version not supported", "is that a DICOM server?"),
    (3, 1): ("temporary congestion", "try again later"),
    (3, 2): ("local limit exceeded", "too many associations are open there, try again later"),
}
_PROVIDER_ABORTS = {
    # PS3.8 Table 9-26
    0: "reason not specified",
    1: "unrecognized PDU",
    2: "unexpected PDU",
    4: "unrecognized PDU parameter",
    5: "unexpected PDU parameter",
    6: "invalid PDU parameter value",
}
# fmt: on


def _rejection_words(peer: Peer, codes: tuple[int, int, int]) -> str:
    words, way_out = _REJECTIONS.get(codes[1:], ("reason not known", "see the server's log"))
    shown = ",".join(map(str, codes))
    return f"rejected by the peer: {words} ({shown}); {way_out.format(peer=peer)}"


def _abort_words(source: int, reason: int) -> str:
    if source == 0:
        return "by the application there; see the server's log"
    return f"{_PROVIDER_ABORTS.get(reason, 'reason not known')}; see the server's log"
