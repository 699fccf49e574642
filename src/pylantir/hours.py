"""Parts of the day in which a source is asked."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from pylantir.clock import SiteClock

if TYPE_CHECKING:
    from pylantir.config.schema import DataSource, OperationInterval


def is_within(interval: OperationInterval, now: dt.time) -> bool:
    """Whether a time of day lies in an interval, inclusive to the minute; it may pass midnight."""
    start = dt.time(*interval.start_time)
    end = dt.time(*interval.end_time)
    minute = now.replace(second=0, microsecond=0, tzinfo=None)
    if start <= end:
        return start <= minute <= end
    return minute >= start or minute <= end


def next_round(entry: DataSource, last: str, clock: SiteClock) -> str:
    """When a source that works is asked after its last round.

    Parameters
    ----------
    entry : DataSource
        The configuration entry.
    last : str
        Instant of the last round, ISO 8601.
    clock : SiteClock
        The clock on the wall, in which the hours of the entry are written.

    Returns
    -------
    str
        An instant in UTC, ISO 8601.
    """
    due = dt.datetime.fromisoformat(last) + dt.timedelta(seconds=entry.sync_interval)
    wall = clock.wall_of(due)
    hours = entry.operation_interval
    if not is_within(hours, wall.time()):
        opens = dt.datetime.combine(wall.date(), dt.time(*hours.start_time))
        tomorrow = opens if opens > wall else opens + dt.timedelta(days=1)
        due = clock.localize(tomorrow).astimezone(dt.UTC)
    return due.isoformat(timespec="milliseconds")
