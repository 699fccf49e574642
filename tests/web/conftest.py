"""The page on a free port, and visitors of it: a plain HTTP client, and Debian's own browser."""

from __future__ import annotations

import datetime as dt
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.api.conftest import PASSWORDS, USERNAMES, Api, MakeApi, accounts, make_api

from pylantir.users.roles import Role
from pylantir.worklist.status import ItemStatus

__all__ = ["accounts", "make_api"]

Visit = Callable[..., "Visitor"]

SCREENSHOTS = os.environ.get("PYLANTIR_SCREENSHOTS", "")
"""Folder in which screenshots are kept; none are made when it is not set."""


class Visitor:
    """A browser without its window: cookies, forms and no script."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.session = requests.Session()
        self.session.headers["Sec-Fetch-Site"] = "same-origin"

    def get(self, path: str, **more: Any) -> requests.Response:
        """A page; redirects are not followed."""
        return self.session.get(self._url(path), timeout=30, allow_redirects=False, **more)

    def post(self, path: str, proof: str | None = None, **fields: str) -> requests.Response:
        """Send a form with the secret of the session, unless another one is given."""
        known = self.session.cookies.get("pylantir_form", "")
        data = {"form": known if proof is None else proof, **fields}
        return self.session.post(self._url(path), data=data, timeout=30, allow_redirects=False)

    def known(self, role: Role) -> Visitor:
        """As if signed in before as the account of a role: hashing takes its time."""
        place = {"path": "/page", "domain": "127.0.0.1"}
        self.session.cookies.set("pylantir_session", self.api.tokens[role], **place)
        self.get("/page/sign-in")
        return self

    def sign_in(self, role: Role) -> Visitor:
        """Sign in as the account of a role."""
        self.get("/page/sign-in")
        fields = {"username": USERNAMES[role], "password": PASSWORDS[role]}
        answer = self.post("/page/sign-in", **fields)
        assert answer.status_code == 303, answer.text
        return self

    def _url(self, path: str) -> str:
        return f"{self.api.part.url}{path}"

    def close(self) -> None:
        self.session.close()


def text_of(answer: requests.Response) -> str:
    """What a page says, without its tags."""
    without = re.sub(r"(?s)<(script|style|svg\b[^>]*class=\"sr\").*?</\1?>", " ", answer.text)
    return " ".join(re.sub(r"<[^>]*>", " ", without).split())


@pytest.fixture
def api(make_api: MakeApi) -> Api:
    """A site with default settings."""
    return make_api()


@pytest.fixture
def visit(api: Api) -> Iterator[Visit]:
    """Makes visitors of the site, signed in when a role is given."""
    made: list[Visitor] = []

    def make(role: Role | None = None, site: Api | None = None) -> Visitor:
        made.append(Visitor(site or api))
        return made[-1].known(role) if role is not None else made[-1]

    yield make
    for each in made:
        each.close()


SCANNERS = ("PRISMA_1", "SKYRA_2", "VIDA_RESEARCH_03")
NAMES = (
    "Tremblay^Zoé",
    "Wolfeschlegelsteinhausenbergerdorff^Hubert Blaine^^Dr",
    "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "حسين^فاطمة",
    "Αντωνίου^Ελένη",
)


def zone_at_ten() -> str:
    """A time zone in which it is about ten o'clock, so that a working day lies around now."""
    ahead = 10 - dt.datetime.now(dt.UTC).hour
    ahead += 24 if ahead < -12 else 0
    return f"Etc/GMT{-ahead:+d}"


@pytest.fixture
def busy(make_api: MakeApi) -> Api:
    """A full day at ten o'clock: 45 bookings on three scanners, names of every length."""
    site = make_api(timezone=zone_at_ten(), page={"kiosk": True})
    today = site.worklist.clock.today()
    for number in range(45):
        minutes = 7 * 60 + 30 + 45 * (number // 3)
        item = site.book(
            patient_name=NAMES[number % len(NAMES)],
            patient_id=f"sub_{number:03d}_ses_2_site_792",
            patient_weight_kg="62",
            scheduled_start_date=today.isoformat(),
            scheduled_start_time=f"{minutes // 60:02d}:{minutes % 60:02d}",
            scheduled_station_aetitle=SCANNERS[number % 3],
            scheduled_procedure_step_description="fMRI resting state and DTI, 64 directions",
        )
        if number < 6:
            status = (ItemStatus.COMPLETED, ItemStatus.IN_PROGRESS, ItemStatus.CANCELLED)[
                number % 3
            ]
            site.worklist.items.set_status(item.item_id or 0, status)
    return site


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Debian's Chromium, without a window; Playwright's event loop must not outlive the file."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("chromium is not installed (Debian: apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # As root, in a container, Chromium has no sandbox of its own.
        launched = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield launched
        launched.close()


class Desk:
    """A person at the page, in a real browser."""

    def __init__(self, chromium: Any, api: Api) -> None:
        self.api = api
        self._chromium = chromium
        self._contexts: list[Any] = []

    def open(self, path: str, role: Role | None = Role.READ, **options: Any) -> Any:
        """Open a page; fails on the first error that the browser complains about."""
        context = self._chromium.new_context(base_url=self.api.part.url, **options)
        context.set_default_timeout(30_000)
        self._contexts.append(context)
        page = context.new_page()
        page.complaints = []
        page.elsewhere = []
        page.on(
            "request",
            lambda sent: (
                None if sent.url.startswith(self.api.part.url) else page.elsewhere.append(sent.url)
            ),
        )
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on(
            "console",
            lambda said: page.complaints.append(said.text) if said.type == "error" else None,
        )
        if role is not None:  # as if signed in before: hashing takes its time
            url, token = f"{self.api.part.url}/page", self.api.tokens[role]
            context.add_cookies([{"name": "pylantir_session", "value": token, "url": url}])
        page.goto(path)
        return page

    def close(self) -> None:
        for context in self._contexts:
            context.close()


@pytest.fixture
def desk(chromium: Any, api: Api) -> Iterator[Desk]:
    """A person at the page."""
    made = Desk(chromium, api)
    yield made
    made.close()


@pytest.fixture
def today(api: Api) -> str:
    """The site's calendar day."""
    return api.worklist.clock.today().isoformat()


def serious(page: Any) -> list[str]:
    """What axe finds that keeps somebody from using a page."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {each['nodes'][0]['html'][:200]}"
        for each in found
        if each["impact"] in ("serious", "critical")
    ]


def keep(page: Any, name: str) -> None:
    """Keep a screenshot, where somebody wants them."""
    if SCREENSHOTS:
        folder = Path(SCREENSHOTS)
        folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(folder / f"{name}.png"), full_page=True)
