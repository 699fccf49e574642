"""The page in a real browser: it keeps itself fresh, and everybody can use it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from tests.api.conftest import PASSWORDS, USERNAMES, Api, MakeApi
from tests.web.conftest import Desk, keep
from tests.web.test_board import performed

from pylantir.users.roles import Role
from pylantir.worklist.query import WorklistQuery
from pylantir.worklist.status import ItemStatus


def serious(page: Any) -> list[str]:
    """What axe finds that keeps somebody from using a page."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {each['nodes'][0]['html'][:200]}"
        for each in found
        if each["impact"] in ("serious", "critical")
    ]


@pytest.fixture
def today(api: Api) -> str:
    return api.worklist.clock.today().isoformat()


@pytest.fixture(params=["dark", "light"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


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
    page.wait_for_function("document.body.dataset.listening === 'yes'")

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
    page.wait_for_function("document.body.dataset.listening === 'yes'")
    page.keyboard.press("/")
    page.keyboard.type("treb")
    api.book(scheduled_start_date=today, patient_name="Tremblay^Zoe")
    page.wait_for_selector("#list tr:has-text('Tremblay, Zoe')")

    assert page.input_value("#q") == "treb"
    assert page.evaluate("document.activeElement.id") == "q"


def test_the_day_is_reached_by_keyboard(api: Api, desk: Desk, today: str) -> None:
    api.book(scheduled_start_date=today, patient_name="Tremblay^Zoe")
    page = desk.open("/page/")
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.textContent.trim().slice(0, 40)"))

    assert {"Skip to the content", "Sign out", "Tremblay, Zoe"} <= reached


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

    page.wait_for_function(
        "n => document.querySelectorAll('#list tbody tr:not([hidden])').length > n", arg=before
    )
    page.context.set_offline(True)
    page.wait_for_selector("body.stale #stale:has-text('No connection since')")
    assert page.evaluate("document.documentElement.scrollHeight") == 1400
    assert page.evaluate(CUT) == []


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


class Keys:
    """Somebody without a mouse, who sees where the focus is or says so."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.hidden: list[str] = []

    def to(self, what: str, key: str = "Enter") -> None:
        """Go with Tab to what says or is called that, and press a key there."""
        for _ in range(80):
            self.page.keyboard.press("Tab")
            said, is_seen = self.page.evaluate(
                """() => {
                    const at = document.activeElement, style = getComputedStyle(at);
                    const shape = at.querySelector("rect");
                    const line = style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth);
                    const seen = line >= 2
                        || shape && parseFloat(getComputedStyle(shape).strokeWidth) >= 3;
                    return [at.id || at.textContent.trim(), Boolean(seen)];
                }"""
            )
            if not is_seen:
                self.hidden.append(said[:40])
            if said.startswith(what):
                self.page.keyboard.press(key)
                return
        raise AssertionError(f"Tab never comes to {what!r}")

    def type(self, field: str, text: str) -> None:
        """Go with Tab to a field and type into it."""
        self.to(field, "End")
        self.page.keyboard.type(text)


def test_a_walk_in_is_booked_corrected_scanned_and_another_cancelled_without_a_mouse(
    api: Api, desk: Desk, today: str
) -> None:
    page = desk.open("/page/", role=Role.WRITE)
    keys = Keys(page)
    keys.to("New booking")
    page.wait_for_url("**/page/items/new")
    keys.type("f-patient_name", "Tremblay, Zoé")
    keys.type("f-patient_id", "sub_014")
    keys.to("Book")
    page.wait_for_selector("text=The booking was made")
    keys.to("Correct")
    page.wait_for_url("**/edit")
    keys.type("f-patient_weight_kg", "62.5")
    keys.to("Keep the change")
    page.wait_for_selector("text=The change was kept")

    started = api.worklist.clock.local_now().replace(tzinfo=None, microsecond=0)
    loose = replace(performed(None, "09:20", "09:48").step, started=started, ended=started)
    api.worklist.steps.create(loose)
    other = api.book(scheduled_start_date=today, patient_name="Hansen^Søren")
    keys.to("Today")
    page.wait_for_url("**/page/")
    keys.to("A scan without a booking")
    page.wait_for_url("**/page/steps/*")
    keys.to("Choose Tremblay, Zoé")
    page.wait_for_selector("#confirm")
    keys.to("Yes, link them")
    page.wait_for_selector("text=The scan was linked")
    keys.to("Today")
    page.wait_for_url("**/page/")
    keys.to("Hansen, Søren")
    page.wait_for_url(f"**/page/items/{other.item_id}")
    keys.to("Cancel this booking")
    keys.to("Yes, cancel it")
    page.wait_for_selector("text=The booking was cancelled")

    booked = api.worklist.items.find(WorklistQuery())
    found = {item.patient_name: (item.status, str(item.patient_weight_kg)) for item in booked}
    assert found["Tremblay^Zoé"] == (ItemStatus.COMPLETED, "62.5")
    assert found["Hansen^Søren"][0] is ItemStatus.CANCELLED
    assert (keys.hidden, page.complaints) == ([], [])


def test_cancelling_asks_first_and_names_whom(api: Api, desk: Desk) -> None:
    item = api.book(patient_name="Tremblay^Zoe")
    page = desk.open(f"/page/items/{item.item_id}", role=Role.WRITE)
    page.click("text=Cancel this booking")
    asked = page.inner_text("#cancel p")
    page.click("text=Yes, cancel it")

    page.wait_for_selector("text=The booking was cancelled")
    assert "Tremblay, Zoe (sub_001)" in asked
    assert api.worklist.items.get(item.item_id or 0).status is ItemStatus.CANCELLED


def test_the_picture_tells_its_details_to_whoever_comes_by_keyboard(
    api: Api, desk: Desk, today: str
) -> None:
    api.book(scheduled_start_date=today, patient_name="Tremblay^Zoe")
    page = desk.open("/page/")
    page.focus("#timeline a")

    page.wait_for_selector("#tip:has-text('Tremblay, Zoe')")
    page.keyboard.press("Escape")
    assert page.is_hidden("#tip")


def test_without_script_the_page_still_works(api: Api, desk: Desk, today: str) -> None:
    api.book(scheduled_start_date=today, patient_name="Tremblay^Zoe")
    page = desk.open("/page/", java_script_enabled=False)
    page.fill("#q", "tremb")
    page.click("text=Show")

    assert "Tremblay, Zoe" in page.inner_text("#list")
