"""A scanner that is not ours: DCMTK's echoscu, findscu and dump2dcm against the server."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from tests.conftest import dcmtk_program
from tests.dicom.serving import Server, step_of
from tests.worklist.bookings import booking

PROGRAMS = ("echoscu", "findscu", "dump2dcm")
MISSING = [name for name in PROGRAMS if dcmtk_program(name) is None]

pytestmark = [
    pytest.mark.dcmtk,
    pytest.mark.skipif(bool(MISSING), reason=f"{', '.join(MISSING)} missing (package dcmtk)"),
]

STEP = "ScheduledProcedureStepSequence[0]"
PROPOSALS = ["-x=", "-xe", "-xb", "-xi", "-xd"]
"""In the order of preference: native, little endian, big endian, implicit, deflated."""


def run(program: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = dcmtk_program(program)
    assert path is not None
    return subprocess.run(
        [path, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=30,
        check=False,
    )


def findscu(
    server: Server,
    folder: Path,
    *keys: str,
    options: tuple[str, ...] = (),
    query: Path | None = None,
) -> list[Dataset]:
    """What findscu writes for each response, in their order."""
    arguments = ["-v", "-W", "-X", "-aet", "MR1", "-aec", "MWL_SERVER", *options]
    for key in keys:
        arguments += ["-k", key]
    arguments += ["127.0.0.1", str(server.port), *([str(query)] if query else [])]
    done = run("findscu", *arguments, folder=folder)
    assert done.returncode == 0, done.stderr
    assert "Success" in done.stderr
    return [dcmread(path, force=True) for path in sorted(folder.glob("rsp*.dcm"))]


def ids(found: list[Dataset]) -> list[str]:
    return [str(item.PatientID) for item in found]


def book_a_day(server: Server) -> None:
    for record, name, day, time, station in (
        ("1", "Müller^Zoë", "2025-07-07", "08:30", "MR1"),
        ("2", "Doe^Jane", "2025-07-07", "10:00", "MR2"),
        ("3", "Doe^John", "2025-07-08", "09:00", "MR1"),
    ):
        server.items.put(
            [
                booking(
                    record,
                    patient_name=name,
                    accession_number=f"A{record}",
                    allergies="latex\\nuts",
                    pregnancy_status=2,
                    scheduled_procedure_step_start_date=day,
                    scheduled_procedure_step_start_time=time,
                    scheduled_station_ae_title=station,
                    scheduled_protocol_codes=[{"value": "T1", "scheme": "L", "meaning": "T1"}],
                )
            ]
        )


@pytest.mark.parametrize("number_of_syntaxes", ["1", "3", "38"])
def test_echoscu_is_answered(server: Server, tmp_path: Path, number_of_syntaxes: str) -> None:
    arguments = ["-v", "-pts", number_of_syntaxes, "127.0.0.1", str(server.port)]
    done = run("echoscu", *arguments, folder=tmp_path)
    assert (done.returncode, "Received Echo Response (Success)" in done.stderr) == (0, True)


@pytest.mark.parametrize("proposal", PROPOSALS)
def test_findscu_reads_every_answer_in_every_encoding(
    server: Server, tmp_path: Path, proposal: str
) -> None:
    book_a_day(server)
    found = findscu(
        server,
        tmp_path,
        "SpecificCharacterSet=ISO_IR 100",
        "PatientName=M*",
        "PatientID",
        "AccessionNumber",
        "Allergies",
        "PregnancyStatus",
        f"{STEP}.Modality=MR",
        f"{STEP}.ScheduledStationAETitle",
        f"{STEP}.ScheduledProcedureStepStartDate",
        f"{STEP}.ScheduledProcedureStepStartTime",
        f"{STEP}.ScheduledProtocolCodeSequence[0].CodeValue",
        options=(proposal,),
    )
    (item,) = found
    step = step_of(item)
    assert item.SpecificCharacterSet == "ISO_IR 100"
    assert (str(item.PatientName), item.PatientID) == ("Müller^Zoë", "PID-1")
    assert (item.AccessionNumber, list(item.Allergies)) == ("A1", ["latex", "nuts"])
    assert item.PregnancyStatus == 2
    assert (step.Modality, step.ScheduledStationAETitle) == ("MR", "MR1")
    assert step.ScheduledProcedureStepStartDate == "20250707"
    assert step.ScheduledProcedureStepStartTime == "083000"
    assert step.ScheduledProtocolCodeSequence[0].CodeValue == "T1"
    assert len(item) == 7


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ((), ["PID-1", "PID-2", "PID-3"]),
        (("PatientName=?OE^j*",), ["PID-2", "PID-3"]),
        (("AccessionNumber=A?", f"{STEP}.ScheduledStationAETitle=MR1"), ["PID-1", "PID-3"]),
        ((f"{STEP}.ScheduledProcedureStepStartDate=-20250707",), ["PID-1", "PID-2"]),
        (
            (
                f"{STEP}.ScheduledProcedureStepStartDate=20250707-20250708",
                f"{STEP}.ScheduledProcedureStepStartTime=0900-0930",
            ),
            ["PID-2", "PID-3"],
        ),
        (("PatientID=PID-3", f"{STEP}.Modality=CT"), []),
    ],
)
def test_findscu_finds_what_it_asks_for(
    server: Server, tmp_path: Path, keys: tuple[str, ...], expected: list[str]
) -> None:
    book_a_day(server)
    asked = [
        key for key in ("PatientName", "PatientID") if not any(k.startswith(key) for k in keys)
    ]
    assert ids(findscu(server, tmp_path, *asked, *keys)) == expected


QUERY = """\
(0008,0005) CS [{character_set}]
(0008,0050) SH []
(0010,0010) PN [{name}]
(0010,0020) LO []
(0020,000d) UI []
(0040,0100) SQ
(fffe,e000) -
(0008,0060) CS [MR]
(0040,0001) AE [MR1]
(0040,0002) DA [20250701-20250731]
(0040,0008) SQ
(fffe,e000) -
(0008,0100) SH []
(0008,0102) SH []
(fffe,e00d) -
(fffe,e0dd) -
(fffe,e00d) -
(fffe,e0dd) -
"""


@pytest.mark.parametrize(
    ("lengths", "character_set", "encoding"),
    [("+e", "ISO_IR 100", "latin-1"), ("-e", "ISO_IR 192", "utf-8")],
)
def test_a_query_file_of_dump2dcm_is_understood(
    server: Server, tmp_path: Path, lengths: str, character_set: str, encoding: str
) -> None:
    book_a_day(server)
    text = QUERY.format(character_set=character_set, name="müller*")
    (tmp_path / "query.dump").write_text(text, encoding=encoding)
    made = run("dump2dcm", lengths, "query.dump", "query.dcm", folder=tmp_path)
    assert made.returncode == 0, made.stderr
    (item,) = findscu(server, tmp_path, query=tmp_path / "query.dcm")
    assert (str(item.PatientName), item.SpecificCharacterSet) == ("Müller^Zoë", character_set)
    (code,) = step_of(item).ScheduledProtocolCodeSequence
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("T1", "L")


def test_findscu_cancels(server: Server, tmp_path: Path) -> None:
    server.items.put([booking(f"{n:03}") for n in range(2000)])
    arguments = ["-v", "-W", "--cancel", "3", "-k", "PatientName", "127.0.0.1", str(server.port)]
    for _ in range(20):  # on a busy machine findscu says so when all is on its way
        done = run("findscu", *arguments, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        if done.stderr.count("(Pending)") < 2000:
            break
    assert "Received Final Find Response (Cancel" in done.stderr


def test_findscu_is_told_why_a_query_is_refused(server: Server, tmp_path: Path) -> None:
    server.book("1")
    arguments = ["-v", "-W", "-k", "PatientName", "-k", "PatientBirthDate=soon"]
    done = run("findscu", *arguments, "127.0.0.1", str(server.port), folder=tmp_path)
    assert "(Pending)" not in done.stderr
    assert "DoesNotMatchSOPClass" in done.stderr


def test_a_rejected_findscu_is_told_why(make_server: Callable[..., Server], tmp_path: Path) -> None:
    server = make_server(allowed_aet=["MR1"])
    arguments = ["-W", "-aet", "MR9", "-k", "PatientName", "127.0.0.1", str(server.port)]
    done = run("findscu", *arguments, folder=tmp_path)
    assert done.returncode != 0
    assert "Calling AE Title Not Recognized" in done.stderr


@pytest.mark.parametrize("size", ["4096", "131072"])
def test_an_answer_fits_into_the_pdus_of_the_scanner(
    server: Server, tmp_path: Path, size: str
) -> None:
    comments = "x" * 10_000
    server.book("1", patient_comments=comments)
    (item,) = findscu(server, tmp_path, "PatientID", "PatientComments", options=("-pdu", size))
    assert item.PatientComments == comments
