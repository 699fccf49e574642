"""The trail to a collector: RFC 5424 messages over TLS (RFC 5425), as PS3.15 A.6 wants it.

Events are read from the files, so a collector that is away loses nothing. The protocol has no
answers: what was sent within the minute before a connection broke is sent again, with the same
``sequenceId``.
"""

from __future__ import annotations

import contextlib
import logging
import random
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pylantir.audit.files import TrailFiles
from pylantir.audit.following import Follower
from pylantir.audit.lines import Record
from pylantir.audit.message import audit_message
from pylantir.tls import client_context

if TYPE_CHECKING:
    from pylantir.config.security import SyslogSettings

log = logging.getLogger(__name__)

CONFIRMED_AFTER_S = 60.0
"""What was sent so long ago on a connection that still stands has arrived."""

_SECURITY = 10
"""Facility: security and authorization messages (PS3.15 A.6)."""

_NOTICE, _WARNING = 5, 4
_TIMEOUT_S = 10.0
_LOOK_S = 2.0
"""How often events of other processes are looked for."""

_LONGEST_PAUSE_S = 60.0
_STOP_S = 0.6
_BATCH = 200
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def syslog_message(record: Record, host: str, site: str = "") -> bytes:
    """One event as RFC 5424 has it, without framing.

    Parameters
    ----------
    record : Record
        A line of the trail.
    host : str
        Which machine reports it.
    site : str
        See :func:`~pylantir.audit.message.audit_message`.
    """
    severity = _WARNING if record.values["outcome"] else _NOTICE
    moment = record.values["at"].replace("+00:00", "Z")
    number = record.number % 2**31 or 1
    header = (
        f"<{_SECURITY * 8 + severity}>1 {moment} {_token(host)} pylantir - DICOM+RFC3881 "
        f'[meta sequenceId="{number}"] '
    )
    return header.encode("ascii") + _BYTE_ORDER_MARK + audit_message(record, host, site)


def framed(message: bytes) -> bytes:
    """A message with its length in front (RFC 5425 4.3, octet counting)."""
    return str(len(message)).encode("ascii") + b" " + message


def _token(text: str) -> str:
    return "".join(c for c in text if "!" <= c <= "~")[:255] or "-"


class SyslogForwarder:
    """Sends what is in the trail, and goes on where it stopped.

    Parameters
    ----------
    files : TrailFiles
        The trail.
    settings : SyslogSettings
        Where to.
    site : str
        Site id, may be empty.
    """

    def __init__(self, files: TrailFiles, settings: SyslogSettings, site: str = "") -> None:
        self.problem = ""
        self._files = files
        self._settings = settings
        self._site = site
        self._host = socket.gethostname()
        name = "".join(c if c.isalnum() else "-" for c in f"{settings.host}-{settings.port}")
        self._mark = files.folder / f"sent-to-{name}"
        self._confirmed = 0
        self._unconfirmed: deque[tuple[int, float]] = deque()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._context: ssl.SSLContext | None = None
        self._thread = threading.Thread(target=self._run, name="audit-syslog", daemon=True)

    def start(self) -> None:
        """Begin to send.

        Raises
        ------
        ConfigurationError
            A certificate cannot be used.
        """
        settings = self._settings
        if settings.tls:
            self._context = client_context(settings.ca, settings.certificate, settings.key)
        self._confirmed = self._read_mark()
        self._thread.start()

    def wake(self) -> None:
        """There is something new in the trail."""
        self._wake.set()

    def stop(self) -> None:
        """Send what is there, if the collector takes it at once, and end."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_S)

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                with self._connected() as connection:
                    failures = 0
                    self._recovered()
                    self._serve(connection)
            except OSError as error:  # TLS errors are such
                failures += 1
                self._complain(error)
            self._unconfirmed.clear()
            self._stopping.wait(_pause(failures))

    @contextlib.contextmanager
    def _connected(self) -> Iterator[socket.socket]:
        address = (self._settings.host, self._settings.port)
        with socket.create_connection(address, timeout=_TIMEOUT_S) as plain:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if self._context is None:
                yield plain
                return
            with self._context.wrap_socket(plain, server_hostname=address[0]) as secured:
                yield secured

    def _serve(self, connection: socket.socket) -> None:
        follower = Follower(self._files, self._confirmed)
        while not self._stopping.is_set():
            self._send(connection, follower)
            self._wake.wait(_LOOK_S)
            self._wake.clear()
        connection.settimeout(_STOP_S / 2)
        with contextlib.suppress(OSError):  # what is not confirmed is sent again after the start
            self._send(connection, follower)
            self._say_goodbye(connection)

    def _send(self, connection: socket.socket, follower: Follower) -> None:
        while records := follower.more(_BATCH):
            _require_open(connection)
            messages = (syslog_message(r, self._host, self._site) for r in records)
            connection.sendall(b"".join(map(framed, messages)))
            self._unconfirmed.append((records[-1].number, time.monotonic()))
            self._confirm()
        _require_open(connection)
        self._confirm()

    def _confirm(self, *, all_of_it: bool = False) -> None:
        before = self._confirmed
        long_ago = time.monotonic() - CONFIRMED_AFTER_S
        while self._unconfirmed and (all_of_it or self._unconfirmed[0][1] <= long_ago):
            self._confirmed = self._unconfirmed.popleft()[0]
        if self._confirmed != before:
            self._write_mark()

    def _say_goodbye(self, connection: socket.socket) -> None:
        """Whoever closes its side after ours has read everything."""
        if isinstance(connection, ssl.SSLSocket):
            connection.unwrap().close()
        else:
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1024):
                pass
        self._confirm(all_of_it=True)

    def _read_mark(self) -> int:
        try:
            number = int(self._mark.read_text("ascii"))
        except (OSError, ValueError):
            return 0
        return number if number <= self._files.head().number else 0  # another trail than then

    def _write_mark(self) -> None:
        with contextlib.suppress(OSError):  # then some are sent twice
            self._mark.write_text(f"{self._confirmed}\n", "ascii")

    def _complain(self, error: OSError) -> None:
        if not self.problem:
            where = f"{self._settings.host}:{self._settings.port}"
            self.problem = f"{where}: {error.strerror or error}"
            log.warning(
                "audit trail: the syslog collector cannot be reached (%s); events wait in the file",
                self.problem,
            )

    def _recovered(self) -> None:
        if self.problem:
            log.warning("audit trail: the syslog collector is reached again")
            self.problem = ""


def _pause(failures: int) -> float:
    """Seconds before the next attempt, with jitter."""
    longest = min(_LONGEST_PAUSE_S, 2.0 ** min(failures, 6))
    return longest * random.uniform(0.5, 1)  # noqa: S311 - jitter, not a secret


def _require_open(connection: socket.socket) -> None:
    """A collector says nothing; what can be read is its end, or news of TLS itself."""
    timeout_s = connection.gettimeout()
    connection.settimeout(0)
    try:
        while connection.recv(1024):
            pass
    except (BlockingIOError, ssl.SSLWantReadError):
        return
    finally:
        connection.settimeout(timeout_s)
    raise ConnectionResetError("the collector has closed the connection")
