"""What a client sends is taken strictly: nothing that could mean two things is stored."""

from __future__ import annotations

import json

import pytest
from tests.api.conftest import Api

from pylantir.users.roles import Role

DOE = '"patient_name": "Doe^John", "patient_id": "PATIENT001"'


def send(api: Api, body: str | bytes, content_type: str | None = "application/json") -> tuple:  # type: ignore[type-arg]
    headers = {"Content-Type": content_type} if content_type else {}
    data = body.encode() if isinstance(body, str) else body
    answer = api("POST", "/worklist", Role.WRITE, data=data, headers=headers)
    problem = answer.json()
    return answer.status_code, problem.get("code"), problem.get("errors")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (f'{{{DOE}, "patient_id": "PATIENT002"}}', "patient_id"),
        (f'{{{DOE}, "extras": {{"PatientState": "a", "PatientState": "b"}}}}', "PatientState"),
        (f'{{{DOE}, "patient_weight_kg": NaN}}', "patient_weight_kg"),
        (f'{{{DOE}, "patient_weight_lb": -Infinity}}', "patient_weight_lb"),
        (f'{{{DOE}, "station_name": ["MR1", NaN]}}', "station_name"),
    ],
)
def test_what_could_mean_two_things_is_refused_and_named(api: Api, body: str, field: str) -> None:
    status, code, errors = send(api, body)

    assert (status, code) == (400, "bad_request")
    assert [error["field"] for error in errors] == [field]
    assert api.worklist.items.count() == 0


@pytest.mark.parametrize(
    "body",
    [
        "{",
        f"{{{DOE}}} x",
        "NaN",
        "[" * 30_000,
        f'{{{DOE}, "extras": {"[" * 20_000}{"]" * 20_000}}}',
        f'{{{DOE}, "patient_weight_kg": {"9" * 5000}}}',
        '{"patient_name": "M\xfcller"}'.encode("latin-1"),
        b"\x00",
    ],
    ids=range(8),
)
def test_what_is_no_json_is_refused(api: Api, body: str | bytes) -> None:
    status, code, _ = send(api, body)

    assert (status, code) in [(400, "bad_request"), (422, "invalid_request")]
    assert api.worklist.items.count() == 0


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "x"],
)
def test_another_type_of_content_is_said(api: Api, content_type: str) -> None:
    status, code, _ = send(api, f"{{{DOE}}}", content_type)

    assert (status, code) == (415, "unsupported_media_type")
    assert api.worklist.items.count() == 0


@pytest.mark.parametrize("content_type", [None, "APPLICATION/JSON; charset=utf-8", "a/b+json"])
def test_json_is_taken_as_the_published_release_took_it(api: Api, content_type: str | None) -> None:
    """A body without a type counted as JSON, and scripts rely on that."""
    expected = 415 if content_type == "a/b+json" else 200

    assert send(api, f"{{{DOE}}}", content_type)[0] == expected


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/worklist?date=2026-11-23&date=2026-11-24", "date"),
        ("/worklist?limit=5&limit=6", "limit"),
        ("/worklist?statsu=COMPLETED", "statsu"),
        ("/performed-steps?unlinkd=true", "unlinkd"),
        ("/performed-steps?unlinked=true&unlinked=false", "unlinked"),
        ("/rejected?soruce=main", "soruce"),
    ],
)
def test_a_filter_that_means_nothing_or_two_things_is_named(
    api: Api, path: str, field: str
) -> None:
    """Ignored, a misspelt filter would mean everybody."""
    answer = api("GET", path)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_query")
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_what_may_stand_several_times_may(api: Api) -> None:
    for path in ("/worklist?status=SCHEDULED&status=COMPLETED&_=1", "/performed-steps?_=1&_=2"):
        assert api("GET", path).status_code == 200


@pytest.mark.parametrize("record", ["a\u0000b", "x" * 256, "two\nlines"])
def test_a_record_of_a_client_has_a_printable_name(api: Api, record: str) -> None:
    body = {**json.loads(f"{{{DOE}}}"), "source_record_id": record}

    answer = api("POST", "/worklist", Role.WRITE, json=body)

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["source_record_id"]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/worklist", {"patient_weight_kg": True}, "patient_weight_kg"),
        ("/worklist", {"patient_weight_lb": False}, "patient_weight_lb"),
        ("/performed-steps/1.2.3/link", {"item_id": True}, "item_id"),
        ("/performed-steps/1.2.3/link", {"item_id": 1, "position": False}, "position"),
        ("/auth/login", {"access_token_expire_minutes": True}, "access_token_expire_minutes"),
    ],
)
def test_true_is_no_number(api: Api, path: str, body: dict[str, object], field: str) -> None:
    api.book()
    usual = {"patient_name": "Doe^John", "patient_id": "P"} if path == "/worklist" else {}
    known = {"username": "guest", "password": "wrong"} if path == "/auth/login" else {}

    answer = api("POST", path, Role.WRITE, json={**usual, **known, **body})

    assert answer.status_code == 422
    assert {error["field"].partition(".")[0] for error in answer.json()["errors"]} == {field}
    assert api.worklist.items.count() == 1


@pytest.mark.parametrize("path", ["/auth/login", "/auth/password", "/auth/setup"])
@pytest.mark.parametrize("content_type", [None, "text/plain"])
def test_a_web_page_of_somebody_else_cannot_try_passwords(
    api: Api, path: str, content_type: str | None
) -> None:
    """A browser sends these bodies for any page, without asking the server first."""
    body = b'{"username": "boss", "password": "wrong"}'
    headers = {"Content-Type": content_type} if content_type else {}

    for _ in range(7):
        answer = api("POST", path, None, data=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert api.login(Role.ADMIN).status_code == 200
