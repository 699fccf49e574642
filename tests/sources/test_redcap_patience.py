"""REDCap is slow, busy or away for a moment: asked once more, and never hammered."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from tests.sources.redcap_asked import NOW, client_of
from tests.standins.dripping import dripping
from tests.standins.redcap import RedcapStandIn

from pylantir.errors import SourceRefused, SourceUnavailable
from pylantir.sources import patience, redcap_client
from pylantir.sources.patience import ATTEMPTS
from pylantir.sources.redcap_client import RedcapClient


@pytest.mark.parametrize(
    "fault",
    [
        *({"status": status} for status in (408, 429, 500, 502, 503, 504)),
        {"cut": "close"},
        {"cut": "reset"},
        {"truncate_after": 20},
        {"retry_after": "0"},
    ],
    ids=str,
)
def test_what_may_pass_is_asked_once_more(
    server: RedcapStandIn, client: RedcapClient, fault: dict[str, Any]
) -> None:
    server.fault("record", times=ATTEMPTS - 1, **fault)
    assert client.record_ids() == ["1", "2", "3"]


def test_what_does_not_pass_is_given_up_after_some_attempts(
    server: RedcapStandIn, client: RedcapClient
) -> None:
    server.fault("record", status=503)
    with pytest.raises(SourceUnavailable, match="HTTP 503"):
        client.record_ids()
    assert server.journal.count("record") == ATTEMPTS


@pytest.mark.parametrize("status", [400, 401, 403, 404, 407, 501])
def test_what_will_not_pass_is_asked_once(
    server: RedcapStandIn, client: RedcapClient, status: int
) -> None:
    server.fault("record", status=status)
    with pytest.raises((SourceUnavailable, SourceRefused)):
        client.record_ids()
    assert server.journal.count("record") == 1


def test_a_server_that_wants_to_be_left_alone_is_not_asked_again_in_this_round(
    server: RedcapStandIn, client: RedcapClient
) -> None:
    server.fault("record", retry_after="120")
    with pytest.raises(SourceUnavailable, match="HTTP 429") as caught:
        client.record_ids()
    assert caught.value.retry_after_s == 120
    assert server.journal.count("record") == 1


def test_a_short_wait_that_the_server_asks_for_is_waited(
    server: RedcapStandIn, client: RedcapClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(client, "_wait", waits.append)
    server.fault("record", retry_after="2", times=1)
    assert client.record_ids() == ["1", "2", "3"]
    assert max(waits) == 2


def test_who_waits_to_ask_once_more_can_be_stopped(
    server: RedcapStandIn, client: RedcapClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redcap_client, "wait_after", lambda failures: 60.0)
    server.fault("record", status=503)
    stopping = threading.Timer(0.2, client.close)
    stopping.start()
    with pytest.raises(SourceUnavailable, match="stopped"):
        client.record_ids()
    stopping.join()


def test_headers_that_never_end_end_by_the_deadline(
    server: RedcapStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redcap_client, "TOTAL_S", 0.3)
    with dripping(b"X-More: 1\r\n", b"HTTP/1.1 200 OK\r\n") as url:
        asking = client_of(server, url=f"{url}/api/")
        with pytest.raises(SourceUnavailable, match="did not finish its answer in time"):
            asking.learn(NOW)


def test_a_cookie_that_the_server_sets_is_not_kept(
    server: RedcapStandIn, client: RedcapClient
) -> None:
    server.fault("record", headers={"Set-Cookie": "PHPSESSID=abc; Path=/"})
    client.record_ids()
    client.record_ids()
    assert not any("Cookie" in entry.headers for entry in server.journal.of("record"))


def test_waits_are_as_long_as_they_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert patience.FIRST_WAIT_S == 1
