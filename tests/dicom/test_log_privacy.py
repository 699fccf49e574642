"""No patient in any log: planted values are looked for in everything that a day of scans writes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from tests.dicom.modality import Aborted, HungUp, Refused
from tests.dicom.performing import begun, ended, new_uid, only, reason, scheduled, series
from tests.dicom.serving import Server, everything, query

from pylantir.worklist.item import WorklistItem

MakeServer = Callable[..., Server]

NAME, FAMILY_NAME = "Geheimrat^Zenobia", "Geheimrat"
PATIENT_ID, ACCESSION, BIRTH_DATE = "PAT4711X", "ACC0815Y", "19280229"
PLANTED = (FAMILY_NAME, "Zenobia", PATIENT_ID, ACCESSION, BIRTH_DATE, "1928-02-29")


@pytest.fixture
def written(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callable[[], list[str]]]:
    """Every line so far, of every logger at INFO and above and on both output streams."""

    def lines() -> list[str]:
        records = [r for r in caplog.records if r.levelno >= logging.INFO]
        shown = [logging.Formatter("%(name)s %(levelname)s %(message)s").format(r) for r in records]
        return [*shown, *capfd.readouterr()]

    with caplog.at_level(logging.INFO):
        yield lines


def assert_private(lines: list[str], *expected: str) -> None:
    """Each expected part stands in some line, and nothing planted in any."""
    text = "\n".join(lines)
    for part in expected:
        assert part in text
    for secret in PLANTED:
        assert secret.casefold() not in text.casefold()


def book(server: Server) -> WorklistItem:
    return server.book(
        "1",
        patient_name=NAME,
        patient_id=PATIENT_ID,
        accession_number=ACCESSION,
        patient_birth_date=BIRTH_DATE,
    )


def test_queries(server: Server, written: Callable[[], list[str]]) -> None:
    book(server)
    for keys in (
        {"PatientName": NAME},
        {"PatientName": f"{FAMILY_NAME}*"},
        {"PatientBirthDate": BIRTH_DATE, "AccessionNumber": ACCESSION},
    ):
        assert server.ids(query({}, **keys)) == [PATIENT_ID]
    assert server.find(everything()).codes == [0xFF00]
    assert_private(written(), "INFO C-FIND from MR1: 1 items in")


@pytest.mark.parametrize(
    "keyword", ["PatientBirthDate", "PatientWeight", "StudyInstanceUID", "StudyTime"]
)
@pytest.mark.parametrize("value", [NAME, PATIENT_ID, BIRTH_DATE + "x"])
def test_refused_queries(
    server: Server, written: Callable[[], list[str]], keyword: str, value: str
) -> None:
    ds = query()
    ds.add_new(query(**{keyword: ""})[keyword].tag, "LO", value)
    answer = server.find(ds)
    assert answer.status == 0xA900
    assert_private([*written(), answer.comment], "WARNING C-FIND from MR1 refused", keyword)


def test_garbage_with_a_name_in_it(server: Server, written: Callable[[], list[str]]) -> None:
    garbage = NAME.encode() * 20
    for answer in (
        server.find(garbage),
        server.mr1.create(garbage, new_uid()),
        server.mr1.set(new_uid(), garbage),
    ):
        assert answer.status in (0xA900, 0x0110)
        assert_private([answer.comment])
    assert_private(written(), "C-FIND from MR1 refused", "N-CREATE from MR1 refused")


def test_a_scan(server: Server, written: Callable[[], list[str]]) -> None:
    item, uid = book(server), new_uid()
    patient = {"PatientName": NAME, "PatientID": PATIENT_ID, "PatientBirthDate": BIRTH_DATE}
    assert server.mr1.create(begun(scheduled(item), **patient), uid).status == 0x0000
    assert server.mr1.set(uid, ended()).status == 0x0000
    assert server.mr1.get(uid).status == 0x0000
    assert server.mr1.get(uid, [0x00100010]).status == 0x0000
    lines = written()
    assert_private(
        lines,
        f"INFO N-CREATE from MR1: IN PROGRESS, items {item.item_id}",
        f"INFO N-SET from MR1: COMPLETED, items {item.item_id}",
    )
    assert len([line for line in lines if "INFO N-GET from MR1" in line]) == 2


def test_an_unscheduled_scan(server: Server, written: Callable[[], list[str]]) -> None:
    reference = scheduled(AccessionNumber=ACCESSION)
    server.mr1.create(begun(reference, PatientName=NAME, PatientID=PATIENT_ID), new_uid())
    assert_private(written(), "WARNING N-CREATE from MR1: IN PROGRESS, linked to no booking")


def test_refused_steps(server: Server, written: Callable[[], list[str]]) -> None:
    uid = new_uid()
    patient = {"PatientName": NAME, "PatientID": PATIENT_ID, "PatientBirthDate": BIRTH_DATE}
    assert server.mr1.create(begun(**patient), uid).status == 0x0000
    why = {"PerformedProcedureStepDiscontinuationReasonCodeSequence": reason(PATIENT_ID)}
    answers = [
        server.mr1.create(begun(**patient), uid),
        server.mr1.create(begun(**patient, Modality=""), new_uid()),
        server.mr1.create(begun(**patient, PerformedProcedureStepStatus=PATIENT_ID), new_uid()),
        server.mr1.create(begun(**patient), PATIENT_ID),
        server.mr1.set(uid, only(PatientName=f"{FAMILY_NAME}^Other")),
        server.mr1.set(uid, ended(PerformedSeriesSequence=[series(ProtocolName="")], **why)),
        server.mr1.set(ACCESSION, ended(PerformedProcedureStepStatus=PATIENT_ID)),
        server.mr1.get(PATIENT_ID),
    ]
    codes = [0x0111, 0x0121, 0x0106, 0x0117, 0x0105, 0x0121, 0x0117, 0x0117]
    assert [answer.status for answer in answers] == codes
    assert_private([answer.comment for answer in answers])
    assert_private(written(), "N-CREATE from MR1 refused", "N-SET from MR1 refused")


def test_tolerated_steps(make_server: MakeServer, written: Callable[[], list[str]]) -> None:
    server = make_server(scanners=[{"ae_title": "MR1", "mpps": "lenient"}])
    uid = new_uid()
    patient = {"PatientName": NAME, "PatientID": PATIENT_ID, "PatientSex": None}
    assert server.mr1.create(begun(**patient), uid).status == 0x0107
    assert server.mr1.set(uid, only(PatientID=ACCESSION)).status == 0x0107
    assert_private(written(), "tolerated from MR1")


def test_a_failing_database(make_server: MakeServer, written: Callable[[], list[str]]) -> None:
    server = make_server()
    item = book(server)
    server.sql(
        "CREATE TRIGGER refuse BEFORE INSERT ON performed_steps "
        "BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
    )
    ds = begun(scheduled(item), PatientName=NAME, PatientID=PATIENT_ID)
    assert server.mr1.create(ds, new_uid()).status == 0x0110
    server.sql("ALTER TABLE worklist_items RENAME TO elsewhere")
    assert server.find(query(PatientName=NAME)).status == 0xA700
    assert_private(written(), "ERROR N-CREATE from MR1 failed", "ERROR C-FIND from MR1 failed")


def test_a_row_that_cannot_be_served(server: Server, written: Callable[[], list[str]]) -> None:
    book(server)
    server.sql("UPDATE worklist_items SET patient_birth_date = ?", NAME)
    assert server.ids(query()) == []
    assert_private(written(), "1 of 1 rows written by other programs cannot be served")


def test_peers_that_break_off(make_server: MakeServer, written: Callable[[], list[str]]) -> None:
    server = make_server(allowed_aet=["MR1"])
    book(server)
    with pytest.raises(Refused):
        server.scanner(calling="MR9").open()
    scanner = server.scanner()
    scanner.open()
    with suppress(Aborted, HungUp, OSError):
        scanner._socket.sendall(b"\x04\x00\x00\x00\x00\x40" + NAME.encode().ljust(64))
        scanner.wait_for_the_end()
    assert_private(written(), "association from 'MR9' refused")


@pytest.mark.parametrize("calling", ["MR1\nERROR fake", "MR1\x1b[2J", "MR1\r"])
def test_a_calling_title_cannot_write_lines_of_its_own(
    server: Server, written: Callable[[], list[str]], calling: str
) -> None:
    with suppress(Refused, Aborted, HungUp, OSError), server.scanner(calling=calling) as scanner:
        scanner.find(query())
    assert not any(control in line for line in written() for control in "\n\r\x1b")
