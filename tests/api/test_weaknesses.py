"""What was weak in the published release, tried against this one as an outsider would."""

from __future__ import annotations

import datetime as dt
import stat
import sys
from typing import Any

import jwt
import pytest
from tests.api.conftest import USERNAMES, Api, MakeApi

from pylantir.users.roles import Role

PUBLISHED_KEY = "your-secret-key-change-in-production"


def bearer(claims: dict[str, Any], key: str | bytes = PUBLISHED_KEY) -> dict[str, str]:
    return {"Authorization": f"Bearer {jwt.encode(claims, key, algorithm='HS256')}"}


def test_a_token_forged_with_the_key_in_the_published_source_opens_nothing(api: Api) -> None:
    """As the published release made them, and as this one makes them."""
    now = dt.datetime.now(dt.UTC)
    old = {"sub": USERNAMES[Role.ADMIN], "exp": now + dt.timedelta(hours=1)}
    ours = jwt.decode(api.tokens[Role.ADMIN], options={"verify_signature": False})

    for claims in (old, ours):
        for path in ("/worklist", "/users", "/auth/me"):
            assert api("GET", path, None, headers=bearer(claims)).status_code == 401


def test_a_new_installation_has_no_account_at_all(make_api: MakeApi) -> None:
    api = make_api(with_accounts=False)

    for password in ("admin123", "admin", "password", ""):
        body = {"username": "admin", "password": password}
        assert api("POST", "/auth/login", None, json=body).status_code == 401
    assert api.part.setup_code


def test_a_token_says_nothing_that_a_client_could_change(api: Api) -> None:
    """A role put into the token by whoever has one of one's own."""
    head, claims, signature = api.tokens[Role.READ].split(".")
    richer = jwt.encode(
        {**jwt.decode(api.tokens[Role.READ], options={"verify_signature": False}), "role": "admin"},
        "x" * 32,
    ).split(".")[1]

    for token in (f"{head}.{richer}.{signature}", f"{head}.{claims}.", f"{head}.{claims}.AAAA"):
        headers = {"Authorization": f"Bearer {token}"}
        assert api("GET", "/worklist", None, headers=headers).status_code == 401


@pytest.mark.parametrize("name", ["boss", "BOSS", "nobody", "boss\u0000", "' OR 1=1 --", "*"])
def test_a_refusal_does_not_tell_which_accounts_there_are(api: Api, name: str) -> None:
    answer = api("POST", "/auth/login", None, json={"username": name, "password": "wrong"})

    assert (answer.status_code, answer.json()["detail"]) == (401, "invalid username or password")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_every_file_is_readable_by_its_own_account_only(api: Api) -> None:
    api.login(Role.READ)
    path = api.worklist.database.path
    assert path is not None
    folder = path.parent
    made = {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}

    assert {"users.db", "users.key"} <= set(made)
    ours = {name: mode for name, mode in made.items() if name.startswith("users")}
    assert {name: mode for name, mode in ours.items() if mode & 0o077} == {}


def test_a_description_of_30_megabytes_reaches_no_scanner(api: Api) -> None:
    item = api.book()
    body = {"study_description": "x" * 30_000_000}

    assert api("PUT", f"/worklist/{item.item_id}", Role.WRITE, json=body).status_code == 413
    body = {"study_description": "x" * 65}
    assert api("PUT", f"/worklist/{item.item_id}", Role.WRITE, json=body).status_code == 422
    assert api.worklist.items.get(item.item_id or 0).study_description == ""


def test_a_value_that_would_end_a_query_half_way_is_not_stored(api: Api) -> None:
    """A weight of "150 lbs" made the published release fail in the middle of its answer."""
    body = {"patient_name": "Doe^J", "patient_id": "x", "patient_weight_lb": "150 lbs"}
    wrong = {**body, "patient_weight_lb": "a lot"}

    assert api("POST", "/worklist", Role.WRITE, json=wrong).status_code == 422
    assert api("POST", "/worklist", Role.WRITE, json=body).json()["patient_weight_lb"] == "150"
