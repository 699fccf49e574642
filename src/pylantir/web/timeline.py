"""The day as a picture: where each bar stands. The template draws it.

Across, places are percent of the picture; down, they are em, so that it grows with the text.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, replace

from pylantir.api.candidates import scanner_of
from pylantir.web.board import Board, Row
from pylantir.worklist.step import LinkedStep

_USUAL_HOURS = (8, 17)
_ROW_EM, _GAP_EM, _TOP_EM = 2.6, 0.9, 2.0
_CROWDED_EM = (16.8, 18.8, 22.5, 28.0)
_NARROW = 4.5
"""Percent; a block that is narrower holds no text."""


@dataclass(frozen=True, slots=True)
class Bar:
    """Something that takes time: percent from the left, percent wide."""

    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Block:
    """One booking or one loose step on the picture.

    Parameters
    ----------
    row, loose : Row or LinkedStep
        One of the two.
    scheduled, performed : Bar or None
        When it should be, and when it was.
    y : float
        From the top, em.
    """

    row: Row | None
    loose: LinkedStep | None
    scheduled: Bar | None
    performed: Bar | None
    y: float

    @property
    def outer(self) -> Bar:
        """The whole of what is drawn of it."""
        bars = [bar for bar in (self.scheduled, self.performed) if bar is not None]
        left = min(bar.x for bar in bars)
        return Bar(left, max(bar.x + bar.width for bar in bars) - left)

    @property
    def holds_text(self) -> bool:
        """Whether its name fits into it."""
        bar = self.scheduled or self.performed
        return bar is not None and bar.width >= _NARROW


@dataclass(frozen=True, slots=True)
class Lane:
    """One scanner: AE title, top and height in em."""

    ae_title: str
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that is drawn."""

    hours: tuple[tuple[str, float], ...]
    lanes: tuple[Lane, ...]
    blocks: tuple[Block, ...]
    now: float | None
    height: float
    row_height: float = _ROW_EM

    @property
    def density(self) -> int:
        """How much smaller it is drawn where all of it has to be seen at once: 0 to 4."""
        return sum(self.height > limit for limit in _CROWDED_EM)


@dataclass(frozen=True, slots=True)
class _Span:
    first: dt.datetime
    last: dt.datetime

    def place(self, at: dt.datetime) -> float:
        whole = (self.last - self.first).total_seconds()
        part = (min(max(at, self.first), self.last) - self.first).total_seconds()
        return round(100 * part / whole, 3)

    def bar(self, start: dt.datetime, end: dt.datetime) -> Bar:
        left, right = self.place(start), self.place(max(start, end))
        return Bar(left, round(max(right - left, 0.3), 3))


def picture_of(board: Board) -> Picture:
    """The picture of a day."""
    span = _span(board)
    lanes, blocks = [], []
    y = _TOP_EM
    for title in board.lanes:
        found, tracks = _blocks(board, title, span, y)
        height = tracks * _ROW_EM
        lanes.append(Lane(title, round(y, 2), round(height, 2)))
        blocks += found
        y += height + _GAP_EM
    now = span.place(board.now) if board.is_today else None
    return Picture(tuple(_hours(span)), tuple(lanes), tuple(blocks), now, round(y, 2))


def _span(board: Board) -> _Span:
    midnight = dt.datetime.combine(board.day, dt.time())
    next_midnight = midnight + dt.timedelta(days=1)
    moments = [midnight + dt.timedelta(hours=hour) for hour in _USUAL_HOURS]
    moments += [board.now] if board.is_today else []
    for row in board.rows:
        moments += [row.start, row.end]
        moments += [row.done.started, _until(row, board)] if row.done else []
    moments += [linked.step.started for linked in board.loose]
    within = [min(max(moment, midnight), next_midnight) for moment in moments]
    first = min(within).replace(minute=0, second=0, microsecond=0)
    last = max(within)
    if last.minute or last.second or last.microsecond:
        last = last.replace(minute=0, second=0, microsecond=0) + dt.timedelta(hours=1)
    return _Span(first, last)


def _hours(span: _Span) -> Iterable[tuple[str, float]]:
    hours = int((span.last - span.first).total_seconds() // 3600)
    every = 1 if hours <= 14 else 2
    for hour in range(0, hours + 1, every):
        at = span.first + dt.timedelta(hours=hour)
        if hour < hours:
            yield f"{at:%H}", span.place(at)


def _until(row: Row, board: Board) -> dt.datetime:
    assert row.done is not None
    return row.done.ended or max(row.done.started, board.now)


def _blocks(board: Board, title: str, span: _Span, y: float) -> tuple[list[Block], int]:
    """Blocks of a lane, side by side in time and below each other where they overlap."""
    found: list[tuple[Row | None, LinkedStep | None, Bar | None, Bar | None]] = []
    for row in board.rows:
        if row.lane == title:
            done = span.bar(row.done.started, _until(row, board)) if row.done else None
            found.append((row, None, span.bar(row.start, row.end), done))
    for linked in board.loose:
        if scanner_of(linked) == title:
            step = linked.step
            end = step.ended or (board.now if board.is_today else step.started)
            found.append((None, linked, None, span.bar(step.started, end)))
    unplaced = [Block(*parts, 0) for parts in found]
    ends: list[float] = []
    blocks: list[Block] = []
    for block in sorted(unplaced, key=lambda each: each.outer.x):
        outer = block.outer
        track = next((n for n, end in enumerate(ends) if end <= outer.x + 0.01), len(ends))
        ends[track : track + 1] = [outer.x + outer.width]
        blocks.append(replace(block, y=round(y + track * _ROW_EM, 2)))
    return blocks, max(1, len(ends))
