"""Calpendo: bookings of scanners and laboratories (Exprodo Software).

A fetch reads every booking of the configured resources in its days, whatever their status, because
a cancelled or denied booking has to be seen to be withdrawn. One query with ``paths`` brings all
when the server knows that; otherwise the details are fetched a few at a time.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pylantir.clock import SiteClock, as_iso_time
from pylantir.errors import SourceUnavailable, ValueProblem
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
    date_range,
    name_of,
    resource_of,
    value_at,
    why_not,
)
from pylantir.sources.calpendo_client import CalpendoClient
from pylantir.sources.mapping import FieldMapping
from pylantir.sources.options import OPTION_KEYS, MappingOptions
from pylantir.sources.settings import credential, read_settings

_DETAILS_AT_ONCE = 5
_WIDE_EVERY = dt.timedelta(minutes=15)
_NEEDED = (
    "id",
    "biskitType",
    "formattedName",
    "title",
    "status",
    "cancelled",
    "dateRange",
    "resource.name",
    "project.formattedName",
)
_PUBLISHED_STATUSES = ("Approved",)
_OTHER_MODALITY = "OT"


class CalpendoSettings(BaseModel):
    """The ``config`` object of a Calpendo source."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    base_url: str = Field(pattern=r"^https?://", description="address of the Calpendo site")
    api_path: str = Field("/api", description="root of its API; /webdav before version 11")
    resources: tuple[str, ...] = Field(min_length=1, description="names of the resources")
    status_filter: str | tuple[str, ...] | None = Field(
        None, description="statuses that may be scanned; Approved when absent"
    )
    lookback_multiplier: float = Field(2, gt=0, description="accepted; the window is kept whole")
    timezone: str = Field("America/Edmonton", description="IANA zone of the Calpendo server")
    resource_modality_mapping: dict[str, str] = Field(
        {}, description="resource name, or the start of one, to modality"
    )
    resource_station_mapping: dict[str, str] = Field(
        {}, description="resource name, or the start of one, to the scanner's AE title"
    )
    allowed_studies: tuple[str, ...] | None = Field(
        None, description="study descriptions whose bookings are taken; all when absent"
    )
    window_mode: Literal["rolling", "today"] = Field("rolling", description="days that are read")
    daily_window: dict[str, tuple[int, int]] | None = Field(
        None, description="part of each day whose bookings are taken"
    )
    days_ahead: int = Field(7, ge=0, le=366, description="days after today that are read")
    username_env: str = Field("CALPENDO_USERNAME", description="variable with the account")
    password_env: str = Field("CALPENDO_PASSWORD", description="variable with the password")
    ca_bundle: str | None = Field(None, description="certificate of the site's authority")


class CalpendoSource(Source):
    """Bookings of one Calpendo site."""

    def __init__(self, settings: SourceSettings) -> None:
        super().__init__(settings)
        where = f"source {settings.name}"
        merged = {k: v for k, v in settings.config.items() if k not in OPTION_KEYS}
        if settings.window_mode is not None:
            merged["window_mode"] = settings.window_mode
        if settings.daily_window is not None:
            merged["daily_window"] = settings.daily_window.model_dump()
        self._config = read_settings(CalpendoSettings, merged, where)
        options = MappingOptions.read(settings.config, where)
        self._mapping = FieldMapping.read(
            settings.field_mapping, where=where, source_first=False, options=options
        )
        self._clock = SiteClock(self._config.timezone, settings.clock.now)
        self._client = CalpendoClient(
            self._config.base_url,
            self._config.api_path,
            credential(settings.environ, self._config.username_env, where),
            credential(settings.environ, self._config.password_env, where),
            self._config.ca_bundle or True,
        )
        wanted = self._config.status_filter or _PUBLISHED_STATUSES
        statuses = (wanted,) if isinstance(wanted, str) else wanted
        self._schedulable = frozenset(status.strip().lower() for status in statuses)
        self._paths_work: bool | None = None
        self._wide_at: dt.datetime | None = None

    @property
    def authority(self) -> str:
        """The address of the site."""
        return self._config.base_url.partition("://")[2].rstrip("/").lower()

    @property
    def days_ahead(self) -> int:
        """Days after today that are read."""
        only_today = self._config.window_mode == "today" or self._config.daily_window is not None
        return 0 if only_today else self._config.days_ahead

    def explain(self) -> list[str]:
        """How the field mapping was understood."""
        return self._mapping.explain()

    def close(self) -> None:
        """Close connections."""
        self._client.close()

    def fetch(self, window: BookingWindow) -> Batch:
        """Bookings of the window's days."""
        first, last = self._days(window)
        found = self._client.bookings(
            dt.datetime.combine(first, dt.time.min),
            dt.datetime.combine(last + dt.timedelta(days=1), dt.time.min),
            self._config.resources,
            self._paths(),
        )
        bookings, failed = self._with_details(found)
        records, rejected, notes = self._records(bookings)
        if failed:
            notes.append(f"{failed} bookings could not be read this time")
        return Batch(
            records=records,
            scope=DaysCovered(first, last),
            complete=not failed,
            next_cursor=window.now.isoformat(),
            rejected=tuple(rejected),
            notes=tuple(notes),
        )

    def _days(self, window: BookingWindow) -> tuple[dt.date, dt.date]:
        """All days when one query brings all; else the far ones only now and then."""
        if self.days_ahead == 0:
            today = self._clock.wall_of(window.now).date()
            last = today + dt.timedelta(days=1) if self._passes_midnight() else today
            return today, last
        due = self._wide_at is None or window.now - self._wide_at >= _WIDE_EVERY
        if self._paths_work or window.full or window.cursor is None or due:
            self._wide_at = window.now
            return window.first_day, window.last_day
        return window.first_day, min(window.last_day, window.first_day + dt.timedelta(days=2))

    def _passes_midnight(self) -> bool:
        daily = self._config.daily_window
        return daily is not None and daily["start_time"] > daily["end_time"]

    def _paths(self) -> Sequence[str]:
        if self._paths_work is False:
            return ()
        return sorted({*_NEEDED, *self._mapping.source_fields})

    def _with_details(
        self, found: Sequence[Mapping[str, Any]]
    ) -> tuple[list[Mapping[str, Any]], int]:
        """The bookings with all we need, and how many could not be read."""
        if found and all(self._is_enough(booking) for booking in found):
            self._paths_work = True
            return list(found), 0
        if found:
            self._paths_work = False
        with ThreadPoolExecutor(_DETAILS_AT_ONCE, thread_name_prefix="calpendo") as pool:
            details = list(pool.map(self._detail, found))
        there = [detail for detail in details if detail]
        return there, sum(detail is None for detail in details)

    def _is_enough(self, booking: Mapping[str, Any]) -> bool:
        has_start = date_range(booking, self._clock) is not None
        return has_start and bool(resource_of(booking)) and value_at(booking, "status") is not None

    def _detail(self, booking: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """One booking; empty when it is gone, nothing when it could not be read."""
        try:
            return self._client.booking(str(booking.get("id", "")))
        except SourceUnavailable:
            return None

    def _records(
        self, bookings: Sequence[Mapping[str, Any]]
    ) -> tuple[list[SourceRecord], list[RejectedRecord], list[str]]:
        records: list[SourceRecord] = []
        rejected: list[RejectedRecord] = []
        unknown: set[str] = set()
        for booking in bookings:
            record_id = str(booking.get("id", ""))
            if resource_of(booking) not in self._config.resources:
                continue  # a proxy or an old query grammar may return more than we asked for
            withdrawn = why_not(booking, self._schedulable) or self._unwanted(booking)
            if not withdrawn and date_range(booking, self._clock) is None:
                problem = ValueProblem("dateRange", "", "expected a start that can be read")
                rejected.append(RejectedRecord(record_id, (problem,)))
                continue
            status = str(value_at(booking, "status") or "")
            if status.lower() not in {*self._schedulable, *_KNOWN_STATUSES}:
                unknown.add(status)
            records.append(SourceRecord(record_id, booking, withdrawn))
        notes = [f"status {status!r} is not known and not scheduled" for status in sorted(unknown)]
        return records, rejected, notes

    def _unwanted(self, booking: Mapping[str, Any]) -> str:
        """Why the site does not want a booking that may be scanned; empty when it does."""
        moments = date_range(booking, self._clock)
        if moments is not None and not self._is_in_daily_window(moments[0].time()):
            return "outside the daily window"
        allowed = self._config.allowed_studies
        if allowed is not None:
            study = str(self._mapping.apply(booking).values.get("study_description") or "").strip()
            if study not in {name.strip() for name in allowed}:
                return "study is not allowed"
        return ""

    def _is_in_daily_window(self, start: dt.time) -> bool:
        daily = self._config.daily_window
        if daily is None:
            return True
        first, last = dt.time(*daily["start_time"]), dt.time(*daily["end_time"])
        return first <= start <= last if first <= last else start >= first or start <= last

    def values_of(self, record: SourceRecord) -> dict[str, Any]:
        """Worklist values of a booking: the mapping's, and what the booking itself says."""
        booking = record.fields
        values = self._mapping.apply(booking).values
        moments = date_range(booking, self._clock)
        if moments is not None:
            start, end = moments
            values.setdefault("scheduled_start_date", start.date())
            values.setdefault("scheduled_start_time", as_iso_time(start.time()))
            if end is not None:
                values.setdefault("scheduled_procedure_step_end_date", end.date())
                values.setdefault("scheduled_procedure_step_end_time", as_iso_time(end.time()))
        resource = resource_of(booking)
        modality = longest_prefix(self._config.resource_modality_mapping, resource)
        values.setdefault("modality", modality or _OTHER_MODALITY)
        station = longest_prefix(self._config.resource_station_mapping, resource)
        if station:
            values.setdefault("scheduled_station_ae_title", station)
        if len(resource) <= 16:
            values.setdefault("station_name", resource)
        project = name_of(value_at(booking, "project"))
        if project and not values.get("study_description"):
            values["study_description"] = project[:64]
        return values

    def still_there(self, record_ids: Sequence[str]) -> frozenset[str]:
        """Those that exist, are wanted and may be scanned: asked one by one."""
        there = set()
        for record_id in record_ids:
            booking = self._client.booking(record_id)
            if booking and self._is_wanted(booking):
                there.add(record_id)
        return frozenset(there)

    def _is_wanted(self, booking: Mapping[str, Any]) -> bool:
        return resource_of(booking) in self._config.resources and not (
            why_not(booking, self._schedulable) or self._unwanted(booking)
        )


_KNOWN_STATUSES = frozenset({"requested", "tentative", "approved", "denied", "cancelled"})


def longest_prefix(table: Mapping[str, str], name: str) -> str:
    """The entry of that name, else of the longest start of it; empty when there is none."""
    if name in table:
        return table[name]
    fitting = [start for start in table if name.startswith(start)]
    return table[max(fitting, key=len)] if fitting else ""


SOURCE = CalpendoSource
