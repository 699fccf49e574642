"""Calpendo: bookings of scanners and laboratories (Exprodo Software).

A fetch reads every booking of the configured resources in its days, whatever their status, because
a cancelled or denied booking has to be seen to be withdrawn.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from pylantir.clock import SiteClock, as_iso_time
from pylantir.errors import InvalidItem, SourceError, ValueProblem
from pylantir.sources.base import (
    Batch,
    BookingWindow,
    DaysCovered,
    RejectedRecord,
    Source,
    SourceRecord,
    SourceSettings,
)
from pylantir.sources.calpendo_bookings import (
    Occurrences,
    date_range,
    in_one_shape,
    text_at,
    why_not,
)
from pylantir.sources.calpendo_client import CalpendoClient
from pylantir.sources.calpendo_days import CalpendoDays
from pylantir.sources.calpendo_reader import BookingReader, Reading
from pylantir.sources.calpendo_settings import CalpendoSettings
from pylantir.sources.extraction import look_up
from pylantir.sources.mapping import FieldMapping, Note, summarize
from pylantir.sources.options import OPTION_KEYS, MappingOptions
from pylantir.sources.settings import credential, read_settings
from pylantir.sources.targets import check

log = logging.getLogger(__name__)

_KNOWN_STATUSES = frozenset({"requested", "tentative", "approved", "denied", "cancelled"})
_OTHER_MODALITY = "OT"
_DAY = dt.timedelta(days=1)


class CalpendoSource(Source):
    """Bookings of one Calpendo site."""

    def __init__(self, settings: SourceSettings) -> None:
        super().__init__(settings)
        where = f"source {settings.name}"
        self._config = config = read_settings(CalpendoSettings, _written(settings), where)
        self._mapping = self.read_mapping(settings)
        self._server_clock = SiteClock(config.timezone, settings.clock.now)
        own_zone = settings.clock.zone_name
        self._converts = own_zone is not None and own_zone != config.timezone
        self._clock = settings.clock if self._converts else self._server_clock
        self._client = CalpendoClient(
            config.base_url,
            config.api_path,
            credential(settings.environ, config.username_env, where),
            credential(settings.environ, config.password_env, where),
            config.ca_bundle or True,
            request_timeout_s=config.request_timeout,
            account_from=f"{config.username_env} and {config.password_env}",
        )
        self._resources = frozenset(name.strip() for name in config.resources)
        self._reader = BookingReader(
            self._client,
            sorted(self._resources),
            self._mapping.source_fields,
            self._server_clock,
        )
        statuses = config.status_filter or ("Approved",)
        self._schedulable = frozenset(status.strip().lower() for status in statuses)
        self._days = CalpendoDays(config, self._clock)
        self._occurrences: Occurrences | None = None
        self._left_out: list[Note] = []
        self._listed: frozenset[str] = frozenset()
        self._doubts: list[str] = []
        self._unproven: frozenset[str] = frozenset()

    @classmethod
    def read_mapping(cls, settings: SourceSettings) -> FieldMapping:
        """The field mapping, from worklist names to fields of a booking."""
        where = f"source {settings.name}"
        return FieldMapping.read(
            settings.field_mapping,
            where=where,
            source_first=False,
            options=MappingOptions.read(settings.config, where),
        )

    @property
    def authority(self) -> str:
        """The address of the site."""
        return self._config.base_url.partition("://")[2].rstrip("/").lower()

    @property
    def days_ahead(self) -> int:
        """Days after today that are read."""
        return self._days.ahead

    def explain(self) -> list[str]:
        """How the field mapping was understood."""
        return self._mapping.explain()

    def close(self) -> None:
        """Close connections."""
        self._client.close()

    def notes(self) -> tuple[str, ...]:
        """Values that were left out since the last call, and what the mapping warns of."""
        left_out, self._left_out = self._left_out, []
        doubts, self._doubts = self._doubts, []
        return (*self._mapping.warnings, *summarize(left_out), *doubts)

    # Fetching ------------------------------------------------------------------------------

    def fetch(self, window: BookingWindow) -> Batch:
        """Bookings of the window's days."""
        read, covered = self._days.next(window, self._reader.many_details)
        reading = self._reader.read(
            self._server_wall(read[0]), self._server_wall(read[1] + _DAY), again=window.full
        )
        self._listed = reading.listed
        if self._occurrences is None:
            self._occurrences = Occurrences.read(window.cursor)
        records, rejected, notes = self._records(reading, self._occurrences)
        if reading.unread:
            many = f"{len(reading.unread)} bookings could not be read this time"
            notes.append(f"{many}: {reading.reason}" if reading.reason else many)
        return Batch(
            records=records,
            scope=DaysCovered(*covered),
            complete=not reading.unread,
            next_cursor=self._occurrences.cursor(window.now),
            rejected=tuple(rejected),
            notes=tuple(notes),
        )

    def _server_wall(self, day: dt.date) -> dt.datetime:
        """The beginning of a day of the site, on the wall of the server."""
        midnight = dt.datetime.combine(day, dt.time.min)
        if not self._converts:
            return midnight
        return self._server_clock.wall_of(self._clock.localize(midnight))

    def _records(
        self, reading: Reading, occurrences: Occurrences
    ) -> tuple[list[SourceRecord], list[RejectedRecord], list[str]]:
        records: list[SourceRecord] = []
        rejected = [_rejected(key, "booking", _HIDDEN) for key in sorted(reading.hidden)]
        ids = [str(booking.get("id") or "") for booking in reading.bookings]
        days = [self._day_of(booking) for booking in reading.bookings]
        seen = self._days.last_known(occurrences.read_at)
        keys = occurrences.keys(zip(ids, days, strict=True), seen)
        for key, day, booking in zip(keys, days, reading.bookings, strict=True):
            resource = _resource_of(booking)
            if day is not None and not self._days.covers(day):
                continue  # read to tell the days of a repeat booking apart
            if not resource and self._reader.filters_by_name:
                rejected.append(_rejected(key, "resource", _HIDDEN))
            elif resource not in self._resources:
                continue  # an old query grammar, or a proxy, may return more than we asked for
            elif reason := self._unreadable(booking):
                rejected.append(_rejected(key, *reason))
            else:
                withdrawn = why_not(booking, self._schedulable) or self._unwanted(booking)
                records.append(SourceRecord(key, booking, withdrawn))
        return records, rejected, [*reading.notes, *self._notes_about(reading, ids)]

    def _unreadable(self, booking: Mapping[str, Any]) -> tuple[str, str] | None:
        """What is missing that nobody may guess: a hidden status is no cancellation."""
        if not text_at(booking, "status"):
            return "status", _HIDDEN
        if self._moments(booking) is None and not why_not(booking, self._schedulable):
            return "dateRange", "expected a start that can be read"
        return None

    def _notes_about(self, reading: Reading, ids: Sequence[str]) -> list[str]:
        statuses = {
            text_at(b, "status") for b in reading.bookings if _resource_of(b) in self._resources
        }
        unknown = {s for s in statuses if s.lower() not in self._schedulable | _KNOWN_STATUSES}
        notes = [f"status {s!r} is not known and not scheduled" for s in sorted(unknown - {""})]
        once = sum(
            bool(look_up(booking, "repeat")) and ids.count(booking_id) == 1
            for booking_id, booking in zip(ids, reading.bookings, strict=True)
        )
        if once:
            notes.append(f"{once} bookings repeat, and the server names one day of each only")
        return notes

    # One booking ---------------------------------------------------------------------------

    def _moments(self, booking: Mapping[str, Any]) -> tuple[dt.datetime, dt.datetime | None] | None:
        """Start and end on the wall of the site.

        Without a time zone of the site, or with the server's, bookings keep their wall clock: what
        people booked is what the scanner shows, whatever the clocks do that day.
        """
        found = date_range(booking, self._server_clock)
        if found is None or not self._converts:
            return found
        start, end = found
        return self._site_wall(start), None if end is None else self._site_wall(end)

    def _site_wall(self, wall: dt.datetime) -> dt.datetime:
        return self._clock.wall_of(self._server_clock.localize(wall))

    def _day_of(self, booking: Mapping[str, Any]) -> dt.date | None:
        moments = self._moments(booking)
        return None if moments is None else moments[0].date()

    def _unwanted(self, booking: Mapping[str, Any]) -> str:
        """Why the site does not want a booking that may be scanned; empty when it does."""
        moments = self._moments(booking)
        if moments is not None and not self._days.is_in_daily_window(moments[0]):
            return "outside the daily window"
        if self._config.allowed_studies is None:
            return ""
        try:
            study = str(self._mapped(booking).get("study_description") or "").strip()
        except InvalidItem:
            return ""  # it will be rejected, with its reasons
        allowed = {name.strip() for name in self._config.allowed_studies}
        return "" if study in allowed else "its study is not among allowed_studies"

    def _mapped(
        self, booking: Mapping[str, Any], notes: list[Note] | None = None
    ) -> dict[str, Any]:
        mapped = self._mapping.apply(booking)
        if notes is not None:
            notes += mapped.notes
        values = mapped.values
        project = text_at(booking, "project")
        if project and not values.get("study_description"):
            values["study_description"] = project[:64]
        return values

    def values_of(self, record: SourceRecord) -> dict[str, Any]:
        """Worklist values of a booking: the mapping's, and what the booking itself says."""
        booking = record.fields
        values = self._mapped(booking, self._left_out)
        for target in ("patient_name", "patient_id"):
            if target not in self._mapping.targets:
                values.setdefault(target, text_at(booking, "title"))
        moments = self._moments(booking)
        if moments is not None:
            start, end = moments
            values.setdefault("scheduled_procedure_step_start_date", start.date())
            values.setdefault("scheduled_procedure_step_start_time", as_iso_time(start.time()))
            if end is not None:
                values.setdefault("scheduled_procedure_step_end_date", end.date())
                values.setdefault("scheduled_procedure_step_end_time", as_iso_time(end.time()))
        resource = _resource_of(booking)
        modality = longest_prefix(self._config.resource_modality_mapping, resource)
        values.setdefault("modality", modality or _OTHER_MODALITY)
        station = longest_prefix(self._config.resource_station_mapping, resource)
        if station:
            values.setdefault("scheduled_station_ae_title", station)
        if _fits("scheduled_station_name", resource):
            values.setdefault("scheduled_station_name", resource)
        return values

    # Confirming ----------------------------------------------------------------------------

    def still_there(self, record_ids: Sequence[str]) -> frozenset[str]:
        """Those that exist, are wanted, and start in the days that were read last."""
        parents = {key: key.partition("/")[0] for key in record_ids}
        details = self._reader.details(parents.values())
        missing = {parent for parent, detail in details.bookings.items() if not detail}
        believed = self._believes_404() if missing else True
        doubtful = missing & self._listed if believed is not False else missing
        unseen = details.hidden | details.unread | doubtful
        here = {
            key
            for key, parent in parents.items()
            if parent not in unseen and self._has_its_day(key, parent, details.bookings[parent])
        }
        without = missing - doubtful if believed is None else frozenset[str]()
        self._unproven = frozenset(key for key, parent in parents.items() if parent in without)
        counted = (_DISBELIEVED, doubtful), (_LEFT_OUT, here), (_ONCE_MORE, self._unproven)
        self._doubts = [words.format(len(some)) for words, some in counted if some]
        return frozenset(here | {key for key, parent in parents.items() if parent in unseen})

    def unproven(self) -> frozenset[str]:
        """Those that were answered with 404 while nothing exists that could be read instead."""
        return self._unproven

    def _believes_404(self) -> bool | None:
        """A proxy may answer 404 to every booking: one that exists has to be readable now."""
        try:
            return self._reader.answers_for_what_exists(self._listed)
        except SourceError as error:
            log.debug("source %s: no witness: %s", self.settings.name, error.for_log)
            return False

    def _has_its_day(self, key: str, parent: str, detail: Mapping[str, Any]) -> bool:
        """Whether a booking is there; of one that repeats, the list knows the days, not its detail.

        It was asked for because the list did not name this day of it.
        """
        repeats = self._occurrences is not None and self._occurrences.repeats(parent)
        return key == parent and not (repeats and parent in self._listed) and self._is_there(detail)

    def _is_there(self, detail: Mapping[str, Any]) -> bool:
        if not detail:
            return False
        booking = in_one_shape(detail)
        if not text_at(booking, "status") or not _resource_of(booking):
            return True  # hidden from us, which is no proof
        day = self._day_of(booking)
        in_window = day is None or self._days.covers(day)
        return (
            in_window
            and _resource_of(booking) in self._resources
            and not (why_not(booking, self._schedulable) or self._unwanted(booking))
        )


_DISBELIEVED = (
    "{} bookings seem deleted, but the server answers 404 to others that exist as well: nothing of "
    "them is withdrawn"
)
_LEFT_OUT = "{} bookings exist, but the server's list leaves them out: they stay"
_ONCE_MORE = (
    "{} bookings seem deleted, and the server shows us nothing else to compare with: they are "
    "withdrawn when it says so twice"
)
_HIDDEN = "not shown to our account; give it the right to see it"


def _written(settings: SourceSettings) -> dict[str, Any]:
    """The ``config`` object; what stands in the entry itself wins."""
    written = {k: v for k, v in settings.config.items() if k not in {*OPTION_KEYS, "field_mapping"}}
    if settings.window_mode is not None:
        written["window_mode"] = settings.window_mode
    if settings.daily_window is not None:
        written["daily_window"] = settings.daily_window
    return written


def _rejected(key: str, name: str, reason: str) -> RejectedRecord:
    return RejectedRecord(key, (ValueProblem(name, "", reason),))


def _resource_of(booking: Mapping[str, Any]) -> str:
    return text_at(booking, "resource.name") or text_at(booking, "resource")


def _fits(target: str, value: str) -> bool:
    try:
        check(target, value)
    except ValueError:
        return False
    return bool(value)


def longest_prefix(table: Mapping[str, str], name: str) -> str:
    """The entry of that name, else of the longest start of it; empty when there is none."""
    if name in table:
        return table[name]
    fitting = [start for start in table if name.startswith(start)]
    return table[max(fitting, key=len)] if fitting else ""


SOURCE = CalpendoSource
