"""Files that are left for us: whole ones only, and what a batch of them covers."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from tests.bookable import TODAY
from tests.sources.csv_files import (
    HEADER,
    LAST_DAY,
    ROW,
    fetch,
    items,
    leave,
    read,
    source,
    table,
)

from pylantir.errors import ConfigurationError, InvalidItem, SourceUnavailable
from pylantir.sources import dropfolder
from pylantir.sources.base import (
    DaysCovered,
    NothingCovered,
)
from pylantir.sources.dropfolder import DropFolder

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


def test_a_delta_that_moves_a_booking_to_a_day_that_is_over_takes_it_back(tmp_path: Path) -> None:
    over = ROW.replace("2026-03-02", "2025-03-02")
    leave(tmp_path, table("1", "2") + over.format("1") + "\n")

    batch = fetch(source(tmp_path, mode="delta"))

    assert [record.record_id for record in batch.records] == ["2"]


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
