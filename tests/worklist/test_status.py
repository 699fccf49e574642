"""Statuses: their spellings, their moves, and what follows from performed steps."""

from __future__ import annotations

import itertools

import pytest

from pylantir.worklist.status import (
    HIDDEN_BY_DEFAULT,
    MOVES,
    SCHEDULED_STATUSES,
    ItemStatus,
    StepStatus,
    parse_status,
    progress,
)

RUNNING, DONE, STOPPED = StepStatus.IN_PROGRESS, StepStatus.COMPLETED, StepStatus.DISCONTINUED


@pytest.mark.parametrize(
    ("spelled", "status"),
    [
        ("SCHEDULED", "SCHEDULED"),
        ("", "SCHEDULED"),
        (None, "SCHEDULED"),
        ("in progress", "IN_PROGRESS"),
        ("IN-PROGRESS", "IN_PROGRESS"),
        ("STARTED", "IN_PROGRESS"),
        ("Canceled", "CANCELLED"),
        (" CANCELLED ", "CANCELLED"),
        (ItemStatus.READY, "READY"),
    ],
)
def test_a_status_is_read_in_every_spelling_in_use(spelled: object, status: str) -> None:
    assert parse_status(spelled) is ItemStatus(status)


@pytest.mark.parametrize("bad", ["DONE", "0", "SCHEDULED?"])
def test_another_status_is_refused_with_those_there_are(bad: str) -> None:
    with pytest.raises(ValueError, match="SCHEDULED, ARRIVED, READY"):
        parse_status(bad)


def test_every_status_is_read_back_from_what_a_scanner_sees() -> None:
    for status in ItemStatus:
        assert parse_status(status.dicom) is status
        assert parse_status(status.value) is status
    assert ItemStatus.IN_PROGRESS.dicom == "STARTED"


@pytest.mark.parametrize(
    ("steps", "status"),
    [
        ([], "SCHEDULED"),
        ([(RUNNING, False)], "IN_PROGRESS"),
        ([(DONE, False)], "COMPLETED"),
        ([(STOPPED, False)], "DISCONTINUED"),
        ([(STOPPED, True)], "SCHEDULED"),
        ([(DONE, False), (RUNNING, False)], "IN_PROGRESS"),
        ([(STOPPED, False), (RUNNING, False)], "IN_PROGRESS"),
        ([(STOPPED, False), (DONE, False)], "COMPLETED"),
        ([(STOPPED, True), (STOPPED, False)], "DISCONTINUED"),
        ([(STOPPED, True), (DONE, False)], "COMPLETED"),
    ],
)
def test_an_item_follows_its_steps_in_whatever_order(
    steps: list[tuple[StepStatus, bool]], status: str
) -> None:
    for order in itertools.permutations(steps):
        assert progress(order) is ItemStatus(status)


def test_every_status_can_be_left_and_reached() -> None:
    reached = set().union(*MOVES.values())
    assert reached >= set(ItemStatus) - {ItemStatus.ARRIVED, ItemStatus.READY}
    assert all(MOVES[status] for status in ItemStatus)
    assert not any(status in moves for status, moves in MOVES.items())


def test_what_has_not_begun_is_shown_and_what_is_over_is_not() -> None:
    assert set(SCHEDULED_STATUSES).isdisjoint(HIDDEN_BY_DEFAULT)
    assert set(ItemStatus) - set(SCHEDULED_STATUSES) - set(HIDDEN_BY_DEFAULT) == {
        ItemStatus.IN_PROGRESS
    }
