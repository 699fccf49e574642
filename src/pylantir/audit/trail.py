"""The trail as the rest of the program sees it: events are handed over and never waited for.

A running daemon has one thread that writes. It gathers what comes within 20 ms, appends it, and
makes sure of the disk once a second, so that a query costs microseconds and a power cut at most
the last second. A command that runs and ends writes each event itself.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import threading
import time
from collections.abc import Iterable
from itertools import islice
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from pylantir.audit.events import AuditEvent, Kind, Outcome, application, now, trail_alert
from pylantir.audit.files import TrailFiles
from pylantir.audit.repeats import Repeats

if TYPE_CHECKING:
    from pylantir.audit.syslog import SyslogForwarder

log = logging.getLogger(__name__)

CAPACITY = 20_000
"""Events that wait while the disk is full or slow; what comes then is lost, and counted."""

GATHER_S = 0.02
"""After an event, so long for others that are written with it: a scanner's next query does not have
to share the processor with the writing of the one before."""

SYNC_S = 1.0
RETRY_S = 1.0
STOP_S = 1.0

_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
_BATCH = 1_000
_WAIT_S = 10.0


class AuditTrail:
    """Takes events from any thread.

    Parameters
    ----------
    files : TrailFiles or None
        Where they go; without files nothing is kept.
    capacity : int
        How many events wait at most.
    forwarder : SyslogForwarder, optional
        Sends them on while the daemon runs.
    """

    def __init__(
        self,
        files: TrailFiles | None,
        *,
        capacity: int = CAPACITY,
        forwarder: SyslogForwarder | None = None,
    ) -> None:
        self.files = files
        self.problem = ""
        self._reason = ""
        self.forwarder = forwarder
        self._capacity = capacity
        self._queue: SimpleQueue[AuditEvent | None] = SimpleQueue()
        self._waiting: list[AuditEvent] = []
        self._repeats = Repeats()
        self._lost = _Lost()
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._unsynced_since: float | None = None

    @property
    def is_kept(self) -> bool:
        """Whether there is a trail at all."""
        return self.files is not None

    def record(self, event: AuditEvent) -> None:
        """Hand over an event; neither waits nor fails."""
        if self.files is None or not self._repeats.admits(event):
            return
        if self._thread is None:
            self._write_now([event])
        elif self._queue.qsize() < self._capacity:
            self._queue.put(event)
        else:
            self._lost.note(event)

    def record_all(self, events: Iterable[AuditEvent]) -> None:
        """Hand over many events, such as those of a sync; waits a while for room."""
        if self.files is None:
            return
        if self._thread is None:
            remaining = iter(events)
            while some := list(islice(remaining, _BATCH)):
                self._write_now(some)
            return
        deadline = time.monotonic() + _WAIT_S
        for event in events:
            while self._queue.qsize() >= self._capacity and time.monotonic() < deadline:
                if self.problem or self._stopping.wait(0.01):
                    break
            self.record(event)

    def start(self) -> None:
        """Write in a thread of its own from now on.

        Raises
        ------
        OSError
            The folder cannot be made or entered. A full disk is no such reason: the daemon goes
            on serving without.
        ConfigurationError
            A certificate for the syslog collector cannot be used.
        """
        if self.files is None or self._thread is not None:
            return
        try:
            self.files.make_folder()
        except OSError as error:
            if error.errno not in _FULL:
                raise
            self._complain(error)
        self._stopping.clear()
        if self.forwarder is not None:
            self.forwarder.start()
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what waits and end; what the disk does not take by then is said to be lost."""
        thread = self._thread
        if thread is None:
            return
        self._stopping.set()
        self._queue.put(None)
        thread.join(STOP_S)
        self._thread = None
        if self.forwarder is not None:
            self.forwarder.stop()
        left = self._queue.qsize() + len(self._waiting)
        if thread.is_alive() or left or self._lost.number:
            log.error(
                "audit trail: %d events could not be written before the end",
                left + self._lost.number,
            )

    def end(self, ae_title: str) -> None:
        """Stop, with the end of the daemon as the last event."""
        if self._thread is not None:
            self.record(application(Kind.STOP, ae_title))
            self.stop()

    def _write_now(self, events: list[AuditEvent]) -> None:
        assert self.files is not None
        try:
            self.files.append(events, sync=True)
        except OSError as error:
            self._complain(error)

    def _run(self) -> None:
        while not (self._stopping.is_set() and self._queue.empty()):
            self._gather()
            if not self._try_to_write() and self._stopping.wait(RETRY_S):
                break
        self._waiting += self._repeats.summaries(final=True)
        self._tell_gap()
        self._try_to_write(final=True)

    def _gather(self) -> None:
        """Wait for an event, or for the time to make sure of the disk; take what else is there."""
        if not self._waiting:
            with contextlib.suppress(Empty):
                self._take(self._queue.get(timeout=self._pause()))
                self._stopping.wait(GATHER_S)
        while len(self._waiting) < _BATCH:
            try:
                self._take(self._queue.get_nowait())
            except Empty:
                break
        self._waiting += self._repeats.summaries()
        if not self.problem and self._queue.empty():
            self._tell_gap()

    def _tell_gap(self) -> None:
        if self._lost.number and self.files is not None:
            self._waiting.append(self._lost.gap(self.files.uri, self._reason))

    def _take(self, event: AuditEvent | None) -> None:
        if event is not None:
            self._waiting.append(event)

    def _pause(self) -> float | None:
        if self._lost.number:
            return 0.0
        if self._unsynced_since is not None:
            return max(0.0, self._unsynced_since + SYNC_S - time.monotonic())
        return self._repeats.pause()

    def _try_to_write(self, *, final: bool = False) -> bool:
        assert self.files is not None
        try:
            if self._waiting:
                self.files.append(self._waiting, sync=False)
                self._waiting = []
                if self._unsynced_since is None:
                    self._unsynced_since = time.monotonic()
                if self.forwarder is not None:
                    self.forwarder.wake()
            since = self._unsynced_since
            if since is not None and (final or time.monotonic() - since >= SYNC_S):
                self.files.sync()
                self._unsynced_since = None
        except OSError as error:
            self._complain(error)
            return False
        if self.problem:
            log.warning("audit trail: is written again")
            self.problem = ""
        return True

    def _complain(self, error: OSError) -> None:
        """Say once that it cannot be written."""
        assert self.files is not None
        if not self.problem:
            self.problem = self._reason = f"{self.files.folder}: {error.strerror or error}"
            log.error(
                "audit trail: cannot be written (%s); the server goes on, %d events are kept "
                "meanwhile",
                self.problem,
                self._capacity,
            )


class _Lost:
    """What came while there was no room."""

    def __init__(self) -> None:
        self.number = 0
        self._first = self._last = now()
        self._counting = threading.Lock()

    def note(self, event: AuditEvent) -> None:
        with self._counting:
            if not self.number:
                self._first = event.at
            self._last = event.at
            self.number += 1

    def gap(self, uri: str, reason: str) -> AuditEvent:
        """The event that stands for what is missing; counting begins anew."""
        with self._counting:
            number, self.number = self.number, 0
            words = f"{number} events are missing: {reason or 'more than could be written'}"
            return trail_alert(
                Kind.AUDIT_STOPPED,
                uri,
                words,
                Outcome.MAJOR,
                From=self._first.isoformat(),
                Until=self._last.isoformat(),
                Number=str(number),
            )
