"""What holds for every request: limits, headers, ids, no traceback."""

from __future__ import annotations

import json
import logging
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.api.conftest import Api, MakeApi

from pylantir.api import connection, guard
from pylantir.users.roles import Role

DOE = {"patient_name": "Doe^John", "patient_id": "PATIENT001"}


def raw(api: Api) -> socket.socket:
    host, port = api.part.url.removeprefix("http://").split(":")
    opened = socket.create_connection((host, int(port)), timeout=30)
    opened.settimeout(30)
    return opened


def answer_on(opened: socket.socket) -> bytes:
    """Everything the server says before it closes."""
    said = b""
    while part := opened.recv(65536):
        said += part
    return said


def test_every_answer_has_the_headers_and_its_own_id(api: Api) -> None:
    answers = [
        api("GET", "/health", None),
        api("GET", "/worklist"),
        api("GET", "/worklist", None),
        api("GET", "/nothing/here", None),
        api("POST", "/worklist", Role.WRITE, data=b"x" * 70_000),
    ]

    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "server" not in answer.headers
        assert "access-control-allow-origin" not in answer.headers
    assert len({answer.headers["x-request-id"] for answer in answers}) == len(answers)
    assert [answer.status_code for answer in answers] == [200, 200, 401, 404, 413]


def test_a_client_s_own_id_is_kept_when_it_is_one(api: Api) -> None:
    kept = api("GET", "/health", None, headers={"X-Request-ID": "order-4711-abcdef"})
    made = api("GET", "/health", None, headers={"X-Request-ID": "short"})

    assert kept.headers["x-request-id"] == "order-4711-abcdef"
    assert made.headers["x-request-id"] != "short"


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_body_that_is_too_large_is_refused(api: Api, method: str) -> None:
    """The published release kept 30 MB and sent them to every scanner."""
    path = "/worklist" if method == "POST" else f"/worklist/{api.book().item_id}"
    count = api.worklist.items.count()

    answer = api(method, path, Role.WRITE, json={**DOE, "study_description": "x" * 30_000_000})

    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert api.worklist.items.count() == count


def test_a_body_of_no_announced_length_has_the_same_limit(api: Api) -> None:
    def pieces():  # type: ignore[no-untyped-def]
        for _ in range(100):
            yield b"x" * 1024

    answer = api("POST", "/worklist", Role.WRITE, data=pieces())

    assert answer.status_code == 413


def test_an_announced_length_of_many_gigabytes_costs_nothing(api: Api) -> None:
    with raw(api) as opened:
        opened.sendall(
            b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n"
            b"Content-Type: application/json\r\n\r\n"
        )
        assert b" 413 " in opened.recv(65536)


def test_a_head_that_never_ends_is_refused(api: Api) -> None:
    with raw(api) as opened:
        opened.sendall(b"GET /health HTTP/1.1\r\nX: " + b"x" * 40_000)
        assert b"400 Bad Request" in answer_on(opened)


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x02\x00\r\n\r\n", b"GET /\xef\xbc\x91 HTTP/1.1\r\nHost: x\r\n\r\n"]
)
def test_what_is_no_http_is_answered_in_the_shape_of_all_errors(api: Api, sent: bytes) -> None:
    with raw(api) as opened:
        opened.sendall(sent)
        head, _, body = answer_on(opened).partition(b"\r\n\r\n")

    problem = json.loads(body)
    assert (problem["status"], problem["code"]) == (400, "bad_request")
    assert f"x-request-id: {problem['request_id']}".encode() in head
    assert b"application/problem+json" in head
    assert b"nosniff" in head


@pytest.mark.parametrize("begun", [b"", b"GET /hea", b"GET /health HTTP/1.1\r\nHost: x\r\n"])
def test_who_says_nothing_more_is_hung_up(
    api: Api, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(connection, "HEAD_S", 0.2)
    with raw(api) as opened:
        opened.sendall(begun)

        assert answer_on(opened) == b""


def test_who_trickles_is_hung_up(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes in time, the head never: what counts is the whole of it."""
    monkeypatch.setattr(connection, "HEAD_S", 0.5)
    with raw(api) as opened:
        while trickles(opened):
            time.sleep(0.05)  # the pace of the trickle, not a wait for anything


def trickles(opened: socket.socket) -> bool:
    """Send one more byte; says whether anybody still listens."""
    try:
        opened.sendall(b"X")
    except OSError:
        return False
    return True


def test_a_connection_is_kept_for_who_uses_it(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_S", 5.0)
    with raw(api) as opened:
        for _ in range(3):
            opened.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            said = b""
            while b"healthy" not in said:
                said += opened.recv(65536)


def test_a_slow_body_is_given_up(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "MAX_REQUEST_S", 0.3)
    with raw(api) as opened:
        opened.sendall(
            b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n"
            b"Content-Type: application/json\r\nConnection: close\r\n\r\n{"
        )

        answer = answer_on(opened)
    assert b" 408 " in answer
    assert b'"code": "too_slow"' in answer


def test_a_request_with_two_lengths_is_refused_and_the_connection_ends(api: Api) -> None:
    """A proxy may think that it ends elsewhere, and take the rest for somebody else's request."""
    with raw(api) as opened:
        opened.sendall(
            b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n"
        )
        answer = answer_on(opened)

    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"400 Bad Request" in answer


def test_a_defect_is_a_problem_and_no_traceback(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> int:
        raise RuntimeError("Doe^Jane was here")

    monkeypatch.setattr(type(api.worklist.items), "settled", broken)
    with caplog.at_level(logging.INFO):
        answer = api("GET", "/worklist")

    assert (answer.status_code, answer.json()["code"]) == (500, "failed")
    assert "Doe^Jane" not in answer.text
    ours = [r for r in caplog.records if r.name.startswith("pylantir")]
    assert answer.json()["request_id"] in "".join(r.getMessage() for r in ours)
    assert "Doe^Jane" not in "".join(r.getMessage() for r in ours)


def test_the_log_names_no_patient(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="pylantir"):
        made = api("POST", "/worklist", Role.WRITE, json={**DOE, "accession_number": "ACC-9"})
        api("GET", "/worklist?patient_id=PATIENT001&q=doe")
        api("PUT", f"/worklist/{made.json()['id']}", Role.WRITE, json={"patient_sex": "Q"})
        api("POST", "/worklist", Role.WRITE, json={"patient_name": "Doe^John\ud800"})
        api("POST", "/auth/login", None, json={"username": "Doe^John", "password": "PATIENT001"})
        api("DELETE", f"/worklist/{made.json()['id']}", Role.WRITE)

    text = "\n".join(record.getMessage() for record in caplog.records)
    assert "made by rivera" in text
    for planted in ("Doe", "PATIENT001", "ACC-9"):
        assert planted not in text


@pytest.mark.parametrize(
    "body",
    [
        b'{"username": "\\ud800", "password": "x"}',
        b'{"username": "x", "password": "\\udfff"}',
        b'{"username": 5, "password": null}',
        b'{"username": "x"}',
        b'{"username": "x", "password": "' + b"y" * 5000 + b'"}',
        b'{"username": "x", "password": "y", "access_token_expire_minutes": 0}',
        b'{"username": "x", "password": "y", "access_token_expire_minutes": -5}',
        b'{"username": "x", "password": "y", "access_token_expire_minutes": 1e99}',
    ],
)
def test_a_sign_in_that_is_none_is_4xx(api: Api, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}

    answer = api("POST", "/auth/login", None, data=body, headers=headers)

    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"]


def test_half_a_surrogate_pair_in_a_name_is_refused(api: Api) -> None:
    body = b'{"patient_name": "Doe\\ud800", "patient_id": "x", "\\udfff": "y"}'
    headers = {"Content-Type": "application/json"}

    answer = api("POST", "/worklist", Role.WRITE, data=body, headers=headers)

    assert answer.status_code == 422, answer.text


def test_a_database_that_cannot_be_read_is_503_without_its_path(api: Api) -> None:
    api.worklist.database.close()
    path = api.worklist.database.path
    assert path is not None
    for file in path.parent.glob(f"{path.name}*"):
        file.write_bytes(b"not a database" * 1000)

    answer = api("GET", "/worklist")

    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert str(path.parent) not in answer.text


def test_no_other_origin_is_let_in_by_default(api: Api) -> None:
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"}

    answer = api("OPTIONS", "/worklist", None, headers=headers)

    assert "access-control-allow-origin" not in answer.headers


ORIGIN = "https://radiology.example.org"
CORS = {
    "cors_allowed_origins": [ORIGIN],
    "cors_allow_credentials": True,
    "cors_allow_methods": ["GET", "POST"],
    "cors_allow_headers": ["Authorization", "Content-Type"],
}


def test_origins_are_let_in_as_configured(make_api: MakeApi) -> None:
    api = make_api(api=CORS)
    asks = {"Access-Control-Request-Method": "POST"}

    ours = api(
        "OPTIONS", "/worklist", None, headers={"Origin": CORS["cors_allowed_origins"][0], **asks}
    )  # type: ignore[index]
    other = api("OPTIONS", "/worklist", None, headers={"Origin": "https://evil.example", **asks})

    assert ours.headers["access-control-allow-origin"] == ORIGIN
    assert ours.headers["access-control-allow-credentials"] == "true"
    assert ours.headers["access-control-allow-methods"] == "GET, POST"
    assert "access-control-allow-origin" not in other.headers


def test_every_origin_is_never_every_origin_with_credentials(make_api: MakeApi) -> None:
    api = make_api(api={**CORS, "cors_allowed_origins": ["*"]})

    answer = api(
        "GET", "/health", None, headers={"Origin": "https://evil.example", "Cookie": "a=b"}
    )

    assert "access-control-allow-credentials" not in answer.headers


def test_it_answers_many_at_once(api: Api) -> None:
    with ThreadPoolExecutor(20) as pool:
        statuses = list(pool.map(lambda _: api("GET", "/worklist").status_code, range(60)))

    assert set(statuses) == {200}


def test_a_web_socket_is_turned_away(api: Api) -> None:
    with raw(api) as opened:
        opened.sendall(
            b"GET /events HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\n"
            b"Upgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            b"Sec-WebSocket-Version: 13\r\n\r\n"
        )
        assert b" 101 " not in answer_on(opened)


@pytest.mark.parametrize(
    ("origin", "method"),
    [
        ("https://evil.example", "GET"),
        ("null", "GET"),
        (f"{ORIGIN}.evil.example", "GET"),
        (ORIGIN, "PATCH"),
    ],
)
def test_a_refused_preflight_has_the_shape_of_every_error(
    make_api: MakeApi, origin: str, method: str
) -> None:
    api = make_api(api=CORS)
    asks = {"Origin": origin, "Access-Control-Request-Method": method}

    answer = api("OPTIONS", "/worklist", None, headers=asks)

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert "Origin" in answer.headers["vary"]
    assert "access-control-allow-credentials" not in answer.headers


def test_a_browser_of_an_origin_that_is_let_in_can_read_what_was_too_large(
    make_api: MakeApi,
) -> None:
    api = make_api(api=CORS)
    for origin, seen in ((ORIGIN, ORIGIN), ("https://evil.example", None)):
        answer = api(
            "POST", "/worklist", Role.WRITE, data=b"x" * 70_000, headers={"Origin": origin}
        )
        assert answer.status_code == 413
        assert answer.headers.get("access-control-allow-origin") == seen
        assert answer.headers["x-content-type-options"] == "nosniff"
