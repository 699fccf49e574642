"""The pulse: the daemon proves again and again that it works, and lets others know.

Health is proven by traffic, not by state. One thread asks the server for a C-ECHO over the network
and reads the database as a query does; only then the service manager hears that we are alive. A
second one, which waits for nobody, says how we are in the lock file of the database: also that the
first one has been waiting for too long.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from pylantir.checks import (
    check_audit,
    check_backups,
    check_dicom,
    check_disk,
    check_memory,
    check_sources,
)
from pylantir.errors import StoreError
from pylantir.health import Check, Health, State
from pylantir.service import ServiceManager
from pylantir.worklist.sources import SourceStore
from pylantir.worklist.watch import DatabaseWatch

if TYPE_CHECKING:
    from pylantir.daemon import Worklist
    from pylantir.dicom.peer import Peer

log = logging.getLogger(__name__)

PROVE_EVERY_S = 10.0
FIRST_PROOF_S = 1.0
SAY_EVERY_S = 0.5
LATE_S = 20.0
"""A proof that takes longer than this is none."""

_DISK_EVERY_S = 5.0
_PATIENCE_S = 5.0
_STOP_S = 1.0


class Pulse:
    """Proves that the daemon works.

    Parameters
    ----------
    worklist : Worklist
        What is served.
    peer : callable
        How the daemon reaches its own server.
    watch : DatabaseWatch or None
        Knows what is wrong with the database file.
    manager : ServiceManager
        Hears that we are alive.
    more : callable, optional
        Further checks; must not wait for anybody.
    """

    def __init__(
        self,
        worklist: Worklist,
        peer: Callable[[], Peer],
        watch: DatabaseWatch | None,
        manager: ServiceManager,
        more: Callable[[], Iterable[Check]] = tuple,
    ) -> None:
        self._more = more
        self._worklist = worklist
        self._peer = peer
        self._watch = watch
        self._manager = manager
        self._began = time.monotonic()
        self._proved_at = time.monotonic()
        self._proofs: tuple[Check, ...] = ()
        self._disk: tuple[float, list[Check]] = (-_DISK_EVERY_S, [])
        self._alarm = ""
        self._stopping = threading.Event()
        self._threads = (
            threading.Thread(target=self._prove_again_and_again, name="pulse", daemon=True),
            threading.Thread(target=self._say_again_and_again, name="health", daemon=True),
        )

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End."""
        self._stopping.set()
        deadline = time.monotonic() + _STOP_S
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))

    # --- proving ---

    @property
    def prove_every_s(self) -> float:
        """Often enough for the service manager's patience."""
        patience_s = self._manager.watchdog_s
        return PROVE_EVERY_S if patience_s is None else min(PROVE_EVERY_S, patience_s / 3)

    def _prove_again_and_again(self) -> None:
        pause_s = FIRST_PROOF_S
        while not self._stopping.wait(pause_s):
            began = time.monotonic()
            try:
                self.prove()
            except Exception as error:  # a door: not having proved anything is the alarm
                log.debug("cause", exc_info=True)
                self._proofs = (Check("proof", State.CRITICAL, type(error).__name__),)
            pause_s = max(0.1, self.prove_every_s - (time.monotonic() - began))

    def prove(self) -> bool:
        """Prove once; returns whether we are alive.

        A database in trouble has a name, and starting again would not mend it: it is told, and
        counts as an answer. What does not come back at all is none.
        """
        dicom = check_dicom(replace(self._peer(), timeout_s=_PATIENCE_S))
        database, *sources = self._asked_database()
        self._proofs = (dicom, database, *sources)
        self._proved_at = time.monotonic()
        alive = dicom.state is not State.CRITICAL
        if alive:
            self._manager.alive()
        return alive

    def _asked_database(self) -> list[Check]:
        began = time.perf_counter()
        try:
            count = self._worklist.items.count()
            states = SourceStore(self._worklist.database).states()
        except StoreError as error:
            return [Check("database", State.CRITICAL, error.for_log)]
        elapsed_ms = (time.perf_counter() - began) * 1000
        read = Check("database", State.OK, f"{count} items counted in {elapsed_ms:.0f} ms")
        clock, config = self._worklist.clock, self._worklist.config
        return [read, *check_sources(config, states, clock)]

    # --- saying ---

    def health(self) -> Health:
        """How everything is now; waits for nobody."""
        late_s = time.monotonic() - self._proved_at
        checks = list(self._proofs)
        if late_s > max(LATE_S, 2 * self.prove_every_s):
            words = f"it has not answered itself for {late_s:.0f} seconds"
            checks.append(Check("proof", State.CRITICAL, words))
        trouble = self._trouble()
        if trouble:
            checks = [c for c in checks if c.name != "database"]
            checks.append(Check("database", State.CRITICAL, trouble))
        audit = check_audit(self._worklist.audit)
        others = (*self._disk_and_backups(), audit, *self._more(), *check_memory())
        return Health((*checks, *others))

    def _trouble(self) -> str:
        said = self._watch.trouble if self._watch is not None else ""
        present = self._worklist.database.trouble
        return said or (present.error.for_log if present is not None else "")

    def _disk_and_backups(self) -> list[Check]:
        at, checks = self._disk
        path, backups = self._worklist.database.path, self._worklist.backups
        if path is None or time.monotonic() - at < _DISK_EVERY_S:
            return checks
        checks = [check_disk(path)]
        if backups is not None:
            config, now = self._worklist.config, self._worklist.clock.now()
            checks.append(check_backups(backups, config, now, time.monotonic() - self._began))
        self._disk = (time.monotonic(), checks)
        return checks

    def _say_again_and_again(self) -> None:
        while not self._stopping.wait(SAY_EVERY_S):
            try:
                self.say()
            except Exception:  # a door: who asks sees that nothing is said any more
                log.debug("cause", exc_info=True)

    def say(self) -> None:
        """Let others know how we are."""
        now = self.health()
        peer = self._peer()
        if self._worklist.lock is not None:
            with contextlib.suppress(OSError):  # the folder is gone, which is said in the log
                self._worklist.lock.say(
                    {
                        "at": time.time(),
                        "host_address": peer.host,
                        "port": peer.port,
                        "called": peer.called_ae_title,
                        "calling": peer.calling_ae_title,
                        "tls": peer.tls is not None,
                        **now.record(),
                    }
                )
        self._manager.status(f"{now.state.name.lower()}: {now.summary}")
        self._sound_alarm(now)

    def _sound_alarm(self, now: Health) -> None:
        """Once, and when it is over; of the database, its watch has said it already."""
        names = ("dicom", "proof", "disk")
        found = [c for c in now.checks if c.state is State.CRITICAL and c.name in names]
        alarm = ", ".join(check.name for check in found)
        if self._stopping.is_set() or alarm == self._alarm:
            return
        if alarm:
            log.error("health is critical: %s", "; ".join(f"{c.name}: {c.message}" for c in found))
        else:
            log.warning("health is no longer critical")
        self._alarm = alarm
