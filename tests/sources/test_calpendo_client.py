"""Asking Calpendo over real HTTP: what is an answer, what is a failure, and how it is said."""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tests.sources.calpendo_asked import DAY, NEXT, ask, client, dripping, refused
from tests.standins.calpendo import CalpendoStandIn
from tests.standins.calpendo_samples import probe
from tests.standins.clock import VirtualClock

from pylantir.errors import SourceRefused, SourceUnavailable
from pylantir.sources.calpendo_client import (
    BURST,
    PER_SECOND,
    CalpendoClient,
    NotAllowed,
    NotUnderstood,
)
from pylantir.sources.pacing import RequestBudget


@pytest.fixture
def server() -> Iterator[CalpendoStandIn]:
    clock = VirtualClock("America/Edmonton", dt.datetime(2026, 3, 2, 8), frozen=True)
    with CalpendoStandIn(clock=clock) as stand_in:
        probe(stand_in.bookings, DAY.date())
        yield stand_in


def test_the_status_is_never_part_of_the_query_so_that_cancellations_are_seen(
    server: CalpendoStandIn,
) -> None:
    rows = client(server).bookings(DAY, NEXT, ["3T Diagnostic"], ["status", "resource.name"])
    assert [row["status"] for row in rows] == ["Approved", "Cancelled", "Denied"]
    (asked,) = server.journal.of("query")
    assert "status" not in asked.path


def test_the_resources_stand_last_in_an_or(server: CalpendoStandIn) -> None:
    rows = client(server).bookings(DAY, NEXT, ["3T Diagnostic", "9.4T Animal"])
    assert len(rows) == 4
    (asked,) = server.journal.of("query")
    assert asked.path.endswith(
        "/OR/resource.name/EQ/3T%20Diagnostic/resource.name/EQ/9.4T%20Animal"
    )


def test_a_slash_in_a_name_is_no_separator(server: CalpendoStandIn) -> None:
    (row,) = client(server).bookings(DAY, NEXT, ["PET/MR"], ["resource.name"])
    assert row["resource.name"] == "PET/MR"


@pytest.mark.parametrize(("version", "root"), [(10, "/webdav"), (11, "/api")])
def test_both_roots_of_the_api_can_be_asked(version: int, root: str) -> None:
    with CalpendoStandIn(version=version) as server:
        probe(server.bookings, DAY.date())
        assert len(ask(server, api_path=root)) == 3


@pytest.mark.parametrize("dead_root", ["404", "spa"])
def test_the_other_root_is_a_failure_that_names_the_setting(dead_root: str) -> None:
    with CalpendoStandIn(version=11, dead_root=dead_root) as server:
        assert "api_path" in refused(server, SourceUnavailable, api_path="/webdav")


@pytest.mark.parametrize("page", ["login", "maintenance", "ban"])
def test_a_page_with_status_200_is_no_list(server: CalpendoStandIn, page: str) -> None:
    server.fault("query", html=page)
    assert "text/html instead of JSON" in refused(server, SourceUnavailable)


def test_xml_is_said_to_be_xml() -> None:
    with CalpendoStandIn(answer_format="xml") as server:
        assert "xml instead of JSON" in refused(server, SourceUnavailable)


def test_a_redirect_is_not_followed(server: CalpendoStandIn) -> None:
    server.fault("query", redirect="/login")
    assert "HTTP 302" in refused(server, SourceRefused)
    assert server.journal.count("page") == 0


def test_a_wrong_password_is_refused_and_asked_once(server: CalpendoStandIn) -> None:
    told = refused(server, SourceRefused, password="wrong")
    assert "HTTP 401" in told
    assert "CALPENDO_PASSWORD" in told
    assert server.journal.count() == 1


def test_messages_name_the_variables_of_this_source(server: CalpendoStandIn) -> None:
    told = refused(server, SourceRefused, password="wrong", account_from="A_USER and A_PASSWORD")
    assert "A_USER and A_PASSWORD" in told


def test_a_password_of_any_alphabet_is_sent(server: CalpendoStandIn) -> None:
    server.account.password = "pässwörd-秘密"
    assert len(ask(server)) == 3


def test_a_type_that_we_may_not_see_is_refused(server: CalpendoStandIn) -> None:
    server.account.forbidden_types.add("Calpendo.Booking")
    assert "HTTP 403" in refused(server, NotAllowed)


def test_a_property_that_is_not_known_is_not_understood(server: CalpendoStandIn) -> None:
    with pytest.raises(NotUnderstood):
        client(server).bookings(DAY, NEXT, ["3T Diagnostic"], ["colour"])


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_error_is_tried_once_more(server: CalpendoStandIn, status: int) -> None:
    server.fault("query", status=status, times=1)
    assert len(ask(server)) == 3
    server.fault("query", status=status)
    assert f"HTTP {status}" in refused(server, SourceUnavailable)
    assert server.journal.count() == 4


def test_a_server_error_that_carries_a_list_is_an_error(server: CalpendoStandIn) -> None:
    server.fault("query", status=500, keep_body=True)
    refused(server, SourceUnavailable)


def test_whoever_asks_us_to_wait_is_left_alone(server: CalpendoStandIn) -> None:
    server.fault("query", retry_after="120", times=1)
    asking = client(server)
    for words in ("HTTP 429", "asked us to wait"):
        with pytest.raises(SourceUnavailable, match=words):
            asking.bookings(DAY, NEXT, ["3T Diagnostic"])
    assert server.journal.count() == 1


@pytest.mark.parametrize(
    "body",
    [
        '{"error":"no"}',
        "{}",
        "[]",
        "null",
        "",
        '{"biskits":null}',
        '{"biskits":[1]}',
        '"x"',
        '{"biskits":[],"biskits":[]}',
        '{"biskits":[{"id":NaN}]}',
        '{"biskits":[{"id":1}',
        "[" * 9999,
    ],
    ids=lambda body: body[:24] or "nothing",
)
def test_what_is_no_list_of_bookings_is_a_failure(server: CalpendoStandIn, body: str) -> None:
    server.fault("query", body=body)
    refused(server, SourceUnavailable)


def test_the_servers_own_words_are_passed_on_without_the_password(server: CalpendoStandIn) -> None:
    server.fault("query", body=f'{{"error":"bad {server.account.password}"}}')
    assert "bad ***" in refused(server, SourceUnavailable)


@pytest.mark.parametrize(
    "fault",
    [
        {"prefix": "<b>Warning</b>: mysql"},
        {"truncate_after": 20},
        {"truncate_after": 20, "chunked": True},
        {"cut": "close"},
        {"cut": "reset"},
        {"length_error": 10},
        {"length_error": -10},
        {"gzip_garbage": True},
    ],
    ids=str,
)
def test_a_spoilt_answer_is_tried_once_more_and_then_a_failure(
    server: CalpendoStandIn, fault: dict[str, Any]
) -> None:
    server.fault("query", **fault, times=1)
    assert len(ask(server)) == 3
    server.faults.clear()
    server.fault("query", **fault)
    refused(server, SourceUnavailable)


def test_a_booking_that_is_gone_is_nothing(server: CalpendoStandIn) -> None:
    assert client(server).booking("1") == {}


@pytest.mark.parametrize("body", ["null", "[]", '{"error":"no"}', '{"id":7}'])
def test_what_is_not_the_booking_is_a_failure(server: CalpendoStandIn, body: str) -> None:
    server.fault("detail", body=body)
    with pytest.raises(SourceUnavailable, match="something else than the booking"):
        client(server).booking("300004157686785")


def test_a_page_in_place_of_a_booking_is_a_failure(server: CalpendoStandIn) -> None:
    server.fault("detail", html="login")
    with pytest.raises(SourceUnavailable, match="text/html"):
        client(server).booking("300004157686785")


# --- Time ---


@pytest.mark.parametrize(
    "fault", [{"hang": True}, {"drip_s": 0.05}, {"drip_s": 0.05, "chunked": True}], ids=str
)
def test_a_slow_answer_ends_by_the_deadline_and_is_not_asked_again(
    server: CalpendoStandIn, fault: dict[str, Any]
) -> None:
    server.fault("query", **fault)
    told = refused(server, SourceUnavailable, request_timeout_s=0.4)
    assert "within 0.4 s" in told
    assert server.journal.count() == 1


def test_headers_that_never_end_end_by_the_deadline() -> None:
    with dripping(b"H") as url:
        asking = CalpendoClient(url, "/api", "u", "p", request_timeout_s=0.4)
        with pytest.raises(SourceUnavailable, match=r"within 0\.4 s"):
            asking.bookings(DAY, NEXT, ["3T"])


def test_a_deadline_that_is_over_does_not_harm_the_next_request(server: CalpendoStandIn) -> None:
    asking = client(server, request_timeout_s=0.4)
    assert len(asking.bookings(DAY, NEXT, ["3T Diagnostic"])) == 3
    threading.Event().wait(0.6)
    assert len(asking.bookings(DAY, NEXT, ["3T Diagnostic"])) == 3


def test_connections_are_kept_and_closed(server: CalpendoStandIn) -> None:
    asking = client(server)
    for _ in range(3):
        asking.booking("1")
    assert len(asking._idle) == 1
    asking.close()
    assert asking._idle == []


def test_requests_stay_within_a_budget_and_who_waits_for_it_can_be_stopped(
    server: CalpendoStandIn,
) -> None:
    asking = client(server)
    asking._budget = RequestBudget(burst=2, per_second=0.001)
    asking.booking("1"), asking.booking("2")
    told: list[SourceUnavailable] = []

    def ask() -> None:
        with pytest.raises(SourceUnavailable, match="stopped") as caught:
            asking.booking("3")
        told.append(caught.value)

    waiting = threading.Thread(target=ask)
    waiting.start()
    asking.close()
    waiting.join(10)
    assert told
    assert server.journal.count() == 2


def test_the_budget_of_a_site_lets_a_first_import_through_and_then_few_a_minute() -> None:
    budget = CalpendoClient("http://x", "/api", "u", "p")._budget
    assert [budget.reserve() for _ in range(BURST)] == [0.0] * BURST
    assert 0 < budget.reserve() <= 1 / PER_SECOND
    assert 60 * PER_SECOND < 600


def test_nobody_there_is_said_without_the_address() -> None:
    asking = CalpendoClient("http://127.0.0.1:9", "/api", "u", "p")
    with pytest.raises(SourceUnavailable) as caught:
        asking.bookings(DAY, NEXT, ["3T"])
    assert "cannot be reached" in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://127.0.0.1:9", "connection refused; check base_url"),
        ("http://no-such-host.invalid", "its name is not known; check base_url"),
    ],
)
def test_why_nobody_answers_is_said_in_words(address: str, words: str) -> None:
    asking = CalpendoClient(address, "/api", "u", "p")
    with pytest.raises(SourceUnavailable, match=words):
        asking.bookings(DAY, NEXT, ["3T"])


def test_a_proxy_that_is_not_there_is_named_without_its_account(
    server: CalpendoStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://me:pass1234@127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(SourceUnavailable, match="the proxy does not let us through") as caught:
        client(server).bookings(DAY, NEXT, ["3T"])
    assert "pass1234" not in str(caught.value)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"gzip_garbage": True}, "cannot be unpacked"),
        ({"truncate_after": 20, "chunked": True}, "was cut off"),
        ({"retry_after": "", "status": 429}, "asked us to come back later"),
    ],
)
def test_a_spoilt_answer_is_named_for_what_it_is(
    server: CalpendoStandIn, fault: dict[str, Any], words: str
) -> None:
    server.fault("query", **fault)
    with pytest.raises(SourceUnavailable, match=words):
        client(server).bookings(DAY, NEXT, ["3T"])


def test_no_request_and_no_log_holds_the_password(
    server: CalpendoStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    server.account.password = "hunter2-hunter2"
    with caplog.at_level(logging.DEBUG):
        ask(server)
        server.fault("*", status=500)
        refused(server, SourceUnavailable)
    assert "hunter2" not in caplog.text
    assert server.journal.secrets_in_urls() == []
