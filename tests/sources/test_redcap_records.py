"""From rows to bookings: every shape of record, and keys that never change."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pylantir.sources.redcap_records import (
    Layout,
    booking_key,
    bookings,
    by_record,
    escaped,
    unescaped,
)

LAYOUT = Layout("record_id", "mri", "mri_date", "mri_time", "mri_instance")
FIELDS = ("study_id", "family_id", "weight", "mri_instance", "mri_date", "mri_time")


def row(record: str, event: str = "", form: str = "", number: object = "", **values: str) -> dict:
    """A row as REDCap sends it: every column, the instance as a number."""
    return {
        "record_id": record,
        "redcap_event_name": event,
        "redcap_repeat_instrument": form,
        "redcap_repeat_instance": number,
        **dict.fromkeys(FIELDS, ""),
        **values,
    }


def scan(record: str, event: str, number: int, day: str = "2026-03-02", **values: str) -> dict:
    return row(record, event, "mri", number, mri_date=day, mri_time="09:30", **values)


def read(*rows: dict, layout: Layout = LAYOUT) -> dict[str, dict[str, str]]:
    return {
        key: fields
        for record_id, own in by_record(rows, layout).items()
        for key, fields in bookings(record_id, own, layout)
    }


def test_a_key_is_record_event_instrument_and_instance() -> None:
    assert list(read(scan("1", "t1_arm_1", 2))) == ["1/t1_arm_1/mri/2"]


def test_records_of_any_order_are_not_mixed() -> None:
    found = read(
        row("1", "b", study_id="S-1"),
        row("2", "b", study_id="S-2"),
        scan("2", "t1", 1),
        scan("1", "t1", 1),
    )
    assert found["1/t1/mri/1"]["study_id"] == "S-1"
    assert found["2/t1/mri/1"]["study_id"] == "S-2"


def test_the_person_is_spread_over_all_events_and_the_first_value_stays() -> None:
    found = read(
        row("1", "screening", family_id="F-1"),
        row("1", "baseline", study_id="S-1", family_id="F-2"),
        scan("1", "t1", 1),
    )
    assert (found["1/t1/mri/1"]["study_id"], found["1/t1/mri/1"]["family_id"]) == ("S-1", "F-1")


def test_what_was_measured_in_the_bookings_own_event_comes_first() -> None:
    found = read(
        row("1", "baseline", weight="40"),
        row("1", "t1", weight="42"),
        row("1", "t2", weight="44"),
        scan("1", "t1", 1),
        scan("1", "t2", 1),
    )
    assert [found[f"1/{event}/mri/1"]["weight"] for event in ("t1", "t2")] == ["42", "44"]


def test_the_bookings_own_row_wins_over_everything() -> None:
    found = read(row("1", "t1", weight="42"), scan("1", "t1", 1, weight="43"))
    assert found["1/t1/mri/1"]["weight"] == "43"


def test_a_baseline_event_keeps_other_events_out() -> None:
    layout = replace(LAYOUT, baseline_event="baseline")
    found = read(
        row("1", "screening", study_id="S-0", family_id="F-0"),
        row("1", "baseline", study_id="S-1"),
        row("1", "t1", study_id="S-2", weight="42"),
        scan("1", "t1", 1),
        layout=layout,
    )
    fields = found["1/t1/mri/1"]
    assert (fields["study_id"], fields["weight"]) == ("S-1", "42")
    assert not fields.get("family_id")


def test_date_and_session_are_never_borrowed_from_another_row() -> None:
    found = read(
        row("1", "b", mri_instance="9", mri_time="23:59"),
        row("1", "t1", "mri", 1, mri_date="2026-03-02"),
    )
    fields = found["1/t1/mri/1"]
    assert (fields["mri_time"], fields["mri_instance"]) == ("", "1")


def test_a_repeat_of_an_event_is_a_booking_and_not_a_baseline() -> None:
    found = read(
        row("1", "baseline", study_id="S-1"),
        row("1", "t1", "", 1, mri_date="2026-03-02", mri_time="09:00", weight="40"),
        row("1", "t1", "", 2, mri_date="2026-03-09", mri_time="09:00"),
    )
    assert sorted(found) == ["1/t1//1", "1/t1//2"]
    assert not found["1/t1//2"].get("weight")
    assert found["1/t1//2"]["study_id"] == "S-1"


def test_one_session_number_in_two_events_or_arms_is_two_bookings() -> None:
    found = read(scan("1", "t1_arm_1", 1), scan("1", "t2_arm_1", 1), scan("1", "t1_arm_2", 1))
    assert len(found) == 3


def test_a_classic_project_has_a_booking_in_its_only_row() -> None:
    rows = [{"record_id": "7", "study_id": "S-7", "mri_date": "2026-03-02", "mri_time": "8:00"}]
    (fields,) = read(*rows).values()
    assert fields["study_id"] == "S-7"
    assert list(read(*rows)) == ["7///"]


@pytest.mark.parametrize("written", ["", "UNK", " UNK ", None, "NaN"])
def test_a_booking_without_a_date_is_none(written: object) -> None:
    layout = replace(LAYOUT, missing_codes=frozenset({"UNK"}))
    assert read(scan("1", "t1", 1, day=written), layout=layout) == {}  # type: ignore[arg-type]


def test_a_missing_data_code_does_not_hide_what_another_event_knows() -> None:
    layout = replace(LAYOUT, missing_codes=frozenset({"-99"}))
    found = read(
        row("1", "a", study_id="-99"),
        row("1", "b", study_id="S-1"),
        scan("1", "t1", 1),
        layout=layout,
    )
    assert found["1/t1/mri/1"]["study_id"] == "S-1"


def test_another_instruments_repeats_are_no_bookings() -> None:
    found = read(row("1", "t1", "eeg", 1, mri_date="2026-03-02"))
    assert found == {}


def test_only_the_configured_events_hold_bookings() -> None:
    layout = replace(LAYOUT, events=("t2",))
    assert list(read(scan("1", "t1", 1), scan("1", "t2", 1), layout=layout)) == ["1/t2/mri/1"]


@pytest.mark.parametrize("record", ["1452-7", "007", "A/1", "50%", "%2F", "%252F/", "Ä 1"])
def test_any_record_id_comes_back_out_of_its_key(record: str) -> None:
    first, *rest = booking_key(record, {"redcap_repeat_instance": "2"}).split("/")
    assert (unescaped(first), rest) == (record, ["", "", "2"])
    assert "/" not in escaped(record)


def test_numbers_with_and_without_zeros_are_different_records() -> None:
    assert len(read(scan("7", "t1", 1), scan("007", "t1", 1))) == 2
