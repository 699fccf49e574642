"""The wall display in a real browser: read from afar, whatever the day and the wall are like."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from tests.api.conftest import Api
from tests.web.conftest import Desk, keep, serious

CUT = """[...document.querySelectorAll("[data-fit] tbody tr, [data-fit] li")]
    .filter((row) => !row.hidden && row.getBoundingClientRect().bottom
        > row.closest("[data-fit]").getBoundingClientRect().bottom + 2)
    .map((row) => row.textContent)"""
"""Rows of the wall display that can be seen in part only."""


@pytest.fixture
def hall(chromium: Any, busy: Api) -> Iterator[Desk]:
    """A wall display of a full day."""
    made = Desk(chromium, busy)
    yield made
    made.close()


def test_the_wall_display_can_be_read_from_afar(api: Api, desk: Desk, today: str) -> None:
    soon = api.worklist.clock.local_now() + dt.timedelta(minutes=1)
    api.book(scheduled_start_date=soon.date().isoformat(), scheduled_start_time=f"{soon:%H:%M}")
    page = desk.open("/page/?kiosk", viewport={"width": 1920, "height": 1080})

    keep(page, "wall-display")
    size = "parseFloat(getComputedStyle(document.querySelector('%s')).fontSize)"
    if soon.date().isoformat() == today:
        assert page.evaluate(size % "#next .who") >= 48
    assert page.evaluate(size % "#list table, #list .empty") >= 24
    assert page.get_attribute("html", "data-theme") == "dark", "whatever its computer prefers"
    assert serious(page) == []


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (1366, 768)])
def test_a_full_day_fits_on_the_wall_display(hall: Desk, width: int, height: int) -> None:
    page = hall.open("/page/?kiosk", None, viewport={"width": width, "height": height})
    keep(page, f"wall-display-full-{width}")
    scrolled = "[document.documentElement.scrollHeight, document.documentElement.scrollWidth]"
    outside = f"""[...document.querySelectorAll("main .panel:not([hidden])")]
        .filter((panel) => panel.getBoundingClientRect().bottom > {height})
        .map((panel) => panel.className)"""
    seen, more = page.locator("#list tbody tr:visible").count(), page.inner_text("#more-list")

    assert page.evaluate(scrolled) == [height, width]
    assert page.evaluate(CUT) == []
    assert page.evaluate(outside) == []
    assert seen >= 3
    assert more == f"and {39 - seen} more"
    assert page.locator("#needs li:visible").count() >= 1
    assert serious(page) == []


def test_what_is_left_out_of_the_wall_display_follows_its_size(hall: Desk) -> None:
    page = hall.open("/page/?kiosk", None, viewport={"width": 1920, "height": 1000})
    rows = page.locator("#list tbody tr:visible")
    before = rows.count()
    page.set_viewport_size({"width": 1920, "height": 1400})

    rows.nth(before).wait_for()
    page.context.set_offline(True)
    page.wait_for_selector("body.stale #stale:has-text('No connection since')")
    assert page.evaluate("document.documentElement.scrollHeight") == 1400
    assert page.evaluate(CUT) == []
