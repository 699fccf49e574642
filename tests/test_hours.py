"""Parts of the day in which a source is asked."""

from __future__ import annotations

import datetime as dt

import pytest
from tests.bookable import MovableClock

from pylantir.clock import SiteClock
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


@pytest.mark.parametrize(
    ("start", "end", "last", "due"),
    [
        # 2026-03-08: from 01:59 MST the clocks go to 03:00 MDT.
        ((8, 0), (17, 0), "2026-03-07T03:00:00+00:00", "2026-03-07T15:00:00.000+00:00"),
        ((8, 0), (17, 0), "2026-03-08T03:00:00+00:00", "2026-03-08T14:00:00.000+00:00"),
        ((22, 0), (6, 0), "2026-03-08T08:59:30+00:00", "2026-03-08T09:00:30.000+00:00"),
        ((2, 30), (17, 0), "2026-03-08T03:00:00+00:00", "2026-03-08T09:30:00.000+00:00"),
        # 2025-11-02: 01:00 to 01:59 come twice, and the first counts for an opening.
        ((1, 30), (17, 0), "2025-11-02T03:00:00+00:00", "2025-11-02T07:30:00.000+00:00"),
        ((22, 0), (1, 45), "2025-11-02T08:30:00+00:00", "2025-11-02T08:31:00.000+00:00"),
    ],
)
def test_a_change_of_the_clocks_moves_hours_with_the_wall(
    start: tuple[int, int], end: tuple[int, int], last: str, due: str
) -> None:
    hours = {"start_time": start, "end_time": end}
    entry = DataSource(name="book", type="csv", sync_interval=60, operation_interval=hours)
    assert next_round(entry, last, SiteClock("America/Edmonton")) == due
