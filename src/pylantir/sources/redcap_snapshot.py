"""Whole records of a REDCap project as they are now, some at a time, and what that covers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from pylantir.clock import SiteClock, parse_date
from pylantir.errors import SourceRefused
from pylantir.sources.base import BookingWindow, Progress, Scope, SourceRecord
from pylantir.sources.redcap_answers import TooMuch
from pylantir.sources.redcap_client import RedcapClient, Row
from pylantir.sources.redcap_records import Layout, bookings, by_record

_OVERLAP = dt.timedelta(minutes=12)
"""Clocks that differ by ten minutes, and two more for late commits."""

_OVERLAP_UNKNOWN_ZONE = dt.timedelta(hours=27)
"""Without ``server_timezone`` the server's wall clock may be anybody's: no two differ by more."""

_AROUND = dt.timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class TouchedRecords(Scope):
    """Whole snapshots of records that were changed or deleted: what they do not hold is gone.

    Parameters
    ----------
    parents : frozenset of str
        Keys of the records, as they stand before the first slash of a booking's.
    first_day : date
        Bookings before it are over and left alone: a record is edited after its scan, too.
    """

    parents: frozenset[str]
    first_day: dt.date
    certain = True

    def covers(self, record_id: str, day: dt.date) -> bool:
        return day >= self.first_day and record_id.partition("/")[0] in self.parents


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Reads the bookings of records within a window.

    Parameters
    ----------
    client : RedcapClient
        Of the project.
    layout : Layout
        Where the bookings are.
    fields : sequence of str
        Fields to ask for.
    window : BookingWindow
        Whose days count.
    at_once : int
        Records per request.
    progress : callable
        Is told how many records of how many have been read.
    """

    client: RedcapClient
    layout: Layout
    fields: Sequence[str]
    window: BookingWindow
    at_once: int
    progress: Progress

    def of(self, record_ids: Sequence[str]) -> Iterator[SourceRecord]:
        """Their bookings; records that are gone by now have none.

        Raises
        ------
        SourceError
            REDCap fails, or has begun to leave identifiers out.
        """
        for start in range(0, len(record_ids), self.at_once):
            self.progress(start, len(record_ids))
            for rows in self._rows(record_ids[start : start + self.at_once]):
                yield from self._bookings(rows)

    def _rows(self, record_ids: Sequence[str]) -> Iterator[list[Row]]:
        """Rows of some records; halved as long as the server cannot do so many at once."""
        try:
            rows = self.client.rows(fields=self.fields, records=record_ids)
        except TooMuch:
            if len(record_ids) == 1:
                raise
            middle = len(record_ids) // 2
            yield from self._rows(record_ids[:middle])
            yield from self._rows(record_ids[middle:])
        else:
            yield rows

    def _bookings(self, rows: Sequence[Row]) -> Iterator[SourceRecord]:
        self._refuse_less_rights(rows)
        for record_id, own in by_record(rows, self.layout).items():
            for key, values in bookings(record_id, own, self.layout):
                if _may_be_within(values[self.layout.date_field], self.window):
                    yield SourceRecord(key, values)

    def _refuse_less_rights(self, rows: Sequence[Row]) -> None:
        """Reduced export rights drop identifiers from every row without a word."""
        vanished = self.client.dictionary.vanished(self.fields, rows)
        if vanished:
            raise SourceRefused(
                f"REDCap leaves out {', '.join(vanished)}: the token's user has lost the right "
                "to export identifiers (Data Export Rights: Full Data Set)"
            )


def server_wall(cursor: dt.datetime, server: SiteClock | None) -> dt.datetime:
    """From which wall-clock time of the server on to ask, to miss nothing since an instant.

    Parameters
    ----------
    cursor : datetime
        Aware.
    server : SiteClock, optional
        The clock on the server's wall; None when its zone is not known.
    """
    if server is None:
        return (cursor - _OVERLAP_UNKNOWN_ZONE).astimezone(dt.UTC).replace(tzinfo=None)
    begin = cursor - _OVERLAP
    # In the autumn night an hour happens twice, and a stamp of the second time may be earlier
    # than that of the moment from which on we ask.
    around = server.wall_of(begin + _AROUND) - server.wall_of(begin - _AROUND)
    return server.wall_of(begin) - max(2 * _AROUND - around, dt.timedelta(0))


def read_cursor(cursor: str | None) -> tuple[dt.datetime | None, frozenset[str]]:
    """The instant that a cursor of ours names, and the fields that patients were named by.

    No instant for no cursor, and for one that is not ours.
    """
    written, _, fields = (cursor or "").partition(" ")
    try:
        instant = dt.datetime.fromisoformat(written)
    except ValueError:
        return None, frozenset()
    return (instant, frozenset(fields.split())) if instant.tzinfo else (None, frozenset())


def written_cursor(instant: dt.datetime, named_by: Collection[str]) -> str:
    """What :func:`read_cursor` reads."""
    return " ".join((instant.isoformat(), *sorted(named_by)))


def _may_be_within(written: str, window: BookingWindow) -> bool:
    """Whether a booking belongs into the window; a date nobody can read is rejected later."""
    try:
        day = parse_date(written[:10])
    except ValueError:
        return True
    return window.first_day <= day <= window.last_day
