"""Bookings in files that somebody else writes: what a row becomes, and what is no table."""

from __future__ import annotations

import datetime as dt
import logging
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from tests.sources.csv_files import (
    HEADER,
    ROW,
    fetch,
    items,
    leave,
    read,
    source,
    table,
)

from pylantir.errors import ConfigurationError, InvalidItem, SourceUnavailable

# --- what a row becomes ---


def test_columns_with_worklist_names_map_by_themselves(tmp_path: Path) -> None:
    leave(
        tmp_path,
        "Booking ID;PatientName;patient_id;Modality;start date;start_time;patient_weight_lb;sex\n"
        "7;Doe^Jane;007;MR;2026-03-02;9:30;160;F\n",
    )

    (item,) = read(tmp_path).values()

    assert (item.patient_name, item.patient_id) == ("Doe^Jane", "007")
    assert (item.modality, item.patient_sex, str(item.patient_weight_kg)) == ("MR", "F", "72.57")
    assert f"{item.start:%Y-%m-%d %H:%M}" == "2026-03-02 09:30"


def test_a_field_mapping_names_the_other_columns_and_wins(tmp_path: Path) -> None:
    leave(
        tmp_path,
        "start_date,finish_date,mrn,last_name,first_name,sex,exam_type,resource,patient_id\n"
        "02/03/2026 09:30,02/03/2026 10:30,0042,Doe,Jane,2,MRI brain,3T,secret\n",
    )

    read_items = read(
        tmp_path,
        {
            "start_date": "scheduled_start_date",
            "mrn": "patient_id",
            "StartTime": "nothing_of_that_name",
            "exam_type": "procedure_description",
            "scheduled_start_time": {"source_field": "start_date"},
        },
        record_id=["mrn", "start_date"],
        date_format="DD/MM/YYYY",
        patient_name_template="{last_name}^{first_name}",
        value_maps={"sex": {"1": "M", "2": "F"}},
        defaults={"modality": "MR"},
    )

    item = read_items["0042/02/03/2026 09:30"]
    assert (item.patient_name, item.patient_id, item.patient_sex) == ("Doe^Jane", "0042", "F")
    assert f"{item.start:%Y-%m-%d %H:%M}" == "2026-03-02 09:30"
    assert item.requested_procedure_description == "MRI brain"


def test_a_column_that_is_mapped_is_not_taken_by_its_name_as_well(tmp_path: Path) -> None:
    leave(tmp_path, table("1", row=f"{ROW},F", header=f"{HEADER},sex"))

    (item,) = read(tmp_path, {"sex": "patient_comments"}).values()

    assert (item.patient_comments, item.patient_sex) == ("F", "")


def test_a_formula_that_an_export_of_ours_protects_is_read_as_it_was(tmp_path: Path) -> None:
    leave(tmp_path, table("1", row=f"{ROW},'=1+1", header=f"{HEADER},patient_comments"))

    (item,) = read(tmp_path).values()

    assert item.patient_comments == "=1+1"


@pytest.mark.parametrize(
    ("date_format", "written"),
    [
        ("DD/MM/YYYY", "02/03/2026"),
        ("MM/DD/YYYY", "3/2/2026"),
        ("excel", "46083"),
        ("", "2026-03-02"),
    ],
)
def test_dates_are_read_in_the_configured_order(
    tmp_path: Path, date_format: str, written: str
) -> None:
    leave(tmp_path, table("1", row=ROW.replace("2026-03-02", written)))

    (item,) = read(tmp_path, date_format=date_format).values()

    assert item.scheduled_procedure_step_start_date == dt.date(2026, 3, 2)


def test_a_date_in_an_order_that_nobody_configured_is_not_guessed(tmp_path: Path) -> None:
    leave(tmp_path, table("1", row=ROW.replace("2026-03-02", "02/03/2026")))
    made = source(tmp_path)

    (record,) = fetch(made).records

    with pytest.raises(InvalidItem, match="scheduled_procedure_step_start_date: expected a date"):
        made.values_of(record)


@pytest.mark.parametrize(
    ("encoding", "config"),
    [
        ("utf-8", {}),
        ("utf-8-sig", {}),
        ("utf-16", {}),
        ("cp1252", {}),
        ("utf-8-sig", {"encoding": "utf-8"}),
        ("latin-1", {"encoding": "latin-1"}),
        ("mac-roman", {"encoding": "mac-roman"}),
    ],
)
def test_names_survive_every_encoding(
    tmp_path: Path, encoding: str, config: dict[str, Any]
) -> None:
    leave(tmp_path, table("1").replace("Doe^Jane", "García^José").encode(encoding))

    (item,) = read(tmp_path, **config).values()

    assert item.patient_name == "García^José"


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_the_one_that_makes_known_columns(tmp_path: Path, separator: str) -> None:
    header, row = HEADER.replace(",", separator), ROW.replace(",", separator)
    leave(tmp_path, table("1", header=header, row=row))

    assert list(read(tmp_path)) == ["1"]


def test_a_first_line_may_name_the_separator_as_spreadsheets_understand_it(tmp_path: Path) -> None:
    leave(tmp_path, "sep=;\r\n" + table("1").replace(",", ";"))
    assert read(tmp_path).keys() == {"1"}


def test_a_separator_can_be_configured(tmp_path: Path) -> None:
    leave(tmp_path, table("1").replace(",", "~"))

    assert list(read(tmp_path, separator="~")) == ["1"]


def test_quoted_cells_hold_separators_and_lines(tmp_path: Path) -> None:
    row = '1,"Doe^Jane","P-1",MR,2026-03-02,09:30,"first line\nsecond, line"'
    leave(tmp_path, table("1", row=row, header=f"{HEADER},patient_comments"))

    (item,) = read(tmp_path).values()

    assert item.patient_comments == "first line\nsecond, line"


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("source_record_id,accession_number", "a"),
        ("accession_number,appointment_id", "b"),
        ("AccessionNumber,other", "a"),
    ],
)
def test_a_booking_is_identified_by_its_usual_columns(
    tmp_path: Path, header: str, key: str
) -> None:
    rest = HEADER.removeprefix("booking_id,")
    row = ROW.removeprefix("{0},").format("1")
    leave(tmp_path, f"{header},{rest}\na,b,{row}\n")

    assert list(read(tmp_path)) == [key]


def test_a_file_in_which_nothing_identifies_a_booking_is_refused(tmp_path: Path) -> None:
    leave(tmp_path, table("1").replace("booking_id", "remark"))

    with pytest.raises(SourceUnavailable, match=r"name one in config\.record_id"):
        fetch(source(tmp_path))


def test_columns_that_nothing_knows_are_said_without_their_values(tmp_path: Path) -> None:
    leave(tmp_path, table("1", row=f"{ROW},secret", header=f"{HEADER},pateint_comments"))

    assert fetch(source(tmp_path)).notes == ("columns that are not used: pateint_comments",)


def test_values_that_were_left_out_are_counted(tmp_path: Path) -> None:
    leave(tmp_path, table("1", "2", row=f"{ROW},7", header=f"{HEADER},sex"))

    (note,) = fetch(source(tmp_path)).notes

    assert note.startswith("patient_sex is left empty, field sex: expected M, F, O")
    assert note.endswith("(2 times)")


# --- files that are not what they should be ---


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a header row, found nothing"),
        ("\n\n", "expected a header row, found nothing"),
        (
            table("1").partition("\n")[2],
            "the header row has no column|no column gives patient_name",
        ),
        (table("1").replace("start_time", "zeit"), "scheduled_procedure_step_start_time"),
        (table("1").replace("patient_id", "patient_name"), "columns 2, 3 have the same name"),
        (table("1")[:-12], "the last one, is cut off"),
        (f'{HEADER}\n1,"Doe^Ja', "row 2 cannot be read"),
        (b"\x00\x01\x02\x00", "binary"),
        (b"PK\x03\x04\x14\x00\x81\x8d", "not text"),
    ],
)
def test_a_file_that_is_no_table_of_bookings_is_an_error_that_names_it(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    leave(tmp_path, text)

    with pytest.raises(SourceUnavailable, match=message) as raised:
        fetch(source(tmp_path))

    assert "bookings.csv" in str(raised.value)
    assert "Doe" not in str(raised.value)


def test_a_wrong_encoding_is_an_error(tmp_path: Path) -> None:
    leave(tmp_path, table("1").replace("Doe", "Döe").encode("latin-1"))

    with pytest.raises(SourceUnavailable, match="not utf-8 at byte"):
        fetch(source(tmp_path, encoding="utf-8"))


def test_a_mapped_column_that_is_missing_is_an_error(tmp_path: Path) -> None:
    leave(tmp_path, table("1"))

    with pytest.raises(SourceUnavailable, match="the header row has no column mrn"):
        fetch(source(tmp_path, {"mrn": "patient_id"}))


@pytest.mark.parametrize("missing", ["nowhere", "nowhere/bookings.csv"])
def test_a_path_that_is_not_there_is_an_error(tmp_path: Path, missing: str) -> None:
    with pytest.raises(SourceUnavailable, match="no such file or folder"):
        fetch(source(tmp_path / missing))


def test_a_folder_without_a_file_is_an_error_for_a_snapshot_and_nothing_new_for_a_delta(
    tmp_path: Path,
) -> None:
    with pytest.raises(SourceUnavailable, match=r"no file like \*\.csv"):
        fetch(source(tmp_path))
    assert fetch(source(tmp_path, mode="delta")).records == ()


def test_a_row_that_cannot_be_told_apart_puts_the_batch_in_doubt(tmp_path: Path) -> None:
    text = table("1") + "too,few\n" + table("2").partition("\n")[2] + ROW.format("") + "\n"
    leave(tmp_path, text)

    batch = fetch(source(tmp_path))

    assert [record.record_id for record in batch.records] == ["1", "2"]
    assert not batch.complete
    assert batch.notes == (
        "bookings.csv row 3: expected 6 cells, got 2; until then nothing is withdrawn",
        "bookings.csv row 5: nothing identifies the booking; until then nothing is withdrawn",
    )


def test_the_same_booking_twice_counts_once_unless_the_rows_differ(tmp_path: Path) -> None:
    other = ROW.format("2").replace("09:30", "10:30") + "\n"
    leave(tmp_path, table("1", "1", "2") + other)

    batch = fetch(source(tmp_path))

    assert [record.record_id for record in batch.records] == ["1"]
    (rejected,) = batch.rejected
    assert rejected.record_id == "2"
    assert "bookings.csv row 4 and bookings.csv row 5" in rejected.problems[0].reason


def test_a_row_whose_day_is_over_still_tells_that_its_booking_stands_twice(tmp_path: Path) -> None:
    over = ROW.replace("2026-03-02", "2025-03-02")
    leave(tmp_path, table("1", row=over, header=HEADER) + ROW.format("1") + "\n")

    batch = fetch(source(tmp_path))

    assert batch.records == ()
    (rejected,) = batch.rejected
    assert "bookings.csv row 2 and bookings.csv row 3" in str(rejected.problems[0])


def test_rows_whose_day_is_over_take_little_memory(tmp_path: Path) -> None:
    over = ROW.replace("2026-03-02", "2025-03-02")
    leave(tmp_path, table(*map(str, range(20_000)), row=over))
    made = source(tmp_path)
    tracemalloc.start()
    batch = fetch(made)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (batch.records, batch.complete) == ((), True)
    assert peak < 20_000 * 600, "a row as an object takes more than a kilobyte"


# --- settings ---


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"path": ""}, "config.path"),
        ({"mode": "both"}, "config.mode"),
        ({"encoding": "utf-9"}, "config.encoding: expected an encoding"),
        ({"patern": "*.csv"}, "did you mean 'pattern'?"),
        ({"date_format": "DD/MM/YY"}, "config.date_format: expected an order"),
        ({"settle_s": -1}, "config.settle_s"),
    ],
)
def test_a_setting_that_cannot_work_is_refused(
    tmp_path: Path, config: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        source(tmp_path, **config)

    assert problem in str(raised.value)


def test_options_about_a_column_wait_for_the_header_before_they_are_called_useless(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    leave(tmp_path, table("1", header=HEADER + ",sex", row=ROW + ",1"))
    maps = {"sex": {"1": "M"}, "gender": {"1": "F"}}
    with caplog.at_level(logging.WARNING):
        made = source(tmp_path, value_maps=maps)
        assert not made.explain() or "warning" not in " ".join(made.explain())
        assert caplog.text == ""
        (item,) = items(made, fetch(made)).values()
        fetch(made, later_s=1)

    assert item.patient_sex == "M"
    (warning,) = [record.getMessage() for record in caplog.records]
    assert "value_maps.gender" in warning


def test_a_mapping_that_names_nothing_is_said_once_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source(tmp_path, {"who": "pateint_name"})

    (record,) = caplog.records
    assert "did you mean patient_name?" in record.getMessage()
