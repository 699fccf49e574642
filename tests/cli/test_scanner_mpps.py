"""``test-mpps`` against a real server on 127.0.0.1."""

from __future__ import annotations

import pytest
from tests.standins.scanned_site import Site, booking, run

from pylantir.dicom import scu
from pylantir.errors import InvalidItem

pytestmark = pytest.mark.usefixtures("logging_as_it_was")


def test_mpps_performs_the_whole_procedure_of_an_item(capsys: pytest.CaptureFixture[str]) -> None:
    site = Site(booking())
    with site.serve() as peer:
        assert run("test-mpps", peer, "--study_uid", "1.2.3", "--calling-ae-title", "MRI_1") == 0
    ((uid, step),) = site.steps.items()
    assert capsys.readouterr().out.splitlines() == [
        "OK    C-FIND         0x0000 Success, 1 item",
        "OK    N-CREATE       0x0000 Success, step is IN PROGRESS",
        f"SOP Instance UID: {uid}",
        "OK    N-SET          0x0000 Success, step is COMPLETED",
    ]
    assert site.asked[0].StudyInstanceUID == "1.2.3"
    assert step.PatientName == "Müller^Zoé"
    assert step.PerformedStationAETitle == "MRI_1"
    assert step.ScheduledStepAttributesSequence[0].ScheduledProcedureStepID == "S1"
    assert step.PerformedProcedureStepStatus == "COMPLETED"
    assert uid.startswith("2.25.")


def test_create_and_set_work_as_two_commands(capsys: pytest.CaptureFixture[str]) -> None:
    site = Site(booking())
    with site.serve() as peer:
        assert run("test-mpps", peer, "--mpps_action", "create", "--accession", "A1") == 0
        uid = capsys.readouterr().out.splitlines()[-1].removeprefix("SOP Instance UID: ")
        assert site.steps[uid].PerformedProcedureStepStatus == "IN PROGRESS"
        argv = ["--mpps_status", "DISCONTINUED", "--reason", "110514", "--sop_uid", uid]
        assert run("test-mpps", peer, "--mpps_action", "set", *argv) == 0
    step = site.steps[uid]
    assert step.PerformedProcedureStepStatus == "DISCONTINUED"
    assert step.PerformedProcedureStepDiscontinuationReasonCodeSequence[0].CodeValue == "110514"
    assert site.asked[0].AccessionNumber == "A1"
    assert len(site.asked) == 1


def test_a_discontinued_step_always_has_a_reason() -> None:
    site = Site(booking())
    with site.serve() as peer:
        assert run("test-mpps", peer, "--accession", "A1", "--mpps-status", "DISCONTINUED") == 0
    (ending,) = site.updates
    assert ending.PerformedProcedureStepDiscontinuationReasonCodeSequence[0].CodeValue == "110513"


def test_a_given_sop_instance_uid_is_used() -> None:
    site = Site(booking())
    with site.serve() as peer:
        assert run("test-mpps", peer, "--study-uid", "1.2.3", "--sop-uid", "1.2.99") == 0
    assert list(site.steps) == ["1.2.99"]


def test_a_study_that_is_not_listed_is_performed_by_its_uid_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    site = Site()
    with site.serve() as peer:
        assert run("test-mpps", peer, "--study_uid", "1.2.77") == 0
    (step,) = site.steps.values()
    assert step.ScheduledStepAttributesSequence[0].StudyInstanceUID == "1.2.77"
    assert step["PatientName"].is_empty
    assert "not on the worklist" in capsys.readouterr().err


def test_an_accession_number_that_is_not_listed_performs_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    site = Site()
    with site.serve() as peer:
        assert run("test-mpps", peer, "--accession", "A9") == 1
    assert site.steps == {}
    assert "FAIL  item           no item has that accession number" in capsys.readouterr().out


def test_items_of_several_studies_are_never_guessed_between(
    capsys: pytest.CaptureFixture[str],
) -> None:
    site = Site(booking(), booking(StudyInstanceUID="1.2.4"))
    with site.serve() as peer:
        assert run("test-mpps", peer, "--accession", "*") == 1
    assert site.steps == {}
    assert "choose one with --study_uid" in capsys.readouterr().out


def test_the_first_of_several_scheduled_steps_is_performed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    site = Site(booking(), booking(ScheduledProcedureStepID="S2"))
    with site.serve() as peer:
        assert run("test-mpps", peer, "--study_uid", "1.2.3") == 0
    (step,) = site.steps.values()
    assert step.ScheduledStepAttributesSequence[0].ScheduledProcedureStepID == "S1"
    assert "several scheduled steps" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--mpps_action", "set"], "needs --sop_uid"),
        ([], "needs --study_uid or --accession"),
        (["--mpps_action", "create", "--sop_uid", "1.2"], "needs --study_uid or --accession"),
    ],
)
def test_what_is_missing_is_said_with_exit_code_2(
    argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("test-mpps", None, *argv) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--study_uid", "abc"], "--study_uid: expected a UID"),
        (["--study_uid", "1.2", "--sop_uid", "1.02"], "--sop_uid: expected a UID"),
        (["--study_uid", "1.2", "--reason", "110514"], "only for a DISCONTINUED step"),
        (
            ["--study_uid", "1.2", "--mpps_status", "DISCONTINUED", "--reason", "1"],
            "between 110500 and 110516",
        ),
    ],
)
def test_illegal_values_are_refused_before_anything_is_sent(argv: list[str], said: str) -> None:
    site = Site(booking())
    with site.serve() as peer, pytest.raises(InvalidItem, match=said):
        run("test-mpps", peer, *argv)
    assert site.asked == []


def test_a_refused_step_ends_with_exit_code_1_and_the_status_in_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Site().serve() as peer:
        assert run("test-mpps", peer, "--mpps_action", "set", "--sop_uid", "1.2.3") == 1
    assert capsys.readouterr().out == "FAIL  N-SET          0x0112 Failure: No such SOP Instance\n"


def test_full_reads_the_step_back_and_is_refused_a_late_change(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Site(booking()).serve() as peer:
        assert run("test-mpps", peer, "--study_uid", "1.2.3", "--full") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2] == "OK    N-GET          0x0000 Success, step is COMPLETED"
    assert lines[-1] == (
        "OK    N-SET again    0x0110 Failure: Performed Procedure Step Object may no longer be "
        "updated (Error ID 0xA710): refused, as it must be"
    )


def test_full_fails_when_an_ended_step_can_be_changed(capsys: pytest.CaptureFixture[str]) -> None:
    site = Site(booking())
    site.frozen = False
    with site.serve() as peer:
        assert run("test-mpps", peer, "--study_uid", "1.2.3", "--full") == 1
    assert "an ended step must not change" in capsys.readouterr().out


def test_full_skips_what_the_server_does_not_offer(capsys: pytest.CaptureFixture[str]) -> None:
    classes = (scu.VERIFICATION, scu.WORKLIST_FIND, scu.MPPS)
    with Site(booking()).serve(classes=classes) as peer:
        assert run("test-mpps", peer, "--study_uid", "1.2.3", "--full") == 0
    assert "SKIP  N-GET" in capsys.readouterr().out


def test_a_rejected_association_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    with Site(booking()).serve(require_calling_aet=["MRI_1"]) as peer:
        assert run("test-mpps", peer, "--study_uid", "1.2.3") == 1
    assert capsys.readouterr().out == (
        "FAIL  association    rejected by the peer: calling AE title not recognised (1,1,3); "
        "add PYLANTIR_SCU to allowed_aet\n"
    )
