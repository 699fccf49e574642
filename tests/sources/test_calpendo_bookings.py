"""One Calpendo booking as servers write it: shapes, hidden values, dates, status, repeats."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from pylantir.clock import SiteClock
from pylantir.sources.calpendo_bookings import (
    Occurrences,
    date_range,
    has,
    in_one_shape,
    text_at,
    why_not,
)
from pylantir.sources.extraction import look_up

CLOCK = SiteClock("America/Edmonton")
BEFORE_11: dict[str, Any] = {
    "id": 300004157686785,
    "formattedName": "[2026-01-27 14:00:00.0, 2026-01-27 15:30:00.0]",
    "title": "SUB001_John_Doe",
    "status": "Approved",
    "biskitType": "MRIScan",
    "properties": {
        "resource": {"id": 789, "name": "3T Diagnostic", "formattedName": "3T Diagnostic"},
        "project": {"id": 456, "name": "BRISKP", "formattedName": "BRISKP (Brain networks)"},
        "cancelled": False,
    },
}
SINCE_11: dict[str, Any] = {
    "id": 300004157686785,
    "biskitType": "MRIScan",
    "formattedName": "[2026-01-27 14:00:00.0, 2026-01-27 15:30:00.0]",
    "properties": {
        "title": "SUB001_John_Doe",
        "status": "Approved",
        "dateRange": {"start": "2026-01-27T14:00:00", "finish": "2026-01-27T15:30:00"},
        "resource": {"id": 789, "formattedName": "3T Diagnostic"},
        "project": {"id": 456, "formattedName": "BRISKP (Brain networks)"},
        "cancelled": False,
    },
}
FLAT: dict[str, Any] = {
    "id": 300004157686785,
    "biskitType": "MRIScan",
    "title": "SUB001_John_Doe",
    "status": "Approved",
    "dateRange.start": "2026-01-27T14:00:00",
    "dateRange.finish": "2026-01-27T15:30:00",
    "resource.name": "3T Diagnostic",
    "project": {"id": 456, "formattedName": "BRISKP (Brain networks)"},
    "project.formattedName": "BRISKP (Brain networks)",
    "cancelled": False,
}
SHAPES = pytest.mark.parametrize(
    "row", [BEFORE_11, SINCE_11, FLAT], ids=["before 11", "since 11", "flat"]
)


def moments(row: dict[str, Any]) -> tuple[dt.datetime, dt.datetime | None] | None:
    return date_range(in_one_shape(row), CLOCK)


@SHAPES
def test_every_shape_says_the_same(row: dict[str, Any]) -> None:
    booking = in_one_shape(row)
    assert text_at(booking, "title") == "SUB001_John_Doe"
    assert text_at(booking, "resource.name") == "3T Diagnostic"
    assert date_range(booking, CLOCK) == (
        dt.datetime(2026, 1, 27, 14),
        dt.datetime(2026, 1, 27, 15, 30),
    )
    assert why_not(booking, frozenset({"approved"})) == ""


@SHAPES
@pytest.mark.parametrize("prefix", ["", "properties."])
def test_a_mapping_for_one_shape_reads_the_others(row: dict[str, Any], prefix: str) -> None:
    booking = in_one_shape(row)
    assert look_up(booking, f"{prefix}title") == "SUB001_John_Doe"
    assert look_up(booking, f"{prefix}project.formattedName") == "BRISKP (Brain networks)"


def test_reading_changes_nothing_of_the_answer() -> None:
    before = repr(FLAT)
    in_one_shape(FLAT)
    assert repr(FLAT) == before


def test_hidden_values_are_nothing_wherever_they_stand() -> None:
    booking = in_one_shape(
        {
            "title": "<Hidden>",
            "project": "<Hidden>",
            "resource.name": "<Hidden>",
            "properties": {"owner": {"formattedName": "<Hidden>"}, "groups": ["<Hidden>"]},
        }
    )
    assert "<Hidden>" not in repr(booking)


def test_a_hidden_value_is_still_an_answer() -> None:
    row = {"status": "<Hidden>", "properties": {"dateRange": "<Hidden>", "resource": None}}
    assert has(row, "status")
    assert has(row, "dateRange.start")
    assert has(row, "resource")
    assert not has(row, "title")


def test_a_person_who_comes_as_a_reference_has_a_name() -> None:
    row = {"Operator.name": {"formattedName": "Jane Smith", "id": 201}}
    assert look_up(in_one_shape(row), "Operator.name") == "Jane Smith"


# --- Dates ---


def test_the_date_range_counts_more_than_the_text_for_people() -> None:
    row = {"formattedName": "[2020-01-01 08:00:00.0, 2020-01-01 09:00:00.0]"}
    row |= {"dateRange.start": "2026-01-27T14:00:00", "dateRange.finish": None}
    assert moments(row) == (dt.datetime(2026, 1, 27, 14), None)


def test_a_text_for_people_of_another_kind_drops_no_booking() -> None:
    row = SINCE_11 | {"formattedName": "SUB001 on the 3T, Tuesday afternoon"}
    found = moments(row)
    assert found is not None
    assert found[0] == dt.datetime(2026, 1, 27, 14)


@pytest.mark.parametrize("shape", ["text", "reference"])
def test_the_date_range_may_be_written_as_text(shape: str) -> None:
    written = "[2026-01-27 14:00:00.0, 2026-01-27 15:30:00.0]"
    row = {"dateRange": written if shape == "text" else {"formattedName": written}}
    row |= {"formattedName": "[2020-01-01 08:00:00.0, 2020-01-01 09:00:00.0]"}
    assert moments(row) == (dt.datetime(2026, 1, 27, 14), dt.datetime(2026, 1, 27, 15, 30))


def test_the_end_may_be_called_end() -> None:
    row = {"dateRange": {"start": "2026-01-27T14:00:00", "end": "2026-01-27T15:00:00"}}
    assert moments(row) == (dt.datetime(2026, 1, 27, 14), dt.datetime(2026, 1, 27, 15))


@pytest.mark.parametrize(
    "written",
    [
        "2026-01-27T14:00:00",
        "2026-01-27T14:00:00.000",
        "2026-01-27 14:00",
        " 20260127T1400 ",
        "20260127-1400",
        "20260127T14:00:00.000",
        "2026-01-27T21:00Z",
        "2026-01-27T16:00:00-05:00",
    ],
)
def test_every_way_to_write_a_moment_is_read(written: str) -> None:
    found = moments({"dateRange.start": written})
    assert found is not None
    assert found[0] == dt.datetime(2026, 1, 27, 14)


@pytest.mark.parametrize("written", ["", "soon", "2026-13-45T99:00", None, 7, "<Hidden>"])
def test_what_is_no_moment_is_none(written: Any) -> None:
    assert moments({"dateRange.start": written, "formattedName": "busy"}) is None


@pytest.mark.parametrize("written", ["2026-03-08T02:30:00", "2026-11-01T01:30:00"])
def test_a_wall_clock_time_is_kept_in_the_gap_and_in_the_hour_that_comes_twice(
    written: str,
) -> None:
    found = moments({"dateRange.start": written})
    assert found is not None
    assert found[0].isoformat() == written


# --- Status ---


@pytest.mark.parametrize("status", ["Approved", "APPROVED", " approved "])
def test_an_approved_booking_may_be_scanned_in_any_spelling(status: str) -> None:
    assert why_not(in_one_shape({"status": status}), frozenset({"approved"})) == ""


@pytest.mark.parametrize("status", ["Denied", "Requested", "Tentative", "Cancelled", "In Progress"])
def test_every_other_status_says_why_it_may_not(status: str) -> None:
    told = why_not(in_one_shape({"status": status}), frozenset({"approved"}))
    assert told == f"{status} in Calpendo"


@pytest.mark.parametrize("flag", [True, "true", "True"])
def test_a_cancelled_flag_counts_more_than_an_approved_status(flag: Any) -> None:
    booking = in_one_shape({"status": "Approved", "properties": {"cancelled": flag}})
    assert why_not(booking, frozenset({"approved"})) == "cancelled in Calpendo"


# --- Repeats ---

FIRST, SECOND, THIRD = (dt.date(2026, 3, 2) + dt.timedelta(days=7 * n) for n in range(3))


def test_a_booking_that_takes_place_once_keeps_its_id_when_it_moves() -> None:
    seen = Occurrences({})
    assert seen.keys([("1", FIRST)]) == ["1"]
    assert seen.keys([("1", SECOND)]) == ["1"]


def test_a_page_that_comes_twice_is_no_repeat() -> None:
    seen = Occurrences({})
    assert seen.keys([("1", FIRST), ("1", FIRST), ("1", None)]) == ["1", "1", "1"]
    assert seen.keys([("1", SECOND)]) == ["1"]


def test_each_day_of_a_repeat_has_a_key_that_lasts() -> None:
    seen = Occurrences({})
    assert seen.keys([("1", FIRST)]) == ["1"]
    assert seen.keys([("1", FIRST), ("1", SECOND)]) == ["1", "1/20260309"]
    assert seen.keys([("1", SECOND)]) == ["1/20260309"]
    assert seen.keys([("1", SECOND), ("1", THIRD)]) == ["1/20260309", "1/20260316"]


def test_keys_of_repeats_last_over_a_restart() -> None:
    seen = Occurrences({})
    seen.keys([("1", FIRST), ("1", SECOND)])
    cursor = seen.cursor(dt.datetime(2026, 3, 2, tzinfo=dt.UTC))
    assert Occurrences.read(cursor).keys([("1", SECOND)]) == ["1/20260309"]


@pytest.mark.parametrize("cursor", [None, "", "2026-03-02T08:00:00", "[]", "{}", '{"repeating":7}'])
def test_a_cursor_of_another_kind_remembers_nothing(cursor: str | None) -> None:
    assert Occurrences.read(cursor).keys([("1", FIRST)]) == ["1"]
