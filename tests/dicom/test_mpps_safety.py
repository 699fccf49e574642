"""MPPS when things go wrong: restarts, a database that cannot be written, lenient scanners."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.dicom.modality import Answer
from tests.dicom.performing import begun, ended, new_uid, only, scheduled
from tests.dicom.serving import Server, query

from pylantir.worklist.values import uid as checked_uid

MakeServer = Callable[..., Server]

REFUSE = "CREATE TRIGGER refuse BEFORE {} BEGIN SELECT RAISE(ABORT, 'disk is full'); END"


# --- Restart ---


def test_a_restart_in_the_middle_of_a_scan_loses_nothing(make_server: MakeServer) -> None:
    before = make_server()
    item, uid = before.book("1"), new_uid()
    assert before.mr1.create(begun(scheduled(item), PatientName="Doe^Jane"), uid).status == 0x0000
    before.stop()
    after = make_server()
    assert after.mr1.set(uid, ended()).status == 0x0000
    data = after.mr1.get(uid).data
    assert data is not None
    assert (str(data.PatientName), data.PerformedProcedureStepStatus) == ("Doe^Jane", "COMPLETED")
    assert after.ids(query({"ScheduledProcedureStepStatus": "COMPLETED"})) == ["PID-1"]


def test_a_server_that_was_killed_has_kept_what_it_answered(make_server: MakeServer) -> None:
    """The answer comes after the commit: another server on the same file sees the step at once."""
    one, other = make_server(), make_server()
    uid = new_uid()
    assert one.mr1.create(begun(scheduled(one.book("1"))), uid).status == 0x0000
    assert other.mr1.set(uid, ended()).status == 0x0000
    assert one.mr1.set(uid, ended()).status == 0x0110
    assert one.ids(query()) == []


# --- A database that cannot be written ---


@pytest.mark.parametrize(
    "statement",
    ["INSERT ON performed_steps", "INSERT ON performed_step_links", "UPDATE ON worklist_items"],
)
def test_a_create_that_cannot_be_stored_fails_and_leaves_nothing(
    make_server: MakeServer, statement: str, caplog: pytest.LogCaptureFixture
) -> None:
    server = make_server()
    item, uid = server.book("1"), new_uid()
    server.sql(REFUSE.format(statement))
    with caplog.at_level(logging.ERROR):
        answer = server.mr1.create(begun(scheduled(item)), uid)
    assert (answer.status, answer.comment) == (0x0110, "not stored, try again")
    assert "disk is full" in caplog.text
    assert server.steps.all() == []
    assert server.ids(query({"ScheduledProcedureStepStatus": "SCHEDULED"})) == ["PID-1"]
    server.sql("DROP TRIGGER refuse")
    assert server.mr1.create(begun(scheduled(item)), uid).status == 0x0000


@pytest.mark.parametrize("statement", ["UPDATE ON performed_steps", "UPDATE ON worklist_items"])
def test_a_set_that_cannot_be_stored_fails_and_changes_nothing(
    make_server: MakeServer, statement: str
) -> None:
    server = make_server()
    uid = new_uid()
    server.mr1.create(begun(scheduled(server.book("1"))), uid)
    server.sql(REFUSE.format(statement))
    assert server.mr1.set(uid, ended()).status == 0x0110
    assert server.steps.get(uid).step.status == "IN PROGRESS"
    server.sql("DROP TRIGGER refuse")
    assert server.mr1.set(uid, ended()).status == 0x0000


def test_a_step_that_cannot_be_read_is_a_failure(make_server: MakeServer) -> None:
    server = make_server()
    uid = new_uid()
    server.mr1.create(begun(), uid)
    server.sql("ALTER TABLE performed_steps RENAME TO elsewhere")
    answer = server.mr1.get(uid)
    assert (answer.status, answer.data) == (0x0110, None)


# --- Lenient scanners ---


@pytest.fixture
def lenient(make_server: MakeServer) -> Server:
    """MR1 may break the rules, others may not."""
    return make_server(scanners=[{"ae_title": "MR1", "mpps": "lenient"}])


@pytest.mark.parametrize(
    ("changes", "tags"),
    [
        ({"PatientSex": None}, [0x00100040]),
        ({"StudyID": None, "PerformedLocation": None}, [0x00400243, 0x00200010]),
        ({"Modality": ""}, [0x00080060]),
        ({"PerformedProcedureStepStartTime": ""}, [0x00400245]),
        ({"PerformedProcedureStepStatus": ""}, [0x00400252]),
        ({"ScheduledStepAttributesSequence": []}, [0x00400270]),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else "",
)
def test_a_lenient_create_is_kept_and_answered_with_a_warning(
    lenient: Server, changes: dict[str, Any], tags: list[int]
) -> None:
    uid = new_uid()
    answer = lenient.mr1.create(begun(**changes), uid)
    assert (answer.status, answer.tags) == (0x0107, tags)
    step = lenient.steps.get(uid).step
    assert (step.status, len(step.violations)) == ("IN PROGRESS", len(tags))
    with lenient.scanner(calling="MR2") as strict:
        assert strict.create(begun(**changes), new_uid()).status in (0x0120, 0x0121)


def test_a_lenient_create_without_a_uid_is_told_the_one_it_got(lenient: Server) -> None:
    answer = lenient.mr1.create(begun(PatientSex=None))
    assert (answer.status, answer.tags, answer.data) == (0x0107, [0x00100040], None)
    assert lenient.steps.get(checked_uid(answer.uid)).step.status == "IN PROGRESS"


def test_a_lenient_create_is_linked_like_any_other(lenient: Server) -> None:
    item = lenient.book("1")
    assert lenient.mr1.create(begun(scheduled(item), PatientSex=None), new_uid()).status == 0x0107
    assert lenient.ids(query({"ScheduledProcedureStepStatus": "STARTED"})) == ["PID-1"]


def test_a_lenient_set_is_kept_with_its_violations(lenient: Server) -> None:
    uid = new_uid()
    lenient.mr1.create(begun(), uid)
    answer = lenient.mr1.set(uid, ended(PatientName="Late^Name"))
    assert (answer.status, answer.tags) == (0x0107, [0x00100010])
    step = lenient.steps.get(uid).step
    assert (step.status, step.violations) == ("COMPLETED", ("PatientName not allowed",))


def refusals(server: Server) -> dict[str, Answer]:
    """What a lenient scanner may not do either."""
    uid = new_uid()
    server.mr1.create(begun(), uid)
    server.mr1.set(uid, ended())
    return {
        "unknown instance": server.mr1.set(new_uid(), only(StudyID="1")),
        "instance uid": server.mr1.create(begun(), "1.02"),
        "garbage": server.mr1.create(b"\xff" * 40, new_uid()),
    }


def test_what_cannot_be_kept_is_refused_to_a_lenient_scanner_too(lenient: Server) -> None:
    statuses = {name: answer.status for name, answer in refusals(lenient).items()}
    assert statuses == {"unknown instance": 0x0112, "instance uid": 0x0117, "garbage": 0x0110}


def test_a_lenient_scanner_is_warned_that_a_final_step_stays_as_it_is(lenient: Server) -> None:
    uid = new_uid()
    lenient.mr1.create(begun(), uid)
    lenient.mr1.set(uid, ended())
    before = lenient.steps.get(uid)
    for _ in range(2):
        assert lenient.mr1.set(uid, ended("DISCONTINUED")).status == 0x0107
        assert lenient.mr1.create(begun(), uid).status == 0x0107
    after = lenient.steps.get(uid)
    violations = ("N-SET of a step that has ended", "N-CREATE of a step that exists")
    assert after.step.violations == violations, "recorded, once each"
    assert after.step.version > before.step.version
    unchanged = replace(after.step, violations=(), version=before.step.version)
    assert (unchanged, after.links) == (before.step, before.links)


def test_what_a_strict_scanner_may_not_do_leaves_no_trace(make_server: MakeServer) -> None:
    server, uid = make_server(), new_uid()
    server.mr1.create(begun(), uid)
    server.mr1.set(uid, ended())
    before = server.steps.get(uid)
    assert server.mr1.set(uid, ended("DISCONTINUED")).status == 0x0110
    assert server.mr1.create(begun(), uid).status == 0x0111
    assert server.steps.get(uid) == before
