"""A day as people see it: who is next, who is being scanned, what was done, what is late.

Pure: made from items, performed steps and the time on the wall; knows neither HTTP nor words.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pylantir.api.candidates import scanner_of
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.status import SCHEDULED_STATUSES, ItemStatus, StepStatus
from pylantir.worklist.step import LinkedStep

_SHORTEST = dt.timedelta(minutes=15)
_EXPECTED_FOR = dt.timedelta(hours=2)
"""So long after its start a booking that nobody has begun is still who comes next."""

_PERFORMED_SERIES = "00400340"


@dataclass(frozen=True, slots=True)
class Rules:
    """What a site means by late, and how long its bookings usually take.

    Parameters
    ----------
    late : timedelta
        A booking that has not begun so long after its start is late.
    usual : timedelta
        Length of a booking that says no end.
    """

    late: dt.timedelta = dt.timedelta(minutes=15)
    usual: dt.timedelta = dt.timedelta(minutes=60)


@dataclass(frozen=True, slots=True)
class Done:
    """What scanners have done for one booking, on their wall clocks.

    Parameters
    ----------
    started : datetime
        Start of the first step.
    ended : datetime or None
        End of the last one; nothing while one runs.
    scanner : str
        AE title of the first step's scanner.
    series : int
        Number of performed series.
    """

    started: dt.datetime
    ended: dt.datetime | None
    scanner: str
    series: int


@dataclass(frozen=True, slots=True)
class Row:
    """One booking of the day.

    Parameters
    ----------
    item : WorklistItem
        The booking.
    lane : str
        AE title under which it stands; empty when any scanner may take it.
    end : datetime
        Scheduled end; the usual one when the booking says none.
    late : timedelta
        How long it has been waited for; zero when it is not late.
    done : Done or None
        What scanners have done; nothing before they began.
    """

    item: WorklistItem
    lane: str
    end: dt.datetime
    late: dt.timedelta = dt.timedelta(0)
    done: Done | None = None

    @property
    def start(self) -> dt.datetime:
        """Scheduled start, on the wall clock of the site."""
        return self.item.start

    @property
    def is_waiting(self) -> bool:
        """Whether no scanner has begun and nobody has taken it off the list."""
        return self.item.status in SCHEDULED_STATUSES

    @property
    def is_expected(self) -> bool:
        """Whether somebody still waits for it; who is hours late needs a person to find out."""
        return self.is_waiting and self.late <= _EXPECTED_FOR

    @property
    def is_open(self) -> bool:
        """Whether something is still to come of it."""
        return self.is_waiting or self.item.status is ItemStatus.IN_PROGRESS

    @property
    def delay(self) -> dt.timedelta:
        """How much later than scheduled it began."""
        return self.done.started - self.start if self.done else dt.timedelta(0)


@dataclass(frozen=True, slots=True)
class Board:
    """A day.

    Parameters
    ----------
    day : date
        Which one.
    now : datetime
        Time on the wall.
    rows : tuple of Row
        Its bookings by start.
    loose : tuple of LinkedStep
        Steps of that day that belong to no booking.
    lanes : tuple of str
        AE titles of the scanners of that day; an empty one for bookings open to any scanner.
    """

    day: dt.date
    now: dt.datetime
    rows: tuple[Row, ...]
    loose: tuple[LinkedStep, ...]
    lanes: tuple[str, ...]

    @property
    def is_today(self) -> bool:
        """Whether the day is the present one."""
        return self.day == self.now.date()

    @property
    def counts(self) -> dict[ItemStatus, int]:
        """Number of bookings by status, in the order in which they pass through it."""
        found = Counter(row.item.status for row in self.rows)
        return {status: found[status] for status in ItemStatus if found[status]}

    @property
    def running(self) -> list[Row]:
        """Who is being scanned."""
        return [row for row in self.rows if row.item.status is ItemStatus.IN_PROGRESS]

    @property
    def late(self) -> list[Row]:
        """Who should be there and is not, the longest first."""
        return [row for row in self.rows if row.late]

    @property
    def without_cancelled(self) -> Board:
        """The same without what nobody waits for any more: a wall display has little room."""
        kept = tuple(row for row in self.rows if row.item.status is not ItemStatus.CANCELLED)
        return replace(self, rows=kept)

    @property
    def next_up(self) -> list[Row]:
        """Who comes next, one for each scanner, the soonest first."""
        if not self.is_today:
            return []
        first: dict[str, Row] = {}
        for row in self.rows:
            if row.is_waiting and row.start >= self.now - _EXPECTED_FOR:
                first.setdefault(row.lane, row)
        return sorted(first.values(), key=lambda row: row.start)


def board_of(
    day: dt.date,
    now: dt.datetime,
    items: Iterable[WorklistItem],
    steps: Sequence[LinkedStep],
    rules: Rules | None = None,
) -> Board:
    """The day.

    Parameters
    ----------
    day : date
        Which one.
    now : datetime
        Time on the wall of the site, without a zone.
    items : iterable of WorklistItem
        The bookings of that day, by start.
    steps : sequence of LinkedStep
        What scanners did about that time; others are left out.
    rules : Rules, optional
        What the site means by late.
    """
    rules = rules or Rules()
    performed = _by_item(steps)
    rows = [_row(item, performed.get(item.item_id or 0, []), now, rules) for item in items]
    rows = _without_overlap(rows)
    loose = tuple(s for s in steps if s.is_unlinked and s.step.started.date() == day)
    lanes = {row.lane for row in rows} | {scanner_of(step) for step in loose}
    named = sorted(lanes - {""})
    return Board(day, now, tuple(rows), loose, (*named, *([""] if "" in lanes else [])))


def _by_item(steps: Iterable[LinkedStep]) -> dict[int, list[LinkedStep]]:
    found: dict[int, list[LinkedStep]] = {}
    for linked in steps:
        for item_id in linked.item_ids:
            found.setdefault(item_id, []).append(linked)
    return found


def _row(item: WorklistItem, steps: list[LinkedStep], now: dt.datetime, rules: Rules) -> Row:
    done = done_by(steps)
    stations = item.scheduled_station_ae_title
    lane = stations[0] if stations else (done.scanner if done else "")
    if done is not None and done.scanner in stations:
        lane = done.scanner
    late = now - item.start if item.status in SCHEDULED_STATUSES else dt.timedelta(0)
    late = late if late > rules.late else dt.timedelta(0)
    return Row(item, lane, _end(item, rules), late, done)


def done_by(steps: Sequence[LinkedStep]) -> Done | None:
    """What the steps of one booking come to; those begun by mistake do not count."""
    counted = sorted(
        (each for each in steps if not each.step.released), key=lambda each: each.step.started
    )
    if not counted:
        return None
    ends = [each.step.ended or each.step.started for each in counted]
    runs = any(each.step.status is StepStatus.IN_PROGRESS for each in counted)
    series = sum(
        len(s.step.attributes.get(_PERFORMED_SERIES, {}).get("Value", ())) for s in counted
    )
    first = counted[0]
    return Done(first.step.started, None if runs else max(ends), scanner_of(first), series)


def _end(item: WorklistItem, rules: Rules) -> dt.datetime:
    end_time = item.scheduled_procedure_step_end_time
    if end_time is not None:
        day = item.scheduled_procedure_step_end_date or item.start.date()
        end = dt.datetime.combine(day, end_time)
        if end > item.start:
            return end
    try:
        return item.start + rules.usual
    except OverflowError:
        return item.start


def _without_overlap(rows: Sequence[Row]) -> list[Row]:
    """A usual length ends where the next booking of the lane begins."""
    found: list[Row] = []
    following: dict[str, dt.datetime] = {}
    for row in reversed(rows):
        after = following.get(row.lane)
        says_end = row.item.scheduled_procedure_step_end_time is not None
        if after is not None and not says_end and row.start + _SHORTEST <= after < row.end:
            row = Row(row.item, row.lane, after, row.late, row.done)
        if row.item.status is not ItemStatus.CANCELLED:
            following[row.lane] = row.start
        found.append(row)
    return found[::-1]
