"""Every route of the page and every role, the wall display, and what is noted of looking."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.routing import APIRoute
from tests.api.conftest import Api, MakeApi
from tests.audit.trails import lines
from tests.web.conftest import Visit, text_of

from pylantir.users.roles import Role
from pylantir.web.routes import (
    accounts,
    board,
    health,
    issuer,
    items,
    live,
    signin,
    signout,
    steps,
)

OPEN = {
    "/",
    "/sign-in",
    "/sign-out",
    "/sign-in/issuer",
    "/sign-in/issuer/done",
    "/password",
    "/setup",
    "/static/{name}",
}
WRITERS = {
    "/items/new",
    "/items/{item_id}/edit",
    "/items/{item_id}/status",
    "/items/{item_id}/cancel",
    "/steps/{uid}/link",
    "/sources/{name}/sync",
}
ADMINS = {"/accounts", "/accounts/{user_id}", "/accounts/{user_id}/delete"}


def routes() -> Iterator[tuple[str, str]]:
    for module in (board, items, steps, health, accounts, live, signin, issuer, signout):
        for route in module.router.routes:
            assert isinstance(route, APIRoute)
            yield from ((method, route.path) for method in sorted(route.methods))


def may(role: Role | None, path: str) -> bool:
    if path in OPEN:
        return True
    if path in ADMINS:
        return role is Role.ADMIN
    if path in WRITERS:
        return role in (Role.ADMIN, Role.WRITE)
    return role is not None


@pytest.mark.parametrize("role", [None, *Role])
def test_every_route_is_open_to_those_who_may_and_to_nobody_else(
    api: Api, visit: Visit, role: Role | None
) -> None:
    item = api.book()
    visitor = visit(role)
    visitor.get("/page/sign-in")
    wrong = []
    for method, path in routes():
        if path in ("/events", "/sign-out") or (role and path == "/accounts/{user_id}/delete"):
            continue
        filled = path.format(item_id=item.item_id, uid="1.2.3", name="main", user_id=4711, ae="MR1")
        answer = (
            visitor.get(f"/page{filled}") if method == "GET" else visitor.post(f"/page{filled}")
        )
        refused = answer.status_code == 403 or (
            answer.status_code == 303 and "/page/sign-in?" in answer.headers["Location"] + "?"
        )
        if path in OPEN:
            refused = answer.status_code == 403 and "may not" in answer.text
        if refused is may(role, path):
            wrong.append((method, path, answer.status_code))

    assert wrong == []


def test_the_stream_of_events_is_for_those_who_are_signed_in(visit: Visit) -> None:
    assert visit().get("/page/events").status_code == 303
    with visit(Role.READ).get("/page/events", stream=True) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")


@pytest.fixture
def walled(make_api: MakeApi) -> Api:
    site = make_api(page={"kiosk": True, "identify_by": "id"})
    today = site.worklist.clock.today().isoformat()
    site.book(patient_name="Tremblay^Zoé", patient_id="sub_077", scheduled_start_date=today)
    return site


def test_a_wall_display_that_the_site_names_shows_the_day(walled: Api, visit: Visit) -> None:
    answer = visit(site=walled).get("/page/?kiosk")

    assert "sub_077" in text_of(answer)
    assert "Tremblay" not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/page/items/1?kiosk",
        "/page/worklist.csv?kiosk",
        "/page/rejected?kiosk",
        "/page/steps?kiosk",
    ],
)
def test_a_wall_display_shows_nothing_but_the_day(walled: Api, visit: Visit, path: str) -> None:
    answer = visit(site=walled).get(path)

    assert answer.status_code == 303
    assert "/page/sign-in" in answer.headers["Location"]


@pytest.mark.parametrize("query", ["q=sub_088&days=all", "day=2031-03-03", "day=tomorrow"])
def test_an_open_wall_display_looks_at_no_other_day(walled: Api, visit: Visit, query: str) -> None:
    walled.book(patient_id="sub_088", scheduled_start_date="2031-03-03")

    shown = text_of(visit(site=walled).get(f"/page/?kiosk&{query}"))

    assert "sub_077" in shown
    assert "sub_088" not in shown


def test_a_wall_display_elsewhere_has_to_sign_in(make_api: MakeApi, visit: Visit) -> None:
    site = make_api(page={"kiosk": True, "kiosk_addresses": ["10.1.2.3/32"]})
    site.book(patient_id="sub_077", scheduled_start_date=site.worklist.clock.today().isoformat())

    assert "sub_077" not in visit(site=site).get("/page/?kiosk").text


def test_without_the_setting_there_is_no_open_wall_display(api: Api, visit: Visit) -> None:
    api.book(patient_id="sub_077", scheduled_start_date=api.worklist.clock.today().isoformat())

    assert "sub_077" not in visit().get("/page/?kiosk").text


def asked(api: Api) -> int:
    files = api.worklist.audit.files
    assert files is not None
    return [each["event"] for each in lines(files)].count("query")


def test_looking_is_audited_once_and_not_with_each_refresh(api: Api, visit: Visit) -> None:
    visitor = visit(Role.READ)
    for _ in range(4):
        visitor.get("/page/?q=trem")

    assert asked(api) == 1


def test_looking_again_after_a_change_is_audited_again(api: Api, visit: Visit) -> None:
    visitor = visit(Role.READ)
    visitor.get("/page/?q=trem")
    api.book()
    visitor.get("/page/?q=trem")

    assert asked(api) == 2


def test_every_word_of_the_templates_can_be_translated() -> None:
    import re
    from importlib.resources import files

    allowed = {"Pylantir", "VR", "kg", "s", "min", "h", "d", "", "·", "–", "?", "◂", "▸", "≠", "="}
    bare = []
    for file in files("pylantir.web").joinpath("templates").iterdir():
        text = re.sub(r"(?s)\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}|<!.*?>", " ", file.read_text("utf-8"))
        text = re.sub(r"(?s)<[^>]*>", "\n", text)
        words = set(re.findall(r"[A-Za-z]{2,}", text))
        bare += [f"{file.name}: {word}" for word in words - allowed]

    assert bare == []
