"""Numbers for Prometheus over HTTP, when asked for: never of a person, only how many of what.

Text format 0.0.4 of Prometheus. ``/metrics`` has the numbers, ``/health`` what ``pylantir health``
says, with HTTP status 503 when it is critical.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from pylantir import health
from pylantir.errors import StartError, StoreError
from pylantir.health import Health, State
from pylantir.worklist.outbox import Outbox
from pylantir.worklist.sources import SourceStore

if TYPE_CHECKING:
    from pylantir.config.schema import MetricsSettings
    from pylantir.daemon import Worklist

log = logging.getLogger(__name__)

_SERVICES = {
    0x8020: "C-FIND",
    0x8030: "C-ECHO",
    0x8110: "N-GET",
    0x8120: "N-SET",
    0x8140: "N-CREATE",
}
"""Command Field of the responses (PS3.7 Annex E)."""

_PATIENCE_S = 5.0
_POLL_S = 0.2
_TEXT = "text/plain; version=0.0.4; charset=utf-8"

Sample = tuple[Mapping[str, str], float]


class Answered:
    """Counts final answers to scanners."""

    def __init__(self) -> None:
        self._counted: Counter[tuple[str, str]] = Counter()
        self._counting = threading.Lock()

    def count(self, command: int, status: int) -> None:
        """One answer: its Command Field and Status."""
        service = _SERVICES.get(command, "other")
        with self._counting:
            self._counted[service, f"0x{status:04X}"] += 1

    def samples(self) -> list[Sample]:
        """How many of each there were."""
        with self._counting:
            counted = sorted(self._counted.items())
        return [({"service": service, "status": code}, n) for (service, code), n in counted]


class MetricsServer:
    """Serves the numbers.

    Parameters
    ----------
    settings : MetricsSettings
        Address and port.
    worklist : Worklist
        What is served to scanners.
    answered : Answered
        Counts answers.
    health_now : callable
        How everything is; waits for nobody.
    """

    def __init__(
        self,
        settings: MetricsSettings,
        worklist: Worklist,
        answered: Answered,
        health_now: Callable[[], Health],
    ) -> None:
        self._settings = settings
        self._worklist = worklist
        self._answered = answered
        self._health = health_now
        self._began = time.time()
        self._server: ThreadingHTTPServer | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens; the real port when 0 was asked for."""
        if self._server is None:
            return self._settings.host, self._settings.port
        host, port = self._server.server_address[:2]
        return str(host), int(port)

    def start(self) -> None:
        """Listen.

        Raises
        ------
        StartError
            The port is taken or the address is not this machine's.
        """
        place = (self._settings.host, self._settings.port)
        try:
            self._server = _Server(place, _handler_of(self))
        except OSError as error:
            raise StartError(
                f"cannot serve metrics on {place[0]} port {place[1]}: {error.strerror}. "
                "Change metrics.host or metrics.port in the configuration."
            ) from error
        threading.Thread(
            target=self._server.serve_forever, args=(_POLL_S,), name="metrics", daemon=True
        ).start()
        log.info("metrics: http://%s:%d/metrics", *self.address)

    def stop(self) -> None:
        """End."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def page(self, path: str) -> tuple[int, str, str] | None:
        """HTTP status, media type and body of a page; nothing when there is no such page."""
        if path == "/metrics":
            return 200, _TEXT, "".join(self._lines())
        if path == "/health":
            now = self._health()
            code = 503 if now.state is State.CRITICAL else 200
            return code, "application/json", json.dumps(now.record(), indent=2) + "\n"
        return None

    def _lines(self) -> Iterator[str]:
        now = self._health()
        states = [({"check": check.name}, float(check.state)) for check in now.checks]
        yield from _metric("pylantir_health_state", "0 ok, 1 warning, 2 critical", states)
        yield from _metric(
            "pylantir_answers_total",
            "final answers to scanners by DIMSE service and status",
            self._answered.samples(),
            kind="counter",
        )
        yield from _metric("pylantir_start_time_seconds", "start of the server", self._began)
        resident = health.resident_bytes()
        if resident is not None:
            yield from _metric("process_resident_memory_bytes", "memory of the process", resident)
        try:
            yield from self._of_the_database()
        except StoreError as error:
            log.debug("metrics without the database: %s", error.for_log)

    def _of_the_database(self) -> Iterator[str]:
        database = self._worklist.database
        if database.trouble is not None:
            return  # who asks for numbers shall not wait for a lock
        store = SourceStore(database)
        counts, states, waiting = store.item_counts(), store.states(), Outbox(database).waiting()
        items: Counter[str] = Counter()
        for by_status in counts.values():
            items.update(by_status)
        yield from _metric(
            "pylantir_items",
            "items of the worklist by status",
            [({"status": status}, number) for status, number in sorted(items.items())],
        )
        yield from _metric(
            "pylantir_source_last_success_time_seconds",
            "newest successful round of each source",
            [({"source": s.name}, at) for s in states if (at := _epoch(s.last_success))],
        )
        yield from _metric(
            "pylantir_source_failures",
            "failed rounds in a row of each source",
            [({"source": s.name}, s.failures) for s in states],
        )
        yield from _metric(
            "pylantir_outbox_waiting",
            "reports of performed steps that their source does not have yet",
            [({"source": source}, number) for source, number in sorted(waiting.items())],
        )
        newest = self._worklist.backups.newest() if self._worklist.backups else None
        if newest is not None:
            made = newest.made.timestamp()
            yield from _metric("pylantir_backup_time_seconds", "newest backup", made)


def _metric(
    name: str, meaning: str, samples: float | Iterable[Sample], *, kind: str = "gauge"
) -> Iterator[str]:
    found = [({}, samples)] if isinstance(samples, int | float) else list(samples)
    if not found:
        return
    yield f"# HELP {name} {meaning}\n# TYPE {name} {kind}\n"
    for labels, value in found:
        inner = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        yield f"{name}{{{inner}}} {value:.15g}\n" if inner else f"{name} {value:.15g}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _epoch(instant: str) -> float:
    try:
        return dt.datetime.fromisoformat(instant).timestamp()
    except ValueError:
        return 0.0


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away, or talked nonsense, says nothing on standard error."""


def _handler_of(metrics: MetricsServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _PATIENCE_S
        server_version = "pylantir"
        sys_version = ""

        def do_GET(self) -> None:
            found = metrics.page(self.path.partition("?")[0])
            code, kind, body = found or (404, "text/plain; charset=utf-8", "no such page\n")
            encoded = body.encode("utf-8")
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(encoded)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(encoded)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
            """Scraping is no event."""

    return Handler
