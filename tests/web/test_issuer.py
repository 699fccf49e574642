"""Signing in at the site's issuer: code with PKCE, state, nonce, and sessions that follow it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.api.conftest import Api, MakeApi
from tests.api.issuing import AUDIENCE
from tests.audit.trails import lines
from tests.web.conftest import Desk, Visit, Visitor, serious, text_of
from tests.web.signing_issuer import CLIENT, SECRET, SigningIssuer

from pylantir.errors import IssuerUnreachable, SignInFailed
from pylantir.users.account import Principal
from pylantir.users.roles import Role
from pylantir.web.guests import Guests
from pylantir.web.openid import Grant


@pytest.fixture(scope="module")
def running() -> Iterator[SigningIssuer]:
    made = SigningIssuer()
    yield made
    made.close()


@pytest.fixture
def issuer(running: SigningIssuer) -> SigningIssuer:
    running.forget()
    return running


@pytest.fixture
def site(make_api: MakeApi, issuer: SigningIssuer) -> Api:
    oidc = {"issuer": issuer.url, "audience": AUDIENCE, "client_id": CLIENT}
    return make_api(api={"oidc": oidc})


Guest = Callable[[], Visitor]


@pytest.fixture
def guest(site: Api, visit: Visit) -> Guest:
    """Somebody who has come back from the issuer."""

    def make() -> Visitor:
        visitor = visit(site=site)
        come_back(visitor)
        return visitor

    return make


def leave_for_the_issuer(visitor: Visitor, back: str = "") -> str:
    """Where the issuer sends somebody back to."""
    asked = visitor.get(f"/page/sign-in/issuer?next={back}").headers["Location"]
    answer = visitor.session.get(asked, allow_redirects=False, timeout=30)
    where = urlsplit(answer.headers["Location"])
    return f"{where.path}?{where.query}"


def come_back(visitor: Visitor, back: str = "") -> Any:
    return visitor.get(leave_for_the_issuer(visitor, back))


# --- signing in ---


def test_somebody_signs_in_at_the_issuer(site: Api, visit: Visit, issuer: SigningIssuer) -> None:
    visitor = visit(site=site)
    offered = visitor.get("/page/sign-in?next=/page/steps")
    answer = come_back(visitor, "/page/steps")

    assert 'href="/page/sign-in/issuer?next=/page/steps"' in offered.text
    assert "Sign in with localhost" in text_of(offered)
    assert '<meta http-equiv="refresh" content="0;url=/page/steps">' in answer.text
    assert "rivera" in text_of(visitor.get("/page/"))
    assert visitor.get("/page/items/new").status_code == 200, "the role write"
    assert visitor.get("/page/accounts").status_code == 403
    ((fields, authorization),) = issuer.posted
    assert (fields["client_id"], authorization) == (CLIENT, "")


def test_no_token_of_the_issuer_lies_in_the_browser(guest: Guest, issuer: SigningIssuer) -> None:
    cookies = {each.name: each for each in guest().session.cookies}

    assert set(cookies) == {"pylantir_session", "pylantir_form"}
    session = cookies["pylantir_session"]
    assert re.fullmatch(r"guest\.[\w-]{43}", session.value or "")
    assert session.has_nonstandard_attr("HttpOnly")
    assert session.get_nonstandard_attr("SameSite") == "strict"


def test_a_client_with_a_secret_proves_itself(
    make_api: MakeApi, visit: Visit, issuer: SigningIssuer, tmp_path: Any
) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    oidc = {"issuer": issuer.url, "audience": AUDIENCE, "client_id": CLIENT}
    site = make_api(api={"oidc": {**oidc, "client_secret_file": str(file)}})
    come_back(visit(site=site))

    ((fields, authorization),) = issuer.posted
    scheme, _, pair = authorization.partition(" ")
    assert (scheme, base64.b64decode(pair)) == ("Basic", b"pylantir-page:s3cret%20%26%20more")
    assert "client_id" not in fields


@pytest.mark.parametrize(
    "answered",
    [
        {"state": "guessed"},
        {"state": ""},
        {"iss": "https://evil.example"},
        {"code": "guessed"},
        {"code": "", "error": "access_denied"},
        {"code": "", "error": "<script>alert(1)</script>"},
    ],
)
def test_an_answer_that_is_not_ours_lets_nobody_in(
    site: Api, visit: Visit, issuer: SigningIssuer, answered: dict[str, str]
) -> None:
    issuer.answered = answered
    visitor = visit(site=site)
    answer = come_back(visitor)

    assert answer.status_code == 401
    assert "Signing in did not work" in text_of(answer)
    assert "<script>alert" not in answer.text
    assert "pylantir_session" not in visitor.session.cookies


@pytest.mark.parametrize(
    "id_claims",
    [
        {"nonce": "of another sign-in"},
        {"nonce": None},
        {"aud": "another-client"},
        {"azp": "another-client"},
        {"sub": "somebody else"},
        {"iss": "https://evil.example"},
        {"exp": 1_700_000_000},
        {"typ": "Bearer"},
    ],
)
def test_an_id_token_that_is_not_for_this_sign_in_lets_nobody_in(
    site: Api, visit: Visit, issuer: SigningIssuer, id_claims: dict[str, Any]
) -> None:
    issuer.id_claims = id_claims
    visitor = visit(site=site)

    assert come_back(visitor).status_code == 401
    assert "pylantir_session" not in visitor.session.cookies


def test_a_sign_in_that_another_browser_began_is_not_ended_here(site: Api, visit: Visit) -> None:
    there, here = visit(site=site), visit(site=site)
    stolen = leave_for_the_issuer(there)
    leave_for_the_issuer(here)

    assert here.get(stolen).status_code == 401
    assert visit(site=site).get(stolen).status_code == 401, "without any cookie"


def test_a_sign_in_is_ended_once(site: Api, visit: Visit) -> None:
    visitor = visit(site=site)
    path = leave_for_the_issuer(visitor)

    assert [visitor.get(path).status_code for _ in range(2)] == [200, 401]


def test_without_a_role_of_ours_nobody_comes_in(
    site: Api, visit: Visit, issuer: SigningIssuer
) -> None:
    issuer.claims = {"realm_access": {"roles": ["offline_access"]}}
    answer = come_back(visit(site=site))
    visit(site=site).get("/page/sign-in/issuer/done?code=guessed&state=guessed")

    files = site.worklist.audit.files
    assert files is not None
    refused = [each for each in lines(files) if each["event"] == "login"]
    assert answer.status_code == 401
    assert "has none of the roles" in text_of(answer)
    assert len(refused) == 1, "what a stranger sends does not fill the audit trail"


@pytest.mark.parametrize("where", ["https://evil.example/page/", "//evil.example", "/page/\\evil"])
def test_nobody_is_led_to_another_site_afterwards(site: Api, visit: Visit, where: str) -> None:
    assert 'content="0;url=/page/"' in come_back(visit(site=site), where).text


# --- sessions ---


def test_a_role_that_is_taken_away_ends_within_the_life_of_a_token(
    guest: Guest, issuer: SigningIssuer
) -> None:
    issuer.life_s = 1
    visitor = guest()
    writes = visitor.get("/page/items/new").status_code
    issuer.claims = {"realm_access": {"roles": ["pylantir-read"]}}
    reads = visitor.get("/page/items/new").status_code
    issuer.claims = {"realm_access": {"roles": []}}
    nothing = visitor.get("/page/items/new")

    assert (writes, reads, nothing.status_code) == (200, 403, 303)
    assert "Sign in to see more" in text_of(visitor.get("/page/"))


def test_an_issuer_that_ends_the_session_ends_it_here(guest: Guest, issuer: SigningIssuer) -> None:
    issuer.life_s = 1
    visitor = guest()
    issuer.refuses = True

    assert visitor.get("/page/steps").status_code == 303
    issuer.refuses = False
    assert visitor.get("/page/steps").status_code == 303, "for good"


def test_a_token_about_somebody_else_ends_the_session(guest: Guest, issuer: SigningIssuer) -> None:
    issuer.life_s = 1
    visitor = guest()
    issuer.claims = {"sub": "somebody else"}

    assert visitor.get("/page/steps").status_code == 303


def test_signing_out_ends_the_session_here_and_leads_to_the_issuer(
    guest: Guest, issuer: SigningIssuer, site: Api
) -> None:
    visitor = guest()
    word = visitor.session.cookies["pylantir_session"]
    answer = visitor.post("/page/sign-out")
    visitor.session.cookies.set("pylantir_session", word, path="/page")

    assert f'content="0;url={issuer.url}/end?client_id={CLIENT}&amp;id_token_hint=' in answer.text
    assert "Sign in to see more" in text_of(visitor.get("/page/"))
    files = site.worklist.audit.files
    assert files is not None
    named = [each for each in lines(files) if f"rivera of {issuer.url}" in json.dumps(each)]
    assert [each["event"] for each in named] == ["login", "logout"]


def test_the_stream_is_for_guests_too(guest: Guest) -> None:
    with guest().get("/page/events", stream=True) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")


class Tired:
    """An issuer's client whose issuer does not answer for a while."""

    def __init__(self) -> None:
        self.asked = 0
        self.is_down = True
        self.issuer = self

    def renew(self, grant: Grant) -> Grant:
        self.asked += 1
        if self.is_down:
            raise IssuerUnreachable("down")
        return grant

    def identify(self, token: str) -> Principal:
        return Principal("rivera", Role.READ, issuer="x")


def test_a_session_outlives_an_issuer_that_does_not_answer_for_a_while() -> None:
    now, client = [0.0], Tired()
    guests = Guests(client, 3600, lambda: now[0])  # type: ignore[arg-type]
    grant = Grant("token", "again", "", 60, "0f5a")
    word = guests.enter(Principal("rivera", Role.WRITE, issuer="x"), grant)
    now[0] = 100.0
    for _ in range(5):
        with pytest.raises(IssuerUnreachable):
            guests.identify(word)
    asked = client.asked
    client.is_down, now[0] = False, 120.0

    assert asked == 1, "not at every request"
    assert guests.identify(word)[0].role is Role.READ
    now[0] = 3601.0
    with pytest.raises(SignInFailed):
        guests.identify(word)


# --- where it is not offered, or down ---


def test_where_nobody_signs_in_at_an_issuer_it_is_not_offered(
    make_api: MakeApi, visit: Visit, issuer: SigningIssuer
) -> None:
    site = make_api(api={"oidc": {"issuer": issuer.url, "audience": AUDIENCE}})
    visitor = visit(site=site)

    assert "sign-in/issuer" not in visitor.get("/page/sign-in").text
    assert visitor.get("/page/sign-in/issuer").status_code == 404
    assert visitor.get("/page/sign-in/issuer/done").status_code == 404


def test_an_issuer_that_is_down_is_said(make_api: MakeApi, visit: Visit) -> None:
    oidc = {"issuer": "http://127.0.0.1:9/", "audience": AUDIENCE, "client_id": CLIENT}
    answer = visit(site=make_api(api={"oidc": oidc})).get("/page/sign-in/issuer")

    assert answer.status_code == 503
    assert "the issuer cannot be reached" in text_of(answer)


# --- in a browser ---


def test_in_a_browser_one_signs_in_at_another_site_and_out_again(
    site: Api, chromium: Any, issuer: SigningIssuer
) -> None:
    desk = Desk(chromium, site)
    page = desk.open("/page/sign-in?next=/page/steps", None)
    found = serious(page)
    page.click("text=Sign in with localhost")
    page.wait_for_url("**/page/steps")
    name = page.inner_text("nav.tabs .me")
    page.click("text=Sign out")
    page.wait_for_selector("text=Sign in to see more")

    assert (found, name, page.complaints) == ([], "rivera", [])
    assert issuer.ended[0]["id_token_hint"]
    desk.close()
