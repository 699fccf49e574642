"""A day as people see it: who is next, who is late, what was done, where the bars stand."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from pylantir.web.board import Board, Rules, board_of
from pylantir.web.timeline import Picture, picture_of
from pylantir.worklist.item import WorklistItem, make_item
from pylantir.worklist.status import ItemStatus, StepStatus
from pylantir.worklist.step import LinkedStep, PerformedProcedureStep, StepLink
from pylantir.worklist.values import Code

DAY = dt.date(2026, 11, 23)


def at(clock: str) -> dt.datetime:
    return dt.datetime.combine(DAY, dt.time.fromisoformat(clock))


def booked(number: int, start: str, station: str = "PRISMA_1", **values: Any) -> WorklistItem:
    usual = {
        "patient_name": f"Doe^{number}",
        "patient_id": f"sub_{number:03d}",
        "modality": "MR",
        "scheduled_station_ae_title": station,
        "scheduled_start_date": DAY,
        "scheduled_start_time": dt.time.fromisoformat(start),
    }
    item = make_item({**usual, **values}, data_source="test", source_record_id=str(number))
    object.__setattr__(item, "item_id", number)
    return item


def performed(
    item_id: int | None,
    started: str,
    ended: str = "",
    *,
    station: str = "PRISMA_1",
    reason: Code | None = None,
    series: int = 0,
) -> LinkedStep:
    status = StepStatus.COMPLETED if ended else StepStatus.IN_PROGRESS
    step = PerformedProcedureStep(
        sop_instance_uid=f"1.2.{item_id or 0}.{started.replace(':', '')}",
        status=StepStatus.DISCONTINUED if reason else status,
        performed_procedure_step_id="1",
        performed_station_ae_title=station,
        calling_ae_title=station,
        modality="MR",
        patient_id="",
        patient_name="",
        started=at(started),
        ended=at(ended) if ended else None,
        discontinuation_reason=reason,
        attributes={"00400340": {"vr": "SQ", "Value": [{}] * series}},
    )
    return LinkedStep(step, (StepLink(0, item_id, "by hand" if item_id else ""),))


def board(*items: WorklistItem, now: str = "10:40", steps: Any = ()) -> Board:
    ordered = sorted(items, key=lambda item: item.start)
    return board_of(DAY, at(now), ordered, list(steps), Rules())


def test_each_scanner_has_its_next_one_the_soonest_first() -> None:
    seen = board(
        booked(1, "11:30", "SKYRA_2"),
        booked(2, "11:00"),
        booked(3, "12:00"),
        booked(4, "9:00".zfill(5), status=ItemStatus.COMPLETED),
    )

    assert [row.item.item_id for row in seen.next_up] == [2, 1]


def test_who_is_late_is_still_expected_and_comes_first() -> None:
    seen = board(booked(1, "10:15"), booked(2, "11:00"))

    assert seen.next_up[0].item.item_id == 1
    assert [row.late for row in seen.late] == [dt.timedelta(minutes=25)]


def test_who_is_hours_late_is_not_expected_any_more() -> None:
    seen = board(booked(1, "08:30"), booked(2, "09:00"), booked(3, "11:00"))

    assert [row.item.item_id for row in seen.rows if row.is_expected] == [2, 3]
    assert [row.item.item_id for row in seen.late] == [1, 2], "but somebody has to look after them"


@pytest.mark.parametrize(("now", "is_late"), [("10:30", False), ("10:31", True)])
def test_late_begins_after_the_minutes_that_the_site_allows(now: str, is_late: bool) -> None:
    assert bool(board(booked(1, "10:15"), now=now).late) is is_late


def test_who_has_begun_is_not_late() -> None:
    running = booked(1, "10:00", status=ItemStatus.IN_PROGRESS)

    seen = board(running, steps=[performed(1, "10:06")])

    assert seen.late == []
    assert seen.running[0].done is not None
    assert seen.running[0].delay == dt.timedelta(minutes=6)


def test_several_steps_of_one_booking_are_one_scan() -> None:
    steps = [performed(1, "10:06", "10:20", series=2), performed(1, "10:25", "10:58", series=4)]

    row = board(booked(1, "10:00", status=ItemStatus.COMPLETED), steps=steps).rows[0]

    assert row.done is not None
    assert (row.done.started, row.done.ended, row.done.series) == (at("10:06"), at("10:58"), 6)


def test_a_step_on_the_wrong_entry_does_not_count() -> None:
    wrong = Code("110514", "DCM", "Incorrect worklist entry selected")

    row = board(booked(1, "10:00"), steps=[performed(1, "10:06", "10:07", reason=wrong)]).rows[0]

    assert row.done is None


def test_a_booking_without_an_end_ends_where_the_next_one_begins() -> None:
    seen = board(booked(1, "10:00"), booked(2, "10:45"), booked(3, "10:00", "SKYRA_2"))

    ends = {row.item.item_id: row.end for row in seen.rows}
    assert ends == {1: at("10:45"), 2: at("11:45"), 3: at("11:00")}


def test_a_booking_stands_in_the_lane_of_the_scanner_that_took_it() -> None:
    anyone = booked(1, "10:00", "", status=ItemStatus.IN_PROGRESS)
    either = booked(2, "10:00", "PRISMA_1\\SKYRA_2", status=ItemStatus.IN_PROGRESS)

    steps = [performed(1, "10:01", station="SKYRA_2"), performed(2, "10:01", station="SKYRA_2")]

    assert board(anyone, either, steps=steps).lanes == ("SKYRA_2",)


def test_bookings_for_any_scanner_have_the_last_lane() -> None:
    assert board(booked(1, "10:00", ""), booked(2, "11:00")).lanes == ("PRISMA_1", "")


def test_another_day_has_nobody_next() -> None:
    seen = board_of(DAY, at("10:00") - dt.timedelta(days=1), [booked(1, "10:00")], [])

    assert seen.next_up == []
    assert picture_of(seen).now is None


def picture(*items: WorklistItem, **more: Any) -> Picture:
    return picture_of(board(*items, **more))


def test_the_picture_shows_the_usual_hours_even_when_little_is_booked() -> None:
    drawn = picture(booked(1, "10:00"))

    assert drawn.hours[0] == ("08", 0.0)
    assert drawn.hours[-1][0] == "16"


def test_the_picture_grows_to_the_whole_of_an_evening_scan() -> None:
    drawn = picture(booked(1, "06:30"), booked(2, "20:15"))

    words = [word for word, _ in drawn.hours]
    assert (words[0], words[-1]) == ("06", "20" if "20" in words else "21")


def test_a_delay_can_be_seen_beside_the_plan() -> None:
    item = booked(1, "10:00", status=ItemStatus.IN_PROGRESS)

    block = picture(item, steps=[performed(1, "10:30")]).blocks[0]

    assert block.scheduled is not None
    assert block.performed is not None
    assert block.performed.x > block.scheduled.x
    assert block.performed.x + block.performed.width == pytest.approx(picture(item).now, abs=0.1)


def test_bookings_at_the_same_time_stand_below_each_other() -> None:
    one, two = picture(booked(1, "10:00"), booked(2, "10:05")).blocks

    assert one.y != two.y


def test_a_scan_without_a_booking_is_on_the_picture() -> None:
    drawn = picture(booked(1, "10:00"), steps=[performed(None, "09:20", "09:50")])

    loose = [block for block in drawn.blocks if block.loose is not None]
    assert len(loose) == 1
    assert loose[0].performed is not None


def test_a_scan_over_midnight_stays_within_the_day() -> None:
    drawn = picture(booked(1, "23:30"), now="23:59")

    assert all(0 <= b.outer.x <= b.outer.x + b.outer.width <= 100.31 for b in drawn.blocks)
