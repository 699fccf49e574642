"""C-FIND over real associations: statuses, refusals, order, limits, encodings (PS3.4 K.4.1)."""

from __future__ import annotations

import datetime as dt
import logging
import random
from collections.abc import Callable
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from sqlalchemy import event
from tests.dicom.modality import C_FIND, WORKLIST, encode
from tests.dicom.serving import Server, everything, query, step_of
from tests.worklist.bookings import DAY, booking

MakeServer = Callable[..., Server]

STATUSES = (
    "SCHEDULED",
    "ARRIVED",
    "READY",
    "IN_PROGRESS",
    "COMPLETED",
    "DISCONTINUED",
    "CANCELLED",
)


# --- Statuses ---


def test_no_match_is_one_success_without_identifier(server: Server) -> None:
    server.book("1")
    answer = server.find(query(PatientID="nobody"))
    assert (answer.status, answer.items, answer.data) == (0x0000, [], None)


def test_the_final_success_carries_no_identifier(server: Server) -> None:
    server.book("1")
    answer = server.find(query())
    assert (answer.status, len(answer.items), answer.data) == (0x0000, 1, None)


def test_an_empty_worklist_is_no_error(server: Server) -> None:
    assert server.find(query()).status == 0x0000


@pytest.mark.parametrize(
    "step",
    [
        {"ScheduledProcedureStepStartDate": "today"},
        {"ScheduledProcedureStepStartDate": "20250230"},
        {"ScheduledProcedureStepStartDate": "-"},
        {"ScheduledProcedureStepStartDate": "20250101-20250102-20250103"},
        {"ScheduledProcedureStepStartTime": "2500"},
        {"ScheduledProcedureStepStartTime": "morning"},
    ],
    ids=lambda step: next(iter(step.values())),
)
def test_a_key_without_meaning_for_its_representation_is_refused(
    server: Server, step: dict[str, str]
) -> None:
    server.book("1")
    ds = query({})
    for keyword, value in step.items():
        tag = query({keyword: ""}).ScheduledProcedureStepSequence[0][keyword].tag
        ds.ScheduledProcedureStepSequence[0].add_new(tag, "LO", value)
    answer = server.find(ds)
    assert (answer.status, answer.items, answer.data) == (0xA900, [], None)
    assert next(iter(step)) in answer.comment


def test_a_refusal_explains_itself_without_the_value(server: Server) -> None:
    answer = server.find(query(PatientBirthDate="19700101-x"))
    assert answer.status == 0xA900
    assert answer.comment.startswith("PatientBirthDate: expected a date")
    assert "1970" not in answer.comment


def test_an_identifier_without_any_attribute_of_the_model_is_refused(server: Server) -> None:
    server.book("1")
    ds = Dataset()
    ds.BodyPartExamined = "HEAD"
    answer = server.find(ds)
    assert (answer.status, answer.items) == (0xA900, [])


def test_an_empty_identifier_is_refused(server: Server) -> None:
    server.book("1")
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    answer = server.find(ds)
    assert (answer.status, answer.items) == (0xA900, [])


# --- Garbage ---


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]
)
def test_random_bytes_never_get_the_worklist(server: Server, syntax: str) -> None:
    """The published release answered 400 random bytes with everything it had."""
    server.book("1")
    source = random.Random(20250707)
    with server.scanner(syntax=syntax) as scanner:
        for _ in range(25):
            answer = scanner.find(source.randbytes(400))
            assert (answer.status, answer.items) == (0xA900, [])


def test_a_query_cut_off_anywhere_is_refused_or_shorter_by_whole_keys(server: Server) -> None:
    server.book("1")
    whole = query({"Modality": "MR"}, PatientName="Doe*", AccessionNumber="")
    data = encode(whole)
    ends = {0}
    for element in whole:
        part = Dataset()
        part.add(element)
        ends.add(max(ends) + len(encode(part)))
    for length in range(1, len(data)):
        answer = server.find(data[:length])
        assert answer.status == (0x0000 if length in ends else 0xA900), length


def test_sequences_nested_without_end_are_refused(server: Server) -> None:
    server.book("1")
    nested = bytes.fromhex("40000001fffffffffeff00e0ffffffff") * 400
    answer = server.find(nested)
    assert (answer.status, answer.items) == (0xA900, [])


def test_a_query_with_more_elements_than_any_scanner_sends_is_refused(server: Server) -> None:
    server.book("1")
    answer = server.find(bytes.fromhex("1000100000000000") * 5000)
    assert (answer.status, answer.items) == (0xA900, [])


def test_after_garbage_the_same_association_is_served(server: Server) -> None:
    server.book("1")
    with server.scanner() as scanner:
        assert scanner.find(b"\xff" * 400).status == 0xA900
        assert len(scanner.find(query()).items) == 1


def test_a_request_without_any_identifier_is_refused(server: Server) -> None:
    server.book("1")
    with server.scanner() as scanner:
        answer = scanner.ask(WORKLIST, C_FIND, AffectedSOPClassUID=WORKLIST, Priority=0)
    assert (answer.status, answer.data) == (0xA900, None)


# --- C-CANCEL (PS3.4 K.4.1.3) ---


def book_many(server: Server, number: int = 300) -> None:
    server.items.put([booking(f"{n:03}") for n in range(number)])


@pytest.mark.parametrize("cancel_after", [0, 1])
def test_a_cancelled_query_stops_and_says_so(server: Server, cancel_after: int) -> None:
    book_many(server)
    with server.scanner() as scanner:
        answer = scanner.find(everything(), cancel_after=cancel_after)
    assert (answer.status, answer.data) == (0xFE00, None)
    assert len(answer.items) < 300


def test_a_late_cancel_does_not_harm_the_next_query(server: Server) -> None:
    server.book("1")
    with server.scanner() as scanner:
        scanner.find(query())
        scanner.cancel()
        scanner.cancel(2)  # some consoles give every query the same Message ID
        answer = scanner.find(query())
    assert (answer.status, len(answer.items)) == (0x0000, 1)


def test_a_cancel_is_heard_after_many_late_ones(server: Server) -> None:
    book_many(server)
    with server.scanner() as scanner:
        for message_id in range(100, 115):
            scanner.cancel(message_id)
        assert scanner.find(everything(), cancel_after=1).status == 0xFE00


# --- Order and number ---


def test_answers_are_sorted_by_scheduled_start(server: Server) -> None:
    for record, day, time in (
        ("1", 8, "07:00"),
        ("2", 7, "10:00"),
        ("3", 7, "9:05"),
        ("4", 6, "23:00"),
    ):
        server.book(
            record,
            scheduled_procedure_step_start_date=dt.date(2025, 7, day),
            scheduled_procedure_step_start_time=time,
        )
    assert server.ids(query()) == ["PID-4", "PID-3", "PID-2", "PID-1"]


def test_no_more_answers_than_the_site_allows(make_server: MakeServer) -> None:
    server = make_server(max_answers=2)
    server.items.put([booking(str(n)) for n in range(5)])
    answer = server.find(query())
    assert (answer.status, len(answer.items)) == (0x0000, 2)


# --- Statuses of items ---


def book_each_status(server: Server) -> None:
    server.items.put([booking(status, status=status) for status in STATUSES])


def statuses(server: Server, step: dict[str, str]) -> list[str]:
    answer = server.find(query(step))
    assert answer.status == 0x0000
    return sorted(str(item.PatientID).removeprefix("PID-") for item in answer.items)


def test_what_is_done_or_cancelled_is_hidden(server: Server) -> None:
    book_each_status(server)
    assert statuses(server, {}) == ["ARRIVED", "IN_PROGRESS", "READY", "SCHEDULED"]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("COMPLETED", ["COMPLETED"]),
        ("STARTED", ["IN_PROGRESS"]),
        ("IN PROGRESS", ["IN_PROGRESS"]),
        ("CANCELED", ["CANCELLED"]),
        ("DISC*", ["DISCONTINUED"]),
        ("NO SUCH STATUS", []),
    ],
)
def test_a_query_that_names_a_status_finds_it(
    server: Server, key: str, expected: list[str]
) -> None:
    book_each_status(server)
    assert statuses(server, {"ScheduledProcedureStepStatus": key}) == expected


def test_asking_for_the_status_without_naming_one_hides_as_ever(server: Server) -> None:
    book_each_status(server)
    answer = server.find(query({"ScheduledProcedureStepStatus": ""}))
    shown = {str(step_of(item).ScheduledProcedureStepStatus) for item in answer.items}
    assert shown == {"SCHEDULED", "ARRIVED", "READY", "STARTED"}


def test_a_site_may_hide_other_statuses(make_server: MakeServer) -> None:
    server = make_server(hidden_statuses=["IN_PROGRESS"])
    book_each_status(server)
    assert "IN_PROGRESS" not in statuses(server, {})
    assert "COMPLETED" in statuses(server, {})


def test_an_item_without_a_station_is_open_to_every_scanner(server: Server) -> None:
    server.book("1", scheduled_station_ae_title="")
    server.book("2", scheduled_station_ae_title="MR2")
    assert server.ids(query({"ScheduledStationAETitle": "MR1"})) == ["PID-1"]
    assert server.ids(query({"ScheduledStationAETitle": "MR2"})) == ["PID-1", "PID-2"]


# --- Rows that other programs wrote ---


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("patient_weight_lb", "heavy"),
        ("scheduled_start_date", "soon"),
        ("patient_name", ""),
        ("study_instance_uid", "1..2"),
        ("modality", "magnetic resonance imaging"),
        ("extras", '{"NoSuchKeyword": 1}'),
    ],
)
def test_one_bad_row_does_not_hide_the_others(server: Server, column: str, value: str) -> None:
    for record in ("1", "2", "3"):
        server.book(record)
    server.sql(f"UPDATE worklist_items SET {column} = ? WHERE patient_id = 'PID-2'", value)
    assert server.ids(query()) == ["PID-1", "PID-3"]


def test_a_row_that_was_repaired_is_served_again(server: Server) -> None:
    server.book("1")
    server.sql("UPDATE worklist_items SET scheduled_start_date = 'soon'")
    assert server.ids(query()) == []
    server.sql("UPDATE worklist_items SET scheduled_start_date = '2025-07-08'")
    assert server.ids(query()) == ["PID-1"]


def test_an_unreadable_database_is_a_failure_and_not_an_empty_worklist(
    make_server: MakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    server = make_server()
    server.book("1")
    server.sql("ALTER TABLE worklist_items RENAME TO elsewhere")
    with caplog.at_level(logging.ERROR):
        answer = server.find(query())
    assert (answer.status, answer.items) == (0xA700, [])
    assert [record.levelname for record in caplog.records] == ["ERROR"]


# --- Transfer syntaxes ---


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]
)
def test_every_offered_transfer_syntax_carries_keys_and_answers(
    server: Server, syntax: str
) -> None:
    server.book("1", patient_name="Müller^Zoë", pregnancy_status=2, allergies="latex\\nuts")
    server.book("2", pregnancy_status=1)
    keys = query(
        {"Modality": "MR"},
        character_set="ISO_IR 192",
        PatientName="Müller*",
        PregnancyStatus=2,
        Allergies="",
    )
    with server.scanner(syntax=syntax) as scanner:
        assert scanner.results[WORKLIST] == (0, syntax)
        (item,) = scanner.find(keys).items
    assert (str(item.PatientName), item.PregnancyStatus) == ("Müller^Zoë", 2)
    assert list(item.Allergies) == ["latex", "nuts"]
    assert step_of(item).Modality == "MR"


def test_deflated_is_not_offered(server: Server) -> None:
    """Of 250 KB of it the library makes 770 MB."""
    both = [DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian]
    with server.scanner(proposals=[(WORKLIST, both)]) as scanner:
        assert scanner.results[WORKLIST] == (0, ImplicitVRLittleEndian)
    alone = [(WORKLIST, [DeflatedExplicitVRLittleEndian])]
    with server.scanner(proposals=alone) as scanner:
        assert scanner.results[WORKLIST][0] == 4  # transfer syntaxes not supported


def test_an_undefined_length_is_understood(server: Server) -> None:
    server.book("1")
    server.book("2", modality="CT")
    ds = query({"Modality": "MR"})
    ds["ScheduledProcedureStepSequence"].is_undefined_length = True
    ds.ScheduledProcedureStepSequence[0].is_undefined_length_sequence_item = True
    assert b"\xff\xff\xff\xff" in encode(ds)
    assert server.ids(ds) == ["PID-1"]


def test_after_a_rehearsal_the_first_query_needs_no_sql_put_into_words(
    make_server: MakeServer,
) -> None:
    server = make_server()
    server.book("1")
    server.ae.rehearse()
    new: list[str] = []

    def note(*about: Any) -> None:
        statement, context = about[2], about[4]
        if context.compiled is not None and context.cache_hit.name != "CACHE_HIT":
            new.append(str(statement))

    event.listen(server.database.engine, "before_cursor_execute", note)
    today = {"ScheduledProcedureStepStartDate": f"{DAY:%Y%m%d}", "Modality": "MR"}
    try:
        assert server.ids(query()) == ["PID-1"]
        assert server.ids(query({"ScheduledStationAETitle": "MR1", **today})) == ["PID-1"]
        assert new == []
        assert server.ids(query(PatientID="PID-1")) == ["PID-1"]
        assert new, "what nobody rehearsed is put into words when it is asked"
    finally:
        event.remove(server.database.engine, "before_cursor_execute", note)


def test_a_rehearsal_is_told_to_nobody(
    make_server: MakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    server = make_server(audited=True)
    server.book("1")
    caplog.set_level(logging.INFO)
    server.ae.rehearse()
    assert caplog.messages == []
    server.audit.stop()
    assert not server.trail.files()
