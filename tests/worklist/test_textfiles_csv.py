"""CSV of anybody's spreadsheet: encodings, separators, and broken rows named by their number."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.worklist.textual import MANY, ROW, csv_of, from_csv, from_json, only, reasons

from pylantir.worklist.textfiles import UnreadableText, csv_table

# --- Encodings and separators ---


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_spreadsheets_of_any_country_are_read(separator: str, encoding: str) -> None:
    row = {**ROW, "patient_name": "Müller^Zoë", "patient_comments": 'two\r\nlines; "a", b\tc'}
    data = csv_of(row, separator=separator).decode().encode(encoding)
    item = only(from_csv(data))
    assert item.patient_name == "Müller^Zoë"
    assert item.patient_comments == 'two\r\nlines; "a", b\tc'


def test_leading_zeros_are_kept() -> None:
    item = only(from_csv(csv_of({**ROW, "patient_id": "000123", "accession_number": "0042"})))
    assert (item.patient_id, item.accession_number) == ("000123", "0042")


def test_another_separator_is_a_refusal_that_names_those_that_work() -> None:
    (reason,) = reasons(from_csv(csv_of(ROW, separator="|")))
    assert "separated by comma, semicolon or tab" in reason


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty, expected a header row"),
        (b"\r\n\r\n", "empty, expected a header row"),
        (b"patient_name\0,patient_id\n", "not text but binary data"),
        (b"\xff\xfe\x00\xd8\x00\xd8", "not text in utf-16"),
        (b"\x81\x8d\x8f\x90\x9d", "not text in UTF-8 or Windows-1252"),
        (bytes(range(1, 128)) * 20, "row 1"),
    ],
)
def test_garbage_is_refused_as_a_whole(data: bytes, reason: str) -> None:
    (found,) = reasons(from_csv(data))
    assert reason in found


@MANY
@given(st.binary(max_size=400))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    for prefix in (b"", b"patient_id,patient_name\r\n"):
        from_csv(prefix + data)
    with contextlib.suppress(UnreadableText):
        from_json(data)


# --- Broken rows ---


def test_bad_rows_are_named_by_row_and_good_ones_are_read() -> None:
    rows = [
        ROW,
        {**ROW, "patient_id": "P2", "start_date": "2026-02-30"},
        {**ROW, "patient_id": "", "start_time": "9 o'clock"},
        {**ROW, "patient_id": "P4"},
    ]
    importer = from_csv(csv_of(*rows))
    assert [item.patient_id for item in importer.items] == ["P1", "P4"]
    bad_date, bad_time = importer.refused
    assert (bad_date.where, bad_time.where) == ("row 3", "row 4")
    assert str(bad_date) == (
        "bookings.csv, row 3: scheduled_procedure_step_start_date: expected a day of the calendar "
        "as YYYY-MM-DD or YYYYMMDD, got '2026-02-30'"
    )
    assert {problem.field for problem in bad_time.problems} == {
        "patient_id",
        "scheduled_procedure_step_start_time",
    }


def test_a_row_is_counted_as_a_spreadsheet_counts() -> None:
    row = {**ROW, "patient_comments": "one\ntwo\nthree"}
    data = csv_of(row, {**row, "patient_id": "P2", "modality": "?"})
    header, _, rest = data.partition(b"\r\n")
    (refusal,) = from_csv(header + b"\r\n\r\n" + rest).refused
    assert refusal.where == "row 4"


def test_a_row_cut_short_is_refused() -> None:
    data = csv_of(ROW, {**ROW, "patient_id": "P2"})
    importer = from_csv(data[: data.rindex(b",")])
    assert [item.patient_id for item in importer.items] == ["P1"]
    assert str(importer.refused[0]) == "bookings.csv, row 3: row: expected 5 cells, got 4"


def test_a_file_cut_within_quotation_marks_is_refused_as_a_whole() -> None:
    data = csv_of(ROW, {**ROW, "patient_id": "P2", "start_time": "09:00\r\n"})
    (reason,) = reasons(from_csv(data[:-4]))
    assert reason == (
        "bookings.csv: file: row 3: a cell that does not end; nothing of the file was read"
    )


def test_a_huge_cell_is_refused() -> None:
    (reason,) = reasons(from_csv(csv_of({**ROW, "patient_comments": "x" * 200_000})))
    assert "row 2: a cell of more than 131072 characters" in reason
    (reason,) = reasons(from_csv(csv_of({**ROW, "patient_comments": "x" * 20_000})))
    assert "expected at most 10240 characters, got 20000" in reason
    assert len(reason) < 300


def test_more_cells_than_columns_are_refused_unless_they_are_empty() -> None:
    data = csv_of(ROW).rstrip()
    assert only(from_csv(data + b",,\r\n")).patient_id == "P1"
    (reason,) = reasons(from_csv(data + b",oops\r\n"))
    assert "expected 5 cells, got 6" in reason


def test_a_value_without_a_column_name_is_refused() -> None:
    assert only(from_csv(csv_of({**ROW, "": ""}))).patient_id == "P1"
    (reason,) = reasons(from_csv(csv_of({**ROW, "": "lost"})))
    assert "a value in a column without a name, got 'lost'" in reason


def test_messages_never_move_the_cursor_of_a_terminal() -> None:
    nasty = "P1\x1b[2J\u202e"
    shown = reasons(from_csv(csv_of({**ROW, "patient_id": nasty, "modality": "\x1b]0;x"})))
    shown += reasons(from_json(json.dumps({**ROW, "\x1b[2Jcolour": "red"})))
    assert shown
    assert all(character.isprintable() for line in shown for character in line.replace("\n", ""))


def test_a_table_is_read_without_knowing_its_columns() -> None:
    table = csv_table("mrn;last_name\r\n007;Doe\r\n")
    assert (table.header, table.rows) == (("mrn", "last_name"), ((2, ("007", "Doe")),))
