"""Accepts connections and reads them up to one complete association request, in a single thread.

Whoever is silent, trickles or is no DICOM peer at all costs a descriptor and a few hundred bytes
for some seconds here, and never a thread (PS3.8 9.2, states 2 and 13).
"""

from __future__ import annotations

import contextlib
import errno
import logging
import selectors
import socket
import ssl
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pylantir.dicom.transport import pdus
from pylantir.dicom.transport.complaints import Complaints
from pylantir.dicom.transport.pdus import AssociateRequest, NotARequest
from pylantir.tls import reason

log = logging.getLogger(__name__)

_ACCEPTED_AT_ONCE = 64
_READ_BYTES = 16_384
_LINGER_S = 1.0
"""How long a peer that we have rejected or aborted may take to hang up."""

_TRUST = 8
"""So many times the connections of others may wait from an address of scanners."""

_PAUSE_S = 0.1
"""After the system refused to accept for want of descriptors or memory."""

_OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_TLS_WAITS = (ssl.SSLWantReadError, ssl.SSLWantWriteError)

Admit = Callable[[AssociateRequest, socket.socket], bytes | None]
"""Takes a request and its socket, or returns the PDU that turns it away."""

Alarm = Callable[[str, str], None]
"""Hears of an address that could not prove who it is, and why (PS3.15 A.5.3.11)."""

Handshake = Callable[[socket.socket], socket.socket]
"""Wraps a socket whose TLS handshake is still to be done, and does not block."""


@dataclass(frozen=True, slots=True)
class Doorway:
    """What may stand in the doorway.

    Parameters
    ----------
    deadline_s : float
        From the connection to the end of its association request, in seconds.
    per_address, total : int
        Connections without a complete request at the same time.
    """

    deadline_s: float = 5.0
    per_address: int = 16
    total: int = 256


@dataclass(eq=False, slots=True)
class _Caller:
    """A connection that has not asked for an association yet, or that has been turned away."""

    socket: socket.socket
    address: Any
    until: float
    received: bytearray = field(default_factory=bytearray)
    shaking_hands: bool = False
    turned_away: bool = False

    @property
    def host(self) -> str:
        return str(self.address[0])


class Admission:
    """The thread in front of all associations.

    Parameters
    ----------
    listener : socket
        Bound; this object listens and closes it.
    admit : callable
        See :data:`Admit`.
    doorway : Doorway
        Limits and deadline.
    trusted : callable
        Whether an IP address is one that scanners have: it is not thrown out for strangers.
    handshake : callable, optional
        See :data:`Handshake`; without it connections are plain.
    alarm : callable, optional
        See :data:`Alarm`.
    """

    def __init__(
        self,
        listener: socket.socket,
        admit: Admit,
        doorway: Doorway,
        trusted: Callable[[str], bool],
        handshake: Handshake | None = None,
        alarm: Alarm | None = None,
    ) -> None:
        self._listener, self._admit, self._doorway = listener, admit, doorway
        self._trusted, self._handshake, self._alarm = trusted, handshake, alarm
        self._selector = selectors.DefaultSelector()
        self._waiting: dict[_Caller, None] = {}
        """In the order in which they came, which is that of their deadlines."""
        self._leaving: dict[_Caller, None] = {}
        self._by_host: Counter[str] = Counter()
        self._handed_back: deque[socket.socket] = deque()
        self._paused_until = 0.0
        self._ending = False
        self._complaints = Complaints()
        self._waker, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="dicom-admission", daemon=True)

    def start(self, backlog: int) -> None:
        """Listen, and accept in a thread."""
        self._listener.listen(backlog)
        self._listener.setblocking(False)
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening and hang up on everybody in the doorway; returns when it is done."""
        self._ending = True
        self._wake()
        self._thread.join()

    def linger(self, connection: socket.socket) -> None:
        """Close a connection once its peer has, at the latest after a second; any thread may call.

        Closed at once, what we have just sent could be lost: a reset overtakes it.
        """
        self._handed_back.append(connection)
        self._wake()
        if self._ending:
            connection.close()

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError, OSError):  # full: it is awake; closed: at its end
            self._waker.send(b"\0")

    # --- the loop ---

    def _run(self) -> None:
        try:
            while not self._ending:
                for key, _ in self._selector.select(self._patience()):
                    if key.fileobj is self._listener:
                        self._accept()
                    elif key.fileobj is self._woken:
                        self._take_back()
                    else:
                        self._serve_safely(key.data)
                self._look_at_the_clock()
        finally:
            self._close_all()

    def _patience(self) -> float | None:
        """Seconds until the next deadline; without one it waits for what comes."""
        ends = [next(iter(c)).until for c in (self._waiting, self._leaving) if c]
        if self._paused_until:
            ends.append(self._paused_until)
        return max(0.0, min(ends) - time.monotonic()) if ends else None

    def _look_at_the_clock(self) -> None:
        now = time.monotonic()
        if self._paused_until and now >= self._paused_until:
            self._paused_until = 0.0
            self._selector.register(self._listener, selectors.EVENT_READ)
        for callers in (self._waiting, self._leaving):
            while callers and (caller := next(iter(callers))).until <= now:
                if not caller.turned_away:
                    self._complain(caller, "no association request in time")
                self._drop(caller)

    def _close_all(self) -> None:
        self._take_back()
        for caller in (*self._waiting, *self._leaving):
            self._drop(caller)
        self._selector.close()
        for each in (self._listener, self._waker, self._woken):
            each.close()

    # --- connections ---

    def _accept(self) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                connection, address = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _OUT_OF_RESOURCES:
                    self._make_room(error)
                    return
                continue  # the peer was faster
            self._welcome(connection, address)

    def _make_room(self, error: OSError) -> None:
        self._complaints.say(log.error, "cannot accept connections", str(error.strerror))
        if self._waiting:
            self._drop(next(iter(self._waiting)))
        else:
            self._selector.unregister(self._listener)
            self._paused_until = time.monotonic() + _PAUSE_S

    def _welcome(self, connection: socket.socket, address: Any) -> None:
        connection.setblocking(False)
        with contextlib.suppress(OSError):  # it has hung up; reading will tell
            # Nagle's algorithm and delayed ACK cost 40 ms an answer.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        until = time.monotonic() + self._doorway.deadline_s
        caller = _Caller(connection, address, until)
        if self._handshake is not None:
            try:
                caller.socket = self._handshake(connection)
            except OSError:
                connection.close()
                return
            caller.shaking_hands = True
        self._waiting[caller] = None
        self._by_host[caller.host] += 1
        self._selector.register(caller.socket, selectors.EVENT_READ, caller)
        self._keep_within_limits(caller)

    def _keep_within_limits(self, newest: _Caller) -> None:
        """The one that has stood there longest goes: a scanner sends its request at once."""
        host, doorway = newest.host, self._doorway
        if self._by_host[host] > doorway.per_address * (_TRUST if self._trusted(host) else 1):
            victim = next(c for c in self._waiting if c.host == host)
        elif len(self._waiting) > doorway.total:
            strangers = (c for c in self._waiting if not self._trusted(c.host))
            victim = next(strangers, next(iter(self._waiting)))
        else:
            return
        self._complain(victim, "no association request, and too many others wait")
        self._drop(victim)

    def _drop(self, caller: _Caller) -> None:
        self._forget(caller)
        caller.socket.close()

    def _forget(self, caller: _Caller) -> None:
        self._selector.unregister(caller.socket)
        if caller.turned_away:
            del self._leaving[caller]
            return
        del self._waiting[caller]
        self._by_host[caller.host] -= 1
        if not self._by_host[caller.host]:
            del self._by_host[caller.host]

    # --- what they say ---

    def _serve_safely(self, caller: _Caller) -> None:
        try:
            self._serve(caller)
        except Exception as error:  # a door: nobody else shall wait outside because of one
            log.error("connection from %s failed: %s", caller.host, type(error).__name__)
            log.debug("cause", exc_info=True)
            if caller in self._waiting or caller in self._leaving:
                self._drop(caller)
            caller.socket.close()

    def _serve(self, caller: _Caller) -> None:
        if caller not in self._waiting and caller not in self._leaving:
            return  # dropped in this round
        try:
            if caller.shaking_hands:
                self._shake_hands(caller)
                return
            received = caller.socket.recv(_READ_BYTES)
        except (BlockingIOError, *_TLS_WAITS):
            return
        except OSError:
            received = b""
        if not received:
            self._drop(caller)
        elif not caller.turned_away:
            caller.received += received
            self._read(caller)

    def _shake_hands(self, caller: _Caller) -> None:
        connection: Any = caller.socket
        events = selectors.EVENT_READ
        try:
            connection.do_handshake()
            caller.shaking_hands = False
        except ssl.SSLWantWriteError:
            events = selectors.EVENT_WRITE
        except ssl.SSLWantReadError:
            pass
        except OSError as error:
            words = f"TLS: {reason(error)}"
            self._complain(caller, words)
            if self._alarm is not None and isinstance(error, ssl.SSLError):
                self._alarm(caller.host, words)
            self._drop(caller)
            return
        self._selector.modify(caller.socket, events, caller)
        if not caller.shaking_hands:
            self._serve(caller)  # the request may have come with the handshake

    def _read(self, caller: _Caller) -> None:
        try:
            if pdus.missing_bytes(caller.received) > 0:
                return
            _, length = pdus.header(caller.received)
            size = pdus.HEADER_BYTES + length
            if len(caller.received) > size:
                raise NotARequest("more than an association request before its answer")
            request = pdus.associate_request(bytes(caller.received), caller.address)
        except NotARequest as error:
            self._complain(caller, str(error))
            if caller.received[0] == pdus.A_ABORT:
                self._drop(caller)  # action AA-2
            else:
                self._turn_away(caller, pdus.abort(0))  # action AA-1
            return
        self._hand_over(caller, request)

    def _hand_over(self, caller: _Caller, request: AssociateRequest) -> None:
        if not request.speaks_our_version:
            self._complain(caller, "protocol version not supported")
            self._turn_away(caller, pdus.reject(*pdus.VERSION_NOT_SUPPORTED))
            return
        self._forget(caller)
        answer = self._admit(request, caller.socket)
        if answer is not None:
            self._see_off(caller, answer)

    def _turn_away(self, caller: _Caller, answer: bytes) -> None:
        self._forget(caller)
        self._see_off(caller, answer)

    def _see_off(self, caller: _Caller, answer: bytes) -> None:
        """Send the last word; the buffer of a new connection takes it whole."""
        try:
            caller.socket.send(answer)
        except OSError:
            caller.socket.close()
            return
        self._let_leave(caller)

    def _take_back(self) -> None:
        with contextlib.suppress(BlockingIOError, OSError):
            while self._woken.recv(4096):
                pass
        while self._handed_back:
            self._let_leave(_Caller(self._handed_back.popleft(), ("",), 0.0))

    def _let_leave(self, caller: _Caller) -> None:
        try:
            caller.socket.setblocking(False)
            caller.socket.shutdown(socket.SHUT_WR)
            self._selector.register(caller.socket, selectors.EVENT_READ, caller)
        except (OSError, ValueError):
            caller.socket.close()
            return
        caller.turned_away = True
        caller.received.clear()
        caller.until = time.monotonic() + _LINGER_S
        self._leaving[caller] = None

    def _complain(self, caller: _Caller, words: str) -> None:
        self._complaints.say(log.info, f"connection from {caller.host} ended", words)
