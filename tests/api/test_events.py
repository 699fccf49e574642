"""What changes is told as it changes: over server-sent events, and by name of nobody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from tests.api.conftest import Api

from pylantir.api.routes import events as room
from pylantir.users.roles import Role
from pylantir.worklist.status import ItemStatus


class Stream:
    """An open stream of events."""

    def __init__(self, api: Api, role: Role = Role.READ, **headers: str) -> None:
        headers["Authorization"] = f"Bearer {api.tokens[role]}"
        self.response = requests.get(
            f"{api.part.url}/events", headers=headers, stream=True, timeout=30
        )
        self._lines = self.response.iter_lines(chunk_size=1, decode_unicode=True)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        event: dict[str, Any] = {}
        for line in self._lines:
            name, _, value = line.partition(": ")
            if line and name:
                event[name] = value
            elif event:
                yield {**event, "data": json.loads(event["data"])}
                event = {}

    def next(self, kind: str) -> dict[str, Any]:
        """The next event of a kind."""
        return next(event for event in self if event["event"] == kind)

    def close(self) -> None:
        self.response.close()


@pytest.fixture
def stream(api: Api) -> Iterator[Stream]:
    opened = Stream(api)
    opened.next("hello")
    yield opened
    opened.close()


def test_a_change_is_told_with_what_changed_and_no_name(api: Api, stream: Stream) -> None:
    item = api.book()
    told = stream.next("item")
    api.worklist.items.set_status(item.item_id or 0, ItemStatus.COMPLETED)
    then = stream.next("item")

    assert told["data"] == {"id": item.item_id, "status": "SCHEDULED", "date": "2026-11-23"}
    assert then["data"]["status"] == "COMPLETED"
    assert "Doe" not in json.dumps([told, then])


def test_who_comes_back_misses_nothing(api: Api, stream: Stream) -> None:
    api.book(patient_id="first")
    seen = stream.next("item")["id"]
    stream.close()
    missed = api.book(patient_id="second")

    again = Stream(api, **{"Last-Event-ID": seen})

    assert again.next("item")["data"]["id"] == missed.item_id
    again.close()


@pytest.mark.parametrize("seen", ["nonsense", "1.2", "-1.0.0", "9" * 50 + ".1.1"])
def test_an_id_that_is_none_begins_now(api: Api, seen: str) -> None:
    api.book(patient_id="old")
    opened = Stream(api, **{"Last-Event-ID": seen})
    opened.next("hello")
    new = api.book(patient_id="new")

    assert opened.next("item")["data"]["id"] == new.item_id
    opened.close()


def test_more_than_can_be_told_is_told_as_many(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    from pylantir.worklist import feed

    monkeypatch.setattr(feed, "AT_ONCE", 2)
    for number in range(4):
        api.book(patient_id=str(number))
    opened = Stream(api, **{"Last-Event-ID": "0.0.0"})

    assert opened.next("many")["data"] == {"what": "item"}
    opened.close()


def test_a_stream_ends_with_its_token(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "BEAT_S", 0.2)
    opened = Stream(api)
    opened.next("hello")

    assert api("POST", "/auth/logout", Role.READ).status_code == 204

    assert list(opened) == []


def test_too_many_streams_are_refused_and_others_go_on(
    api: Api, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MAX_STREAMS", 1)

    refused = api("GET", "/events")
    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
    assert api("GET", "/health", None).status_code == 200


def test_a_stream_does_not_hold_up_the_end(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It ends in the middle of its pause, and is not cut off."""
    monkeypatch.setattr(room, "PAUSE_S", 60.0)
    stream = Stream(api)
    stream.next("hello")

    api.part.stop()

    assert list(stream) == []
    assert "uvicorn" not in "".join(record.name for record in caplog.records)
