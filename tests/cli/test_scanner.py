"""``test-client`` against a real server on 127.0.0.1."""

from __future__ import annotations

import datetime as dt
import json
import socket
from collections.abc import Iterator

import pytest
from pydicom.dataset import Dataset
from pynetdicom import evt
from tests.standins.dicom_server import answer, server
from tests.standins.scanned_site import Site, booking, parse, run

from pylantir.cli import scanner
from pylantir.dicom import scu
from pylantir.errors import ConfigurationError, InvalidQuery

TODAY = f"{dt.date.today():%Y%m%d}"


pytestmark = pytest.mark.usefixtures("logging_as_it_was")


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
