"""Every route × every role: who may do what, read off the application itself."""

from __future__ import annotations

import pytest
from fastapi.routing import APIRoute
from tests.api.conftest import Api

from pylantir.users.roles import Role

NOBODY, READ, WRITE, ADMIN = None, Role.READ, Role.WRITE, Role.ADMIN
EVERYBODY = frozenset({NOBODY, READ, WRITE, ADMIN})
SIGNED_IN = frozenset({READ, WRITE, ADMIN})
WRITERS = frozenset({WRITE, ADMIN})
ADMINS = frozenset({ADMIN})

ALLOWED = {
    "POST /auth/login": EVERYBODY,
    "POST /auth/password": EVERYBODY,
    "POST /auth/setup": EVERYBODY,
    "POST /auth/refresh": SIGNED_IN,
    "POST /auth/logout": SIGNED_IN,
    "GET /auth/me": SIGNED_IN,
    "GET /worklist": SIGNED_IN,
    "GET /worklist/{item_id}": SIGNED_IN,
    "POST /worklist": WRITERS,
    "GET /worklist/{item_id}/explain": SIGNED_IN,
    "GET /worklist/{item_id}/history": SIGNED_IN,
    "GET /worklist/{item_id}/data-sets": SIGNED_IN,
    "GET /scanners": SIGNED_IN,
    "GET /events": SIGNED_IN,
    "PUT /worklist/{item_id}": WRITERS,
    "PATCH /worklist/{item_id}": WRITERS,
    "DELETE /worklist/{item_id}": WRITERS,
    "GET /performed-steps": SIGNED_IN,
    "GET /performed-steps/{sop_instance_uid}": SIGNED_IN,
    "GET /performed-steps/{sop_instance_uid}/candidates": SIGNED_IN,
    "POST /performed-steps/{sop_instance_uid}/link": WRITERS,
    "GET /sources": SIGNED_IN,
    "POST /sources/{name}/sync": WRITERS,
    "GET /rejected": SIGNED_IN,
    "GET /users": ADMINS,
    "GET /users/{user_id}": ADMINS,
    "POST /users": ADMINS,
    "PUT /users/{user_id}": ADMINS,
    "DELETE /users/{user_id}": ADMINS,
    "GET /health": EVERYBODY,
    "GET /ready": EVERYBODY,
    "GET /docs": EVERYBODY,
    "GET /docs/start.js": EVERYBODY,
    "GET /docs/assets/{name}": EVERYBODY,
    "GET /redoc": EVERYBODY,
    "GET /openapi.json": EVERYBODY,
}
"""The whole of what the API offers. A route that is not here fails a test."""

BODIES: dict[str, object] = {
    "POST /auth/login": {"username": "nobody", "password": "wrong"},
    "POST /auth/password": {
        "username": "nobody",
        "current_password": "wrong",
        "new_password": "wrong",
    },
    "POST /auth/setup": {"setup_code": "wrong", "password": "wrong"},
}


def paths(api: Api) -> set[str]:
    described = api("GET", "/openapi.json", None).json()["paths"]
    return {f"{method.upper()} {path}" for path in described for method in described[path]}


def test_every_route_that_is_described_stands_in_the_table(api: Api) -> None:
    hidden = {name for name in ALLOWED if name.split()[1].startswith(("/docs", "/redoc", "/open"))}

    assert paths(api) == set(ALLOWED) - hidden


def test_every_route_there_is_stands_in_the_table() -> None:
    from pylantir.api import app

    routes = [route for module in app._ROUTERS for route in module.router.routes]
    found = {
        f"{method} {route.path}"
        for route in routes
        if isinstance(route, APIRoute)
        for method in route.methods
    }

    assert found | {"GET /openapi.json"} == set(ALLOWED)


@pytest.mark.parametrize("role", [NOBODY, *Role], ids=str)
def test_a_role_gets_exactly_what_it_may(api: Api, role: Role | None) -> None:
    item = api.book()
    wrong = {}
    # What ends tokens comes last.
    for name in sorted(ALLOWED, key=lambda name: name == "POST /auth/logout"):
        method, path = name.split()
        path = path.format(
            item_id=item.item_id,
            sop_instance_uid="1.2.3",
            name="nothing",
            user_id=999,
        )
        body = BODIES.get(name, {} if method != "GET" else None)
        answer = api(method, path, role, json=body, stream=True)
        if name == "GET /events":
            answer.raw.read(1)  # it has begun, and does not end by itself
            answer.close()
        refused = answer.status_code in (401, 403) and name not in BODIES
        if refused == (role in ALLOWED[name]):
            wrong[name] = answer.status_code
        if refused:
            assert answer.status_code == (401 if role is None else 403)
            assert "patient" not in answer.text

    assert wrong == {}


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Bearer nonsense", "Basic Ym9zczpwdw==", "Token abc", "bearer  x y"],
)
def test_a_header_that_is_no_token_is_nobody(api: Api, header: str) -> None:
    answer = api("GET", "/worklist", None, headers={"Authorization": header})

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_role_is_that_of_the_database_and_not_of_yesterday(api: Api) -> None:
    number = api("GET", "/auth/me", Role.WRITE).json()["id"]
    body = {"username": "rivera", "password": "the quiet sentence of the writer"}
    api("PUT", f"/users/{number}", Role.ADMIN, json={"role": "read"})

    assert api("GET", "/worklist", Role.WRITE).status_code == 401, "its tokens have ended"
    token = api("POST", "/auth/login", None, json=body).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert api("GET", "/worklist", None, headers=headers).status_code == 200
    assert api("POST", "/worklist", None, headers=headers, json={}).status_code == 403


def test_nobody_deletes_their_own_account(api: Api) -> None:
    number = api("GET", "/auth/me", Role.ADMIN).json()["id"]

    answer = api("DELETE", f"/users/{number}", Role.ADMIN)

    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
