"""A real HTTP(S) server on loopback that plays somebody else's system.

`StandIn` owns the life cycle, the virtual clock, the request journal, the fault script and the
``/__control__/`` door; a subclass says what a request is called (`routes`) and answers it
(`answer`).
"""

from __future__ import annotations

import datetime as dt
import email.utils
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self, cast

from tests.standins import control, delivery
from tests.standins.clock import VirtualClock
from tests.standins.faults import Fault, FaultScript
from tests.standins.journal import Entry, Journal
from tests.standins.wire import Reply, Request, login_page, page

_STOP_S = 1.0
_POLL_S = 0.02


class StandIn:
    """A server that can be started, driven, watched, broken and stopped.

    Parameters
    ----------
    host, port
        Where to listen; port 0 takes a free one, which stays the same over a restart.
    clock : VirtualClock, optional
        The server's clock and zone; two stand-ins may share one.
    ssl_context : ssl.SSLContext, optional
        Serve HTTPS with it; may be exchanged while running (`ssl_context` is looked at for each
        connection).
    compress : bool
        Answer with gzip where the client accepts it.

    Attributes
    ----------
    before : callable, optional
        Called with the journal entry of each request before it is answered: the place to change
        data between one request of a client and its next.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: VirtualClock | None = None,
        ssl_context: ssl.SSLContext | None = None,
        compress: bool = False,
    ) -> None:
        self.host = host
        self.port = port
        self.clock = clock or VirtualClock()
        self.ssl_context = ssl_context
        self.compress = compress
        self.journal = Journal()
        self.faults = FaultScript()
        self.lock = threading.RLock()
        self.before: Callable[[Entry], None] | None = None
        self.crashes: list[BaseException] = []
        self.failed_handshakes: list[OSError] = []
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    # What a subclass says ------------------------------------------------------------------

    def routes(self, request: Request) -> tuple[str, ...]:
        """The names a request goes by in the journal and in the fault script."""
        return (request.path,)

    def answer(self, request: Request) -> Reply:
        """The true answer to a request; called with the lock held."""
        raise NotImplementedError

    def secrets(self) -> Iterable[str]:
        """What must never stand in a URL."""
        return ()

    def actions(self) -> dict[str, Callable[..., object]]:
        """The mutations of the subclass, by their name below ``/__control__/``."""
        return {}

    # Life cycle ----------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Scheme, host and port; no slash at the end."""
        scheme = "https" if self.ssl_context else "http"
        return f"{scheme}://{self.host}:{self.port}"

    @property
    def running(self) -> bool:
        """Whether the server listens."""
        return self._server is not None

    def start(self) -> Self:
        """Listen and serve. Data, journal and faults outlive a stop and a start."""
        if self._server is not None:
            raise RuntimeError(f"{self.url} is already running")
        self._server = _Server((self.host, self.port), self)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": _POLL_S},
            name=f"{type(self).__name__}:{self.port}",
            daemon=True,
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop listening, let go of every held request, close every connection; within a second.

        Raises
        ------
        RuntimeError
            A handler would not end.
        """
        server, self._server = self._server, None
        if server is None:
            return
        server.stopping.set()
        server.shutdown()
        server.server_close()
        self.faults.clear()
        left = server.hang_up(_STOP_S)
        if self._thread is not None:
            self._thread.join(_STOP_S)
        if left:
            raise RuntimeError(f"{left} request(s) to {self.url} would not end")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        if kind is None and self.crashes:
            raise RuntimeError("the stand-in itself failed") from self.crashes[0]

    # Faults and control --------------------------------------------------------------------

    def fault(self, route: str = "*", **how: Any) -> Fault:
        """Add a `Fault` to the script: ``fault("record", nth=2, status=503)``."""
        return self.faults.add(Fault(route, **how))

    def serve(self, request: Request, handler: BaseHTTPRequestHandler) -> None:
        """Journal a request, answer it, break the answer if a fault says so."""
        if request.path.startswith(control.ROOT):
            with self.lock:
                reply = control.answer(request, {**self._own_actions(), **self.actions()})
            delivery.send(handler, reply)
            return
        routes = self.routes(request)
        entry = self.journal.open(request, routes, self.clock.now(), self.secrets())
        began = time.monotonic()
        if self.before is not None:
            self.before(entry)
        fault, released = self.faults.pick(routes)
        try:
            if fault is None:
                reply = self._true_answer(request)
                entry.status = reply.status
                entry.sent_bytes = delivery.send(handler, reply, compress=self.compress)
            else:
                self._break(request, handler, entry, fault, released)
        finally:
            entry.took_s = time.monotonic() - began

    def _break(
        self,
        request: Request,
        handler: BaseHTTPRequestHandler,
        entry: Entry,
        fault: Fault,
        released: threading.Event,
    ) -> None:
        entry.fault = True
        true_answer = self._true_answer(request) if fault.performs or not fault.replaces else None
        if fault.latency_s:
            released.wait(fault.latency_s)
        if fault.hang:
            released.wait()
        if fault.silent or not self.running:
            handler.close_connection = True
            if fault.cut == "reset":
                delivery.reset(handler.connection)
            return
        reply = fault.reply(true_answer)
        entry.status = reply.status
        entry.sent_bytes = delivery.send_faulty(handler, reply, fault, released)

    def _true_answer(self, request: Request) -> Reply:
        if request.path == "/login":
            return login_page()
        try:
            with self.lock:
                return self.answer(request)
        except Exception as error:  # noqa: BLE001 - the door: a bug here must not hang the client
            self.crashes.append(error)
            return page("500 Internal Server Error", "The stand-in itself failed.", 500)

    def _own_actions(self) -> dict[str, Callable[..., object]]:
        return {
            "clock": self._show_clock,
            "set_clock": self._set_clock,
            "advance": self._advance,
            "set_zone": self._set_zone,
            "journal": self._show_journal,
            "clear_journal": self.journal.clear,
            "fault": self._add_fault,
            "faults": self._show_faults,
            "clear_faults": self.faults.clear,
        }

    def _show_clock(self) -> dict[str, object]:
        wall = self.clock.wall().isoformat(sep=" ", timespec="seconds")
        now = self.clock.now().isoformat(timespec="seconds")
        return {"wall": wall, "utc": now, "zone": str(self.clock.zone), "frozen": self.clock.frozen}

    def _set_clock(self, at: dt.datetime, frozen: bool | None = None) -> dict[str, object]:
        self.clock.set(at, frozen=frozen)
        return self._show_clock()

    def _advance(self, seconds: float = 0, days: float = 0) -> dict[str, object]:
        self.clock.advance(seconds, days=days)
        return self._show_clock()

    def _set_zone(self, zone: str) -> dict[str, object]:
        self.clock.set_zone(zone)
        return self._show_clock()

    def _show_journal(self, route: str = "*", since: int = 0) -> list[dict[str, object]]:
        return [entry.as_json() for entry in self.journal.of(route, since)]

    def _add_fault(self, route: str = "*", **how: object) -> list[dict[str, object]]:
        typed = {key: _fault_value(key, value) for key, value in how.items()}
        self.fault(route, **typed)
        return self._show_faults()

    def _show_faults(self) -> list[dict[str, object]]:
        return [fault.as_json() for fault in self.faults.listed()]


def _fault_value(key: str, value: object) -> object:
    if not isinstance(value, str):
        return value
    if key in {"nth", "times", "status", "truncate_after", "length_error"}:
        return int(value)
    if key in {"rate", "latency_s", "drip_s"}:
        return float(value)
    if key in {"keep_body", "hang", "chunked", "gzip_garbage", "performed"}:
        return value.lower() in {"1", "true", "yes"}
    return value


class _Server(ThreadingHTTPServer):
    """Knows its connections, so that it can end them."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], stand_in: StandIn) -> None:
        self.stand_in = stand_in
        self.stopping = threading.Event()
        self._open: dict[int, tuple[socket.socket, threading.Thread]] = {}
        self._lock = threading.Lock()
        super().__init__(address, _Handler)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        context = self.stand_in.ssl_context
        key = id(threading.current_thread())
        if context is not None:
            request = context.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
        with self._lock:
            self._open[key] = (request, threading.current_thread())
        try:
            # Whoever registers too late for `hang_up` finds the event set.
            if self.stopping.is_set() or (context is not None and not self._shake_hands(request)):
                return
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                del self._open[key]
            request.close()

    def _shake_hands(self, connection: ssl.SSLSocket) -> bool:
        try:
            connection.do_handshake()
        except OSError as error:
            self.stand_in.failed_handshakes.append(error)
            return False
        return True

    def shutdown_request(self, request: Any) -> None:
        # A reset must not be preceded by a FIN, which `shutdown` would send.
        if request.fileno() >= 0 and _lingers(request):
            self.close_request(request)
        else:
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exception()
        if error is not None and not isinstance(error, (OSError, ValueError)):
            self.stand_in.crashes.append(error)

    def hang_up(self, timeout_s: float) -> int:
        """End all connections; returns how many handlers were still busy after the time."""
        with self._lock:
            held = list(self._open.values())
        for connection, _ in held:
            _shut(connection)
        until = time.monotonic() + timeout_s
        for _, thread in held:
            thread.join(max(0.0, until - time.monotonic()))
        return sum(thread.is_alive() for _, thread in held)


def _lingers(connection: socket.socket) -> bool:
    size = 4 if sys.platform == "win32" else 8
    option = connection.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, size)
    return any(option)


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        connection.close()  # the client was faster; nothing is left to shut down


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def version_string(self) -> str:
        return "Apache"

    def _serve(self) -> None:
        server = cast(_Server, self.server)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(self.command, self.path, self.headers, body, self.client_address[0])
        server.stand_in.serve(request, self)
        self.wfile.flush()

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = _serve  # noqa: N815

    def date_time_string(self, timestamp: float | None = None) -> str:
        stand_in = cast(_Server, self.server).stand_in
        if timestamp is not None:
            return super().date_time_string(timestamp)
        return email.utils.format_datetime(stand_in.clock.now(), usegmt=True)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the journal keeps the requests."""
