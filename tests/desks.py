"""People who book scans: one desk in front of REDCap, one in front of Calpendo, the same to use.

Each booking has a Patient ID of its own, so that a test can tell what the worklist should hold
without knowing how a source names its records.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from typing import Any, Protocol

from tests.sources.calpendo_site import MAPPING
from tests.sources.redcap_site import SEED_MAPPING
from tests.standins.base import StandIn
from tests.standins.calpendo import CalpendoStandIn
from tests.standins.clock import VirtualClock
from tests.standins.redcap import RedcapStandIn
from tests.standins.redcap_data import Project, RowKey
from tests.standins.redcap_samples import empty_project, scan_key

ZONE = "America/Edmonton"


class Desk(Protocol):
    """Books, moves and cancels scans at one stand-in."""

    source_type: str

    @property
    def server(self) -> StandIn:
        """The server behind the desk."""

    def settings(self) -> dict[str, Any]:
        """Of the source, without its clock."""

    def book(self, start: dt.datetime) -> str:
        """A new booking at a wall-clock time; returns its Patient ID."""

    def truth(self) -> dict[str, dt.datetime]:
        """Patient ID and start of every booking that shall be scanned."""

    def actions(self) -> list[Callable[[str, dt.datetime, random.Random], None]]:
        """What may be done to a booking, given a new time."""


class CalpendoDesk:
    """Bookings of one resource of a Calpendo site."""

    source_type = "calpendo"

    def __init__(self, clock: VirtualClock) -> None:
        self.server = CalpendoStandIn(clock=clock)
        self._ids: dict[str, int] = {}

    def settings(self) -> dict[str, Any]:
        user, password = self.server.auth
        return {
            "name": "cal",
            "config": {
                "base_url": self.server.base_url,
                "resources": ["3T Diagnostic"],
                "timezone": ZONE,
                "request_timeout": 30,
            },
            "field_mapping": MAPPING,
            "environ": {"CALPENDO_USERNAME": user, "CALPENDO_PASSWORD": password},
        }

    def book(self, start: dt.datetime) -> str:
        patient_id = f"SUB{len(self._ids):04d}"
        made = self.server.bookings.create(f"{patient_id}_Ada_Lovelace", start, minutes=45)
        self._ids[patient_id] = made.id
        return patient_id

    def truth(self) -> dict[str, dt.datetime]:
        held = self.server.bookings.items
        found = {p: held[i] for p, i in self._ids.items() if i in held}
        return {
            patient_id: booking.start
            for patient_id, booking in found.items()
            if booking.status == "Approved" and booking.resource.name == "3T Diagnostic"
        }

    def actions(self) -> list[Callable[[str, dt.datetime, random.Random], None]]:
        desk = self.server.bookings
        return [
            lambda p, at, chance: desk.move(self._ids[p], start=at) and None,
            lambda p, at, chance: desk.move(self._ids[p], resource="9.4T Animal") and None,
            lambda p, at, chance: desk.cancel(self._ids[p]) and None,
            lambda p, at, chance: desk.edit(self._ids[p], status="Denied") and None,
            lambda p, at, chance: desk.delete(self._ids[p]),
            lambda p, at, chance: desk.edit(self._ids[p], title=f"{p}_New_{at:%a}") and None,
        ]


class RedcapDesk:
    """Bookings in a REDCap project whose scans repeat; a record has up to three."""

    source_type = "redcap"

    def __init__(self, clock: VirtualClock) -> None:
        self.server = RedcapStandIn(clock=clock, per_minute=None)
        self.project: Project = self.server.add_project(empty_project("repeating"))
        self._places: dict[str, tuple[str, RowKey]] = {}
        self._people = 0

    def settings(self) -> dict[str, Any]:
        return {
            "name": "rc",
            "config": {"site_id": "792", "server_timezone": ZONE, "days_ahead": 7},
            "field_mapping": SEED_MAPPING,
            "environ": {
                "REDCAP_API_URL": self.server.api_url,
                "REDCAP_API_TOKEN": self.project.token,
            },
        }

    def book(self, start: dt.datetime) -> str:
        sessions = sum(r == str(self._people) for r, _ in self._places.values())
        if sessions in (0, 3) or str(self._people) not in self.project.records:
            self._people, sessions = self._people + 1, 0
            person = {"study_id": f"S-{self._people:04d}", "family_id": f"F-{self._people}"}
            self.project.put(str(self._people), person)
        record, key = str(self._people), scan_key(self.project, sessions + 1)
        self.project.put(record, {"mri_instance": str(sessions + 1)} | _when(start), key)
        patient_id = f"sub_{self._people:04d}_ses_{sessions + 1}_fam_{self._people}_site_792"
        self._places[patient_id] = (record, key)
        return patient_id

    def truth(self) -> dict[str, dt.datetime]:
        found = {}
        for patient_id, (record, key) in self._places.items():
            row = self.project.records.get(record, {}).get(key, {})
            if row.get("mri_date") and row.get("mri_time"):
                found[patient_id] = dt.datetime.fromisoformat(
                    f"{row['mri_date']}T{row['mri_time']}"
                )
        return found

    def actions(self) -> list[Callable[[str, dt.datetime, random.Random], None]]:
        put = self.project.put
        return [
            lambda p, at, chance: put(self._places[p][0], _when(at), self._places[p][1]) and None,
            lambda p, at, chance: (
                put(self._places[p][0], {"mri_date": ""}, self._places[p][1]) and None
            ),
            lambda p, at, chance: self.project.delete_row(*self._places[p]),
            lambda p, at, chance: self.project.delete_record(self._places[p][0]),
            lambda p, at, chance: (
                put(
                    self._places[p][0],
                    {"mri_wt_lbs": str(chance.randrange(60, 240))},
                    self._places[p][1],
                )
                and None
            ),
        ]


def _when(start: dt.datetime) -> dict[str, str]:
    return {"mri_date": start.date().isoformat(), "mri_time": f"{start:%H:%M}"}
