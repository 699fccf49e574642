"""The page in a real browser, without a mouse."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.api.conftest import Api
from tests.web.conftest import Desk
from tests.web.test_board import performed

from pylantir.users.roles import Role
from pylantir.worklist.query import WorklistQuery
from pylantir.worklist.status import ItemStatus


def test_the_day_is_reached_by_keyboard(api: Api, desk: Desk, today: str) -> None:
    api.book(scheduled_start_date=today, patient_name="Tremblay^Zoe")
    page = desk.open("/page/")
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.textContent.trim().slice(0, 40)"))

    assert {"Skip to the content", "Sign out", "Tremblay, Zoe"} <= reached


def test_the_picture_tells_its_details_to_whoever_comes_by_keyboard(
    api: Api, desk: Desk, today: str
) -> None:
    api.book(scheduled_start_date=today, patient_name="Tremblay^Zoe")
    page = desk.open("/page/")
    page.focus("#timeline a")

    page.wait_for_selector("#tip:has-text('Tremblay, Zoe')")
    page.keyboard.press("Escape")
    assert page.is_hidden("#tip")


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
