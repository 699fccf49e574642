"""``test-client`` and ``test-mpps`` against a real server on 127.0.0.1."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import evt
from tests.standins.dicom_server import answer, server

from pylantir.cli import scanner
from pylantir.dicom import scu
from pylantir.errors import ConfigurationError, InvalidItem, InvalidQuery

TODAY = f"{dt.date.today():%Y%m%d}"


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    names = ("", *logging.root.manager.loggerDict)
    levels = {name: logging.getLogger(name).level for name in names}
    handlers = list(logging.root.handlers)
    yield
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    logging.root.handlers[:] = handlers


def parse(command: str, *argv: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    for option in ("--ae-title", "--ip", "--calling-ae-title", "--config"):
        parser.add_argument(option)
    parser.add_argument("--port", type=int)
    parser.set_defaults(verbose=0, quiet=0)
    if command == "test-client":
        scanner.configure_test_client(parser)
    else:
        scanner.configure_test_mpps(parser)
    return parser.parse_args(argv)


def run(command: str, peer: scu.Peer | None, *argv: str) -> int:
    port = ["--port", str(peer.port)] if peer else []
    args = parse(command, *port, *argv)
    return (scanner.run_test_client if command == "test-client" else scanner.run_test_mpps)(args)


def booking(**changes: str) -> Dataset:
    keys = {
        "PatientName": "Müller^Zoé",
        "PatientID": "P1",
        "AccessionNumber": "A1",
        "StudyInstanceUID": "1.2.3",
        "ScheduledProcedureStepID": "S1",
        "ScheduledProcedureStepStartDate": "20260304",
        "ScheduledProcedureStepStartTime": "090500",
        "ScheduledStationAETitle": "PRISMA",
        "ScheduledProcedureStepDescription": "Brain 3T",
        "Modality": "MR",
        "PatientWeight": "71.5",
    }
    return scu.build_identifier(keys | changes)


class Site:
    """A server with some bookings and a memory for steps; it keeps what it was asked."""

    def __init__(self, *bookings: Dataset, pending: int = 0xFF00) -> None:
        self.bookings = bookings
        self.pending = pending
        self.asked: list[Dataset] = []
        self.steps: dict[str, Dataset] = {}
        self.updates: list[Dataset] = []
        self.frozen = True

    def find(self, event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        self.asked.append(event.identifier)
        for item in self.bookings:
            yield self.pending, item

    def create(self, event: evt.Event) -> tuple[int, Dataset]:
        self.steps[event.request.AffectedSOPInstanceUID] = event.attribute_list
        return 0x0000, event.attribute_list

    def change(self, event: evt.Event) -> tuple[Any, Dataset | None]:
        step = self.steps.get(event.request.RequestedSOPInstanceUID)
        if step is None:
            return 0x0112, None
        if self.frozen and step.PerformedProcedureStepStatus != "IN PROGRESS":
            return answer(0x0110, ErrorID=0xA710), None
        self.updates.append(event.modification_list)
        step.update(event.modification_list)
        return 0x0000, event.modification_list

    def show(self, event: evt.Event) -> tuple[int, Dataset]:
        return 0x0000, self.steps[event.request.RequestedSOPInstanceUID]

    @contextmanager
    def serve(self, **settings: Any) -> Iterator[scu.Peer]:
        handlers = [
            (evt.EVT_C_FIND, self.find),
            (evt.EVT_N_CREATE, self.create),
            (evt.EVT_N_SET, self.change),
            (evt.EVT_N_GET, self.show),
        ]
        with server(handlers, **settings) as peer:
            yield peer


# --- test-client ---


def test_client_tells_each_step_and_shows_the_items(capsys: pytest.CaptureFixture[str]) -> None:
    with Site(booking(), booking(PatientName="Silva^João")).serve() as peer:
        assert run("test-client", peer) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == "OK    C-ECHO         0x0000 Success"
    assert lines[1] == "OK    C-FIND         0x0000 Success, 2 items"
    assert " ".join(lines[2].split()) == (
        "DATE TIME STATUS NAME PATIENT ID STATION MOD PROCEDURE ACCESSION STUDY INSTANCE UID"
    )
    assert lines[3].split()[:2] == ["2026-03-04", "09:05"]
    assert "Müller^Zoé" in lines[3]
    assert "Silva^João" in lines[4]
    assert lines[3].index("PRISMA") == lines[4].index("PRISMA") == lines[2].index("STATION")
    assert err == ""


def test_client_sends_the_keys_a_scanner_would_send() -> None:
    site = Site()
    with site.serve() as peer:
        argv = ["--station", "PRISMA", "--modality", "MR", "--date", "today", "--name", "Mül*"]
        assert run("test-client", peer, *argv, "--patient-id", "P1", "AccessionNumber=A=1") == 0
    (asked,) = site.asked
    (step,) = asked.ScheduledProcedureStepSequence
    assert (step.ScheduledStationAETitle, step.Modality) == ("PRISMA", "MR")
    assert step.ScheduledProcedureStepStartDate == TODAY
    assert (asked.PatientName, asked.PatientID) == ("Mül*", "P1")
    assert asked.AccessionNumber == "A=1"
    assert asked["StudyInstanceUID"].is_empty


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("today", TODAY),
        ("2026-03-04", "20260304"),
        ("20260304", "20260304"),
        ("2026-03-04..2026-03-07", "20260304-20260307"),
        ("2026-03-04..", "20260304-"),
        ("..2026-03-04", "-20260304"),
        ("today..", f"{TODAY}-"),
        ("20260304-20260307", "20260304-20260307"),
        ("-20260307", "-20260307"),
        ("any", ""),
        ("..", ""),
    ],
)
def test_dates_are_written_as_people_write_them(written: str, sent: str) -> None:
    assert scanner.date_key(written) == sent


@pytest.mark.parametrize("written", ["tomorrow", "2026-02-30", "2026-03-04..x", "-", "04.03.2026"])
def test_a_date_that_is_none_ends_with_exit_code_2(
    written: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse("test-client", f"--date={written}")
    assert caught.value.code == 2
    assert "expected today, YYYY-MM-DD, FROM..TO or any" in capsys.readouterr().err


def test_dates_among_the_other_keys_are_understood_and_mistakes_are_sent() -> None:
    site = Site()
    with site.serve() as peer:
        run("test-client", peer, "PatientBirthDate=1987-04-12", "StudyDate=soon", "StudyTime=x")
    (asked,) = site.asked
    assert asked["PatientBirthDate"].value == "19870412"
    assert "soon" in str(asked.get_item("StudyDate").value)


def test_keys_beyond_the_usual_columns_get_one_of_their_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Site(booking()).serve() as peer:
        assert run("test-client", peer, "PatientWeight=", "patient_id=P1") == 0
    header, row = capsys.readouterr().out.splitlines()[2:]
    assert header.split()[-1] == "PatientWeight"
    assert row.split()[-1] == "71.5"
    assert header.count("PATIENT ID") == 1


def test_client_prints_dicom_json_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    with Site(booking()).serve() as peer:
        assert run("test-client", peer, "--json") == 0
    out, err = capsys.readouterr()
    (item,) = json.loads(out)
    assert item["00100010"]["Value"] == [{"Alphabetic": "Müller^Zoé"}]
    assert "OK    C-FIND" in err


def test_no_items_is_a_success(capsys: pytest.CaptureFixture[str]) -> None:
    with Site().serve() as peer:
        assert run("test-client", peer) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "OK    C-FIND         0x0000 Success, 0 items"
    ]


def test_optional_keys_that_the_server_does_not_match_are_noted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Site(booking(), pending=0xFF01).serve() as peer:
        assert run("test-client", peer) == 0
    assert "does not match on every optional key" in capsys.readouterr().err


def test_values_cannot_play_tricks_with_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with Site(booking(PatientComments="\x1b[2J\nfake")).serve() as peer:
        assert run("test-client", peer, "PatientComments=") == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert r"\x1b[2J\nfake" in out


def test_values_that_break_their_representation_are_shown_as_they_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    item = booking(AccessionNumber="A" * 20, ScheduledProcedureStepStartTime="9 am")
    with Site(item).serve() as peer:
        assert run("test-client", peer) == 0
    out = capsys.readouterr().out
    assert "A" * 20 in out
    assert "9 am" in out


def test_a_failed_query_ends_with_exit_code_1_and_says_why(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse(event: evt.Event) -> Iterator[tuple[Dataset, None]]:
        yield answer(0xA900, ErrorComment="bad key"), None

    with server([(evt.EVT_C_FIND, refuse)]) as peer:
        assert run("test-client", peer) == 1
    line = capsys.readouterr().out.splitlines()[1]
    assert line == (
        "FAIL  C-FIND         0xA900 Failure: Identifier does not match SOP class: bad key"
    )


def test_nobody_there_ends_with_exit_code_1_and_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        args = parse("test-client", "--port", str(taken.getsockname()[1]))
        assert scanner.run_test_client(args) == 1
    out, err = capsys.readouterr()
    assert out.startswith("FAIL  C-ECHO         nothing listens on 127.0.0.1:")
    assert len(out.splitlines()) == 1
    assert err == ""


def test_a_server_without_worklist_fails_at_the_query(capsys: pytest.CaptureFixture[str]) -> None:
    with server(classes=(scu.VERIFICATION,)) as peer:
        assert run("test-client", peer) == 1
    out = capsys.readouterr().out
    assert "OK    C-ECHO" in out
    assert "does not offer Modality Worklist" in out


def test_an_unknown_keyword_is_a_usage_error() -> None:
    with pytest.raises(InvalidQuery, match="did you mean PatientName"):
        run("test-client", None, "PatientNam=X")


@pytest.mark.parametrize("key", ["PatientName", "=X"])
def test_a_key_without_its_two_sides_ends_with_exit_code_2(
    key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse("test-client", key)
    assert caught.value.code == 2
    assert "expected KEYWORD=VALUE" in capsys.readouterr().err


def test_ae_titles_and_address_come_from_the_command_line() -> None:
    seen: list[tuple[str, str]] = []

    def on_request(event: evt.Event) -> None:
        primitive = event.assoc.requestor.primitive
        seen.append((primitive.calling_ae_title, primitive.called_ae_title))

    handlers = [(evt.EVT_REQUESTED, on_request), (evt.EVT_C_FIND, lambda event: iter(()))]
    with server(handlers) as peer:
        assert run("test-client", peer, "--ip", "0.0.0.0") == 0
        argv = ["--ip", "localhost", "--ae-title", "THERE", "--calling-ae-title", "HERE"]
        assert run("test-client", peer, *argv) == 0
    assert seen == [("PYLANTIR_SCU", "MWL_SERVER"), ("HERE", "THERE")]


def test_an_impossible_ae_title_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="called_ae_title"):
        run("test-client", None, "--ae-title", "A" * 17)


# --- test-mpps ---


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
