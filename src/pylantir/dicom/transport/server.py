"""Listens for scanners: admission in front, a slot and a thread for each association behind."""

from __future__ import annotations

import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from pynetdicom import AE, evt

from pylantir.dicom.transport import pdus
from pylantir.dicom.transport.admission import Admission, Doorway, Handshake
from pylantir.dicom.transport.association import ScannerAssociation, Shared
from pylantir.dicom.transport.blank import Blank
from pylantir.dicom.transport.complaints import Complaints
from pylantir.dicom.transport.message_limits import MessageLimits
from pylantir.dicom.transport.pdus import AssociateRequest
from pylantir.dicom.transport.slots import NoSlot, Slots
from pylantir.dicom.transport.threads import Threads

if TYPE_CHECKING:
    from pynetdicom.events import Event

log = logging.getLogger(__name__)

_LISTEN_BACKLOG = 1024
"""When it is full, a connection waits for a second before it tries again."""

_REMEMBERED_HOSTS = 1024
_LAST_PDU_S = 0.2
"""How long a stop waits for PDUs that are being sent, all together."""

_PEER_CLOSES_WITHIN_S = 0.02
"""A peer that is told to go mostly has gone by then; others are left to the admission thread."""


Refused = Callable[[str, str, str, str], None]
"""Calling and called AE title, IP address, why; titles are empty where none was heard."""


class LocalAE(AE):
    """The library's AE; associations are counted here, not by looking through all threads."""

    @property
    def active_associations(self) -> list[Any]:
        """None of them: :class:`Slots` keeps the limits."""
        return []


@dataclass(frozen=True)
class Limits:
    """What peers may do.

    Parameters
    ----------
    slots : Slots
        Associations at the same time.
    doorway : Doorway
        Connections without an association.
    messages : MessageLimits
        What an association may send.
    hosts : callable
        Whether the configuration names an IP address.
    """

    slots: Slots
    doorway: Doorway = field(default_factory=Doorway)
    messages: MessageLimits = field(default_factory=MessageLimits)
    hosts: Callable[[str], bool] = lambda host: False


class AssociationServer:
    """Accepts associations for an AE.

    Parameters
    ----------
    ae : LocalAE
        Its title, contexts and implementation are those that peers see.
    handlers : iterable of (event, callable)
        Bound to each association.
    limits : Limits
        What peers may do.
    handshake : callable, optional
        Makes connections TLS, see :class:`Admission`.
    refused : callable, optional
        Hears of whom it turns away itself: calling and called AE title, IP address, why.
    """

    def __init__(
        self,
        ae: LocalAE,
        handlers: Iterable[evt.EventHandlerType],
        limits: Limits,
        handshake: Handshake | None = None,
        refused: Refused | None = None,
    ) -> None:
        self._refused = refused
        self._limits, self._handshake = limits, handshake
        self._threads = Threads()
        bound = _bound((*handlers, (evt.EVT_ESTABLISHED, self._remember)))
        self._shared = Shared(Blank(ae), bound, limits.messages)
        self._complaints = Complaints()
        self._living: set[ScannerAssociation] = set()
        self._nobody_lives = threading.Condition()
        self._scanner_hosts: dict[str, None] = {}
        self._admission: Admission | None = None
        self.server_address: tuple[Any, ...] = ("", 0)

    @property
    def active_associations(self) -> list[ScannerAssociation]:
        """Those that have not ended."""
        with self._nobody_lives:
            return list(self._living)

    def start(self, address: tuple[str, int]) -> None:
        """Bind, listen, and accept in a thread.

        Raises
        ------
        OSError
            The address cannot be bound.
        """
        listener = _bind(address)
        self.server_address = listener.getsockname()
        self._admission = Admission(
            listener,
            self._admit,
            self._limits.doorway,
            self._is_trusted,
            self._handshake,
            self._raise_alarm,
        )
        self._admission.start(_LISTEN_BACKLOG)

    def stop(self, within_s: float) -> None:
        """Stop listening and abort every association; returns when all have ended.

        Parameters
        ----------
        within_s : float
            Longest wait for associations that are busy, in seconds.
        """
        if self._admission is not None:
            self._admission.stop()
        until = time.monotonic() + _LAST_PDU_S
        for association in self.active_associations:
            association.break_off(max(0.0, until - time.monotonic()))
        with self._nobody_lives:
            self._nobody_lives.wait_for(lambda: not self._living, within_s)
        self._threads.stop()

    def _raise_alarm(self, host: str, words: str) -> None:
        if self._refused is not None:
            self._refused("", "", host, words)

    def _is_trusted(self, host: str) -> bool:
        return host in self._scanner_hosts or self._limits.hosts(host)

    def _admit(self, request: AssociateRequest, connection: socket.socket) -> bytes | None:
        """Give the connection a slot and a thread, or return what turns it away."""
        try:
            slot = self._limits.slots.take(request.calling, request.host)
        except NoSlot as error:
            who = f"association from {request.calling} at {request.host} refused"
            self._complaints.say(log.warning, who, str(error))
            if self._refused is not None:
                self._refused(request.calling, request.called, request.host, str(error))
            return pdus.reject(*pdus.LOCAL_LIMIT_EXCEEDED)
        try:
            association = ScannerAssociation(self._shared, request, connection)
            association.slot = slot
            self._start(association)
        except (OSError, RuntimeError) as error:  # the peer has gone; no more threads
            self._complaints.say(log.error, "association refused", str(error))
            slot.free()
            return pdus.reject(*pdus.TEMPORARY_CONGESTION)
        return None

    def _start(self, association: ScannerAssociation) -> None:
        with self._nobody_lives:
            self._living.add(association)
        try:
            self._threads.run(partial(self._serve, association), f"dicom-{association.calling}")
        except RuntimeError:
            self._forget(association)
            raise

    def _serve(self, association: ScannerAssociation) -> None:
        connection = None
        try:
            connection = association.serve()
        finally:
            self._forget(association)
            if connection is not None:
                self._see_off(connection)

    def _forget(self, association: ScannerAssociation) -> None:
        association.leave()
        with self._nobody_lives:
            self._living.discard(association)
            if not self._living:
                self._nobody_lives.notify_all()

    def _see_off(self, connection: socket.socket) -> None:
        """Close the connection once its peer has; most do at once."""
        if self._admission is None or _has_hung_up(connection, _PEER_CLOSES_WITHIN_S):
            connection.close()
        else:
            self._admission.linger(connection)

    def _remember(self, event: Event) -> None:
        """A scanner works from here: strangers do not get its connections thrown out."""
        host = event.assoc.requestor.address
        self._scanner_hosts.pop(host, None)
        self._scanner_hosts[host] = None
        while len(self._scanner_hosts) > _REMEMBERED_HOSTS:
            self._scanner_hosts.pop(next(iter(self._scanner_hosts)))


def _bind(address: tuple[str, int]) -> socket.socket:
    """A bound socket; on Windows nobody else can take the same port in silence."""
    host, port = address
    family, kind, protocol, _, where = socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        if sys.platform == "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
    except OSError:
        listener.close()
        raise
    return listener


def _bound(handlers: Iterable[evt.EventHandlerType]) -> dict[Any, Any]:
    """Handlers by event as the library keeps them, its defaults included."""
    found: dict[Any, Any] = {}
    for event in evt._INTERVENTION_EVENTS:
        evt._add_handler(event, found, (evt.get_default_handler(event), None))
    for event, handler, *arguments in handlers:
        evt._add_handler(event, found, (handler, *(arguments or (None,))))
    return found


def _has_hung_up(connection: socket.socket, within_s: float) -> bool:
    try:
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(within_s)
        return not connection.recv(4096)
    except TimeoutError:
        return False
    except OSError:
        return True
