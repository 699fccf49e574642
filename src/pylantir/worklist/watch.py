"""Watches the database: says what is wrong with it, and mends what can be mended.

What happened to the file is seen from outside, twice a second, because who has it open is the last
to learn of it. A file that was deleted or whose beginning was overwritten can often still be read
whole by those who have it open; then a checked copy takes its place and nothing is lost. Otherwise
the newest backup is offered. Whatever comes back in its place is served without a restart.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from pylantir.clock import Now
from pylantir.errors import DatabaseDamaged, DatabaseGone, DatabaseUnavailable, StoreError
from pylantir.worklist.backups import BackupFolder, Stopped, copy_sound, require_sound
from pylantir.worklist.database import Database, Trouble
from pylantir.worklist.sqlitefile import log_of, put_in_place, set_aside

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.5
PROVE_WRITING_EVERY_S = 60.0
_PATIENCE_S = 0.5
"""How long a look waits for whoever has locked the database, before it says so."""

_TOO_LONG_S = 1.0
"""A look that takes longer hangs in the database: SQLite itself may wait for ten seconds."""

_ROOM_BYTES = 256 * 1024
_STOP_S = 1.0


class DatabaseWatch:
    """Looks after one SQLite database; others answer for themselves.

    Parameters
    ----------
    database : Database
        What is watched.
    renew : callable
        Makes another file that took its place ready; gets the highest version seen before.
    backups : BackupFolder, optional
        What is offered when everything is lost.
    now : Now
        The clock.
    """

    def __init__(
        self,
        database: Database,
        renew: Callable[[int], None],
        *,
        backups: BackupFolder | None,
        now: Now,
    ) -> None:
        self._database = database
        self._renew = renew
        self._backups = backups
        self._now = now
        self._seen_version = 0
        self._log: tuple[int, int] | None = None
        self._proved_writing_at = time.monotonic()
        self._looking_since = 0.0
        self._said = ""
        self._since = 0.0
        self._beyond_repair = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="database-watch", daemon=True)

    @property
    def trouble(self) -> str:
        """What is wrong now; empty when nothing is. Asking waits for nobody."""
        since = self._looking_since
        if not self._said and since and time.monotonic() - since > _TOO_LONG_S:
            self._say(
                f"the database {self._path} does not answer. Perhaps another program holds it; "
                "end that program."
            )
        return self._said

    def start(self) -> None:
        """Begin to look."""
        if self._database.file is not None:
            self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_S)

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_EVERY_S):
            self._looking_since = time.monotonic()
            try:
                self.look()
            except Stopped:
                return
            except Exception as error:  # a door: the watch goes on
                log.debug("cause", exc_info=True)
                self._say(f"the database cannot be watched: {type(error).__name__}")
            self._looking_since = 0.0

    def look(self) -> str:
        """Look once; returns what is wrong."""
        try:
            self._look()
            trouble = ""
        except (DatabaseDamaged, DatabaseGone) as error:
            trouble = self._mended(error)
        except StoreError as error:
            trouble = str(error)
        self._say(trouble)
        return trouble

    def _look(self) -> None:
        file, before = self._database.file, self._database.trouble
        assert file is not None
        file.require_sound()
        with self._database.probe(_PATIENCE_S) as connection:
            self._seen_version = max(
                self._seen_version,
                int(connection.execute("SELECT version FROM changes").fetchone()[0]),
            )
            self._log = log_of(self._path)
            if before is not None and isinstance(before.error, DatabaseDamaged):
                require_sound(connection, self._stopping, quick=True)
                self._database.trouble = before = None
        if before is not None and not before.writing:
            self._database.trouble = None
        elif before is not None or self._is_time_to_prove_writing():
            self._prove_writing(before)

    def _is_time_to_prove_writing(self) -> bool:
        return time.monotonic() - self._proved_writing_at >= PROVE_WRITING_EVERY_S

    def _prove_writing(self, before: Trouble | None) -> None:
        """Write what is there already; after a failure also something that needs room."""
        try:
            if before is not None:
                self._require_room()
            with self._database.probe(_PATIENCE_S) as connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("UPDATE changes SET version = version")
                connection.execute("COMMIT")
        except StoreError as error:
            self._database.trouble = Trouble(writing=True, error=error)
            raise
        self._proved_writing_at = time.monotonic()
        self._database.trouble = None

    def _require_room(self) -> None:
        folder = self._path.parent
        probe = folder / f".{self._path.name}.room"
        try:
            descriptor = os.open(probe, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
            try:
                if os.write(descriptor, bytes(_ROOM_BYTES)) < _ROOM_BYTES:
                    raise DatabaseUnavailable(f"the disk of {folder} is full. Make room on it.")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
                probe.unlink(missing_ok=True)
        except OSError as error:
            raise DatabaseUnavailable(
                f"the database {self._path} cannot be written: {error.strerror}. "
                "Make room on the disk, or its folder writable."
            ) from error

    @property
    def _path(self) -> Path:
        assert self._database.path is not None
        return self._database.path

    # --- mending ---

    def _mended(self, error: StoreError) -> str:
        """Put right what can be; returns what is still wrong."""
        try:
            if self._is_another_file(error):
                self._leave_the_old_log_behind()
                self._use_what_is_there("was replaced by another file, which is served now")
                return ""
            if self._beyond_repair:
                return str(error)
            return self._rescue(error)
        except StoreError as still:
            return str(still)
        except OSError as still:
            return f"{error}; it cannot be mended: {still.strerror}"

    def _is_another_file(self, error: StoreError) -> bool:
        is_new = self._beyond_repair or isinstance(error, DatabaseGone)
        return is_new and self._path.exists() and self._path.stat().st_size > 0

    def _use_what_is_there(self, why: str) -> None:
        self._database.reopen()
        self._renew(self._seen_version)
        self._database.trouble = None
        self._beyond_repair = False
        log.warning("the database %s %s", self._path, why)

    def _leave_the_old_log_behind(self) -> None:
        """Who moves a file into the place of another leaves its log; it would be played over it."""
        if self._log is not None and log_of(self._path) == self._log:
            kept = self._path.with_name(f".{self._path.name}.new")
            self._path.rename(kept)
            set_aside(self._path, "lost", self._now())
            put_in_place(kept, self._path)

    def _rescue(self, error: StoreError) -> str:
        """Save what can still be read, and set the rest aside."""
        file, now = self._database.file, self._now()
        assert file is not None
        copy = self._path.with_name(f".{self._path.name}.rescued")
        why_not = self._saved(copy)
        file.close_because(str(error))
        aside = set_aside(self._path, _word(error), now)
        where = f"; it was set aside as {aside}" if aside else ""
        if not why_not:
            put_in_place(copy, self._path)
            what = _what_happened(error)
            self._use_what_is_there(f"{what}; all that was in it is back{where}")
            return ""
        self._beyond_repair = True
        offer = self._backups.advice if self._backups else ""
        told = f"the database {self._path} {_what_happened(error)} and {why_not}{where}{offer}"
        file.close_because(told)
        return told

    def _saved(self, copy: Path) -> str:
        """Copy what the open connections see; says why that was impossible."""
        copy.unlink(missing_ok=True)
        try:
            with self._database.open_connection() as source:
                copy_sound(source, copy, self._stopping)
        except (StoreError, OSError) as error:
            log.debug("what is in the database cannot be saved: %s", error)
            return "what was in it cannot be read"
        return ""

    def _say(self, trouble: str) -> None:
        """The first time and when it is over, not each time."""
        if trouble and not self._said:
            self._since = time.monotonic()
        if trouble and trouble != self._said:
            log.error("%s", trouble)
        elif self._said and not trouble:
            elapsed = dt.timedelta(seconds=round(time.monotonic() - self._since))
            log.warning("the database works again, after %s", elapsed)
        self._said = trouble


def _word(error: StoreError) -> str:
    return "damaged" if isinstance(error, DatabaseDamaged) else "lost"


def _what_happened(error: StoreError) -> str:
    return "is damaged" if isinstance(error, DatabaseDamaged) else "was deleted"
