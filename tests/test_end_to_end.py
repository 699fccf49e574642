"""The whole way: a booking in REDCap or Calpendo, the daemon, a scanner, and back."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import DaemonProcess, StartDaemon
from tests.standins.calpendo import CalpendoStandIn
from tests.standins.clock import VirtualClock
from tests.standins.redcap import RedcapStandIn
from tests.standins.redcap_samples import empty_project, scan_key
from tests.waiting import eventually

from pylantir.dicom.scu import Scanner
from pylantir.dicom.scu_association import Peer
from pylantir.dicom.scu_identifier import build_identifier
from pylantir.dicom.scu_mpps import final_attributes, step_attributes

ZONE = "America/Edmonton"


@pytest.fixture
def scanner_of() -> Iterator[Callable[[DaemonProcess], Scanner]]:
    opened: list[Scanner] = []

    def open_scanner(daemon: DaemonProcess) -> Scanner:
        peer = Peer(host="127.0.0.1", port=daemon.port, calling_ae_title="MR1")
        opened.append(Scanner(peer))
        return opened[-1]

    yield open_scanner
    for scanner in opened:
        scanner.close()


def write_config(folder: Path, source: dict[str, Any], secrets: dict[str, str]) -> str:
    """A configuration, and beside it the secrets as a site keeps them."""
    lines = [f"{name}={value}\n" for name, value in secrets.items()]
    (folder / ".env").write_text("".join(lines))
    path = folder / "site.json"
    values = {
        "db_path": str(folder / "worklist.db"),
        "ip": "127.0.0.1",
        "port": 0,
        "allowed_aet": ["MR1"],
        "timezone": ZONE,
        "data_sources": [{"sync_interval": 0.5, **source}],
    }
    path.write_text(json.dumps(values))
    return str(path)


def ids(scanner: Scanner) -> list[str]:
    return [str(item.PatientID) for item in scanner.find(build_identifier({})).items]


def test_a_redcap_booking_appears_moves_is_scanned_and_reported(
    daemon_process: StartDaemon,
    scanner_of: Callable[[DaemonProcess], Scanner],
    tmp_path: Path,
) -> None:
    with RedcapStandIn(clock=VirtualClock(ZONE), per_minute=None) as redcap:
        project = redcap.add_project(empty_project("repeating"))
        today = redcap.clock.wall().date()
        project.put("1", {"study_id": "S-014", "family_id": "F-7"})
        scan = {"mri_instance": "1", "mri_date": today.isoformat(), "mri_time": "11:00"}
        project.put("1", scan, scan_key(project, session=1))
        secrets = {"REDCAP_API_URL": redcap.api_url, "REDCAP_API_TOKEN": project.token}
        reports = {"status": "mri_pps_status", "status_codes": {"COMPLETED": "2"}}
        config = {"site_id": "792", "server_timezone": ZONE, "write_back": reports}
        source = {"name": "rc", "type": "redcap", "config": config}
        daemon = daemon_process("--config", write_config(tmp_path, source, secrets))
        scanner = scanner_of(daemon)

        assert eventually(lambda: ids(scanner)) == ["sub_014_ses_1_fam_7_site_792"]
        project.put("1", {"mri_time": "15:30"}, scan_key(project, session=1))
        later = {"ScheduledProcedureStepStartTime": "1530"}
        (item,) = eventually(lambda: scanner.find(build_identifier(later)).items)

        started = dt.datetime.combine(today, dt.time(15, 31))
        created = scanner.create(step_attributes(item, station_ae_title="MR1", started=started))
        assert created.status.is_success
        ended = final_attributes("COMPLETED", started, protocol_name="BRAIN")
        assert scanner.set(created.sop_instance_uid, ended).status.is_success
        assert ids(scanner) == []
        eventually(lambda: project.records["1"][scan_key(project, 1)].get("mri_pps_status") == "2")
        code, _ = daemon.stop()
        assert code == 0
        assert project.token not in daemon.log
        assert "S-014" not in daemon.log


def test_a_calpendo_booking_appears_and_vanishes_when_it_is_cancelled(
    daemon_process: StartDaemon,
    scanner_of: Callable[[DaemonProcess], Scanner],
    tmp_path: Path,
) -> None:
    with CalpendoStandIn(clock=VirtualClock(ZONE)) as calpendo:
        start = calpendo.clock.wall().replace(hour=13, minute=0, second=0, microsecond=0)
        start = start.replace(tzinfo=None)
        kept = calpendo.bookings.create("SUB001_Ada_Lovelace", start, resource="3T Diagnostic")
        gone = calpendo.bookings.create("SUB002_Grace_Hopper", start, resource="3T Diagnostic")
        user, password = calpendo.auth
        secrets = {"CALPENDO_USERNAME": user, "CALPENDO_PASSWORD": password}
        config = {
            "base_url": calpendo.base_url,
            "resources": ["3T Diagnostic"],
            "timezone": ZONE,
            "resource_modality_mapping": {"3T": "MR"},
        }
        pattern = {"pattern": "^([A-Z0-9]+)_.*", "group": 1}
        name = {"pattern": "^[A-Z0-9]+_(.+)$", "group": 1}
        mapping = {
            "patient_id": {"source_field": "title", "_extract": pattern},
            "patient_name": {"source_field": "title", "_extract": name},
            "accession_number": "id",
        }
        source = {"name": "cal", "type": "calpendo", "config": config, "field_mapping": mapping}
        daemon = daemon_process("--config", write_config(tmp_path, source, secrets))
        scanner = scanner_of(daemon)
        assert sorted(eventually(lambda: ids(scanner))) == ["SUB001", "SUB002"]
        calpendo.bookings.cancel(gone.id)
        eventually(lambda: ids(scanner) == ["SUB001"])
        calpendo.bookings.delete(kept.id)
        eventually(lambda: ids(scanner) == [])
