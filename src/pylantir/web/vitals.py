"""Whether everything is running: what the strip at the top of the page shows.

The checks of ``/ready`` ask the server itself over the network; a page does not wait for them.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
from dataclasses import dataclass

from pylantir.api.routes.scanners import ScannerOut, list_scanners
from pylantir.api.routes.sources import SourceOut, list_sources
from pylantir.api.services import Check, Services
from pylantir.errors import PylantirError
from pylantir.users.account import Principal

log = logging.getLogger(__name__)

_PATIENCE_S = 0.25


@dataclass(frozen=True, slots=True)
class Light:
    """One thing in the strip.

    Parameters
    ----------
    name : str
        What it is.
    state : str
        ``ok``, ``bad``, ``idle`` or ``off``.
    since : datetime or None
        When it gave a sign last.
    detail : str
        In words; nobody's data.
    kind : str
        ``check``, ``source`` or ``scanner``.
    """

    name: str
    state: str
    since: dt.datetime | None
    detail: str
    kind: str


class Vitals:
    """Knows how everything is without keeping anybody waiting.

    Parameters
    ----------
    services : Services
        What is asked.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._known: list[Check] = []
        self._done = threading.Event()
        self._is_running = False
        self._lock = threading.Lock()

    def checks(self) -> list[Check]:
        """The newest checks that have come to an end."""
        with self._lock:
            if not self._is_running:
                self._is_running = True
                self._done = threading.Event()
                threading.Thread(target=self._check, name="vitals", daemon=True).start()
            done = self._done
        done.wait(_PATIENCE_S)
        return self._known

    def _check(self) -> None:
        try:
            self._known = self._services.checks()
        except PylantirError as error:
            log.warning("checks failed: %s", error.for_log)
        finally:
            self._is_running = False
            self._done.set()

    def lights(self, principal: Principal | None) -> list[Light]:
        """The strip; whoever has not signed in sees no scanner."""
        found = [
            Light(check.name, "ok" if check.is_ok else "bad", None, check.detail, "check")
            for check in self.checks()
            if not check.name.startswith("source ")
        ]
        if principal is None:
            return [*found, *_plain_sources(self.checks())]
        found += [_source_light(source) for source in list_sources(self._services, principal)]
        found += [_scanner_light(each) for each in list_scanners(self._services, principal)]
        return found


def _plain_sources(checks: list[Check]) -> list[Light]:
    return [
        Light(c.name.removeprefix("source "), "ok" if c.is_ok else "bad", None, c.detail, "source")
        for c in checks
        if c.name.startswith("source ")
    ]


_STATES = {
    "ok": "ok",
    "failing": "bad",
    "never run": "idle",
    "disabled": "off",
    "orphan": "off",
}


def _source_light(source: SourceOut) -> Light:
    since = dt.datetime.fromisoformat(source.last_success) if source.last_success else None
    detail = source.last_error or source.state
    return Light(source.name, _STATES[source.state], since, detail, "source")


def _scanner_light(scanner: ScannerOut) -> Light:
    state = "ok" if scanner.last_query or scanner.last_step else "idle"
    since = scanner.last_query or scanner.last_step
    return Light(scanner.ae_title, state, since, scanner.address or "", "scanner")
