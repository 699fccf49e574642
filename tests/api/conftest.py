"""A REST API on a free port, with an account of each role, over a worklist of the test's own."""

from __future__ import annotations

import contextlib
import datetime as dt
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.api.issuing import AUDIENCE, Clock, LocalIssuer

from pylantir.api.oidc import Issuer
from pylantir.config.api import OidcSettings
from pylantir.config.schema import Config
from pylantir.daemon import Worklist, open_worklist
from pylantir.rest import RestApi, key_path
from pylantir.users.roles import Role
from pylantir.users.store import open_users
from pylantir.users.tokens import Tokens, signing_key
from pylantir.worklist.item import WorklistItem, make_item

PASSWORDS = {
    Role.ADMIN: "the quiet sentence of the admin",
    Role.WRITE: "the quiet sentence of the writer",
    Role.READ: "the quiet sentence of the reader",
}
USERNAMES = {Role.ADMIN: "boss", Role.WRITE: "rivera", Role.READ: "guest"}
LIFE = dt.timedelta(minutes=30)

MakeApi = Callable[..., "Api"]


class Api:
    """A running REST API and clients of it."""

    def __init__(self, config: Config) -> None:
        self.worklist: Worklist = open_worklist(config)
        self.config = config
        self.part = RestApi(config, {}, self.worklist)
        self.part.start()
        self._session = requests.Session()
        self.tokens = self._issue()

    def _issue(self) -> dict[Role, str]:
        tokens = Tokens(signing_key(key_path(self.config)))
        with contextlib.closing(open_users(self.config)) as users:
            return {user.role: tokens.issue(user, LIFE).text for user in users.all()}

    def __call__(
        self, method: str, path: str, role: Role | None = Role.READ, **more: Any
    ) -> requests.Response:
        """Send one request as somebody of a role, or as nobody."""
        headers = dict(more.pop("headers", {}))
        if role is not None:
            headers.setdefault("Authorization", f"Bearer {self.tokens[role]}")
        return self._session.request(
            method, f"{self.part.url}{path}", headers=headers, timeout=30, **more
        )

    def login(self, role: Role, **more: Any) -> requests.Response:
        """Sign in with the password of a role's account."""
        body = {"username": USERNAMES[role], "password": PASSWORDS[role], **more}
        return self("POST", "/auth/login", None, json=body)

    def book(self, **values: Any) -> WorklistItem:
        """Put a booking into the worklist, past the API."""
        record = values.pop("source_record_id", f"record-{self.worklist.items.count() + 1}")
        source = values.pop("data_source", "manual")
        usual = {
            "patient_name": "Doe^Jane",
            "patient_id": "sub_001",
            "modality": "MR",
            "scheduled_start_date": "2026-11-23",
            "scheduled_start_time": "09:30",
        }
        item = make_item({**usual, **values}, data_source=source, source_record_id=record)
        return self.worklist.items.add(item)

    def close(self) -> None:
        self._session.close()
        self.part.stop()
        self.worklist.close()


@pytest.fixture(scope="session")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an account of each role: hashing takes its time, so it is done once."""
    folder = tmp_path_factory.mktemp("accounts")
    with contextlib.closing(open_users(Config(db_path=str(folder / "worklist.db")))) as users:
        for role in Role:
            users.create({"username": USERNAMES[role], "role": role}, PASSWORDS[role])
    return folder


@pytest.fixture
def make_api(tmp_path: Path, accounts: Path) -> Iterator[MakeApi]:
    """Starts APIs with settings of the test's own; stops them afterwards."""
    made: list[Api] = []

    def make(*, with_accounts: bool = True, api: Any = None, **settings: Any) -> Api:
        folder = tmp_path / f"site-{len(made)}"
        folder.mkdir()
        if with_accounts:
            for file in accounts.iterdir():
                shutil.copy(file, folder / file.name)
        values = {"db_path": str(folder / "worklist.db"), "timezone": "UTC", **settings}
        made.append(Api(Config(**values, api={"port": 0, **(api or {})})))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def api(make_api: MakeApi) -> Api:
    """A REST API with default settings."""
    return make_api()


@pytest.fixture(scope="module")
def running_issuer() -> Iterator[LocalIssuer]:
    made = LocalIssuer()
    yield made
    made.close()


@pytest.fixture
def issuer(running_issuer: LocalIssuer) -> LocalIssuer:
    """An issuer that works, and has the key ``one``."""
    running_issuer.fault = ""
    running_issuer.asked.clear()
    for kid in set(running_issuer.keys) - {"one"}:
        del running_issuer.keys[kid]
    return running_issuer


@pytest.fixture
def clock() -> Clock:
    """What the issuer's keys are kept by."""
    return Clock()


@pytest.fixture
def trust(issuer: LocalIssuer, clock: Clock) -> Issuer:
    """Our side of the issuer."""
    return Issuer(OidcSettings(issuer=issuer.url, audience=AUDIENCE), clock)
