"""The scanner's side against a foreign worklist server: DCMTK's wlmscpfs."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from pylantir.dicom import scu
from pylantir.errors import PeerError

WLMSCPFS = shutil.which("wlmscpfs")

pytestmark = [
    pytest.mark.dcmtk,
    pytest.mark.skipif(WLMSCPFS is None, reason="wlmscpfs is not installed (package dcmtk)"),
]

BOOKINGS = (
    ("Müller^Anne", "P1", "20260304", "090000", "PRISMA"),
    ("Silva^João", "P2", "20260304", "143000", "SKYRA"),
    ("Hansen^Søren", "P3", "20260305", "090000", "PRISMA"),
)


def write_worklist(folder: Path) -> None:
    """The files wlmscpfs serves: one folder per AE title, with a lock file."""
    folder.mkdir(parents=True)
    (folder / "lockfile").touch()
    for number, (name, patient_id, day, time_of_day, station) in enumerate(BOOKINGS, 1):
        ds = scu.build_identifier(
            {
                "PatientName": name,
                "PatientID": patient_id,
                "AccessionNumber": f"A{number}",
                "StudyInstanceUID": f"1.2.3.{number}",
                "RequestedProcedureID": f"RP{number}",
                "RequestedProcedureDescription": "MRI brain",
                "ScheduledStationAETitle": station,
                "ScheduledProcedureStepStartDate": day,
                "ScheduledProcedureStepStartTime": time_of_day,
                "ScheduledProcedureStepID": f"S{number}",
                "ScheduledProcedureStepDescription": "Brain 3T",
                "Modality": "MR",
            },
            character_set="ISO_IR 100",
        )
        for keyword in [e.keyword for e in ds if e.VR == "SQ" and e.is_empty]:
            delattr(ds, keyword)
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.file_meta.MediaStorageSOPClassUID = scu.WORKLIST_FIND
        ds.file_meta.MediaStorageSOPInstanceUID = scu.new_uid()
        ds.save_as(folder / f"{number}.wl", enforce_file_format=True)


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[scu.Peer]:
    root = tmp_path_factory.mktemp("worklist")
    write_worklist(root / "FOREIGN")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    assert WLMSCPFS is not None
    process = subprocess.Popen(
        [WLMSCPFS, "--single-process", "-dfr", "-csk", "-dfp", str(root), str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield answering(scu.Peer("127.0.0.1", port, "FOREIGN", "MRI_1", timeout_s=10), process)
    finally:
        process.kill()
        process.communicate()


def answering(peer: scu.Peer, process: subprocess.Popen[bytes]) -> scu.Peer:
    """The peer, as soon as it answers; another program gives no other sign of being ready."""
    pause = threading.Event()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        try:
            scu.echo(peer)
        except PeerError:
            pause.wait(0.05)
        else:
            return peer
    process.kill()
    pytest.fail(f"wlmscpfs did not start: {process.communicate()[0]!r}")


def found(peer: scu.Peer, **keys: str) -> list[str]:
    result = scu.find(peer, scu.build_identifier(keys, character_set="ISO_IR 100"))
    assert result.status.is_success, result.status.words
    return sorted(item.PatientID for item in result.items)


def test_echo_succeeds(peer: scu.Peer) -> None:
    assert scu.echo(peer).words == "0x0000 Success"


def test_the_whole_worklist_comes_with_its_names_whole(peer: scu.Peer) -> None:
    result = scu.find(peer, scu.build_identifier({}, character_set="ISO_IR 100"))
    assert result.status.is_success
    assert {str(item.PatientName) for item in result.items} == {name for name, *_ in BOOKINGS}
    steps = [item.ScheduledProcedureStepSequence[0] for item in result.items]
    assert {step.ScheduledStationAETitle for step in steps} == {"PRISMA", "SKYRA"}


def test_a_scanner_sees_its_own_day(peer: scu.Peer) -> None:
    keys = {"ScheduledStationAETitle": "PRISMA", "ScheduledProcedureStepStartDate": "20260304"}
    assert found(peer, **keys) == ["P1"]
    assert found(peer, ScheduledProcedureStepStartDate="20260304-20260305", Modality="MR") == [
        "P1",
        "P2",
        "P3",
    ]


def test_patients_are_found_by_wild_card_and_accent(peer: scu.Peer) -> None:
    assert found(peer, PatientName="Müller*") == ["P1"]
    assert found(peer, PatientName="*ã*") == ["P2"]
    assert found(peer, PatientName="Nobody*") == []


def test_a_malformed_key_is_answered_with_a_failure_in_words(peer: scu.Peer) -> None:
    identifier = scu.build_identifier({"ScheduledProcedureStepStartDate": "tomorrow"})
    result = scu.find(peer, identifier)
    assert result.status.is_failure
    assert result.status.words.startswith("0xA900 Failure: Identifier does not match SOP class")
    assert result.items == []


def test_mpps_is_refused_by_name_where_there_is_none(peer: scu.Peer) -> None:
    with scu.Scanner(peer) as scanner:
        assert set(scanner.accepted) == {scu.VERIFICATION, scu.WORKLIST_FIND}
        with pytest.raises(PeerError, match="does not offer Modality Performed Procedure Step"):
            scanner.set("1.2.3", scu.build_identifier({}, return_all=False))


def test_an_ae_title_without_a_worklist_is_rejected_in_words(peer: scu.Peer) -> None:
    stranger = scu.Peer(peer.host, peer.port, "NOWHERE", timeout_s=5)
    with pytest.raises(PeerError, match=r"called AE title not recognised \(1,1,7\)"):
        scu.find(stranger, scu.build_identifier({}))


def test_a_step_can_be_built_from_a_foreign_item(peer: scu.Peer) -> None:
    import datetime as dt

    identifier = scu.build_identifier({"PatientID": "P1"}, character_set="ISO_IR 100")
    (item,) = scu.find(peer, identifier).items
    started = dt.datetime(2026, 3, 4, 9, 5)
    attributes = scu.step_attributes(item, station_ae_title="MRI_1", started=started)
    assert str(attributes.PatientName) == "Müller^Anne"
    assert attributes.ScheduledStepAttributesSequence[0].ScheduledProcedureStepID == "S1"
