"""How single things are: the disk, the sources, the backups. Each becomes one check."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pylantir import health
from pylantir.clock import SiteClock
from pylantir.dicom.scu import echo
from pylantir.errors import PeerError, PeerRejected
from pylantir.health import Check, State
from pylantir.hours import is_within
from pylantir.worklist.backups import BackupFolder
from pylantir.worklist.sources import SourceState

if TYPE_CHECKING:
    from pylantir.audit.trail import AuditTrail
    from pylantir.config.schema import Config, DataSource
    from pylantir.dicom.certificates import Certificates
    from pylantir.dicom.peer import Peer

LITTLE_ROOM_BYTES = 500_000_000
NO_ROOM_BYTES = 50_000_000

_LATE_INTERVALS = 3
_LATE_S = 900.0
"""A source is late when it has missed some rounds, and for a quarter of an hour."""


def check_dicom(peer: Peer) -> Check:
    """Whether the server answers a C-ECHO.

    One that rejects the association because too many are open answers, and a restart would not help
    its scanners.
    """
    began = time.perf_counter()
    try:
        status = echo(peer)
    except PeerRejected as error:
        return Check("dicom", State.WARNING, str(error))
    except PeerError as error:
        return Check("dicom", State.CRITICAL, str(error))
    if not status.is_success:
        return Check("dicom", State.CRITICAL, f"C-ECHO answered with {status.words}")
    elapsed_ms = (time.perf_counter() - began) * 1000
    return Check("dicom", State.OK, f"{peer.address} answered C-ECHO in {elapsed_ms:.0f} ms")


def check_disk(path: Path) -> Check:
    """Whether there is room beside a file, and it may be written."""
    try:
        free = shutil.disk_usage(path.parent).free
    except OSError as error:
        return Check("disk", State.CRITICAL, f"{path.parent}: {error.strerror}")
    words = f"{free / 1e9:.1f} GB free beside the database"
    if not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK):
        return Check("disk", State.CRITICAL, f"{path} or its folder may not be written")
    if free < NO_ROOM_BYTES:
        return Check("disk", State.CRITICAL, words)
    return Check("disk", State.WARNING if free < LITTLE_ROOM_BYTES else State.OK, words)


def check_audit(trail: AuditTrail) -> Check:
    """Whether the audit trail is written, and sent where it should go."""
    if not trail.is_kept:
        return Check("audit", State.OK, "no trail is kept")
    sent = trail.forwarder.problem if trail.forwarder is not None else ""
    words = "; ".join(filter(None, [trail.problem, f"syslog {sent}" if sent else ""]))
    return Check("audit", State.WARNING if words else State.OK, words or "is written")


def check_certificate(certificates: Certificates) -> Check:
    """Whether the TLS certificate is good, and for a while."""
    words = certificates.problem
    if certificates.has_ended:
        return Check("certificate", State.CRITICAL, words)
    return Check("certificate", State.WARNING if words else State.OK, words or certificates.until)


def check_backups(
    backups: BackupFolder, config: Config, now: dt.datetime, served_for_s: float
) -> Check:
    """Whether the newest backup is as young as it should be."""
    if not config.backups.enabled:
        return Check("backups", State.OK, "none are made")
    late_s = 3 * config.backups.every_hours * 3600
    newest = backups.newest()
    if newest is None:
        state = State.WARNING if served_for_s > _LATE_S else State.OK
        return Check("backups", state, f"none yet in {backups.folder}")
    age_s = (now - newest.made).total_seconds()
    # A server that was off for days makes one at its start; until then nothing is late.
    state = State.WARNING if min(age_s, served_for_s) > late_s else State.OK
    return Check("backups", state, f"the newest is {_age(age_s)} old")


def check_sources(
    config: Config, states: Sequence[SourceState], clock: SiteClock
) -> Iterator[Check]:
    """Whether the sources are asked and answer; a source that fails takes nothing off the list."""
    known = {state.name: state for state in states}
    for entry in config.data_sources:
        if entry.enabled:
            yield _check_source(entry, known.get(entry.name), clock)


def _check_source(entry: DataSource, state: SourceState | None, clock: SiteClock) -> Check:
    name = f"source {entry.name}"
    if state is None:
        return Check(name, State.OK, "has not been asked yet")
    age_s = _since(state.last_success, clock.now())
    words = f"last success {_age(age_s)} ago" if age_s is not None else "never succeeded"
    if state.failures:
        words = f"failed {state.failures} times in a row, {words}; see pylantir sources"
        return Check(name, State.WARNING, words)
    late_s = max(_LATE_INTERVALS * entry.sync_interval, _LATE_S)
    # By the clock of the room: outside its hours nobody asks it.
    due = is_within(entry.operation_interval, clock.local_now().time())
    was_due = is_within(
        entry.operation_interval, (clock.local_now() - dt.timedelta(seconds=late_s)).time()
    )
    if due and was_due and (age_s is None or age_s > late_s):
        return Check(name, State.WARNING, f"late: {words}")
    return Check(name, State.OK, words)


def _since(instant: str, now: dt.datetime) -> float | None:
    try:
        return (now - dt.datetime.fromisoformat(instant)).total_seconds()
    except ValueError:
        return None


def check_memory() -> Iterator[Check]:
    """Memory of this process, where it can be told."""
    resident = health.resident_bytes()
    if resident is not None:
        yield Check("memory", State.OK, f"{resident / 2**20:.0f} MiB")


def _age(seconds: float) -> str:
    """A span of time in one unit."""
    seconds = max(0.0, seconds)
    for unit_s, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:.0f} {unit}"
    return f"{seconds:.0f} seconds"
