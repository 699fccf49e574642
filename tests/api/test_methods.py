"""HEAD wherever GET is, OPTIONS and Allow that are true (RFC 9110 section 9)."""

from __future__ import annotations

import pytest
from tests.api.conftest import Api

from pylantir.users.roles import Role


@pytest.mark.parametrize("path", ["/health", "/worklist", "/worklist/1", "/openapi.json", "/docs"])
def test_head_is_get_without_its_body(api: Api, path: str) -> None:
    api.book()

    got, head = api("GET", path), api("HEAD", path)

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(got.content))
    assert head.headers["content-type"] == got.headers["content-type"]
    assert head.headers.get("etag") == got.headers.get("etag")


def test_head_needs_the_same_right(api: Api) -> None:
    assert api("HEAD", "/worklist", None).status_code == 401
    assert api("HEAD", "/users", Role.READ).status_code == 403
    assert api("HEAD", "/nothing", Role.READ).status_code == 404


def test_a_stream_has_no_head(api: Api) -> None:
    answer = api("HEAD", "/events")

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, OPTIONS")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/worklist", "GET, HEAD, OPTIONS, POST"),
        ("/worklist/1", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"),
        ("/auth/login", "OPTIONS, POST"),
        ("/users/1", "DELETE, GET, HEAD, OPTIONS, PUT"),
    ],
)
def test_every_method_of_a_path_is_named(api: Api, path: str, allowed: str) -> None:
    """By whoever asks, and to whoever uses one that is not there."""
    asked, wrong = api("OPTIONS", path, None), api("TRACE", path, None)

    assert (asked.status_code, asked.headers["allow"]) == (204, allowed)
    assert (wrong.status_code, wrong.headers["allow"]) == (405, allowed)
    assert wrong.json()["code"] == "method_not_allowed"
    assert "access-control-allow-origin" not in asked.headers
