"""The server's certificate: renewed without a restart, warned of before it ends, and the
certificates of scanners, bound to their AE titles (PS3.15 B.12).
"""

from __future__ import annotations

import datetime as dt
import logging
import socket
import ssl
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pylantir.clock import Now, utc_now
from pylantir.errors import ConfigurationError
from pylantir.tls import expiry, names_in, pinned_context, server_context

if TYPE_CHECKING:
    from pylantir.config.security import TlsSettings

log = logging.getLogger(__name__)

WARN_DAYS = (30, 7, 1, 0)
"""Days before the end of the certificate at which it is said again."""

LOOK_EVERY_S = 60.0
"""How often the files are looked at while nobody connects."""

_LOOK_AGAIN_S = 1.0
_SHOWN = 200

_Marks = tuple[tuple[int, int, int] | None, ...]


class Certificates:
    """What the server presents to those who connect over TLS.

    Parameters
    ----------
    settings : TlsSettings
        Files, and what is demanded of scanners.
    now : Now
        The clock.
    """

    def __init__(self, settings: TlsSettings, now: Now = utc_now) -> None:
        self._settings = settings
        self._now = now
        self._context: ssl.SSLContext | None = None
        self._own_context: ssl.SSLContext | None = None
        self._marks: _Marks = ()
        self._ends: dt.datetime | None = None
        self._warned_days: int | None = None
        self._looked_at_s = 0.0
        self._looking = threading.Lock()
        self._failure = ""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="tls-certificate", daemon=True)

    def start(self) -> None:
        """Read the files and keep an eye on them.

        Raises
        ------
        ConfigurationError
            They cannot be used.
        """
        self._marks = self._present_marks()
        self._load()
        self._warn()
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopping.set()

    @property
    def problem(self) -> str:
        """What a person should do something about; empty when all is well."""
        return self._failure or self._ending()

    @property
    def until(self) -> str:
        """How long it is good, in words."""
        return f"good until {self._day()}"

    @property
    def has_ended(self) -> bool:
        """Whether scanners turn away from the certificate now."""
        return self._ends is not None and self._ends <= self._now()

    def own_context(self) -> ssl.SSLContext:
        """A client for the server that asks itself: it trusts what is presented now."""
        assert self._own_context is not None
        return self._own_context

    def handshake(self, connection: socket.socket) -> ssl.SSLSocket:
        """The connection as a TLS server; the handshake itself is still to be done."""
        if time.monotonic() - self._looked_at_s >= _LOOK_AGAIN_S:
            self.refresh()
        assert self._context is not None
        return self._context.wrap_socket(
            connection, server_side=True, do_handshake_on_connect=False
        )

    def refresh(self) -> None:
        """Take new files, if there are any; with bad ones the old certificate stays."""
        with self._looking:
            self._looked_at_s = time.monotonic()
            marks = self._present_marks()
            if marks != self._marks:
                self._marks = marks
                self._reload()
            self._warn()

    def _reload(self) -> None:
        try:
            self._load()
        except ConfigurationError as error:
            self._failure = (
                f"the new certificate cannot be used, the old one stays: {error.for_log}"
            )
            log.error("TLS: %s", self._failure)
            return
        self._failure = ""
        self._warned_days = None
        log.info("TLS: new certificate, good until %s", self._day())

    def _load(self) -> None:
        settings = self._settings
        ends = expiry(settings.certificate)
        self._context = server_context(
            settings.certificate, settings.key, ca=settings.ca, mutual=settings.mutual
        )
        self._own_context = pinned_context(settings.certificate, settings.key)
        self._ends = ends

    def _present_marks(self) -> _Marks:
        settings = self._settings
        return tuple(_mark(path) for path in (settings.certificate, settings.key, settings.ca))

    def _warn(self) -> None:
        """Say it once for each of :data:`WARN_DAYS`."""
        left = self._days_left()
        reached = [days for days in WARN_DAYS if left < days or (left <= 0 and days == 0)]
        if not reached or (self._warned_days is not None and reached[-1] >= self._warned_days):
            return
        self._warned_days = reached[-1]
        level = logging.ERROR if left <= 0 else logging.WARNING
        log.log(level, "TLS: %s", self._ending())

    def _ending(self) -> str:
        left = self._days_left()
        if left >= WARN_DAYS[0]:
            return ""
        renew = "put a new one in its place, no restart is needed"
        if left <= 0:
            return f"the certificate ended on {self._day()}, scanners turn away from it; {renew}"
        return f"the certificate ends on {self._day()}, in {max(1, round(left))} days; {renew}"

    def _days_left(self) -> float:
        if self._ends is None:
            return float("inf")
        return (self._ends - self._now()) / dt.timedelta(days=1)

    def _day(self) -> str:
        return f"{self._ends:%Y-%m-%d %H:%M} UTC" if self._ends is not None else "unknown"

    def _watch(self) -> None:
        while not self._stopping.wait(LOOK_EVERY_S):
            self.refresh()


def _mark(path: str | None) -> tuple[int, int, int] | None:
    """What changes when a file is written or replaced."""
    if path is None:
        return None
    try:
        found = Path(path).expanduser().stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def certificate_names(connection: Any) -> frozenset[str] | None:
    """Names in the certificate that a peer has shown; nothing when there is no TLS."""
    if not isinstance(connection, ssl.SSLSocket):
        return None
    return names_in(connection.getpeercert())


def why_not(scanner_names: dict[str, str], calling: str, names: frozenset[str] | None) -> str:
    """Why a calling AE title is not who its certificate says; empty when it is.

    Parameters
    ----------
    scanner_names : dict
        Name that each bound AE title must show.
    calling : str
        Calling AE title.
    names : frozenset of str or None
        As :func:`certificate_names` tells them.
    """
    wanted = scanner_names.get(calling)
    if wanted is None:
        return ""
    if names is None:
        return "calling AE title not recognised without TLS"
    if wanted.casefold() not in {name.casefold() for name in names}:
        shown = ", ".join(sorted(names))[:_SHOWN] or "none"
        return f"calling AE title not recognised with this certificate ({shown})"
    return ""
