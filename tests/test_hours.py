"""Parts of the day in which a source is asked."""

from __future__ import annotations

import datetime as dt

import pytest
from tests.bookable import MovableClock

from pylantir.config.schema import DataSource, OperationInterval
from pylantir.hours import is_within, next_round


@pytest.mark.parametrize(
    ("start", "end", "now", "within"),
    [
        ((8, 0), (17, 0), dt.time(8, 0), True),
        ((8, 0), (17, 0), dt.time(17, 0, 59), True),
        ((8, 0), (17, 0), dt.time(17, 1), False),
        ((22, 0), (6, 0), dt.time(23, 30), True),
        ((22, 0), (6, 0), dt.time(5, 59), True),
        ((22, 0), (6, 0), dt.time(12, 0), False),
        ((0, 0), (23, 59), dt.time(23, 59, 59), True),
    ],
)
def test_hours_are_inclusive_and_may_pass_midnight(
    start: tuple[int, int], end: tuple[int, int], now: dt.time, within: bool
) -> None:
    assert is_within(OperationInterval(start_time=start, end_time=end), now) is within


@pytest.mark.parametrize(
    ("start", "end", "last", "due"),
    [
        ((0, 0), (23, 59), "2026-03-02T09:00:00+00:00", "2026-03-02T09:01:00.000+00:00"),
        ((8, 0), (17, 0), "2026-03-02T17:00:30+00:00", "2026-03-03T08:00:00.000+00:00"),
        ((8, 0), (17, 0), "2026-03-02T03:00:00+00:00", "2026-03-02T08:00:00.000+00:00"),
        ((22, 0), (6, 0), "2026-03-02T06:00:30+00:00", "2026-03-02T22:00:00.000+00:00"),
        ((22, 0), (6, 0), "2026-03-02T23:59:30+00:00", "2026-03-03T00:00:30.000+00:00"),
    ],
)
def test_the_next_round_is_within_the_hours_of_the_source(
    start: tuple[int, int], end: tuple[int, int], last: str, due: str
) -> None:
    hours = {"start_time": start, "end_time": end}
    entry = DataSource(name="book", type="csv", sync_interval=60, operation_interval=hours)
    assert next_round(entry, last, MovableClock()) == due
