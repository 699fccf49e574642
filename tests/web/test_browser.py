"""The page in a real browser: it keeps itself fresh, and everybody can use it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.api.conftest import PASSWORDS, USERNAMES, Api, MakeApi
from tests.web.conftest import Desk, keep, serious
from tests.web.test_board import performed

from pylantir.users.roles import Role
from pylantir.worklist.status import ItemStatus


@pytest.fixture(params=["dark", "light"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# --- the day ---


def test_everybody_can_use_the_day(api: Api, desk: Desk, today: str, scheme: str) -> None:
    for number, status in enumerate(ItemStatus):
        item = api.book(
            scheduled_start_date=today,
            scheduled_start_time=f"{8 + number:02d}:00",
            scheduled_station_aetitle=f"MR{number % 3 + 1}",
            patient_id=f"sub_{number}",
        )
        api.worklist.items.set_status(item.item_id or 0, status)

    page = desk.open("/page/", color_scheme=scheme)

    keep(page, f"day-{scheme}")
    assert serious(page) == []
    assert (page.complaints, page.elsewhere) == ([], []), "no request to any other host"


def test_a_change_appears_by_itself(api: Api, desk: Desk, today: str) -> None:
    page = desk.open("/page/")
    page.wait_for_selector("body[data-listening=yes]")

    item = api.book(scheduled_start_date=today, patient_name="Tremblay^Zoe")
    page.wait_for_selector("#list tr:has-text('Tremblay, Zoe')")
    api.worklist.items.set_status(item.item_id or 0, ItemStatus.IN_PROGRESS)

    page.wait_for_selector("#list tr:has-text('running')")
    assert "Running: 1" in page.inner_text("#news")
    assert page.complaints == []


def test_a_lost_connection_can_be_seen(desk: Desk) -> None:
    page = desk.open("/page/")
    page.context.set_offline(True)
    page.wait_for_selector("body.stale #stale:has-text('No connection since')")
    page.context.set_offline(False)

    page.wait_for_selector("body:not(.stale)")


def test_what_one_types_stays_while_the_page_keeps_itself_fresh(
    api: Api, desk: Desk, today: str
) -> None:
    page = desk.open("/page/")
    page.wait_for_selector("body[data-listening=yes]")
    page.keyboard.press("/")
    page.keyboard.type("treb")
    api.book(scheduled_start_date=today, patient_name="Tremblay^Zoe")
    page.wait_for_selector("#list tr:has-text('Tremblay, Zoe')")

    assert page.input_value("#q") == "treb"
    assert page.evaluate("document.activeElement.id") == "q"


def test_light_or_dark_is_remembered(desk: Desk) -> None:
    page = desk.open("/page/", color_scheme="dark")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("[data-theme-switch]")
    page.reload()

    assert page.get_attribute("html", "data-theme") == "light"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark


@pytest.mark.parametrize("width", [360, 800, 1600])
def test_nothing_sticks_out_of_the_window(api: Api, desk: Desk, today: str, width: int) -> None:
    api.book(scheduled_start_date=today, patient_name="Wolfeschlegelsteinhausenbergerdorff^H")
    page = desk.open("/page/", viewport={"width": width, "height": 900})

    keep(page, f"day-{width}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_text_may_be_twice_as_large(busy: Api, chromium: Any) -> None:
    desk = Desk(chromium, busy)
    page = desk.open("/page/", viewport={"width": 1280, "height": 800})
    size = "parseFloat(getComputedStyle(document.querySelector('#list .who')).fontSize)"
    before = page.evaluate(size)
    page.evaluate("document.documentElement.style.fontSize = '200%'")

    assert page.evaluate(size) == 2 * before
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    desk.close()


def test_without_script_the_page_still_works(api: Api, desk: Desk, today: str) -> None:
    api.book(scheduled_start_date=today, patient_name="Tremblay^Zoe")
    page = desk.open("/page/", java_script_enabled=False)
    page.fill("#q", "tremb")
    page.click("text=Show")

    assert "Tremblay, Zoe" in page.inner_text("#list")


# --- signing in and out ---


def test_nobody_signed_in_is_shown_numbers_that_stay_fresh(
    api: Api, desk: Desk, today: str
) -> None:
    page = desk.open("/page/", role=None)
    api.book(scheduled_start_date=today)
    page.reload()

    assert "1" in page.inner_text("#outside .big")
    assert serious(page) == []


def test_the_sign_in_can_be_used_by_everybody(desk: Desk) -> None:
    page = desk.open("/page/sign-in?next=/page/steps", role=None)

    assert serious(page) == []
    assert page.evaluate("document.activeElement.id") == "username"
    page.keyboard.type(USERNAMES[Role.READ])
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORDS[Role.READ])
    page.keyboard.press("Enter")
    page.wait_for_url("**/page/steps")


def test_the_first_account_can_be_made_by_everybody(make_api: MakeApi, chromium: Any) -> None:
    desk = Desk(chromium, make_api(with_accounts=False))
    page = desk.open("/page/sign-in", role=None)

    assert "Make the first account" in page.inner_text("h1")
    assert serious(page) == []
    desk.close()


def test_an_admin_signs_out(desk: Desk) -> None:
    page = desk.open("/page/", role=Role.ADMIN)
    page.click("text=Sign out")

    page.wait_for_selector("text=Sign in to see more")


# --- every page, and the work at the desk ---


PAGES = {
    "booking": "/page/items/{item}",
    "correct": "/page/items/{item}/edit",
    "new-booking": "/page/items/new",
    "scans": "/page/steps",
    "which-booking": "/page/steps/{uid}",
    "same-person": "/page/steps/{uid}?item={item}",
    "rejected": "/page/rejected",
    "sources-and-scanners": "/page/health",
    "accounts": "/page/accounts",
    "password": "/page/password",
    "no-such-page": "/page/items/4711",
}


@pytest.mark.parametrize("name", PAGES)
def test_everybody_can_use_every_page(api: Api, desk: Desk, today: str, name: str) -> None:
    item = api.book(scheduled_start_date=today, scheduled_station_aetitle="PRISMA_1")
    loose = api.worklist.steps.create(performed(None, "09:20", "09:48", series=3).step)
    path = PAGES[name].format(item=item.item_id, uid=loose.step.sop_instance_uid)

    page = desk.open(path, role=Role.ADMIN)

    keep(page, name)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert serious(page) == []
    assert page.evaluate("document.querySelectorAll('h1').length") <= 1
    missing = [said for said in page.complaints if "404" in said and name == "no-such-page"]
    assert page.complaints == missing


def test_a_walk_in_is_booked_and_scanned_to_the_end_at_the_desk(
    api: Api, desk: Desk, today: str
) -> None:
    page = desk.open("/page/", role=Role.WRITE)
    page.click("text=New booking")
    page.fill("#f-patient_name", "Tremblay, Zoé")
    page.fill("#f-patient_id", "sub_014")
    page.click("button:has-text('Book')")
    page.wait_for_selector("text=The booking was made")
    started = api.worklist.clock.local_now().replace(tzinfo=None, microsecond=0)
    step = replace(performed(None, "09:20", "09:48").step, started=started, ended=started)
    loose = api.worklist.steps.create(step)
    page.goto("/page/")
    page.click("#needs >> text=A scan without a booking")
    page.wait_for_url(f"**/page/steps/{loose.step.sop_instance_uid}")
    page.click("a.button:has-text('Choose')")
    page.click("text=Yes, link them")

    page.wait_for_selector("text=The scan was linked")
    assert "completed" in page.inner_text("main")
    assert page.complaints == []


def test_cancelling_asks_first_and_names_whom(api: Api, desk: Desk) -> None:
    item = api.book(patient_name="Tremblay^Zoe")
    page = desk.open(f"/page/items/{item.item_id}", role=Role.WRITE)
    page.click("text=Cancel this booking")
    asked = page.inner_text("#cancel p")
    page.click("text=Yes, cancel it")

    page.wait_for_selector("text=The booking was cancelled")
    assert "Tremblay, Zoe (sub_001)" in asked
    assert api.worklist.items.get(item.item_id or 0).status is ItemStatus.CANCELLED
