"""What scanners ask for and report is in the audit trail."""

from __future__ import annotations

import base64
import time
from typing import Any

import pytest
from pydicom.dataset import Dataset
from tests.audit.trails import lines
from tests.dicom.conftest import MakeServer
from tests.dicom.modality import C_FIND, WORKLIST, Refused, encode
from tests.dicom.performing import begun, ended, scheduled
from tests.dicom.serving import Server, query
from tests.worklist.bookings import booking

from pylantir.audit.verification import verify


def events_of(server: Server) -> list[dict[str, Any]]:
    """What is in the trail once the server has stopped."""
    server.stop()
    assert verify(server.trail).is_intact
    return lines(server.trail)


def of_kind(subjects: list[dict[str, Any]], kind: str) -> list[str]:
    return [subject["id"] for subject in subjects if subject["kind"] == kind]


@pytest.fixture
def audited(make_server: MakeServer) -> Server:
    return make_server(audited=True, allowed_aet=["MR1"])


def test_a_query_is_kept_with_who_where_what_and_how_many(audited: Server) -> None:
    audited.items.put([booking("1"), booking("2")])
    identifier = query({"Modality": "MR"}, PatientName="DOE*")

    found = audited.find(identifier)

    (event,) = events_of(audited)
    scanner, ours = event["actors"]
    assert scanner == {
        "user": "MR1",
        "ae_title": "MR1",
        "address": "127.0.0.1",
        "role": "source",
        "requestor": True,
    }
    assert ours["ae_title"] == "MWL_SERVER"
    (subject,) = event["subjects"]
    assert base64.b64decode(subject["query"]) == encode(identifier)
    assert subject["details"]["NumberOfItems"] == str(len(found.items))
    assert (event["event"], event["outcome"]) == ("query", 0)
    assert "reason" not in event


def test_a_query_that_is_none_is_kept_with_its_reason(audited: Server) -> None:
    answer = audited.find(b"\x00" * 40)

    (event,) = events_of(audited)
    assert answer.status == 0xA900
    assert event["outcome"] == 4
    assert event["reason"]


def test_a_performed_step_names_the_patient_of_its_booking(audited: Server) -> None:
    item = audited.book("1")
    uid = "1.2.3.4"
    audited.mr1.create(begun(scheduled(item)), uid)
    audited.mr1.set(uid, ended())

    created, updated = events_of(audited)
    assert [event["event"] for event in (created, updated)] == ["created", "updated"]
    for event in (created, updated):
        assert of_kind(event["subjects"], "step") == [uid]
        assert of_kind(event["subjects"], "study") == [item.study_instance_uid]
        assert of_kind(event["subjects"], "patient") == [item.patient_id]
        assert event["subjects"][0]["details"]["Items"] == str(item.item_id)
    assert updated["subjects"][0]["details"]["Status"] == "COMPLETED"


def test_a_step_that_was_refused_is_kept_with_its_status(audited: Server) -> None:
    audited.mr1.create(Dataset(), "1.2.3.5")

    (event,) = events_of(audited)
    assert (event["event"], event["outcome"]) == ("created", 4)
    assert event["reason"].startswith("0x01")
    assert of_kind(event["subjects"], "step") == ["1.2.3.5"]


def test_a_refused_association_is_a_security_alert(audited: Server) -> None:
    with pytest.raises(Refused), audited.scanner(calling="MR9"):
        pass

    (event,) = events_of(audited)
    assert (event["event"], event["outcome"]) == ("refused", 4)
    assert event["reason"] == "calling AE title not recognised"
    assert event["actors"][1]["ae_title"] == "MR9"
    assert event["actors"][1]["address"] == "127.0.0.1"


def test_what_a_scanner_was_shown_before_it_hung_up_is_kept(audited: Server) -> None:
    audited.items.put([booking(f"{n:04}", patient_comments="x" * 9000) for n in range(800)])
    scanner = audited.scanner()
    scanner.open()
    identifier = query(PatientComments="")
    scanner._send(WORKLIST, C_FIND, identifier, AffectedSOPClassUID=WORKLIST, Priority=0)
    scanner._answer(WORKLIST)
    scanner.hang_up()
    deadline = time.monotonic() + 30
    while not lines(audited.trail) and time.monotonic() < deadline:
        time.sleep(0.02)

    (event,) = events_of(audited)
    assert event["reason"] == "the scanner has gone"
    assert 0 < int(event["subjects"][0]["details"]["NumberOfItems"]) < 800
