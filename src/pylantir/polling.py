"""One thread per source: waits for its time, fetches, and backs off when the source fails.

The first failure and the recovery are logged, not every round.
"""

from __future__ import annotations

import datetime as dt
import logging
import random
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pylantir import health
from pylantir.clock import SiteClock
from pylantir.errors import (
    ConfigurationError,
    PylantirError,
    SourceError,
    SourceRefused,
    SourceUnavailable,
    StoreError,
)
from pylantir.hours import is_within
from pylantir.sources import make_source
from pylantir.sources.base import Source, SourceSettings
from pylantir.sources.rounds import SyncReport
from pylantir.sync import Synchronizer
from pylantir.worklist.outbox import Outbox
from pylantir.worklist.sources import SourceStore

if TYPE_CHECKING:
    from pylantir.audit.trail import AuditTrail
    from pylantir.config.schema import Config, DataSource
    from pylantir.worklist.database import Database

log = logging.getLogger(__name__)

LONGEST_PAUSE_S = 300.0
"""A source that does not answer is asked at least this often."""

REFUSED_PAUSE_S = 900.0
"""Credentials rarely mend themselves: asking more often for long looks like an attack."""

_OUTSIDE_HOURS_S = 30.0
_STOP_S = 1.0


def settings_for(
    entry: DataSource, config: Config, environ: Mapping[str, str], clock: SiteClock
) -> SourceSettings:
    """What the source of a configuration entry is made from."""
    return SourceSettings(
        name=entry.name,
        config=entry.config,
        field_mapping=entry.field_mapping,
        window_mode=entry.window_mode,
        daily_window=entry.daily_window,
        sync_interval_s=entry.sync_interval,
        site=config.site,
        protocol=config.protocol,
        environ=environ,
        clock=clock,
    )


class SourcePoller:
    """Keeps the worklist equal to what one source says.

    Parameters
    ----------
    entry : DataSource
        The configuration entry.
    settings : SourceSettings
        What the source is made from.
    database : Database
        The worklist.
    clock : SiteClock
        The clock on the wall.
    audit : AuditTrail, optional
        Keeps what was changed.
    """

    def __init__(
        self,
        entry: DataSource,
        settings: SourceSettings,
        database: Database,
        clock: SiteClock,
        audit: AuditTrail | None = None,
    ) -> None:
        self._audit = audit
        self._entry = entry
        self._settings = settings
        self._database = database
        self._clock = clock
        self._source: Source | None = None
        self._synchronizer: Synchronizer | None = None
        self._failures = 0
        self._stopping = threading.Event()
        self._due = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"source-{entry.name}", daemon=True)

    def start(self) -> None:
        """Begin to poll."""
        self._thread.start()

    @property
    def name(self) -> str:
        """Name of the source."""
        return self._entry.name

    def fetch_now(self) -> None:
        """Begin the next round at once, whatever the hour; returns before it is done."""
        self._due.set()

    def stop(self) -> None:
        """End; a fetch that still waits for its network is left behind and applies nothing."""
        self._stopping.set()
        self._due.set()
        if self._synchronizer is not None:
            self._synchronizer.stopping.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_S)

    def _run(self) -> None:
        try:
            self._poll()
        finally:
            if self._source is not None:
                self._source.close()

    def _poll(self) -> None:
        pause = 0.0
        asked = True
        while True:
            asked = self._due.wait(pause) or asked
            self._due.clear()
            if self._stopping.is_set():
                return
            if asked or is_within(self._entry.operation_interval, self._clock.local_now().time()):
                asked = False
                pause = self.round()
            else:
                pause = _OUTSIDE_HOURS_S

    def run_once(self) -> None:
        """One round without a thread of its own, for a process that does not poll."""
        try:
            self.round()
        finally:
            if self._source is not None:
                self._source.close()
                self._source = self._synchronizer = None

    def round(self) -> float:
        """One round; returns the seconds to wait before the next."""
        try:
            self._succeeded(self._sync().run_once())
            if self._source is not None:
                send_reports(self._entry, self._source, self._database, self._clock)
        except (SourceError, ConfigurationError, StoreError) as error:
            return self._failed(error)
        except PylantirError as error:
            return self._failed(SourceUnavailable(error.for_log, quoted=str(error)))
        except Exception as error:  # a door: a source's defect must not end its thread
            log.debug("cause", exc_info=True)
            return self._failed(defect(error))
        return self._entry.sync_interval

    def _sync(self) -> Synchronizer:
        if self._synchronizer is None:
            self._source = make_source(self._entry.type, self._settings)
            self._synchronizer = Synchronizer(
                self._entry.name, self._source, self._database, self._clock, self._audit
            )
        return self._synchronizer

    def _succeeded(self, report: SyncReport) -> None:
        name = self._entry.name
        if self._failures:
            log.info("source %s: works again after %d failed rounds", name, self._failures)
            self._failures = 0
        if report.frozen and report.unlike_before:
            log.error(
                "source %s: most of its bookings would vanish at once; nothing was withdrawn, "
                "see pylantir sources",
                name,
            )
        memory = health.collect()
        level = logging.INFO if report.says_something else logging.DEBUG
        log.log(level, "source %s: %s; %s", name, report.summary, memory)

    def _failed(self, error: PylantirError) -> float:
        self._failures += 1
        pause = _pause(self._entry.sync_interval, self._failures, error)
        self._remember(error, pause)
        level = logging.WARNING if self._failures == 1 else logging.DEBUG
        words = error.for_log.removeprefix(f"source {self._entry.name}: ")
        log.log(level, "source %s: %s", self._entry.name, words)
        return pause

    def _remember(self, error: PylantirError, pause: float) -> None:
        now = self._clock.now()
        try:
            SourceStore(self._database).note_failure(
                self._entry.name, str(error), now, now + dt.timedelta(seconds=pause)
            )
        except StoreError as store_error:
            log.debug("source %s: %s", self._entry.name, store_error.for_log)


def defect(error: Exception) -> SourceUnavailable:
    """What people hear of a source's own mistake, whose words may tell values of records."""
    return SourceUnavailable(f"defect: {type(error).__name__}")


def _pause(interval_s: float, failures: int, error: PylantirError) -> float:
    """Seconds before the next attempt: doubled per failure, capped, with full jitter.

    Never less than the source itself has asked for.
    """
    if isinstance(error, SourceRefused):
        # A server that is being restarted may refuse for a moment: the first looks come sooner.
        return max(interval_s, min(REFUSED_PAUSE_S, interval_s * 4.0 ** min(failures, 16)))
    ceiling = min(LONGEST_PAUSE_S, interval_s * 2 ** min(failures, 16))
    low = min(interval_s, ceiling)
    asked = error.retry_after_s if isinstance(error, SourceUnavailable) else 0.0
    return max(asked, random.uniform(low, max(low, ceiling)))  # noqa: S311 - jitter, not a secret


def wants_reports(entry: DataSource) -> bool:
    """Whether the site wants a source to know what scanners did (off by default)."""
    return bool(entry.config.get("write_back"))


def send_reports(entry: DataSource, source: Source, database: Database, clock: SiteClock) -> None:
    """Send what scanners did, when the site wants its source to know."""
    if not wants_reports(entry):
        return
    box, now = Outbox(database), clock.now()
    waiting = box.due(entry.name, now)
    if not waiting:
        return
    try:
        refused = source.write_back([each.report for each in waiting]) or {}
    except Exception as error:  # a door: bookings go on arriving when reports cannot leave
        log.debug("cause", exc_info=True)
        why = error if isinstance(error, SourceError) else defect(error)
        box.note_failed(waiting, str(why), now)
        if waiting[0].attempts == 0:
            log.warning("source %s: reports not taken: %s", entry.name, why.for_log)
        return
    sent = [each for each in waiting if each.report not in refused]
    box.note_sent(sent, now)
    if sent:
        log.info("source %s: %d reports of performed steps sent", entry.name, len(sent))
    kept = [each for each in waiting if each.report in refused]
    for each in kept:
        box.note_failed([each], refused[each.report], now)
    if any(each.attempts == 0 for each in kept):
        words = "source %s: %d reports not taken, see pylantir sources"
        log.warning(words, entry.name, len(kept))


def pollers(
    config: Config,
    environ: Mapping[str, str],
    database: Database,
    clock: SiteClock,
    audit: AuditTrail | None = None,
) -> list[SourcePoller]:
    """One poller for each enabled source; one that cannot be made says so in its own rounds."""
    return [
        SourcePoller(entry, settings_for(entry, config, environ, clock), database, clock, audit)
        for entry in config.data_sources
        if entry.enabled
    ]
