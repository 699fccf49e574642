"""Whatever somebody sees or changes over REST stands in the audit trail."""

from __future__ import annotations

import json
from typing import Any

from tests.api.conftest import Api
from tests.audit.trails import lines

from pylantir.users.roles import Role


def events_of(api: Api) -> list[dict[str, Any]]:
    files = api.worklist.audit.files
    assert files is not None
    return lines(files)


def test_sign_ins_stand_in_the_trail_whether_they_succeed_or_not(api: Api) -> None:
    api.login(Role.READ)
    api("POST", "/auth/login", None, json={"username": "guest", "password": "a wrong guess"})
    api("POST", "/auth/logout", Role.READ)

    written = events_of(api)
    assert [(each["event"], each["outcome"] == 0) for each in written] == [
        ("login", True),
        ("login", False),
        ("logout", True),
    ]
    assert "127.0.0.1" in json.dumps(written[0])
    assert "guess" not in json.dumps(written)


def test_what_is_seen_and_changed_stands_in_the_trail_with_who_and_whose(api: Api) -> None:
    body = {"patient_name": "Doe^John", "patient_id": "PATIENT001"}
    number = api("POST", "/worklist", Role.WRITE, json=body).json()["id"]
    api("GET", "/worklist?q=doe", Role.READ)
    api("GET", f"/worklist/{number}", Role.READ)
    api("PATCH", f"/worklist/{number}", Role.WRITE, json={"study_description": "x"})
    api("DELETE", f"/worklist/{number}", Role.WRITE)

    written = events_of(api)
    assert [each["event"] for each in written] == ["created", "query", "read", "updated", "deleted"]
    for each, user in zip(written, ("rivera", "guest", "guest", "rivera", "rivera"), strict=True):
        assert user in json.dumps(each)
    for each in (written[0], *written[2:]):
        assert "PATIENT001" in json.dumps(each)
    assert "study_description" in json.dumps(written[3])


def test_changes_of_accounts_stand_in_the_trail(api: Api) -> None:
    new = {"username": "newuser", "password": "a fourth quiet sentence"}
    number = api("POST", "/users", Role.ADMIN, json=new).json()["id"]
    api("PUT", f"/users/{number}", Role.ADMIN, json={"role": "write"})
    api("DELETE", f"/users/{number}", Role.ADMIN)

    written = events_of(api)
    assert [each["event"] for each in written] == ["configured"] * 3
    assert "quiet" not in json.dumps(written)


def test_who_may_not_see_leaves_no_list_in_the_trail(api: Api) -> None:
    api("GET", "/worklist", None)
    api("GET", "/users", Role.READ)

    assert events_of(api) == []
