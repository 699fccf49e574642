"""A whole day of a real daemon, with faults everywhere, and no patient in anything that it says."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import DaemonProcess, StartDaemon, clean_environment, command
from tests.dicom.modality import Aborted, HungUp, Modality, Refused
from tests.dicom.performing import begun, ended, new_uid, scheduled
from tests.dicom.serving import query
from tests.standins.calpendo import CalpendoStandIn
from tests.standins.clock import VirtualClock
from tests.standins.redcap import RedcapStandIn
from tests.standins.redcap_data import Project
from tests.standins.redcap_samples import empty_project, scan_key
from tests.test_end_to_end import ZONE, eventually

from pylantir.audit.files import TrailFiles
from pylantir.audit.reading import Selection, read
from pylantir.audit.verification import verify

STUDY, FAMILY, SUBJECT = "GEHEIM77", "SIPPE99", "QUARK555"
NAME, ACCESSION, BIRTH_DATE = "Zenobia", "ACC0815Y", "19280229"
PEOPLE = (STUDY, FAMILY, SUBJECT, NAME, ACCESSION, BIRTH_DATE, "1928-02-29")
PAGE = f'{{"error": "record {STUDY} of {NAME}", "mri_date": "{BIRTH_DATE}"}}'
LINE = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8} (DEBUG|INFO|WARNING|ERROR|CRITICAL) +\S.*|"
    r"(Traceback|  |[A-Za-z_.]+(Error|Exception)).*"
)


@dataclass
class Site:
    """Two sources with a booking each, and what nobody may read in a log."""

    redcap: RedcapStandIn
    project: Project
    calpendo: CalpendoStandIn
    folder: Path

    @property
    def secrets(self) -> tuple[str, ...]:
        return self.project.token, self.calpendo.auth[1]

    def configure(self) -> str:
        user, password = self.calpendo.auth
        secrets = {
            "REDCAP_API_URL": self.redcap.api_url,
            "REDCAP_API_TOKEN": self.project.token,
            "CALPENDO_USERNAME": user,
            "CALPENDO_PASSWORD": password,
        }
        text = "".join(f"{name}={value}\n" for name, value in secrets.items())
        (self.folder / ".env").write_text(text)
        path = self.folder / "site.json"
        path.write_text(json.dumps(self.values()))
        return str(path)

    def values(self) -> dict[str, Any]:
        title = {"pattern": "^([A-Z0-9]+)_.*", "group": 1}
        name = {"pattern": "^[A-Z0-9]+_(.+)$", "group": 1}
        calpendo = {
            "name": "cal",
            "type": "calpendo",
            "sync_interval": 0.3,
            "config": {
                "base_url": self.calpendo.base_url,
                "resources": ["3T Diagnostic"],
                "timezone": ZONE,
                "resource_modality_mapping": {"3T": "MR"},
            },
            "field_mapping": {
                "patient_id": {"source_field": "title", "_extract": title},
                "patient_name": {"source_field": "title", "_extract": name},
                "accession_number": "id",
            },
        }
        redcap = {
            "name": "rc",
            "type": "redcap",
            "sync_interval": 0.3,
            "config": {"site_id": "792", "server_timezone": ZONE},
        }
        return {
            "db_path": str(self.folder / "worklist.db"),
            "ip": "127.0.0.1",
            "allowed_aet": ["MR1"],
            "timezone": ZONE,
            "log": {"file": str(self.folder / "pylantir.log")},
            "data_sources": [redcap, calpendo],
        }


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with (
        RedcapStandIn(clock=VirtualClock(ZONE), per_minute=None) as redcap,
        CalpendoStandIn(clock=VirtualClock(ZONE)) as calpendo,
    ):
        project = redcap.add_project(empty_project("repeating"))
        today = redcap.clock.wall().date()
        project.put("1", {"study_id": STUDY, "family_id": FAMILY})
        scan = {"mri_instance": "1", "mri_date": today.isoformat(), "mri_time": "11:00"}
        project.put("1", scan, scan_key(project, session=1))
        start = calpendo.clock.wall().replace(hour=13, minute=0, second=0, microsecond=0)
        calpendo.bookings.create(
            f"{SUBJECT}_{NAME}", start.replace(tzinfo=None), resource="3T Diagnostic"
        )
        yield Site(redcap, project, calpendo, tmp_path)


def patient_ids(port: int) -> list[str]:
    with Modality(port) as scanner:
        return [str(item.PatientID) for item in scanner.find(query()).items]


def let_scanners_work(port: int) -> None:
    """Good and bad messages, all of them with somebody in it."""
    patient = {"PatientName": f"{NAME}^X", "PatientID": STUDY, "PatientBirthDate": BIRTH_DATE}
    with Modality(port) as scanner:
        scanner.find(query(PatientName=f"{NAME}*", AccessionNumber=ACCESSION))
        wrong = query()
        wrong.add_new("PatientBirthDate", "LO", f"x{BIRTH_DATE}")
        scanner.find(wrong)
        scanner.find(f"{NAME} {STUDY}".encode() * 9)
        uid = new_uid()
        scanner.create(begun(scheduled(AccessionNumber=ACCESSION), **patient), uid)
        scanner.create(begun(**patient), uid)
        scanner.create(begun(**patient, Modality=""), new_uid())
        scanner.create(f"{NAME} {STUDY}".encode() * 9, new_uid())
        scanner.set(uid, ended(PatientID=STUDY))
        scanner.set(uid, ended())
        scanner.get(uid)
    for calling in ("MR9", "MR1\nERROR x", "MR1\x1b[2J"):
        with (
            contextlib.suppress(Refused, Aborted, HungUp, OSError),
            Modality(port, calling=calling) as scanner,
        ):
            scanner.find(query(PatientName=NAME))


def let_sources_fail(site: Site, daemon: DaemonProcess) -> None:
    """Each fault is met by at least one round, and each answer has somebody in it."""
    for fault in (
        {"status": 500, "body": PAGE},
        {"status": 200, "body": PAGE},
        {"prefix": PAGE},
        {"truncate_after": 40},
        {
            "status": 403,
            "body": PAGE,
        },  # the last: who is refused asks again in a quarter of an hour
    ):
        met = {stand_in: stand_in.journal.count("*") for stand_in in (site.redcap, site.calpendo)}
        for stand_in in met:
            stand_in.fault("*", **fault)
        eventually(lambda before=met: any(s.journal.count("*") > n for s, n in before.items()))
        if fault.get("status") != 403:
            site.redcap.faults.clear()
            site.calpendo.faults.clear()
    assert daemon.process.poll() is None


def spoil_bookings(site: Site) -> None:
    """Bookings that cannot be scanned, by values that name somebody."""
    site.project.put("2", {"study_id": STUDY + "\\2", "family_id": "x" * 90})
    scan = {"mri_instance": "1", "mri_date": f"{STUDY}-{NAME}", "mri_time": NAME}
    site.project.put("2", scan, scan_key(site.project, session=1))


@pytest.mark.parametrize("level", ["usual", "verbose"])
def test_nothing_that_the_daemon_says_names_a_patient_or_a_secret(
    site: Site, daemon_process: StartDaemon, level: str
) -> None:
    path = site.configure()
    words = ["--config", path, *(["-v"] if level == "verbose" else [])]
    daemon = daemon_process(*words)
    eventually(lambda: len(patient_ids(daemon.port)) == 2)
    let_scanners_work(daemon.port)
    spoil_bookings(site)
    let_sources_fail(site, daemon)
    let_scanners_work(daemon.port)
    code, _ = daemon.stop()

    log_file = (site.folder / "pylantir.log").read_text(encoding="utf-8")
    said = "\n".join([daemon.log, *daemon.banner, log_file])
    assert code == 0
    assert said.count("C-FIND from MR1: ") > 2
    forbidden = site.secrets if level == "verbose" else (*PEOPLE, *site.secrets)
    assert [word for word in forbidden if word.casefold() in said.casefold()] == []
    if level == "usual":
        assert [line for line in daemon.log.splitlines() if not LINE.fullmatch(line)] == []
    trail = TrailFiles(site.folder / "worklist.audit")
    assert verify(trail).is_intact
    assert any(STUDY in json.dumps(record.values) for record in read(trail)), "its purpose"
    assert [word for word in site.secrets if any(word in str(r) for r in read(trail))] == []


def test_commands_complain_without_secrets(site: Site) -> None:
    path = site.configure()
    spoil_bookings(site)
    site.redcap.fault("*", status=403, body=f"{PAGE} {site.project.token}")
    site.calpendo.fault("*", status=401, body=f"{PAGE} {site.calpendo.auth[1]}")
    environment = clean_environment(site.folder)
    said = ""
    for words in (
        ("sync", "--once", "-v"),
        ("check-config", "--online", "-v"),
        ("sources", "--json"),
        ("sync", "--dry-run", "-v"),
        ("query-db", "-v"),
        ("audit",),
    ):
        ran = subprocess.run(
            command(*words, "--config", path),
            cwd=site.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        said += ran.stdout + ran.stderr

    assert "FAIL" in said
    assert [word for word in site.secrets if word in said] == []
    trail = TrailFiles(site.folder / "worklist.audit")
    assert not list(read(trail, Selection(since=dt.datetime.now(dt.UTC))))
