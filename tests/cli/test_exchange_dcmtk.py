"""An exported folder is served by another worklist server: DCMTK's wlmscpfs."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import dcmtk_program
from tests.worklist.bookings import booking

from pylantir.cli import main
from pylantir.worklist.textfiles import write_json

TOOLS = {name: dcmtk_program(name) for name in ("wlmscpfs", "findscu", "echoscu")}

pytestmark = [
    pytest.mark.dcmtk,
    pytest.mark.skipif(not all(TOOLS.values()), reason="wlmscpfs is not installed (package dcmtk)"),
]

CODE = {"value": "DTI", "scheme": "99L", "meaning": "Diffusion"}
BOOKINGS = (
    booking("1", patient_name="Müller^Zoë", patient_id="P1", requested_procedure_codes=[CODE]),
    booking("2", patient_name="Smith^John", patient_id="P2", scheduled_protocol_codes=[CODE]),
    booking("3", patient_name="Yamada^Tarou=山田^太郎", patient_id="P3", modality="CT"),
    booking(
        "4",
        patient_name="Done^Jane",
        patient_id="P4",
        status="COMPLETED",
        ReferencedStudySequence=[
            {"ReferencedSOPClassUID": "1.2.3", "ReferencedSOPInstanceUID": "1.2.4"}
        ],
    ),
)


pytestmark = pytest.mark.usefixtures("logging_as_it_was")


def run(name: str, *argv: str) -> subprocess.CompletedProcess[bytes]:
    program = TOOLS[name]
    assert program is not None
    return subprocess.run([program, *argv], capture_output=True, timeout=30, check=False)


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """A folder as ``wlmscpfs --data-files-path`` wants it, with one AE title."""
    config, bookings = tmp_path / "site.json", tmp_path / "bookings.json"
    config.write_text(json.dumps({"db_path": str(tmp_path / "worklist.db"), "allowed_aet": []}))
    bookings.write_text(write_json(BOOKINGS), encoding="utf-8")
    common = ["--config", str(config)]
    assert main(["import", str(bookings), *common]) == 0
    folder = tmp_path / "served" / "MWL"
    assert main(["export", "--format", "wl", "--output", str(folder), *common]) == 0
    completed = ["--status", "COMPLETED"]
    assert main(["export", "--output", str(folder), *completed, *common]) == 0
    return folder.parent


@pytest.fixture
def port(exported: Path) -> Iterator[str]:
    """A running wlmscpfs that rejects incomplete files, as it does by default."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        number = str(probe.getsockname()[1])
    program = TOOLS["wlmscpfs"]
    assert program is not None
    server = subprocess.Popen(
        [program, "-v", "--single-process", "-efr", "-csk", "-dfp", str(exported), number],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    pause, deadline = threading.Event(), time.monotonic() + 20
    try:
        while run("echoscu", "-aec", "MWL", "127.0.0.1", number).returncode:
            assert time.monotonic() < deadline
            assert server.poll() is None
            pause.wait(0.05)
        yield number
    finally:
        server.kill()
        told, _ = server.communicate()
    assert b"incomplete" not in told


def find(port: str, *keys: str) -> bytes:
    asked = [part for key in ("PatientName", "PatientID", *keys) for part in ("-k", key)]
    done = run("findscu", "-v", "-W", "-aec", "MWL", *asked, "127.0.0.1", port)
    assert done.returncode == 0, done.stderr
    # What was asked is shown first; the answers follow.
    return (done.stdout + done.stderr).partition(b"Find Response: 1")[2]


def test_wlmscpfs_serves_every_file_of_an_exported_folder(port: str) -> None:
    told = find(port, "ScheduledProcedureStepSequence[0].Modality")
    for patient in (b"[P1", b"[P2", b"[P3", b"[P4"):
        assert told.count(patient) == 1, told
    assert "Müller^Zoë".encode("latin-1") in told
    assert "山田^太郎".encode() in told


def test_wlmscpfs_matches_what_stands_in_the_files(port: str) -> None:
    told = find(port, "ScheduledProcedureStepSequence[0].Modality=CT", "StudyInstanceUID")
    assert told.count(b"PatientName") == 1
    assert b"[P3" in told
    item = BOOKINGS[2]
    assert item.study_instance_uid.encode() in told
    station = "ScheduledProcedureStepSequence[0].ScheduledStationAETitle=NOBODY"
    assert b"PatientName" not in find(port, station)
