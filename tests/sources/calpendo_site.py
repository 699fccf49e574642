"""A Calpendo site with its worklist, for the tests of its source."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.standins.calpendo import CalpendoStandIn
from tests.standins.calpendo_data import Booking
from tests.standins.clock import VirtualClock
from tests.worklist.bookings import begun

from pylantir.clock import SiteClock
from pylantir.sources.base import Batch, BookingWindow, SourceSettings
from pylantir.sources.calpendo import CalpendoSource
from pylantir.sources.rounds import SyncReport
from pylantir.sync import Synchronizer
from pylantir.worklist.database import Database
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.query import WorklistQuery
from pylantir.worklist.schema import prepare
from pylantir.worklist.status import ItemStatus
from pylantir.worklist.steps import StepStore
from pylantir.worklist.store import ItemStore

ZONE = "America/Edmonton"
START = dt.datetime(2026, 3, 2, 8)
TODAY = START.date()
MAPPING: dict[str, Any] = {
    "patient_id": {
        "source_field": "title",
        "_extract": {"pattern": "^([A-Z0-9]+)_.*", "group": 1},
    },
    "patient_name": {
        "source_field": "title",
        "_extract": {"pattern": "^[A-Z0-9]+_(.+)$", "group": 1},
    },
    "study_description": {
        "source_field": "properties.project.formattedName",
        "_extract": {"pattern": "^([^(]+)", "group": 1},
    },
    "accession_number": "id",
}
"""As the published example has it."""


def at(hour: int, minute: int = 0, days: int = 0) -> dt.datetime:
    return dt.datetime.combine(TODAY + dt.timedelta(days=days), dt.time(hour, minute))


@dataclass
class Site:
    server: CalpendoStandIn
    database: Database
    config: dict[str, Any] = field(default_factory=dict)
    mapping: dict[str, Any] = field(default_factory=lambda: dict(MAPPING))
    entry: dict[str, Any] = field(default_factory=dict)
    site_zone: str | None = ZONE
    environ: dict[str, str] = field(default_factory=dict)
    _source: CalpendoSource | None = None

    @property
    def clock(self) -> SiteClock:
        return SiteClock(self.site_zone, self.server.clock.now)

    @property
    def source(self) -> CalpendoSource:
        if self._source is None:
            name, password = self.server.auth
            account = {"CALPENDO_USERNAME": name, "CALPENDO_PASSWORD": password}
            config = {
                "base_url": self.server.base_url,
                "api_path": self.server.api_path,
                "resources": ["3T Diagnostic"],
                "request_timeout": 5,
                **self.config,
            }
            self._source = CalpendoSource(
                SourceSettings(
                    name="cal",
                    config=config,
                    field_mapping=self.mapping,
                    environ=account | self.environ,
                    clock=self.clock,
                    **self.entry,
                )
            )
        return self._source

    def restart(self, **config: Any) -> None:
        if self._source is not None:
            self._source.close()
        self._source = None
        self.config |= config

    def fetch(self, cursor: str | None = None, *, full: bool = False) -> Batch:
        today = self.clock.today()
        last = today + dt.timedelta(days=self.source.days_ahead)
        first = today - dt.timedelta(days=1)
        return self.source.fetch(BookingWindow(self.clock.now(), cursor, first, last, full))

    def values(self) -> list[dict[str, Any]]:
        """Values of the bookings that may be scanned."""
        records = self.fetch().records
        return [self.source.values_of(r) for r in records if not r.withdrawn]

    def sync(self, **how: Any) -> SyncReport:
        return Synchronizer("cal", self.source, self.database, self.clock).run_once(**how)

    def book(self, title: str, start: dt.datetime, **more: Any) -> Booking:
        return self.server.bookings.create(title, start, **more)

    def items(self) -> dict[str, WorklistItem]:
        found = ItemStore(self.database).find(WorklistQuery())
        return {item.source_record_id: item for item in found}

    def item(self, booking: Booking) -> WorklistItem:
        return self.items()[str(booking.id)]

    def scheduled(self) -> list[str]:
        found = self.items().values()
        return sorted(i.patient_id for i in found if i.status is ItemStatus.SCHEDULED)

    def later(self, **delta: float) -> None:
        self.server.clock.advance(dt.timedelta(**delta).total_seconds())


@contextmanager
def calpendo_site(folder: Path, **server: Any) -> Iterator[Site]:
    database = Database(str(folder / "worklist.db"))
    prepare(database, now=dt.datetime(2026, 3, 2, tzinfo=dt.UTC))
    clock = VirtualClock(ZONE, START, frozen=True)
    with CalpendoStandIn(clock=clock, **server) as stand_in:
        site = Site(stand_in, database)
        yield site
        site.restart()
    database.close()


def ids(site: Site) -> list[str]:
    """Patients whose bookings may be scanned, as one fetch brings them."""
    return sorted(v["patient_id"] for v in site.values())


def ignore_paths(site: Site) -> None:
    """Make the server one that does not know ``paths``."""
    site.server._paths = lambda type_name, request: []  # type: ignore[method-assign]


def begin_scan(site: Site, item: WorklistItem) -> None:
    """Report that a scanner has begun an item."""
    StepStore(site.database, now=site.clock.now).create(begun(item, at(9, 1)))
