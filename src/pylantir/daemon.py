"""The daemon: builds the parts from one Config, starts them, waits, stops them."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from pylantir.audit import events
from pylantir.audit.opening import open_trail
from pylantir.audit.trail import AuditTrail
from pylantir.checks import check_certificate
from pylantir.clock import SiteClock, zone_data_version, zone_warnings
from pylantir.dicom.ae import ApplicationEntity
from pylantir.dicom.peer import Peer, PeerTls
from pylantir.dicom.scanners import scanner_for
from pylantir.dicom.scu import echo
from pylantir.errors import DatabaseDamaged, PeerError, StartError
from pylantir.health import Check
from pylantir.pulse import Pulse
from pylantir.service import ServiceManager
from pylantir.sources.settings import zone_names
from pylantir.stopping import StopRequest
from pylantir.upkeep import backup_folder, damaged_at_start, say_what_is_missing, upkeep
from pylantir.worklist.backups import BackupFolder
from pylantir.worklist.database import Database
from pylantir.worklist.instance import InstanceLock
from pylantir.worklist.journal import QueryJournal, journal_path
from pylantir.worklist.schema import prepare
from pylantir.worklist.steps import StepStore
from pylantir.worklist.store import ItemStore
from pylantir.worklist.watch import DatabaseWatch

if TYPE_CHECKING:
    from pylantir.config.schema import Config
    from pylantir.metrics import MetricsServer

log = logging.getLogger(__name__)

ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104


class Part(Protocol):
    """A long-lived part: what starts, stops."""

    def start(self) -> None:
        """Begin; returns when it works, raises StartError when it cannot."""

    def stop(self) -> None:
        """End; returns when it has."""


@dataclass(frozen=True, slots=True)
class Worklist:
    """The worklist of one configuration, open for use."""

    config: Config
    clock: SiteClock
    database: Database
    items: ItemStore
    steps: StepStore
    audit: AuditTrail
    journal: QueryJournal
    backups: BackupFolder | None = None
    lock: InstanceLock | None = None

    @property
    def authority(self) -> str:
        """Who issues identifiers for what people enter here."""
        return self.items.authority

    def close(self) -> None:
        """Close the database; another server may have it."""
        self.journal.close()
        self.database.close()
        if self.lock is not None:
            self.lock.release()


def open_worklist(
    config: Config, clock: SiteClock | None = None, *, to_serve: bool = False
) -> Worklist:
    """Open the database of a configuration; created, adopted or migrated as needed.

    Parameters
    ----------
    config : Config
        The site's settings.
    clock : SiteClock, optional
        The clock on the wall; one for the configured time zone when absent.
    to_serve : bool
        Keep other servers away from it; commands beside a server need no such right.

    Raises
    ------
    StoreError
        It cannot be used.
    StartError
        Another server has it.
    """
    clock = clock or SiteClock(config.timezone)
    database = Database(config.db_path, echo=config.db_echo)
    backups = backup_folder(config, database.path)
    if database.file is not None and backups is not None:
        database.file.way_out = lambda: backups.advice
    if to_serve:
        say_what_is_missing(database, backups)
    with contextlib.ExitStack() as after_a_failure:
        after_a_failure.callback(database.close)
        lock = _the_only_server_of(database) if to_serve else None
        if lock is not None:
            after_a_failure.callback(lock.release)
        try:
            worklist = _opened(config, clock, database, backups, lock)
        except DatabaseDamaged as error:
            database.close()
            if lock is None:
                raise
            raise damaged_at_start(database, error, backups, clock.now) from error
        after_a_failure.pop_all()
    return worklist


def _the_only_server_of(database: Database) -> InstanceLock | None:
    if database.path is None:
        return None
    database.create_file()
    lock = InstanceLock(database.path)
    lock.acquire()
    return lock


def _opened(
    config: Config,
    clock: SiteClock,
    database: Database,
    backups: BackupFolder | None,
    lock: InstanceLock | None,
) -> Worklist:
    prepare(database, now=clock.now())
    items = ItemStore(
        database,
        authority=config.site or "",
        default_station=config.default_station_ae_title or "",
        now=clock.now,
    )
    items.check_foreign_rows()
    report_to = [s.name for s in config.data_sources if s.enabled and s.config.get("write_back")]
    steps = StepStore(database, items=items, report_to=report_to, now=clock.now)
    audit = open_trail(config.audit, database.path, config.site or "")
    journal = QueryJournal(journal_path(database))
    return Worklist(config, clock, database, items, steps, audit, journal, backups, lock)


class Daemon:
    """One process on the scanner-room workstation.

    Parameters
    ----------
    worklist : Worklist
        What is served.
    parts : sequence of Part
        Whatever else shall run beside the DICOM server, such as sources.
    """

    def __init__(self, worklist: Worklist, *parts: Part) -> None:
        self.worklist = worklist
        self.ae = ApplicationEntity(
            worklist.config,
            worklist.items,
            worklist.steps,
            worklist.clock,
            worklist.audit,
            worklist.journal,
        )
        care = upkeep(worklist.config, worklist.items, worklist.backups, worklist.clock.now)
        watch = next((part for part in care if isinstance(part, DatabaseWatch)), None)
        self._manager = ServiceManager()
        self.pulse = Pulse(
            worklist, lambda: self.own_peer, watch, self._manager, self._certificate_checks
        )
        self.metrics = self._make_metrics()
        metrics = (self.metrics,) if self.metrics is not None else ()
        self._server: tuple[Part, ...] = (worklist.journal, self.ae)
        self._others: tuple[Part, ...] = (*care, *parts, self.pulse, *metrics)
        self._started: list[Part] = []
        self._stop_request = StopRequest()

    def _make_metrics(self) -> MetricsServer | None:
        if not self.worklist.config.metrics.enabled:
            return None
        from pylantir.metrics import Answered, MetricsServer  # http.server, for few sites

        answered = Answered()
        self.ae.observe(answered.count)
        settings = self.worklist.config.metrics
        return MetricsServer(settings, self.worklist, answered, self.pulse.health)

    @property
    def peer(self) -> Peer:
        """How a scanner on this machine reaches the daemon."""
        config = self.worklist.config
        host, port = self.ae.address
        named = (*config.allowed_aet, *(rule.ae_title for rule in config.access if rule.ae_title))
        calling = named[0] if named else config.ae_title
        called = scanner_for(config, calling).called_ae_titles
        return Peer(
            host=ANY_ADDRESS.get(host, host),
            port=port,
            called_ae_title=called[0] if called else config.ae_title,
            calling_ae_title=calling.strip(),
            tls=self._own_tls if self.ae.is_tls_only else None,
        )

    @property
    def _own_tls(self) -> PeerTls | None:
        certificates = self.ae.certificates
        return PeerTls(make=certificates.own_context) if certificates is not None else None

    @property
    def own_peer(self) -> Peer:
        """How the daemon itself reaches the server, whoever else may."""
        return replace(self.peer, calling_ae_title=self.ae.access.own_ae_title)

    def start(self) -> None:
        """Start every part; ready means that the daemon has answered its own C-ECHO.

        Raises
        ------
        StartError
            A part cannot start; those that had are stopped again.
        """
        try:
            self._begin_trail()
            self.ae.rehearse()
            self._start(self._server)
            self._prove()
            # Not sooner: what sources load and fetch would be time that the first scanner waits.
            self._start(self._others)
            self._compare_zones()
            self.pulse.say()
            self._manager.ready()
        except BaseException:
            self.stop()
            raise

    def _start(self, parts: Sequence[Part]) -> None:
        for part in parts:
            part.start()
            self._started.append(part)

    def _begin_trail(self) -> None:
        audit, title = self.worklist.audit, self.worklist.config.ae_title
        try:
            audit.start()
        except OSError as error:
            raise StartError(
                f"cannot write the audit trail: {error}. Change audit.path in the configuration."
            ) from error
        audit.record(events.application(events.Kind.START, title))

    def _compare_zones(self) -> None:
        """Say which rules of time zones count, and when the operating system has others."""
        config = self.worklist.config
        of_sources = [
            name
            for entry in config.data_sources
            if entry.enabled
            for name in zone_names(entry.type, entry.config)
        ]
        log.info("time zones by %s", zone_data_version())
        for words in zone_warnings([config.timezone, *of_sources], self.worklist.clock.now()):
            log.warning("%s", words)

    def _prove(self) -> None:
        """Ask ourselves, through each door."""
        self._prove_door(self.own_peer)
        secured = self.ae.tls_address
        if secured is None or self.ae.is_tls_only:
            return
        try:
            self._prove_door(replace(self.own_peer, port=secured[1], tls=self._own_tls))
        except StartError as error:
            tls = self.worklist.config.tls
            if tls is None or not tls.mutual:
                raise
            # It may be certified for a server only; scanners are no matter of that.
            log.warning("TLS cannot be proven by the server itself: %s", error)

    def _prove_door(self, peer: Peer) -> None:
        tls = self.worklist.config.tls
        try:
            status = echo(peer)
        except PeerError as error:
            words = f"the server does not answer its own C-ECHO: {error}"
            if peer.tls is not None and tls is not None and tls.mutual:
                words += "; with tls.mutual its certificate must be one that tls.ca certifies "
                words += "for clients, too, unless tls.plain is true"
            raise StartError(words) from error
        if not status.is_success:
            raise StartError(f"the server answers its own C-ECHO with {status.words}")

    def _certificate_checks(self) -> list[Check]:
        certificates = self.ae.certificates
        return [] if certificates is None else [check_certificate(certificates)]

    def wait(self) -> None:
        """Block until :meth:`request_stop` or a signal."""
        self._stop_request.wait()

    def request_stop(self) -> None:
        """Ask the daemon to stop."""
        self._stop_request.ask()

    def stop(self) -> None:
        """Stop every part, all at the same time, and close the database.

        One part that takes its time, such as a source in the middle of a fetch, or that fails,
        does not hold up the others.
        """
        self._stop_request.ask()
        self._manager.stopping()
        started, self._started = self._started, []
        try:
            with ThreadPoolExecutor(max(1, len(started)), "stop") as pool:
                stops = [pool.submit(part.stop) for part in started]
            for stop in stops:
                stop.result()
        finally:
            self.worklist.audit.end(self.worklist.config.ae_title)
            self.worklist.close()

    def handle_signals(self) -> None:
        """Let SIGINT, SIGTERM and on Windows Ctrl-Break end the daemon."""
        self._stop_request.ask_on_signals()


def keep_files_private() -> None:
    """Whatever this process writes is readable by its own account only (POSIX)."""
    if hasattr(os, "umask"):
        os.umask(0o077)
