"""Which days of a Calpendo site are read, and which of them a batch covers."""

from __future__ import annotations

import datetime as dt

from pylantir.clock import SiteClock
from pylantir.sources.base import BookingWindow
from pylantir.sources.calpendo_settings import CalpendoSettings

Span = tuple[dt.date, dt.date]
"""First and last day, inclusive."""

WIDE_EVERY = dt.timedelta(minutes=15)
"""How often the far days are read at least, however many bookings are requests of their own."""

DETAILS_PER_S = 2
"""Bookings that far days may cost as requests of their own, over the time."""

NEAR_DAYS = 2
"""Days after the window's first that are read every time."""

_DAY = dt.timedelta(days=1)


class CalpendoDays:
    """The days of one source.

    Parameters
    ----------
    config : CalpendoSettings
        Says how far the days go.
    clock : SiteClock
        Whose today it is.
    """

    def __init__(self, config: CalpendoSettings, clock: SiteClock) -> None:
        self._daily = config.daily_window
        self._ahead = dt.timedelta(days=config.days_ahead)
        self._is_of_today = config.window_mode == "today" or config.daily_window is not None
        self._clock = clock
        self._wide_at: dt.datetime | None = None
        self._covered: Span | None = None

    @property
    def ahead(self) -> int:
        """Days after today that a batch covers."""
        return 0 if self._is_of_today else self._ahead.days

    def next(self, window: BookingWindow, details: int) -> tuple[Span, Span]:
        """The days to read, and those of them that are covered.

        All days when one query brings all; else the far ones only now and then. Days around today
        are read for `window_mode` "today", too: what takes place on several days is known by them.

        Parameters
        ----------
        details : int
            Bookings that were requests of their own the last time, zero when there were few.
        """
        if self._is_of_today:
            covered = self._of_today(window.now)
            around = covered[0] - self._ahead, covered[1] + self._ahead
        else:
            covered = around = window.first_day, window.last_day
        if self._is_due(window, details):
            self._wide_at = window.now
            self._covered = covered
            return around, covered
        near = min(covered[1], covered[0] + NEAR_DAYS * _DAY)
        self._covered = covered[0], near
        return self._covered, self._covered

    def _is_due(self, window: BookingWindow, details: int) -> bool:
        if not details or window.full or window.cursor is None or self._wide_at is None:
            return True
        pause = min(WIDE_EVERY, dt.timedelta(seconds=details / DETAILS_PER_S))
        return window.now - self._wide_at >= pause

    def covers(self, day: dt.date) -> bool:
        """Whether a day is among those of the last batch; any is before the first."""
        return self._covered is None or self._covered[0] <= day <= self._covered[1]

    def last_known(self, run_at: dt.datetime | None) -> dt.date | None:
        """The day that a round at an instant saw last of today's; nothing in other modes."""
        return self._of_today(run_at)[1] if self._is_of_today and run_at is not None else None

    def _of_today(self, now: dt.datetime) -> Span:
        today = self._clock.wall_of(now).date()
        return today, today + _DAY if self._passes_midnight else today

    @property
    def _passes_midnight(self) -> bool:
        """A window that ends when it begins is a whole day long."""
        return self._daily is not None and self._daily.start_time >= self._daily.end_time

    def is_in_daily_window(self, start: dt.datetime) -> bool:
        """Whether a booking of these days starts in the wanted part of the day."""
        if self._daily is None:
            return True
        minute = (start.hour, start.minute)
        if not self._passes_midnight:
            return self._daily.start_time <= minute <= self._daily.end_time
        # The night that begins tomorrow is tomorrow's.
        is_tomorrow = self._covered is not None and start.date() == self._covered[1]
        return minute <= self._daily.end_time or (
            minute >= self._daily.start_time and not is_tomorrow
        )
