"""A site whose worklist is kept by REDCap: the stand-in server, the source, the engine."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.standins.clock import VirtualClock
from tests.standins.redcap import RedcapStandIn
from tests.standins.redcap_data import Project
from tests.standins.redcap_samples import generate, sample_project
from tests.worklist.bookings import begun

from pylantir.clock import SiteClock
from pylantir.sources import make_source
from pylantir.sources.base import SourceSettings
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
SEED_MAPPING = {
    "study_id": "study_id",
    "instrument": "redcap_repeat_instrument",
    "session_id": "mri_instance",
    "family_id": "family_id",
    "youth_dob_y": "youth_dob_y",
    "t1_date": "t1_date",
    "demo_sex": "demo_sex",
    "scheduled_date": "mri_date",
    "scheduled_time": "mri_time",
    "mri_wt_lbs": "patient_weight_lb",
    "referring_physician": "referring_physician_name",
    "status": "performed_procedure_step_status",
}


@dataclass
class Site:
    server: RedcapStandIn
    project: Project
    database: Database
    config: dict[str, Any] = field(default_factory=dict)
    mapping: dict[str, Any] = field(default_factory=lambda: dict(SEED_MAPPING))
    source_type: str = "redcap"
    skew: dt.timedelta = dt.timedelta(0)
    """How far our clock is ahead of the server's."""
    _sync: Synchronizer | None = None

    @property
    def environ(self) -> dict[str, str]:
        return {"REDCAP_API_URL": self.server.api_url, "REDCAP_API_TOKEN": self.project.token}

    def synchronizer(self, **environ: str) -> Synchronizer:
        clock = SiteClock(ZONE, lambda: self.server.clock.now() + self.skew)
        settings = SourceSettings(
            name="rc",
            config={"site_id": "792", "server_timezone": ZONE, **self.config},
            field_mapping=self.mapping,
            protocol={"792": "BRAIN_MRI_3T", "mapping": "GEHC"},
            environ=environ or self.environ,
            clock=clock,
        )
        source = make_source(self.source_type, settings)
        return Synchronizer("rc", source, self.database, clock)

    def sync(self, **how: Any) -> SyncReport:
        self._sync = self._sync or self.synchronizer()
        return self._sync.run_once(**how)

    @property
    def cursor(self) -> str:
        assert self._sync is not None
        return self._sync.states.state("rc").cursor

    def restart(self) -> None:
        self._sync = None

    def items(self) -> dict[str, WorklistItem]:
        found = ItemStore(self.database).find(WorklistQuery())
        return {item.source_record_id: item for item in found}

    def scheduled(self) -> list[str]:
        return sorted(k for k, i in self.items().items() if i.status is ItemStatus.SCHEDULED)

    def later(self, **delta: float) -> None:
        self.server.clock.advance(dt.timedelta(**delta).total_seconds())


@contextmanager
def redcap_site(folder: Path, start: dt.datetime = START) -> Iterator[Site]:
    """The sample project, with the clocks of server and site at the same frozen instant."""
    database = Database(str(folder / "worklist.db"))
    prepare(database, now=dt.datetime(2026, 3, 2, tzinfo=dt.UTC))
    with RedcapStandIn(clock=VirtualClock(ZONE, start, frozen=True), per_minute=None) as server:
        project = server.add_project(sample_project())
        yield Site(server, project, database)
    database.close()


def use(site: Site, project: Project) -> Project:
    site.server.projects.clear()
    site.project = site.server.add_project(project)
    return site.project


def many(site: Site, records: int = 12, **how: Any) -> Project:
    """A project whose records were all entered long ago."""
    project = generate(
        records, first_day=dt.date(2026, 3, 2), days=5, clock=site.server.clock, **how
    )
    return use(site, project)


def begin(site: Site, record_id: str) -> None:
    """A scanner reports that it has begun."""
    step = begun(site.items()[record_id])
    StepStore(site.database, now=site.server.clock.now).create(step)
