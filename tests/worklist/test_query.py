"""Matching, rule by rule (PS3.4 C.2.2.2, K.2.2)."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from tests.worklist.bookings import DAY, booking

from pylantir.worklist.attributes import BY_NAME
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.query import (
    AnyOf,
    CodeKey,
    Key,
    Match,
    PersonName,
    Range,
    SingleValue,
    StartInterval,
    WildCard,
    WorklistQuery,
    any_of,
    has_wild_card,
)
from pylantir.worklist.status import HIDDEN_BY_DEFAULT, ItemStatus


def finds(item: WorklistItem, *keys: Key | CodeKey | StartInterval, **seen: Any) -> bool:
    query = WorklistQuery(
        keys=tuple(k for k in keys if isinstance(k, Key)),
        codes=tuple(k for k in keys if isinstance(k, CodeKey)),
        start=next((k for k in keys if isinstance(k, StartInterval)), None),
        **seen,
    )
    return query.matches(item)


def key(name: str, match: Match) -> Key:
    return Key(BY_NAME[name], match)


def day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def hour(text: str) -> dt.time:
    return dt.time.fromisoformat(text)


# --- single value (C.2.2.2.1) ---


@pytest.mark.parametrize("stored", ["PID_001", "PID%001", "PID[0]1", "PID.001", "O'Neil", "a b"])
def test_a_single_value_is_exact_and_every_character_stands_for_itself(stored: str) -> None:
    item = booking(patient_id=stored)
    assert finds(item, key("patient_id", SingleValue(stored)))
    for other in ("PIDX001", "PID001", stored + "x", stored[1:], "A B", "ab"):
        assert not finds(item, key("patient_id", SingleValue(other)))
        assert not finds(item, key("patient_id", WildCard(other + "*")))


def test_all_but_person_names_are_sensitive_to_case() -> None:
    item = booking(patient_id="abc", accession_number="A1")
    assert not finds(item, key("patient_id", SingleValue("ABC")))
    assert not finds(item, key("patient_id", WildCard("AB*")))
    assert not finds(item, key("accession_number", SingleValue("a1")))


def test_times_are_equal_by_meaning() -> None:
    item = booking(start_time="2230")
    assert finds(item, key("scheduled_procedure_step_start_time", SingleValue(dt.time(22, 30))))
    assert item == booking(start_time="22:30:00.000")


def test_padding_is_no_part_of_a_stored_value() -> None:
    item = booking(scheduled_station_ae_title="MR1     ", patient_id=" 1 ", patient_name="Doe^ ")
    assert finds(item, key("scheduled_station_ae_title", SingleValue("MR1")))
    assert finds(item, key("patient_id", SingleValue("1")))
    assert finds(item, key("patient_name", PersonName("doe")))


def test_embedded_spaces_count() -> None:
    assert not finds(booking(patient_id="1 2"), key("patient_id", SingleValue("12")))
    assert not finds(booking(patient_id="1  2"), key("patient_id", SingleValue("1 2")))


# --- several stored values, list of UID (C.2.2.2.2) ---


def test_any_of_several_stored_values_may_match() -> None:
    item = booking(scheduled_station_ae_title="MR1\\MR2", scheduled_station_name="A\\B")
    for title in ("MR1", "MR2"):
        assert finds(item, key("scheduled_station_ae_title", SingleValue(title)))
    for title in ("MR3", "MR1\\MR2", "MR"):
        assert not finds(item, key("scheduled_station_ae_title", SingleValue(title)))
    assert finds(item, key("scheduled_station_name", WildCard("B*")))


def test_a_list_of_uid_matches_any_of_them() -> None:
    item = booking(study_instance_uid="1.2.3")
    listed = any_of([SingleValue("1.2.4"), SingleValue("1.2.3")])
    assert isinstance(listed, AnyOf)
    assert finds(item, key("study_instance_uid", listed))
    assert not finds(item, key("study_instance_uid", any_of([SingleValue("1.2.4")])))


# --- universal matching and empty values (C.2.2.2.3, K.2.2.1.1.1) ---


def test_a_query_without_keys_finds_what_is_empty_too() -> None:
    assert finds(booking())


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("accession_number", WildCard("?*")),
        ("accession_number", WildCard("*")),
        ("accession_number", SingleValue("")),
        ("patient_birth_date", Range()),
        ("patient_birth_date", Range(None, day("2025-01-01"))),
        ("referring_physician_name", PersonName("*")),
        ("pregnancy_status", SingleValue(None)),
        ("medical_alerts", WildCard("*")),
    ],
)
def test_a_key_never_matches_an_empty_stored_value(name: str, match: Match) -> None:
    assert not finds(booking(), key(name, match))


def test_an_item_without_a_station_is_open_to_every_scanner() -> None:
    item = booking(scheduled_station_ae_title="")
    assert finds(item, key("scheduled_station_ae_title", SingleValue("MR7")))
    assert finds(item, key("scheduled_station_ae_title", WildCard("X?")))
    assert not finds(item, key("scheduled_station_name", SingleValue("MR7")))


# --- ranges (C.2.2.2.5) ---


@pytest.mark.parametrize(
    ("wanted", "inside"),
    [
        (Range(day("2025-07-07"), day("2025-07-07")), True),
        (Range(day("2025-07-07"), None), True),
        (Range(None, day("2025-07-07")), True),
        (Range(day("2025-07-01"), day("2025-07-31")), True),
        (Range(day("2025-07-08"), None), False),
        (Range(None, day("2025-07-06")), False),
        (Range(day("2025-07-08"), day("2025-07-06")), False),
    ],
)
def test_a_range_of_days_includes_both_ends(wanted: Range, inside: bool) -> None:
    assert finds(booking(), key("scheduled_procedure_step_start_date", wanted)) is inside


def test_a_time_without_seconds_lies_in_a_range_with_seconds() -> None:
    item = booking(start_time="1200")
    name = "scheduled_procedure_step_start_time"
    assert finds(item, key(name, Range(hour("12:00:00"), None)))
    assert finds(item, key(name, Range(None, hour("12:00:00"))))
    assert not finds(item, key(name, Range(hour("12:00:00.000001"), None)))


def test_a_range_of_times_does_not_cross_midnight() -> None:
    name = "scheduled_procedure_step_start_time"
    night = Range(hour("22:00"), hour("06:00"))
    for start in ("23:00", "05:00", "12:00"):
        assert not finds(booking(start_time=start), key(name, night))


def test_day_and_time_together_are_one_interval() -> None:
    days = Range(day("2025-07-05"), day("2025-07-07"))
    interval = StartInterval.of(days, Range(hour("10:00"), hour("18:00")))
    for date, start, inside in (
        ("2025-07-05", "09:59", False),
        ("2025-07-05", "10:00", True),
        ("2025-07-05", "23:00", True),
        ("2025-07-06", "03:00", True),
        ("2025-07-07", "18:00", True),
        ("2025-07-07", "18:01", False),
        ("2025-07-04", "12:00", False),
        ("2025-07-08", "12:00", False),
    ):
        assert finds(booking(start_date=date, start_time=start), interval) is inside


def test_an_interval_may_be_open() -> None:
    later = StartInterval.of(Range(DAY, None), Range(hour("10:00"), None))
    assert finds(booking(start_date="2025-07-08", start_time="01:00"), later)
    assert not finds(booking(start_time="09:00"), later)
    whole_days = StartInterval.of(Range(DAY, DAY), Range(None, hour("10:00")))
    assert finds(booking(start_time="00:00"), whole_days)
    assert not finds(booking(start_time="10:01"), whole_days)
    earlier = StartInterval.of(Range(None, DAY), Range(hour("10:00"), None))
    assert finds(booking(start_time="23:59:59.999999"), earlier)
    assert finds(booking(start_date="2025-07-01", start_time="01:00"), earlier)


def test_one_range_alone_is_matched_by_itself() -> None:
    single_day = key("scheduled_procedure_step_start_date", SingleValue(DAY))
    times = key("scheduled_procedure_step_start_time", Range(hour("10:00"), hour("18:00")))
    assert finds(booking(start_time="12:00"), single_day, times)
    assert not finds(booking(start_time="09:00"), single_day, times)


# --- sequences (C.2.2.2.6) ---

CODED = {
    "scheduled_protocol_codes": [
        {"value": "BRAIN", "scheme": "99A", "meaning": "Head"},
        {"value": "KNEE", "scheme": "99B"},
    ]
}


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ({"value": "BRAIN"}, True),
        ({"value": "BRAIN", "scheme": "99A"}, True),
        ({"value": "BRAIN", "scheme": "99B"}, False),
        ({"value": "KNEE", "meaning": "Head"}, False),
        ({"value": "B*"}, True),
        ({"meaning": "*"}, True),
        ({"version": "*"}, False),
    ],
)
def test_all_keys_of_a_sequence_match_within_one_item(parts: dict[str, str], found: bool) -> None:
    matches = tuple(
        (name, WildCard(v) if has_wild_card(v) else SingleValue(v)) for name, v in parts.items()
    )
    code = CodeKey(BY_NAME["scheduled_protocol_codes"], matches)
    assert finds(booking(**CODED), code) is found
    assert not finds(booking(), code)


# --- what may be seen ---


def test_hidden_statuses_are_seen_only_by_a_query_that_names_a_status() -> None:
    done = booking(status="COMPLETED")
    named_status = key("status", SingleValue(ItemStatus.COMPLETED))
    assert finds(done)
    assert not finds(done, hidden=HIDDEN_BY_DEFAULT)
    assert finds(done, named_status, hidden=HIDDEN_BY_DEFAULT)
    assert not finds(booking(), named_status, hidden=HIDDEN_BY_DEFAULT)


def test_a_caller_sees_only_its_statuses_modalities_and_stations() -> None:
    item = booking(scheduled_station_ae_title="MR1\\MR2")
    assert finds(item, only_modalities=("CT", "MR"), only_stations=("MR2",))
    assert not finds(item, only_modalities=("CT",))
    assert not finds(item, only_stations=("MR3",))
    assert finds(booking(scheduled_station_ae_title=""), only_stations=("MR3",))
    assert not finds(item, only_statuses=(ItemStatus.IN_PROGRESS,))
    named_status = key("status", SingleValue(ItemStatus.SCHEDULED))
    assert not finds(item, named_status, only_statuses=(ItemStatus.IN_PROGRESS,))


def test_the_window_of_days_is_for_queries_without_a_date() -> None:
    window = {"first_day": day("2025-07-06"), "last_day": day("2025-07-08")}
    old = booking(start_date="2025-07-01")
    assert finds(booking(), **window)
    assert not finds(old, **window)
    assert finds(old, key("scheduled_procedure_step_start_date", Range(None, DAY)), **window)
    assert finds(old, StartInterval.of(Range(None, DAY), Range(hour("08:00"), None)), **window)


def test_all_keys_must_match() -> None:
    item = booking(accession_number="A1")
    accession = key("accession_number", SingleValue("A1"))
    assert finds(item, accession, key("modality", SingleValue("MR")))
    assert not finds(item, accession, key("modality", SingleValue("CT")))
