"""What both stand-ins can do: live, die, break answers and remember requests."""

from __future__ import annotations

import contextlib
import datetime as dt
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import requests
import trustme
from tests.standins.base import StandIn
from tests.standins.clock import VirtualClock
from tests.standins.wire import JSON, Reply, Request

BODY = b'{"items": [' + b"1," * 1000 + b"2]}"


class Echo(StandIn):
    """Answers the same to everybody and counts."""

    def __init__(
        self, *, ssl_context: ssl.SSLContext | None = None, compress: bool = False
    ) -> None:
        super().__init__(ssl_context=ssl_context, compress=compress)
        self.performed = 0

    def answer(self, request: Request) -> Reply:
        self.performed += 1
        return Reply(200, BODY, JSON)

    def secrets(self) -> list[str]:
        return ["SESAME"]


@pytest.fixture
def echo() -> Iterator[Echo]:
    with Echo() as server:
        yield server


@pytest.fixture
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


def in_background(call: Callable[[], object]) -> tuple[threading.Thread, list[Exception]]:
    """Run a call that is going to fail, and keep how it failed."""
    failures: list[Exception] = []

    def run() -> None:
        try:
            call()
        except requests.RequestException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, failures


def test_an_answer_without_faults_is_whole(echo: Echo, http: requests.Session) -> None:
    answer = http.get(f"{echo.url}/a")
    assert (answer.status_code, answer.content) == (200, BODY)
    assert answer.headers["Content-Type"] == JSON


def test_a_client_that_accepts_gzip_gets_it_when_compression_is_on() -> None:
    with Echo(compress=True) as server, requests.Session() as http:
        answer = http.get(f"{server.url}/a")
        assert answer.headers["Content-Encoding"] == "gzip"
        assert answer.content == BODY


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ({"cut": "close"}, "without response"),
        ({"cut": "reset"}, "reset by peer"),
        ({"truncate_after": 10}, "10 bytes read"),
        ({"truncate_after": 10, "cut": "reset"}, "broken"),
        ({"length_error": 5}, "5 more expected"),
        ({"chunked": True, "truncate_after": 10}, "ended prematurely"),
        ({"gzip_garbage": True}, "failed to decode"),
    ],
)
def test_a_broken_answer_is_broken_on_the_wire(
    echo: Echo, http: requests.Session, how: dict[str, Any], error: str
) -> None:
    fault = echo.fault(times=1, **how)
    with pytest.raises(requests.RequestException, match=error):
        http.get(f"{echo.url}/a", timeout=5)
    assert fault.fired == 1
    assert http.get(f"{echo.url}/a").content == BODY


@pytest.mark.parametrize(
    ("how", "status", "start"),
    [
        ({"status": 503}, 503, b"<!DOCTYPE html>"),
        ({"status": 407}, 407, b"<!DOCTYPE html>"),
        ({"status": 500, "keep_body": True}, 500, BODY),
        ({"body": "null"}, 200, b"null"),
        ({"body": b'{"a": NaN, "a": 1}', "status": 200}, 200, b'{"a": NaN'),
        ({"body": ""}, 200, b""),
        ({"prefix": "PHP Warning: deprecated\n"}, 200, b"PHP Warning: deprecated\n{"),
        ({"html": "login"}, 200, b"<!DOCTYPE html>"),
        ({"html": "ban", "status": 403}, 403, b"<!DOCTYPE html>"),
        ({"chunked": True}, 200, BODY),
        ({"length_error": -5}, 200, BODY[:-5]),
        ({"redirect": "/login"}, 302, b""),
        ({"retry_after": "7"}, 429, b"<!DOCTYPE html>"),
    ],
)
def test_a_replaced_answer_has_the_status_and_body_of_the_fault(
    echo: Echo, http: requests.Session, how: dict[str, Any], status: int, start: bytes
) -> None:
    echo.fault(**how)
    answer = http.get(f"{echo.url}/a", allow_redirects=False, timeout=5)
    assert answer.status_code == status
    assert answer.content.startswith(start)
    assert (answer.content == b"") == (start == b"")
    assert echo.journal.entries[-1].status == status
    assert echo.journal.entries[-1].fault


def test_a_redirect_leads_to_a_login_page_with_status_200(
    echo: Echo, http: requests.Session
) -> None:
    echo.fault(redirect="/login", times=1)
    answer = http.get(f"{echo.url}/a")
    assert answer.status_code == 200
    assert "Log In" in answer.text
    assert [e.path for e in echo.journal.entries] == ["/a", "/login"]


def test_retry_after_is_a_header(echo: Echo, http: requests.Session) -> None:
    echo.fault(retry_after="7")
    assert http.get(echo.url).headers["Retry-After"] == "7"


def test_a_drip_sends_byte_after_byte(echo: Echo) -> None:
    echo.fault(drip_s=0.02)
    with socket.create_connection((echo.host, echo.port), 5) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        client.settimeout(5)
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(1)
        assert [len(client.recv(100)) for _ in range(3)] == [1, 1, 1]


def test_latency_delays_the_answer(echo: Echo, http: requests.Session) -> None:
    echo.fault(latency_s=0.2)
    began = time.monotonic()
    assert http.get(echo.url).status_code == 200
    assert time.monotonic() - began >= 0.2


@pytest.mark.parametrize(
    "how", [{"hang": True}, {"latency_s": 600.0}, {"drip_s": 600.0}, {"drip_s": 0.05}]
)
def test_stop_ends_a_held_request_within_a_second(how: dict[str, Any]) -> None:
    server = Echo().start()
    server.fault(**how)
    thread, failures = in_background(lambda: requests.get(server.url, timeout=30))
    server.journal.wait_for(1)
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 1
    thread.join(5)
    assert len(failures) == 1
    assert not server.running


def test_stop_ends_a_client_that_never_asks(echo: Echo) -> None:
    with socket.create_connection((echo.host, echo.port), 5) as client:
        client.sendall(b"GET / HT")
        began = time.monotonic()
        echo.stop()
        assert time.monotonic() - began < 1
        client.settimeout(5)
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""


def test_clearing_the_script_lets_a_late_answer_go_at_once(
    echo: Echo, http: requests.Session
) -> None:
    echo.fault(latency_s=600)
    timer = threading.Timer(0.1, echo.faults.clear)
    timer.start()
    assert http.get(echo.url, timeout=10).status_code == 200
    timer.join()


def test_nth_and_times_choose_the_requests_that_fail(echo: Echo, http: requests.Session) -> None:
    echo.fault(nth=2, status=503)
    echo.fault(nth=4, times=2, status=500)
    seen = [http.get(echo.url).status_code for _ in range(6)]
    assert seen == [200, 503, 200, 500, 500, 200]


def test_a_rate_hits_the_same_requests_in_every_run() -> None:
    runs = []
    for _ in range(2):
        with Echo() as server, requests.Session() as http:
            server.fault(rate=0.4, status=503)
            runs.append([http.get(server.url).status_code for _ in range(20)])
    assert runs[0] == runs[1]
    assert {200, 503} == set(runs[0])


def test_a_fault_goes_by_the_route(echo: Echo, http: requests.Session) -> None:
    echo.fault("/b/*", status=503)
    assert http.get(f"{echo.url}/a/1").status_code == 200
    assert http.get(f"{echo.url}/b/1").status_code == 503


def test_a_request_may_take_effect_although_its_answer_is_lost(
    echo: Echo, http: requests.Session
) -> None:
    echo.fault(cut="close", times=1)
    echo.fault(cut="close", performed=True, times=1)
    for performed in (0, 1):
        with pytest.raises(requests.ConnectionError):
            http.get(echo.url)
        assert echo.performed == performed


def test_a_misspelt_fault_is_refused(echo: Echo) -> None:
    with pytest.raises(ValueError, match="'rest': expected 'close' or 'reset'"):
        echo.fault(cut="rest")
    with pytest.raises(TypeError, match="statsu"):
        echo.fault(statsu=500)


def test_the_journal_masks_secrets_and_tells_those_in_urls(
    echo: Echo, http: requests.Session
) -> None:
    http.post(f"{echo.url}/a?x=1", data={"token": "SESAME", "content": "record"})
    http.get(f"{echo.url}/a?token=ANYTHING")
    http.get(f"{echo.url}/a/SESAME")
    first, *told = echo.journal.entries
    assert first.form == {"token": "***", "content": "record"}
    assert (first.method, first.path, first.query) == ("POST", "/a", "x=1")
    assert [e.secret_in_url for e in (first, *told)] == [False, True, True]
    assert echo.journal.secrets_in_urls() == told


def test_a_stand_in_that_fails_itself_fails_the_test() -> None:
    class Broken(StandIn):
        def answer(self, request: Request) -> Reply:
            raise KeyError("oops")

    with pytest.raises(RuntimeError, match="stand-in itself failed"), Broken() as server:
        assert requests.get(server.url).status_code == 500


def test_a_restart_keeps_port_and_journal(http: requests.Session) -> None:
    server = Echo().start()
    url = server.url
    http.get(url)
    server.stop()
    with pytest.raises(requests.ConnectionError):
        http.get(url)
    with server:
        assert http.get(url).status_code == 200
        assert server.journal.count() == 2


def test_the_date_header_tells_the_servers_own_time(echo: Echo, http: requests.Session) -> None:
    echo.clock.set(dt.datetime(2026, 3, 8, 12, tzinfo=dt.UTC), frozen=True)
    date = parsedate_to_datetime(http.get(echo.url).headers["Date"])
    assert date == dt.datetime(2026, 3, 8, 12, tzinfo=dt.UTC)


def test_tls_is_served_and_a_certificate_can_be_exchanged_while_running() -> None:
    old, new = trustme.CA(), trustme.CA()
    with (
        Echo(ssl_context=_context(old)) as server,
        old.cert_pem.tempfile() as bundle,
        new.cert_pem.tempfile() as other,
    ):
        assert requests.get(server.url, verify=bundle).content == BODY
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(server.url, verify=other)
        server.ssl_context = _context(new)
        assert requests.get(server.url, verify=other).content == BODY
    assert len(server.failed_handshakes) == 1


def test_a_hanging_handshake_neither_blocks_others_nor_stop() -> None:
    authority = trustme.CA()
    server = Echo(ssl_context=_context(authority)).start()
    with socket.create_connection((server.host, server.port), 5):
        with authority.cert_pem.tempfile() as bundle:
            assert requests.get(server.url, verify=bundle, timeout=5).status_code == 200
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 1


def _context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def test_the_clock_can_be_set_in_wall_time_and_moved_to_another_zone() -> None:
    clock = VirtualClock("America/Edmonton", dt.datetime(2026, 3, 2, 8, 0), frozen=True)
    assert clock.now() == dt.datetime(2026, 3, 2, 15, 0, tzinfo=dt.UTC)
    clock.advance(90, days=1)
    assert clock.wall() == dt.datetime(2026, 3, 3, 8, 1, 30)
    clock.set_zone("UTC")
    assert clock.wall() == dt.datetime(2026, 3, 3, 15, 1, 30)
    clock.set(dt.datetime(2026, 3, 3, tzinfo=dt.UTC), frozen=False)
    assert not clock.frozen
    with pytest.raises(KeyError):
        clock.set_zone("Mars/Olympus")


class TestControlDoor:
    """Everything that Python can do to a stand-in, curl can."""

    def test_it_lists_its_actions(self, echo: Echo, http: requests.Session) -> None:
        actions = http.get(f"{echo.url}/__control__/").json()["actions"]
        assert "advance(seconds: float = 0, days: float = 0)" in actions

    def test_the_clock_is_set_by_form_or_json(self, echo: Echo, http: requests.Session) -> None:
        door = f"{echo.url}/__control__"
        http.post(f"{door}/set_zone", data={"zone": "America/Toronto"})
        shown = http.post(f"{door}/set_clock", json={"at": "2026-03-02T08:00", "frozen": True})
        assert shown.json()["utc"] == "2026-03-02T13:00:00+00:00"
        assert http.post(f"{door}/advance?seconds=60").json()["wall"] == "2026-03-02 08:01:00"

    def test_a_fault_is_added_and_cleared(self, echo: Echo, http: requests.Session) -> None:
        door = f"{echo.url}/__control__"
        listed = http.post(f"{door}/fault", data={"route": "/a*", "status": "503", "times": "2"})
        assert listed.json() == [{"route": "/a*", "status": 503, "times": 2, "seen": 0, "fired": 0}]
        assert http.get(f"{echo.url}/a").status_code == 503
        assert http.get(f"{door}/faults").json()[0]["fired"] == 1
        http.post(f"{door}/clear_faults")
        assert http.get(f"{echo.url}/a").status_code == 200

    def test_the_journal_is_shown_without_the_door_itself(
        self, echo: Echo, http: requests.Session
    ) -> None:
        http.get(f"{echo.url}/a")
        shown = http.get(f"{echo.url}/__control__/journal").json()
        assert [(e["path"], e["status"]) for e in shown] == [("/a", 200)]

    @pytest.mark.parametrize(
        ("path", "status", "message"),
        [
            ("nix", 404, "no action 'nix'"),
            ("set_clock", 400, "argument 'at' is missing"),
            ("set_clock?at=noon", 400, "'noon' is no ISO 8601 time"),
            ("advance?seconds=x", 400, "'x' is no number"),
            ("advance?years=1", 400, "no argument 'years'"),
            ("set_zone?zone=Mars", 400, "Mars"),
            ("fault?cut=x", 400, "cut is 'x'"),
        ],
    )
    def test_a_wrong_request_is_explained(
        self, echo: Echo, http: requests.Session, path: str, status: int, message: str
    ) -> None:
        answer = http.post(f"{echo.url}/__control__/{path}")
        assert answer.status_code == status
        assert message in answer.json()["error"]
