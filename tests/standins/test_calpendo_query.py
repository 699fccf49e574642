"""The vendor's grammar, as it is and not as one would like it."""

from __future__ import annotations

import datetime as dt

import pytest
from tests.standins.calpendo_query import HIDDEN, Condition, Group, QueryError, parse

ITEM: dict[str, object] = {
    "id": 300_004_157_686_785,
    "title": "SUB001_John_Doe",
    "status": "Approved",
    "cancelled": False,
    "cancellationReason": None,
    "project": HIDDEN,
    "resource": {"id": 7, "name": "PET/MR", "groups": ["MR", "PET"]},
    "dateRange": {"start": dt.datetime(2026, 3, 2, 9, 30), "finish": dt.datetime(2026, 3, 2, 11)},
}


def holds(text: str) -> bool:
    return parse(text).holds(ITEM)


def test_what_follows_an_or_is_nested_in_it_until_close() -> None:
    inside = parse("AND/a/EQ/1/OR/b/EQ/2/c/EQ/3")
    outside = parse("AND/a/EQ/1/OR/b/EQ/2/CLOSE/c/EQ/3/CLOSE")
    a, b, c = (Condition(n, "EQ", v) for n, v in (("a", "1"), ("b", "2"), ("c", "3")))
    assert inside == Group("AND", (a, Group("OR", (b, c))))
    assert outside == Group("AND", (a, Group("OR", (b,)), c))


def test_close_at_the_end_may_be_left_out() -> None:
    texts = ["AND/a/EQ/1/OR/b/EQ/2" + end for end in ("", "/", "/CLOSE", "/CLOSE/CLOSE")]
    assert len({repr(parse(text)) for text in texts}) == 1


def test_operators_and_relations_work_in_lower_case() -> None:
    assert holds("and/status/eq/Approved/id/gt/1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("AND/status/EQ/Approved/cancelled/EQ/true", False),
        ("OR/status/EQ/Denied/cancelled/EQ/false", True),
        ("NAND/status/EQ/Approved/cancelled/EQ/false", False),
        ("NAND/status/EQ/Approved/cancelled/EQ/true", True),
        ("NOR/status/EQ/Denied/cancelled/EQ/true", True),
        ("NOR/status/EQ/Approved/cancelled/EQ/true", False),
    ],
)
def test_boolean_operators(text: str, expected: bool) -> None:
    assert holds(text) is expected


@pytest.mark.parametrize(
    "value", ["20260302T0930", "20260302-0930", "20260302T09:30:00.000"], ids=str
)
def test_a_time_is_taken_in_each_of_its_forms(value: str) -> None:
    assert holds(f"dateRange.start/EQ/{value}")
    assert holds(f"dateRange.start/GE/{value}")
    assert not holds(f"dateRange.start/LT/{value}")


def test_a_day_is_midnight_for_a_time_and_itself_for_a_date() -> None:
    assert holds("dateRange.start/GT/20260302")
    assert holds("dateRange.start.date/EQ/20260302")
    assert not holds("dateRange.start.date/NE/20260302T1200")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id/LE/300004157686785", True),
        ("id/GT/9007199254740991", False),
        ("title/CONTAINS/John", True),
        ("title/DOES_NOT_CONTAIN/John", False),
        ("title/STARTS_WITH/SUB", True),
        ("title/DOES_NOT_START_WITH/SUB", False),
        ("title/ENDS_WITH/Doe", True),
        ("title/DOES_NOT_END_WITH/Doe", False),
        ("resource/EQ/7", True),
        ("resource.name/EQ/PET%2FMR", True),
        ("resource.groups/INCLUDES_ALL/MR,PET", True),
        ("resource.groups/INCLUDES_ALL/MR,CT", False),
        ("resource.groups/DOES_NOT_INCLUDE_ALL/MR,CT", True),
        ("resource.groups/INCLUDES_ANY/MR,CT", True),
        ("resource.groups/DOES_NOT_INCLUDE_ANY/MR,CT", False),
        ("resource/MEMBER_OF/PET%2FMR,EEG", True),
        ("resource/NOT_MEMBER_OF/EEG", True),
        ("resource.groups/CONTAINS_MEMBER/MR", True),
        ("resource.groups/DOES_NOT_CONTAIN_MEMBER/MR", False),
        ("cancellationReason/EQ/__NULL__", True),
        ("cancellationReason/NE/__NULL__", False),
        ("status/NE/__NULL__", True),
        ("cancellationReason/NE/3", False),
        ("project/EQ/BRISKP", False),
        ("project.name/NE/BRISKP", False),
        ("title/EQ/", False),
    ],
)
def test_relations(text: str, expected: bool) -> None:
    assert holds(text) is expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("status/EQ", "expected PATH/RELATION/VALUE"),
        ("status/LIKE/Approved", "'LIKE' is not a relation"),
        ("AND", "AND without an expression"),
        ("AND/CLOSE", "AND without an expression"),
        ("status/EQ/Approved/id/EQ/1", "after the end"),
        ("AND/status/EQ/Approved/CLOSE/CLOSE", "after the end"),
        ("cancellationReason/GT/__NULL__", "cannot be asked"),
        ("dateRange.start/GE/2026-03-02", "not a valid date or time"),
        ("dateRange.start/GE/20260230", "not a valid date or time"),
        ("id/EQ/seven", "not a number"),
        ("cancelled/EQ/yes", "neither true nor false"),
        ("resource.nome/EQ/x", "no property 'nome'"),
        ("resource.name/EQ/PET/MR", "after the end"),
    ],
)
def test_what_breaks_the_grammar_is_refused(text: str, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        holds(text)
