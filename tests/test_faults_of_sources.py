"""Whatever REDCap and Calpendo do, a scanner that asks gets the last good list."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import REPOSITORY
from tests.desks import ZONE, CalpendoDesk, RedcapDesk
from tests.standins.clock import VirtualClock
from tests.waiting import eventually

from pylantir.config.schema import Config
from pylantir.daemon import Daemon, open_worklist
from pylantir.dicom.scu import Scanner
from pylantir.dicom.scu_identifier import build_identifier
from pylantir.polling import pollers
from pylantir.sources import patience
from pylantir.worklist.sources import SourceStore

FAULTS: list[dict[str, Any]] = [
    {"status": 401},
    {"status": 403, "body": '{"error":"You do not have permissions to use the API"}'},
    {"status": 404},
    {"status": 407},
    {"status": 500},
    {"status": 502},
    {"status": 503},
    {"status": 504},
    {"status": 500, "keep_body": True},
    {"retry_after": "120"},
    {"html": "login"},
    {"html": "maintenance"},
    {"html": "ban"},
    {"redirect": "/login"},
    {"body": ""},
    {"body": "null"},
    {"body": '{"error":"busy"}'},
    {"prefix": "<b>Warning</b>: mysql"},
    {"truncate_after": 1},
    {"truncate_after": 1, "chunked": True},
    {"length_error": 10},
    {"cut": "close"},
    {"cut": "reset"},
    {"gzip_garbage": True},
]
HELD: list[dict[str, Any]] = [
    {"hang": True},
    {"drip_s": 0.2},
    {"drip_s": 0.2, "chunked": True},
    {"latency_s": 60.0},
]


@dataclass
class Site:
    desks: tuple[RedcapDesk, CalpendoDesk]
    daemon: Daemon
    scanner: Scanner

    def answer(self) -> dict[str, tuple[str, str]]:
        """What a scanner gets: Patient ID to time and Study Instance UID."""
        found = self.scanner.find(build_identifier({}))
        assert found.status.is_success
        return {
            str(item.PatientID): (
                str(item.ScheduledProcedureStepSequence[0].ScheduledProcedureStepStartTime),
                str(item.StudyInstanceUID),
            )
            for item in found.items
        }

    def has_failed(self) -> bool:
        """Whether the last round of each source failed."""
        states = SourceStore(self.daemon.worklist.database)
        return all(states.state(desk.settings()["name"]).failures for desk in self.desks)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A daemon with both sources and their first bookings."""
    monkeypatch.setattr(patience, "FIRST_WAIT_S", 0.005)
    clock = VirtualClock(ZONE)
    desks = (RedcapDesk(clock), CalpendoDesk(clock))
    with ExitStack() as stack:
        for desk in desks:
            stack.enter_context(desk.server)
            today = clock.wall().date()
            desk.book(dt.datetime.combine(today, dt.time(11)))
            desk.book(dt.datetime.combine(today, dt.time(15)))
        daemon = _daemon(desks, tmp_path)
        stack.callback(daemon.stop)
        for desk in desks:
            stack.callback(desk.server.faults.clear)
        daemon.start()
        scanner = Scanner(daemon.peer)
        stack.callback(scanner.close)
        made = Site(desks, daemon, scanner)
        eventually(lambda: len(made.answer()) == 4)
        yield made


def _daemon(desks: tuple[RedcapDesk, CalpendoDesk], folder: Path) -> Daemon:
    environ: dict[str, str] = {}
    entries = []
    for desk in desks:
        told = desk.settings()
        environ |= told.pop("environ")
        entries.append({**told, "type": desk.source_type, "sync_interval": 0.3})
    config = Config(
        db_path=str(folder / "worklist.db"),
        ip="127.0.0.1",
        port=0,
        timezone=ZONE,
        data_sources=entries,
    )
    worklist = open_worklist(config)
    running = pollers(config, environ, worklist.database, worklist.clock, worklist.audit)
    return Daemon(worklist, *running)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_scanners_get_the_last_good_list_while_a_source_fails(
    site: Site, fault: dict[str, Any]
) -> None:
    before = site.answer()
    for desk in site.desks:
        desk.server.fault("*", **fault)
    eventually(site.has_failed)
    assert site.answer() == before


@pytest.mark.parametrize("fault", HELD, ids=str)
def test_scanners_get_the_last_good_list_while_a_source_keeps_us_waiting(
    site: Site, fault: dict[str, Any]
) -> None:
    before = site.answer()
    faults = [desk.server.fault("*", **fault) for desk in site.desks]
    eventually(lambda: all(fault.fired for fault in faults))
    assert site.answer() == before


def test_scanners_get_the_last_good_list_while_nobody_listens(site: Site) -> None:
    before = site.answer()
    for desk in site.desks:
        desk.server.stop()
    eventually(site.has_failed)
    assert site.answer() == before
    for desk in site.desks:
        desk.server.start()


def test_a_hung_source_does_not_hold_up_the_other(site: Site) -> None:
    redcap, calpendo = site.desks
    fault = redcap.server.fault("*", hang=True)
    eventually(lambda: fault.fired)
    calpendo.book(dt.datetime.combine(calpendo.server.clock.wall().date(), dt.time(17)))
    eventually(lambda: len(site.answer()) == 5)


def test_every_test_in_the_list_of_faults_exists() -> None:
    page = (REPOSITORY / "docs" / "faults-of-sources.md").read_text(encoding="utf-8")
    named = [part for part in page.split("`") if part.startswith("tests/")]
    assert len(named) > 60
    missing = []
    for name in named:
        path, _, test = name.partition("::")
        file = REPOSITORY / path
        if not file.is_file() or (test and f"def {test}(" not in file.read_text(encoding="utf-8")):
            missing.append(name)
    assert missing == []
