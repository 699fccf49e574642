"""Values are found in raw records, and patterns take their part in bounded time."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from pylantir.sources.extraction import (
    LEAST_MATCH_SECONDS,
    MATCH_SECONDS,
    MAX_TEXT_CHARACTERS,
    Extraction,
    NoMatch,
    look_up,
    plain_text,
    read_extraction,
)

CATASTROPHIC = "(a|aa)+$"
POISON = "a" * 100 + "b"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("id", 7),
        ("properties.project.name", "BRISKP"),
        ("title", "SUB001_John_Doe"),
        ("project.name", "BRISKP"),
        ("operators.1.name", "Jane"),
        ("resource.name", "3T"),
        ("Operator.name", "flat"),
        ("operators.2.name", None),
        ("operators.-1.name", None),
        ("id.inside", None),
        ("nothing", None),
        ("properties.nothing", None),
    ],
)
def test_a_path_goes_through_objects_and_lists_and_falls_back_to_properties(
    path: str, value: Any
) -> None:
    record = {
        "id": 7,
        "title": None,
        "resource.name": "3T",
        "operators": [{"name": "John"}, {"name": "Jane"}],
        "properties": {
            "title": "SUB001_John_Doe",
            "project": {"name": "BRISKP"},
            "Operator.name": "flat",
        },
    }

    assert look_up(record, path) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("  x ", "x"),
        ("NaN", ""),
        (float("nan"), ""),
        (3, "3"),
        (3.0, "3"),
        (True, "true"),
        ("007", "007"),
    ],
)
def test_a_raw_value_is_one_text(value: Any, text: str) -> None:
    assert plain_text(value) == text


@pytest.mark.parametrize(
    ("value", "way_out"), [({"id": 1, "name": "x"}, "id, name"), (["x"], "index")]
)
def test_an_object_is_no_value_and_the_way_out_is_said(value: Any, way_out: str) -> None:
    with pytest.raises(ValueError, match=way_out):
        plain_text(value)


def test_a_group_of_what_matches_at_the_beginning_is_taken_without_spaces() -> None:
    study = Extraction(r"^([^(]+)", 1)

    assert study.take("BRISKP (Brain network models)") == "BRISKP"


def test_match_is_anchored_and_search_is_not() -> None:
    assert Extraction(r"SUB\d+", mode="search").take("booked for SUB12") == "SUB12"
    with pytest.raises(NoMatch):
        Extraction(r"SUB\d+").take("booked for SUB12")


def test_a_named_group_is_taken_by_its_name() -> None:
    assert Extraction(r"(?P<who>\w+)-(?P<when>\d+)", "when").take("x-12") == "12"


def test_a_group_that_took_no_part_counts_as_no_match() -> None:
    with pytest.raises(NoMatch):
        Extraction(r"(a)|(b)", 1).take("b")


def test_what_becomes_of_text_that_does_not_match_is_said_in_the_configuration() -> None:
    assert Extraction("x", on_no_match="empty").take("abc") == ""
    assert Extraction("x", on_no_match="original").take("abc") == "abc"
    assert Extraction("x", default="none").take("abc") == "none"
    with pytest.raises(NoMatch, match="the pattern x does not match"):
        Extraction("x").take("abc")


def test_the_message_of_a_mismatch_does_not_hold_the_text() -> None:
    with pytest.raises(NoMatch) as raised:
        Extraction(r"\d+").take("Doe^Jane")

    assert "Doe" not in str(raised.value)


def test_a_catastrophic_pattern_is_cut_off_in_time() -> None:
    # Without a limit it would outlast the test run's own.
    with pytest.raises(ValueError, match="takes too long"):
        Extraction(CATASTROPHIC).take(POISON)


def test_a_pattern_that_keeps_being_too_slow_gets_less_and_less_time() -> None:
    slow = Extraction(CATASTROPHIC)
    given = []
    for _ in range(8):
        given.append(slow._patience.seconds)
        with pytest.raises(ValueError, match="takes too long"):
            slow.take(POISON)

    assert given[:3] == [MATCH_SECONDS, MATCH_SECONDS / 2, MATCH_SECONDS / 4]
    assert given[-2:] == [LEAST_MATCH_SECONDS, LEAST_MATCH_SECONDS]
    assert slow.take("aaaa") == "aaaa"


def test_a_text_that_is_done_in_time_gives_the_next_one_all_the_time_again() -> None:
    slow = Extraction(CATASTROPHIC)
    with pytest.raises(ValueError, match="takes too long"):
        slow.take(POISON)
    assert slow._patience.seconds < MATCH_SECONDS
    slow.take("aaaa")

    assert slow._patience.seconds == MATCH_SECONDS


def test_other_threads_run_while_a_pattern_is_slow() -> None:
    ticks = 0
    done = threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not done.wait(0.001):
            ticks += 1

    ticking = threading.Thread(target=tick)
    ticking.start()
    most = 0
    for _ in range(40):  # a busy machine may keep the other thread waiting, but not each time
        before = ticks
        with pytest.raises(ValueError, match="takes too long"):
            Extraction(CATASTROPHIC).take(POISON)
        most = max(most, ticks - before)
        if most > 5:
            break
    done.set()
    ticking.join()

    assert most > 5


def test_text_that_is_too_long_is_not_searched_at_all() -> None:
    with pytest.raises(ValueError, match="at most 4096 characters"):
        Extraction(r".*", mode="search").take("x" * (MAX_TEXT_CHARACTERS + 1))


@pytest.mark.parametrize(
    ("written", "key", "message"),
    [
        ("^x", "", "expected an object with a pattern"),
        ({}, "pattern", "expected a regular expression, got null"),
        ({"pattern": ""}, "pattern", "expected a regular expression"),
        ({"pattern": "(x"}, "pattern", "missing"),
        ({"pattern": "x" * 1001}, "pattern", "at most 1000 characters, got 1001"),
        (
            {"pattern": "(x)", "group": 2},
            "group",
            "expected a group of the pattern (0 to 1), got 2",
        ),
        ({"pattern": "x", "group": -1}, "group", "got -1"),
        ({"pattern": "x", "group": True}, "group", "expected the number of a group"),
        ({"pattern": "(?P<a>x)", "group": "b"}, "group", "0 to 1, a"),
        ({"pattern": "x", "mode": "find"}, "mode", "expected one of match, search"),
        ({"pattern": "x", "on_no_match": "skip"}, "on_no_match", "expected one of reject, empty"),
        ({"pattern": "x", "default": 3}, "default", "expected a text"),
        ({"pattern": "x", "gruop": 1}, "gruop", "unknown key"),
    ],
)
def test_a_pattern_that_cannot_work_is_refused_before_any_record(
    written: Any, key: str, message: str
) -> None:
    extraction, faults = read_extraction(written, "reject")

    assert extraction is None
    assert [fault.key for fault in faults] == [key]
    assert message in faults[0].message


def test_a_misspelt_key_gets_the_nearest_one() -> None:
    _, faults = read_extraction({"pattern": "x", "gruop": 1}, "reject")

    assert faults[0].hint == "did you mean group?"


def test_group_and_mode_have_defaults_and_comments_are_read_over() -> None:
    extraction, faults = read_extraction({"pattern": "x", "_comment": "ids"}, "original")

    assert faults == []
    assert extraction == Extraction("x", 0, "match", "original")


def test_the_number_of_a_group_may_be_written_as_text() -> None:
    extraction, _ = read_extraction({"pattern": "(x)", "group": "1"}, "reject")

    assert extraction is not None
    assert extraction.group == 1
