"""Failed attempts that outlive the process: a restart gives nobody another five guesses."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping

from sqlalchemy import Connection, delete, select

from pylantir.clock import Now, utc_now
from pylantir.errors import StoreError
from pylantir.users.tables import failed_attempts
from pylantir.worklist.database import Database

log = logging.getLogger(__name__)

_table = failed_attempts

_TIDY_EVERY = 500
"""Attempts; a flood of names leaves no more behind than an hour of it."""


class FailureStore:
    """Failed attempts in the database of the accounts.

    Parameters
    ----------
    database : Database
        The accounts, made ready.
    now : Now
        The clock on the wall: the only one that goes on while nothing runs.
    """

    def __init__(self, database: Database, now: Now = utc_now) -> None:
        self._database = database
        self._now = now
        self._old_s = 0.0
        self._calls = 0

    def load(self, newest: int, not_older_s: float) -> dict[str, tuple[int, float]]:
        """Number of failures and seconds since the last one, by place; the oldest first.

        Parameters
        ----------
        newest : int
            How many places at most.
        not_older_s : float
            Failures of longer ago are deleted.

        Raises
        ------
        StoreError
            The database cannot be used.
        """
        now, self._old_s = self._stamp(), not_older_s
        statement = select(_table).order_by(_table.c.last.desc()).limit(newest)
        with self._database.write() as connection:
            self._forget_old(connection, now)
            rows = connection.execute(statement).all()
        # Where the clock was set back meanwhile, the last failure counts as of now.
        return {
            place: (number, max(0.0, (now - last).total_seconds()))
            for place, number, last in reversed(rows)
        }

    def keep(self, numbers: Mapping[str, int]) -> None:
        """Keep that something failed just now at some places; 0 forgets a place.

        What cannot be kept is said: whoever waits goes on waiting until the process ends.
        """
        now = self._stamp()
        rows = [
            {"place": place, "number": number, "last": now}
            for place, number in numbers.items()
            if number > 0
        ]
        try:
            with self._database.write() as connection:
                connection.execute(delete(_table).where(_table.c.place.in_(list(numbers))))
                self._calls += 1
                if self._old_s and self._calls % _TIDY_EVERY == 0:
                    self._forget_old(connection, now)
                if rows:
                    connection.execute(_table.insert(), rows)
        except StoreError as error:
            log.warning("failed sign-ins cannot be kept: %s", error.for_log)

    def _forget_old(self, connection: Connection, now: dt.datetime) -> None:
        oldest = now - dt.timedelta(seconds=self._old_s)
        connection.execute(delete(_table).where(_table.c.last < oldest))

    def _stamp(self) -> dt.datetime:
        return self._now().replace(tzinfo=None)
