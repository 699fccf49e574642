"""The session of the page: safe cookies, forms that only our own pages can send."""

from __future__ import annotations

import re

import pytest
from tests.api.conftest import PASSWORDS, USERNAMES, Api, MakeApi
from tests.web.conftest import Visit, text_of

from pylantir.users.roles import Role


def test_without_signing_in_nobody_is_named(api: Api, visit: Visit) -> None:
    today = api.worklist.clock.today().isoformat()
    api.book(scheduled_start_date=today, patient_name="Tremblay^Zoe", patient_id="sub_077")

    answer = visit().get("/page/")

    assert answer.status_code == 200
    assert "1 scheduled" in text_of(answer)
    assert "Tremblay" not in answer.text
    assert "sub_077" not in answer.text


def test_the_root_leads_to_the_page(visit: Visit) -> None:
    answer = visit().get("/")

    assert answer.headers["Location"] == "/page/"


def test_a_reader_sees_the_day(api: Api, visit: Visit) -> None:
    today = api.worklist.clock.today().isoformat()
    api.book(scheduled_start_date=today, patient_name="Tremblay^Zoé")

    assert "Tremblay, Zoé" in text_of(visit(Role.READ).get("/page/"))


def test_the_cookies_are_for_the_page_alone_and_for_no_script(visit: Visit) -> None:
    visitor = visit()
    visitor.get("/page/sign-in")
    answer = visitor.post(
        "/page/sign-in", username=USERNAMES[Role.READ], password=PASSWORDS[Role.READ]
    )

    shown = answer.headers["Set-Cookie"]
    for name in ("pylantir_session", "pylantir_form"):
        part = re.search(rf"{name}=[^,]*", shown)
        assert part is not None, shown
        assert {"HttpOnly", "Path=/page", "SameSite=strict"} <= set(part[0].split("; "))
        assert "Secure" not in part[0].split("; ")


def test_over_tls_the_cookies_are_secure(make_api: MakeApi, visit: Visit) -> None:
    site = make_api(api={"behind_proxy": True})

    answer = visit(site=site).get("/page/sign-in")

    assert "Secure" in answer.headers["Set-Cookie"].split("; ")


def test_no_route_of_the_api_takes_the_cookie(visit: Visit) -> None:
    visitor = visit(Role.ADMIN)
    token = visitor.session.cookies.get("pylantir_session", path="/page")

    answer = visitor.get("/worklist", headers={"Cookie": f"pylantir_session={token}"})

    assert answer.status_code == 401


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_form_of_another_site_is_refused(visit: Visit, site: str) -> None:
    visitor = visit(Role.READ)
    visitor.session.headers["Sec-Fetch-Site"] = site

    assert visitor.post("/page/sign-out").status_code == 403
    visitor.session.headers["Sec-Fetch-Site"] = "same-origin"
    assert "Sign out" in text_of(visitor.get("/page/"))


def test_an_older_browser_is_judged_by_its_origin(visit: Visit) -> None:
    visitor = visit(Role.READ)
    del visitor.session.headers["Sec-Fetch-Site"]
    visitor.session.headers["Origin"] = "https://evil.example"
    refused = visitor.post("/page/sign-out")
    visitor.session.headers["Origin"] = visitor.api.part.url
    taken = visitor.post("/page/sign-out")

    assert (refused.status_code, taken.status_code) == (403, 303)


@pytest.mark.parametrize("proof", ["", "guessed"])
def test_a_form_without_the_secret_of_the_session_is_refused(visit: Visit, proof: str) -> None:
    visitor = visit(Role.READ)

    answer = visitor.post("/page/sign-out", proof=proof)

    assert answer.status_code == 403
    assert "reload the page" in text_of(answer)


def test_the_secret_of_forms_changes_with_signing_in(visit: Visit) -> None:
    visitor = visit()
    visitor.get("/page/sign-in")
    before = visitor.session.cookies["pylantir_form"]
    visitor.sign_in(Role.READ)

    assert visitor.session.cookies["pylantir_form"] != before


def test_signing_out_ends_the_session_on_the_server_too(visit: Visit) -> None:
    visitor = visit(Role.READ)
    token = visitor.session.cookies["pylantir_session"]
    visitor.post("/page/sign-out")
    visitor.session.cookies.set("pylantir_session", token, path="/page")

    assert "Sign in to see more" in text_of(visitor.get("/page/"))


def test_a_wrong_password_says_nothing_about_what_is_wrong(visit: Visit) -> None:
    visitor = visit()
    visitor.get("/page/sign-in")
    known = visitor.post("/page/sign-in", username=USERNAMES[Role.READ], password="x" * 12)
    unknown = visitor.post("/page/sign-in", username="nobody", password="x" * 12)

    assert (known.status_code, unknown.status_code) == (401, 401)
    assert "do not belong together" in text_of(known)
    assert text_of(known).replace(USERNAMES[Role.READ], "") == text_of(unknown).replace(
        "nobody", ""
    )


def test_one_comes_back_to_where_one_wanted_to_go(visit: Visit) -> None:
    visitor = visit()
    asked = visitor.get("/page/worklist.csv?day=today")
    shown = visitor.get(asked.headers["Location"])

    assert asked.status_code == 303
    assert 'name="next" value="/page/worklist.csv?day=today"' in shown.text


@pytest.mark.parametrize(
    "where", ["https://evil.example/page/", "//evil.example", "/page/\\evil", "/worklist"]
)
def test_nobody_is_led_to_another_site(visit: Visit, where: str) -> None:
    visitor = visit()
    visitor.get("/page/sign-in")
    answer = visitor.post(
        "/page/sign-in",
        next=where,
        username=USERNAMES[Role.READ],
        password=PASSWORDS[Role.READ],
    )

    assert answer.headers["Location"] == "/page/"


def test_nothing_is_kept_by_the_browser_but_files_without_people(visit: Visit) -> None:
    visitor = visit(Role.READ)
    page = visitor.get("/page/")
    links = re.findall(r'"(/page/static/[^"]+)"', page.text)

    assert page.headers["Cache-Control"] == "no-store"
    assert len(set(links)) == 3
    assert all("immutable" in visitor.get(link).headers["Cache-Control"] for link in links)


def test_nothing_comes_from_another_host_and_no_script_stands_in_a_page(visit: Visit) -> None:
    page = visit(Role.ADMIN).get("/page/")

    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    assert not re.search(r"\b(src|href|action)=\"(https?:)?//", page.text)
    assert not re.search(r"<script(?![^>]*\bsrc=)|\bstyle=|\bon\w+=", page.text)


def test_everything_that_is_loaded_on_a_full_day_is_less_than_100_kb(
    busy: Api, visit: Visit
) -> None:
    visitor = visit(Role.READ, busy)
    page = visitor.get("/page/")
    links = set(re.findall(r'"(/page/static/[^"]+)"', page.text))

    assert len(page.content) + sum(len(visitor.get(link).content) for link in links) < 100_000


def test_the_first_account_is_made_with_the_code_of_the_start(
    make_api: MakeApi, visit: Visit
) -> None:
    site = make_api(with_accounts=False)
    visitor = visit(site=site)
    shown = visitor.get("/page/sign-in")
    fields = {"username": "boss", "password": "a quiet sentence", "repeated": "a quiet sentence"}
    wrong = visitor.post("/page/setup", setup_code="AAAAA", **fields)
    made = visitor.post("/page/setup", setup_code=site.part.setup_code, **fields)

    assert "Make the first account" in text_of(shown)
    assert (wrong.status_code, made.status_code) == (422, 303)
    visitor.get("/page/sign-in")
    answer = visitor.post("/page/sign-in", username="boss", password="a quiet sentence")
    assert answer.status_code == 303


def test_a_password_is_changed_by_whoever_knows_it(visit: Visit) -> None:
    visitor = visit(Role.READ)
    fields = {"username": USERNAMES[Role.READ], "current_password": PASSWORDS[Role.READ]}
    new = "another quiet sentence"
    unequal = visitor.post("/page/password", new_password=new, repeated="other", **fields)
    changed = visitor.post("/page/password", new_password=new, repeated=new, **fields)

    assert (unequal.status_code, changed.status_code) == (422, 303)
    visitor.get("/page/sign-in")
    again = visitor.post("/page/sign-in", username=USERNAMES[Role.READ], password=new)
    assert again.status_code == 303


def test_a_site_may_want_no_page(make_api: MakeApi, visit: Visit) -> None:
    site = make_api(page={"enabled": False})

    assert visit(site=site).get("/page/").status_code == 404
