"""For each type of source, a place with bookings where it can be tried for real.

The contract test runs over every type. Whoever adds a type to the registry adds its place here: a
few settings, bookings within the days around :data:`~tests.bookable.NOW`, and a way to take the
place away.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bookable import NOW, TODAY, BookableSource, MovableClock, booking
from tests.standins.calpendo import CalpendoStandIn
from tests.standins.clock import VirtualClock
from tests.standins.redcap import RedcapStandIn
from tests.standins.redcap_samples import sample_project

from pylantir.errors import SourceUnavailable
from pylantir.sources import make_source, register_source
from pylantir.sources.base import Source, SourceSettings

ZONE = "America/Edmonton"


@dataclass(frozen=True)
class Place:
    """Where a source finds bookings.

    Parameters
    ----------
    source_type : str
        Type in the configuration.
    config, field_mapping, environ : dict
        What a configuration says, and the environment.
    take_away : callable
        Makes the bookings unreachable.
    secrets : tuple of str
        What no message may hold.
    setting : str
        A key of ``config`` that the type knows; empty when it takes any.
    """

    source_type: str
    config: dict[str, Any]
    take_away: Callable[[], object]
    field_mapping: dict[str, Any] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    setting: str = ""

    def source(self, **config: Any) -> Source:
        """A source that finds the place, or would if its ``config`` were not changed."""
        settings = SourceSettings(
            name="tried",
            config={**self.config, **config},
            field_mapping=self.field_mapping,
            site="792",
            environ=self.environ,
            clock=MovableClock(),
        )
        return make_source(self.source_type, settings)


@contextmanager
def csv_place(folder: Path) -> Iterator[Place]:
    """A file that has been there for a while."""
    path = folder / "bookings.csv"
    header = "booking_id,patient_name,patient_id,modality,start_date,start_time"
    rows = [f"{n},Doe^{n},P-{n},MR,{TODAY},1{n}:00" for n in (1, 2)]
    path.write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    os.utime(path, (NOW.timestamp() - 3600,) * 2)
    yield Place("csv", {"path": str(folder)}, path.unlink, setting="pattern")


@contextmanager
def calpendo_place(folder: Path) -> Iterator[Place]:
    """A Calpendo server with two bookings on its scanner."""
    server = CalpendoStandIn(clock=VirtualClock(ZONE, NOW, frozen=True))
    with server:
        for hour in (9, 11):
            start = dt.datetime.combine(TODAY, dt.time(hour))
            server.bookings.create(f"SUB{hour:03d}_John_Doe", start)
        name, password = server.auth
        title = {"source_field": "title", "_extract": {"pattern": "^([A-Z0-9]+)_", "group": 1}}
        yield Place(
            "calpendo",
            {"base_url": server.base_url, "resources": ["3T Diagnostic"], "timezone": ZONE},
            lambda: server.stop() if server.running else None,
            field_mapping={"patient_id": title, "patient_name": "title"},
            environ={"CALPENDO_USERNAME": name, "CALPENDO_PASSWORD": password},
            secrets=(password,),
            setting="resources",
        )


def _redcap_place(source_type: str, suffix: str) -> Callable[[Path], Any]:
    @contextmanager
    def place(folder: Path) -> Iterator[Place]:
        server = RedcapStandIn(clock=VirtualClock(ZONE, NOW, frozen=True))
        project = server.add_project(sample_project())
        with server:
            yield Place(
                source_type,
                {"site_id": "792", "protocol": "BRAIN_MRI_3T", "mwl_days_ahead": 14},
                lambda: server.stop() if server.running else None,
                field_mapping={"scheduled_date": "mri_date", "scheduled_time": "mri_time"},
                environ={
                    f"REDCAP_API_URL{suffix}": server.api_url,
                    f"REDCAP_API_TOKEN{suffix}": project.token,
                },
                secrets=(project.token,),
                setting="protocol",
            )

    return place


@contextmanager
def registered_place(folder: Path) -> Iterator[Place]:
    """A source that somebody has registered in this process."""
    made: list[BookableSource] = []

    def factory(settings: SourceSettings) -> Source:
        source = BookableSource(settings)
        source.records = [booking("1"), booking("2")]
        made.append(source)
        return source

    def take_away() -> None:
        for source in made:
            source.error = SourceUnavailable("nobody is there")

    register_source("registered", factory)
    yield Place("registered", {}, take_away)


PLACES: dict[str, Callable[[Path], Any]] = {
    "csv": csv_place,
    "calpendo": calpendo_place,
    "redcap": _redcap_place("redcap", ""),
    "redcap_concussion": _redcap_place("redcap_concussion", "_CONCUSSION"),
    "registered": registered_place,
}
