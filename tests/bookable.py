"""A source whose bookings a test writes down, for tests of what happens to them."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Sequence
from typing import Any

from pylantir.clock import SiteClock
from pylantir.sources.base import (
    Batch,
    BookingWindow,
    DaysCovered,
    RecordsCovered,
    RejectedRecord,
    Scope,
    Source,
    SourceRecord,
    SourceSettings,
)

NOW = dt.datetime(2026, 3, 2, 9, 0, tzinfo=dt.UTC)
TODAY = NOW.date()


def booking(record_id: str, **values: Any) -> SourceRecord:
    """A booking of today at ten, with whatever is different."""
    fields = {
        "patient_name": f"Doe^{record_id}",
        "patient_id": f"P-{record_id}",
        "modality": "MR",
        "scheduled_start_date": TODAY,
        "scheduled_start_time": "10:00",
    }
    return SourceRecord(record_id, fields | values)


class BookableSource(Source):
    """Gives what :attr:`records` holds; everything about it can be changed by the test."""

    def __init__(self, settings: SourceSettings | None = None) -> None:
        super().__init__(settings or SourceSettings(name="book", config={}, field_mapping={}))
        self.records: list[SourceRecord] = []
        self.records_on: Callable[[BookingWindow], list[SourceRecord]] | None = None
        self.rejected: tuple[RejectedRecord, ...] = ()
        self.complete = True
        self.error: Exception | None = None
        self.scope: Callable[[BookingWindow], Scope] = _all_days
        self.windows: list[BookingWindow] = []
        self.alive: frozenset[str] | Exception | None = None
        self.fetched = threading.Semaphore(0)
        self.answers = threading.Event()
        self.answers.set()
        self.closed = threading.Event()

    def fetch(self, window: BookingWindow) -> Batch:
        self.windows.append(window)
        self.fetched.release()
        self.answers.wait()
        if self.error is not None:
            raise self.error
        cursor = f"cursor {len(self.windows)}"
        records = self.records if self.records_on is None else self.records_on(window)
        return Batch(list(records), self.scope(window), self.complete, cursor, self.rejected)

    def values_of(self, record: SourceRecord) -> dict[str, Any]:
        return dict(record.fields)

    def still_there(self, record_ids: Sequence[str]) -> frozenset[str]:
        if self.alive is None:
            raise NotImplementedError
        if isinstance(self.alive, Exception):
            raise self.alive
        return self.alive & frozenset(record_ids)

    def close(self) -> None:
        self.closed.set()


def _all_days(window: BookingWindow) -> Scope:
    return DaysCovered(window.first_day, window.last_day)


def snapshots_of(*parents: str) -> Callable[[BookingWindow], Scope]:
    """A scope of whole snapshots of these records."""
    return lambda _: RecordsCovered(frozenset(parents))


class MovableClock(SiteClock):
    """A site clock in UTC that stands until the test moves it."""

    def __init__(self, instant: dt.datetime = NOW) -> None:
        self.instant = instant
        super().__init__("UTC", lambda: self.instant)
