"""Seven days of a site at its worst: edits, outages, a change of the clocks, and kill -9.

Seeded: a number that fails fails again. After each round no scan may be reopened, no Study Instance
UID changed, no booking there twice; at the end the worklist is what the source says.
"""

from __future__ import annotations

import datetime as dt
import functools
import json
import random
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import REPOSITORY, clean_environment
from tests.desks import ZONE, CalpendoDesk, Desk, RedcapDesk
from tests.standins.clock import VirtualClock
from tests.worklist.bookings import begun

from pylantir.clock import SiteClock
from pylantir.errors import SourceError
from pylantir.sources import make_source, pacing, patience
from pylantir.sources.base import SourceSettings
from pylantir.sync import Synchronizer
from pylantir.worklist.database import Database
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.query import WorklistQuery
from pylantir.worklist.schema import prepare
from pylantir.worklist.status import ItemStatus, StepStatus
from pylantir.worklist.steps import StepStore
from pylantir.worklist.store import ItemStore

FRIDAY = dt.datetime(2026, 3, 6, 7)
"""In the night to its Sunday the clocks of Edmonton go forward."""

DAYS = 7
OUTAGES: list[dict[str, Any]] = [
    {"status": 503},
    {"status": 404},
    {"html": "login"},
    {"html": "maintenance"},
    {"cut": "reset"},
    {"truncate_after": 20},
    {"body": "null"},
    {"redirect": "/login"},
]
DEATHS = ("first request", "last request", "before commit", "after commit")


@pytest.fixture(autouse=True)
def _little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A week has many outages and requests; here it goes by in seconds."""
    monkeypatch.setattr(patience, "FIRST_WAIT_S", 0.005)
    budget = functools.partial(pacing.RequestBudget, per_second=1000)
    monkeypatch.setattr(pacing, "RequestBudget", budget)
    monkeypatch.setattr(pacing, "_budgets", {})


class Week:
    """One week of one site; every choice comes from the seed."""

    def __init__(self, desk: Desk, folder: Path, seed: int) -> None:
        self.desk = desk
        self.clock = desk.server.clock
        self.chance = random.Random(seed)
        self.database = Database(str(folder / "worklist.db"))
        prepare(self.database, now=self.clock.now())
        self.steps = StepStore(self.database, now=self.clock.now)
        self.uids: dict[str, str] = {}
        self.begun: dict[str, dt.datetime] = {}
        self.running: list[tuple[str, str]] = []
        self.outage = 0
        self.deaths = 0
        self.failures = 0
        self._sync: Synchronizer | None = None

    # What people and scanners do -----------------------------------------------------------

    def some_time(self) -> dt.datetime:
        """A time in the next nine days, some of it beyond the days that are read."""
        day = self.clock.wall().date() + dt.timedelta(days=self.chance.randrange(10))
        minute = self.chance.choice((0, 15, 30, 45))
        return dt.datetime.combine(day, dt.time(self.chance.randrange(22), minute))

    def act(self) -> None:
        """Up to three things happen at the desk; most are new bookings."""
        for _ in range(self.chance.randrange(4)):
            alive = sorted(self.desk.truth())
            if self.chance.random() < 0.55 or len(alive) < 30:
                self.desk.book(self.some_time())
            else:
                action = self.chance.choice(self.desk.actions())
                action(self.chance.choice(alive), self.some_time(), self.chance)

    def scan(self) -> None:
        """A scanner ends what runs, and begins what it has on its list."""
        while self.running:
            sop_instance_uid, _ = self.running.pop()
            end = self.chance.choice([StepStatus.COMPLETED, StepStatus.DISCONTINUED])
            self.steps.update(sop_instance_uid, lambda step, end=end: replace(step, status=end))
        today = self.clock.wall().date()
        ready = [
            item
            for item in self.items().values()
            if item.status is ItemStatus.SCHEDULED and item.start and item.start.date() == today
        ]
        for item in self.chance.sample(ready, min(len(ready), self.chance.randrange(3))):
            uid = f"2.25.{len(self.begun) + 1}"
            self.steps.create(begun(item, self.clock.wall(), sop_instance_uid=uid))
            self.running.append((f"2.25.{len(self.begun) + 1}", item.patient_id))
            assert item.start is not None
            self.begun[item.patient_id] = item.start

    # Rounds --------------------------------------------------------------------------------

    def sync(self) -> None:
        """One round, with whatever happens to it."""
        if self.outage:
            self.outage -= 1
            if not self.outage:
                self.desk.server.faults.clear()
        elif self.chance.random() < 0.12:
            self.outage = self.chance.randrange(1, 5)
            self.desk.server.fault("*", **self.chance.choice(OUTAGES))
        if self.chance.random() < 0.1:
            self._sync = None
        before = self.items()
        try:
            report = self.synchronizer.run_once()
        except SourceError:
            self.failures += 1
            assert self.items() == before
        else:
            assert not report.frozen

    @property
    def synchronizer(self) -> Synchronizer:
        """The engine of a process that has just begun, or goes on."""
        if self._sync is None:
            clock = SiteClock(ZONE, self.clock.now)
            settings = SourceSettings(clock=clock, **self.desk.settings())
            source = make_source(self.desk.source_type, settings)
            self._sync = Synchronizer(settings.name, source, self.database, clock)
        return self._sync

    def sync_and_die(self, where: str) -> None:
        """A real process syncs, and is killed there."""
        told = {
            "type": self.desk.source_type,
            "settings": self.desk.settings(),
            "database": str(self.database.path),
            "now": self.clock.now().isoformat(),
            "zone": ZONE,
            "dies": where,
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.syncing_process"],
            cwd=REPOSITORY,
            env=clean_environment(REPOSITORY),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        seen: list[Any] = []
        last = 2 if self.desk.source_type == "redcap" else 1

        def kill(entry: Any) -> None:
            seen.append(entry)
            if len(seen) == (1 if where == "first request" else last):
                process.kill()

        if where.endswith("request"):
            self.desk.server.before = kill
        said, _ = process.communicate(json.dumps(told), timeout=60)
        self.desk.server.before = None
        assert process.returncode != 0
        assert "done" not in said
        self._sync = None
        self.deaths += 1

    # What must be so -----------------------------------------------------------------------

    def items(self) -> dict[str, WorklistItem]:
        """By Patient ID, of which each may be there once."""
        found = ItemStore(self.database).find(WorklistQuery())
        made = {item.patient_id: item for item in found}
        assert len(made) == len(found), "a booking is there twice"
        return made

    def check(self) -> None:
        """No UID changes, no scan is reopened or moved."""
        items = self.items()
        for patient_id, item in items.items():
            uid = self.uids.setdefault(patient_id, item.study_instance_uid)
            assert item.study_instance_uid == uid
        assert len(set(self.uids.values())) == len(self.uids)
        for patient_id, start in self.begun.items():
            assert items[patient_id].status not in (ItemStatus.SCHEDULED, ItemStatus.CANCELLED)
            assert items[patient_id].start == start

    def check_truth(self) -> None:
        """What may be scanned is what the source says, at the times it says."""
        today = self.clock.wall().date()
        # What comes into the window is read once a day, so its last day may still be missing.
        days = (today - dt.timedelta(days=1), today + dt.timedelta(days=DAYS - 1))

        def of_days(starts: dict[str, dt.datetime]) -> dict[str, dt.datetime]:
            return {
                p: at
                for p, at in starts.items()
                if days[0] <= at.date() <= days[1] and p not in self.begun
            }

        scheduled = {
            patient_id: item.start
            for patient_id, item in self.items().items()
            if item.status is ItemStatus.SCHEDULED and item.start
        }
        assert of_days(scheduled) == of_days(self.desk.truth())

    def run(self, rounds: int, deaths: int) -> None:
        """Seven days in so many rounds, some of which end in kill -9."""
        fatal = set(self.chance.sample(range(4, rounds - 2), deaths))
        for _ in range(40):
            self.desk.book(self.some_time())
        for number in range(rounds):
            self.clock.advance(days=DAYS / rounds)
            self.act()
            if number % 3 == 1:
                self.scan()
            if number in fatal and not self.outage:
                self.sync_and_die(DEATHS[self.deaths % len(DEATHS)])
            else:
                self.sync()
            self.check()
        self.desk.server.faults.clear()
        self._sync = None
        self.synchronizer.run_once()
        self.check()
        self.check_truth()


def live(desk_of: Callable[[VirtualClock], Desk], folder: Path, seed: int, **how: int) -> Week:
    """A week, from its first booking to its last check."""
    desk = desk_of(VirtualClock(ZONE, FRIDAY, frozen=True))
    with desk.server:
        week = Week(desk, folder, seed)
        with closing(week.database):
            week.run(**how)
    return week


@pytest.mark.parametrize("desk_of", [RedcapDesk, CalpendoDesk])
def test_after_seven_days_the_worklist_is_what_the_source_says(
    desk_of: Callable[[VirtualClock], Desk], tmp_path: Path
) -> None:
    week = live(desk_of, tmp_path, 2026, rounds=42, deaths=4)
    assert week.failures > 2
    assert week.deaths > 2
    assert len(week.begun) > 5


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("desk_of", [RedcapDesk, CalpendoDesk])
def test_any_seven_days_end_well(
    desk_of: Callable[[VirtualClock], Desk], tmp_path: Path, seed: int
) -> None:
    live(desk_of, tmp_path, seed, rounds=168, deaths=24)
