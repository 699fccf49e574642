"""Makes backups by itself: one each so many hours, and one at the first start."""

from __future__ import annotations

import datetime as dt
import logging
import threading

from pylantir.clock import Now
from pylantir.errors import StoreError
from pylantir.worklist.backups import BackupFolder, Stopped, require_sound
from pylantir.worklist.database import READ_TIMEOUT_S, Database

log = logging.getLogger(__name__)

RETRY_S = 300.0
_STOP_S = 1.0


class BackupKeeper:
    """Keeps the backups of one SQLite database; others have means of their own.

    Parameters
    ----------
    database : Database
        What is backed up.
    backups : BackupFolder
        Where, and how many are kept.
    every_s : float
        Seconds between two backups, above 0.
    now : Now
        The clock.
    """

    def __init__(
        self, database: Database, backups: BackupFolder, *, every_s: float, now: Now
    ) -> None:
        self._database = database
        self._backups = backups
        self._every = dt.timedelta(seconds=every_s)
        self._now = now
        self._failed = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="backups", daemon=True)

    def start(self) -> None:
        """Begin."""
        if self._database.file is not None:
            self._thread.start()

    def stop(self) -> None:
        """End; a backup that is being made is given up."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_S)

    def _run(self) -> None:
        try:
            self._check()
            pause_s = self._pause_s()
            while not self._stopping.wait(pause_s):
                pause_s = self.round()
        except Stopped:
            log.debug("backup given up, because the server stops")

    def _check(self) -> None:
        """Look at every page once after a start; what is damaged, the watch deals with."""
        try:
            with self._database.probe(READ_TIMEOUT_S) as connection:
                require_sound(connection, self._stopping, quick=True)
        except StoreError as error:
            log.debug("check of the database: %s", error)

    def _pause_s(self) -> float:
        """Seconds until the next backup is due; also right when the clock was put back."""
        newest = self._backups.newest()
        if newest is None:
            return 0.0
        age = self._now() - newest.made
        return max(0.0, (self._every - age).total_seconds()) if age >= dt.timedelta() else 0.0

    def round(self) -> float:
        """Make one and remove what is too old; returns the seconds until the next."""
        try:
            now = self._now()
            backup = self._backups.make(self._database, now, stopping=self._stopping)
            self._backups.prune(now)
        except StoreError as error:
            if not self._failed:
                log.error("no backup: %s", error)
            self._failed = True
            return min(RETRY_S, self._every.total_seconds())
        self._failed = False
        log.info("backup %s made, %.1f MB", backup.path.name, backup.size_bytes / 1e6)
        return self._every.total_seconds()
