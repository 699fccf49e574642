"""Bookings in files that somebody else writes: whole ones only, and no file cancels everything."""

from __future__ import annotations

import datetime as dt
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.bookable import NOW, TODAY, MovableClock

from pylantir.errors import ConfigurationError, InvalidItem, SourceUnavailable
from pylantir.sources import dropfolder, make_source
from pylantir.sources.base import (
    Batch,
    BookingWindow,
    DaysCovered,
    NothingCovered,
    Source,
    SourceSettings,
)
from pylantir.sources.dropfolder import DropFolder
from pylantir.sources.rounds import SyncReport
from pylantir.sync import Synchronizer
from pylantir.worklist.database import Database
from pylantir.worklist.item import WorklistItem, make_item
from pylantir.worklist.query import WorklistQuery
from pylantir.worklist.schema import prepare
from pylantir.worklist.status import ItemStatus
from pylantir.worklist.store import ItemStore

LAST_DAY = TODAY + dt.timedelta(days=30)
HEADER = "booking_id,patient_name,patient_id,modality,start_date,start_time"
ROW = "{0},Doe^Jane,P-{0},MR,2026-03-02,09:30"


def leave(folder: Path, text: str | bytes, name: str = "bookings.csv", age_s: float = 60) -> Path:
    """Write a file as something did that many seconds ago."""
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    written = NOW.timestamp() - age_s
    os.utime(path, (written, written))
    return path


def table(*ids: str, row: str = ROW, header: str = HEADER) -> str:
    return "\n".join([header, *(row.format(each) for each in ids)]) + "\n"


def source(folder: Path, field_mapping: dict[str, Any] | None = None, **config: Any) -> Source:
    settings = SourceSettings(
        name="files",
        config={"path": str(folder), **config},
        field_mapping=field_mapping or {},
        clock=MovableClock(),
    )
    return make_source("csv", settings)


def window(now: dt.datetime = NOW) -> BookingWindow:
    return BookingWindow(now, None, TODAY - dt.timedelta(days=1), LAST_DAY)


def fetch(source: Source, later_s: float = 0) -> Batch:
    return source.fetch(window(NOW + dt.timedelta(seconds=later_s)))


def items(source: Source, batch: Batch) -> dict[str, WorklistItem]:
    return {
        each.record_id: make_item(
            source.values_of(each), data_source="files", source_record_id=each.record_id
        )
        for each in batch.records
        if not each.withdrawn
    }


def read(folder: Path, *args: Any, **config: Any) -> dict[str, WorklistItem]:
    made = source(folder, *args, **config)
    return items(made, fetch(made))


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


# --- half-written files ---


def test_a_file_that_has_just_changed_is_left_alone_until_it_has_settled(tmp_path: Path) -> None:
    leave(tmp_path, table("1"), age_s=1)
    made = source(tmp_path, settle_s=5)

    early, late = fetch(made), fetch(made, later_s=5)

    assert (early.records, early.complete) == ((), False)
    assert early.notes == ("bookings.csv: still being written, nothing was read",)
    assert ([record.record_id for record in late.records], late.complete) == (["1"], True)


def test_a_file_whose_time_is_in_the_future_settles_when_it_stays_the_same(tmp_path: Path) -> None:
    leave(tmp_path, table("1"), age_s=-3600)
    made = source(tmp_path, settle_s=5)

    assert not fetch(made).complete
    leave(tmp_path, table("1", "2"), age_s=-3600)
    assert not fetch(made, later_s=6).complete
    assert fetch(made, later_s=12).complete


@pytest.mark.parametrize("marker", ["bookings.csv.done", "bookings.done"])
def test_a_marker_beside_a_file_says_that_it_is_whole(tmp_path: Path, marker: str) -> None:
    leave(tmp_path, table("1"), age_s=0)
    made = source(tmp_path)

    assert not fetch(made).complete
    leave(tmp_path, "", marker, age_s=0)
    assert fetch(made).complete


def test_a_marker_of_an_older_file_says_nothing(tmp_path: Path) -> None:
    leave(tmp_path, table("1"), age_s=0)
    leave(tmp_path, "", "bookings.done", age_s=60)

    assert not fetch(source(tmp_path)).complete


def test_where_a_marker_is_needed_a_file_without_one_waits_for_ever(tmp_path: Path) -> None:
    leave(tmp_path, table("1"), age_s=3600)

    assert not fetch(source(tmp_path, needs_marker=True)).complete


@pytest.mark.parametrize(
    "name", ["bookings.csv.part", ".bookings.csv", "~bookings.csv", "bookings.csv.tmp"]
)
def test_a_file_under_a_temporary_name_does_not_count_until_it_is_renamed(
    tmp_path: Path, name: str
) -> None:
    path = leave(tmp_path, table("1"), name)
    made = source(tmp_path, pattern="*")

    with pytest.raises(SourceUnavailable, match="no file like"):
        fetch(made)
    path.rename(tmp_path / "bookings.csv")
    assert fetch(made).complete


def test_a_file_that_is_gone_before_it_is_read_is_an_error(tmp_path: Path) -> None:
    made = source(tmp_path / "bookings.csv")
    leave(tmp_path, table("1"))
    assert fetch(made).complete
    (tmp_path / "bookings.csv").unlink()

    with pytest.raises(SourceUnavailable):
        fetch(made)


def test_a_file_that_changes_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    path = leave(tmp_path, table("1"))
    (before,) = DropFolder(path, "*", dt.timedelta()).files()
    leave(tmp_path, table("1", "2"))

    with pytest.raises(SourceUnavailable, match=r"bookings\.csv: changed while it was read"):
        DropFolder.read(before)


def test_a_file_that_is_too_large_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dropfolder, "MAX_BYTES", 20)
    leave(tmp_path, table("1"))

    with pytest.raises(SourceUnavailable, match="more than"):
        fetch(source(tmp_path))


# --- what a batch covers ---


def test_a_snapshot_covers_the_days_of_the_window(tmp_path: Path) -> None:
    leave(tmp_path, table("1"))

    batch = fetch(source(tmp_path))

    assert batch.scope == DaysCovered(TODAY - dt.timedelta(days=1), LAST_DAY)
    assert batch.complete
    assert batch.next_cursor


def test_a_delta_covers_nothing_and_its_last_row_counts(tmp_path: Path) -> None:
    later = ROW.format("1").replace("09:30", "10:30") + "\n"
    leave(tmp_path, table("1", "2") + later)
    made = source(tmp_path, mode="delta")

    batch = fetch(made)

    assert batch.scope == NothingCovered()
    assert f"{items(made, batch)['1'].start:%H:%M}" == "10:30"


def test_deltas_in_a_folder_are_read_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    leave(tmp_path, table("1", row=ROW.replace("09:30", "10:30")), "b.csv", age_s=60)
    leave(tmp_path, table("1", "2"), "a.csv", age_s=30)
    made = source(tmp_path, mode="delta")

    assert f"{items(made, fetch(made))['1'].start:%H:%M}" == "09:30"


def test_a_delta_that_is_still_written_does_not_hold_up_the_others(tmp_path: Path) -> None:
    leave(tmp_path, table("1"), "a.csv")
    leave(tmp_path, table("2"), "b.csv", age_s=0)

    batch = fetch(source(tmp_path, mode="delta"))

    assert [record.record_id for record in batch.records] == ["1"]
    assert not batch.complete
    assert batch.notes == ("b.csv: still being written, read later",)


def test_of_several_snapshots_somebody_has_to_say_whether_the_newest_is_everything(
    tmp_path: Path,
) -> None:
    leave(tmp_path, table("1"), "monday.csv", age_s=3600)
    leave(tmp_path, table("2"), "tuesday.csv", age_s=60)

    with pytest.raises(ConfigurationError, match=r"config\.files: expected newest or all"):
        fetch(source(tmp_path))
    assert list(read(tmp_path, files="newest")) == ["2"]
    assert list(read(tmp_path, files="all")) == ["1", "2"]


def test_bookings_of_other_days_are_not_taken(tmp_path: Path) -> None:
    past = ROW.replace("2026-03-02", "2026-02-27").format("old")
    far = ROW.replace("2026-03-02", "2026-05-01").format("far")
    leave(tmp_path, table("1") + f"{past}\n{far}\n")

    batch = fetch(source(tmp_path))

    assert {record.record_id: record.withdrawn for record in batch.records} == {
        "1": "",
        "far": "moved to a day that is not kept yet",
    }


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("Booked", "SCHEDULED"),
        ("Arrived", "ARRIVED"),
        ("", "SCHEDULED"),
        ("CANCELLED", "withdrawn"),
        ("No  Show", "withdrawn"),
        ("denied", "withdrawn"),
        ("maybe", "rejected"),
    ],
)
@pytest.mark.parametrize("column", ["status", "State of booking"])
def test_a_status_says_whether_a_booking_stands(
    tmp_path: Path, column: str, status: str, outcome: str
) -> None:
    leave(tmp_path, table("1", row=f"{ROW},{status}", header=f"{HEADER},{column}"))
    config = {} if column == "status" else {"status_column": column}
    made = source(tmp_path, withdrawn_statuses=["cancelled", "denied", "no show"], **config)

    batch = fetch(made)
    (record,) = batch.records

    if outcome == "withdrawn":
        assert record.withdrawn.startswith("its status is ")
    elif outcome == "rejected":
        with pytest.raises(InvalidItem, match="scheduled_statuses or withdrawn_statuses"):
            made.values_of(record)
    else:
        assert items(made, batch)["1"].status.value == outcome
    assert batch.notes == ()


def test_a_cancelled_booking_is_withdrawn_even_where_its_other_values_are_gone(
    tmp_path: Path,
) -> None:
    leave(tmp_path, f"{HEADER},status\n1,,,,,,cancelled\n")

    (record,) = fetch(source(tmp_path)).records

    assert record.withdrawn == "its status is cancelled"


def test_files_that_stayed_the_same_are_not_read_again(tmp_path: Path) -> None:
    leave(tmp_path, table("1"))
    made = source(tmp_path)

    first, second = fetch(made), fetch(made, later_s=60)

    assert second.records is first.records
    assert second.next_cursor != first.next_cursor


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


# --- through the synchronizer ---


@dataclass
class Site:
    folder: Path
    items: ItemStore
    sync: Synchronizer
    clock: MovableClock

    def round(self, text: str) -> SyncReport:
        """Leave a file, and let a minute pass."""
        self.clock.instant += dt.timedelta(minutes=1)
        leave(self.folder, text, age_s=NOW.timestamp() - self.clock.instant.timestamp() + 30)
        return self.sync.run_once()

    def scheduled(self) -> dict[str, WorklistItem]:
        found = self.items.find(WorklistQuery())
        return {i.source_record_id: i for i in found if i.status is ItemStatus.SCHEDULED}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    (tmp_path / "in").mkdir()
    database = Database(str(tmp_path / "worklist.db"))
    prepare(database, now=NOW)
    clock = MovableClock()
    sync = Synchronizer("files", source(tmp_path / "in"), database, clock)
    yield Site(tmp_path / "in", ItemStore(database, now=clock.now), sync, clock)
    database.close()


def test_a_snapshot_creates_changes_and_withdraws_and_keeps_the_study_uid(site: Site) -> None:
    site.round(table("1", "2"))
    before = site.scheduled()
    site.round(table("1", row=ROW.replace("09:30", "11:00")))
    site.round(table("1", row=ROW.replace("09:30", "11:00")))

    after = site.scheduled()

    assert list(after) == ["1"]
    assert f"{after['1'].start:%H:%M}" == "11:00"
    assert after["1"].study_instance_uid == before["1"].study_instance_uid


def test_no_empty_file_ever_cancels_anything(site: Site) -> None:
    site.round(table("1"))
    for _ in range(3):
        report = site.round(table())
        assert not report.complete

    assert list(site.scheduled()) == ["1"]
    assert report.notes == ("there are no bookings at all, which never cancels any",)


def test_a_file_without_its_header_leaves_the_last_good_list(site: Site) -> None:
    site.round(table("1"))
    for _ in range(2):
        with pytest.raises(SourceUnavailable):
            site.round(table("2").partition("\n")[2])

    assert list(site.scheduled()) == ["1"]


def test_a_row_that_becomes_unreadable_keeps_its_booking(site: Site) -> None:
    site.round(table("1", "2"))
    for _ in range(2):
        report = site.round(table("1") + ROW.format("2").replace("MR", "3.0T") + "\n")

    assert sorted(site.scheduled()) == ["1", "2"]
    assert [rejected.record_id for rejected in report.rejected] == ["2"]
