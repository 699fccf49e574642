"""PyCap held so that it cannot hang, mislead, hammer or leak; against a real server."""

from __future__ import annotations

import datetime as dt
import json
import traceback
from collections.abc import Callable
from typing import Any

import pytest
import requests
from tests.sources.redcap_asked import NOW, client_of
from tests.standins.redcap import RedcapStandIn
from tests.standins.redcap_data import Project
from tests.standins.redcap_samples import empty_project

from pylantir.errors import ConfigurationError, SourceError, SourceRefused, SourceUnavailable
from pylantir.sources import redcap_answers, redcap_client
from pylantir.sources.redcap_answers import TooMuch
from pylantir.sources.redcap_client import RedcapClient

CALLS: dict[str, Callable[[RedcapClient], Any]] = {
    "metadata": lambda client: client.learn(NOW + dt.timedelta(days=1)),
    "project": lambda client: client.learn(NOW + dt.timedelta(days=1)),
    "record": lambda client: client.rows(fields=["record_id"]),
    "event": lambda client: client.events(),
    "log": lambda client: client.deleted_since(dt.datetime(2026, 3, 1)),
    "record.import": lambda client: client.import_records([{"record_id": "1", "mri_time": "9:00"}]),
}
every_call = pytest.mark.parametrize("route", list(CALLS))


# --- Answers that are none ---


@every_call
@pytest.mark.parametrize("body", ["", "null", "{}", "[1]", '["a"]', '"x"', "7", '{"a":', "<p>"])
def test_nonsense_is_unavailable_whatever_was_asked(
    server: RedcapStandIn, client: RedcapClient, route: str, body: str
) -> None:
    server.fault(route, body=body)
    with pytest.raises(SourceUnavailable):
        CALLS[route](client)


@every_call
@pytest.mark.parametrize("page", ["login", "maintenance", "ban"])
def test_a_page_with_status_200_is_unavailable(
    server: RedcapStandIn, client: RedcapClient, route: str, page: str
) -> None:
    server.fault(route, html=page)
    with pytest.raises(SourceUnavailable, match="page instead of data"):
        CALLS[route](client)


@every_call
def test_a_redirect_is_refused_and_not_followed(
    server: RedcapStandIn, client: RedcapClient, route: str
) -> None:
    server.fault(route, redirect="/login")
    with pytest.raises(SourceRefused, match="another page"):
        CALLS[route](client)
    assert server.journal.count("page") == 0


@every_call
def test_a_bad_status_is_refused_whatever_its_body_says(
    server: RedcapStandIn, client: RedcapClient, route: str
) -> None:
    server.fault(route, status=500, keep_body=True)
    with pytest.raises(SourceUnavailable, match="HTTP 500"):
        CALLS[route](client)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"content_type": "text/html"}, "page instead of data"),
        ({"content_type": "application/octet-stream"}, "octet-stream"),
        ({"truncate_after": 40}, "cut off"),
        ({"chunked": True, "truncate_after": 40}, "cut off"),
        ({"length_error": 50}, "cut off"),
        ({"length_error": -50}, "not JSON"),
        ({"gzip_garbage": True}, "cut off or damaged"),
        ({"prefix": "PHP Warning: x in y on line 3\n"}, "not JSON"),
        ({"body": '[{"record_id": "1", "mri_time": NaN}]'}, "NaN is no value"),
        ({"body": '[{"record_id": "1", "record_id": "2"}]'}, "twice"),
        ({"cut": "close"}, "cannot be reached"),
        ({"cut": "reset"}, "cannot be reached"),
        ({"status": 407}, "proxy"),
        ({"status": 404}, "/api/"),
    ],
    ids=str,
)
def test_each_way_to_go_wrong_is_said(
    server: RedcapStandIn, client: RedcapClient, fault: dict[str, Any], told: str
) -> None:
    server.fault("record", **fault)
    with pytest.raises(SourceUnavailable, match=told):
        client.rows(fields=["record_id"])


def test_chunked_and_compressed_answers_are_read(server: RedcapStandIn) -> None:
    server.compress = True
    client = client_of(server)
    client.learn(NOW)
    server.fault("record", chunked=True)
    assert client.record_ids() == ["1", "2", "3"]


def test_an_answer_without_end_is_too_much(
    server: RedcapStandIn, client: RedcapClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redcap_answers, "MAX_BODY_BYTES", 100)
    with pytest.raises(TooMuch, match="100 bytes"):
        client.rows(fields=["record_id"])


def test_an_answer_that_comes_a_byte_at_a_time_is_given_up(
    server: RedcapStandIn, client: RedcapClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redcap_client, "TOTAL_S", 0.2)
    server.fault("record", drip_s=0.02)
    with pytest.raises(SourceUnavailable, match="in time"):
        client.rows(fields=["record_id"])


# --- Refusals ---


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_gives_redcaps_reason(server: RedcapStandIn, status: int) -> None:
    client = client_of(server)
    server.fault("*", status=status, body='{"error": "You do not have permissions"}')
    with pytest.raises(SourceRefused, match=f"HTTP {status}.*You do not have permissions"):
        client.learn(NOW)


def test_a_banned_address_is_told_apart_from_a_bad_token(
    server: RedcapStandIn, client: RedcapClient
) -> None:
    server.fault("*", html="ban", status=403)
    with pytest.raises(SourceRefused, match="banned"):
        client.rows(fields=["record_id"])


def test_a_token_that_is_echoed_is_in_no_message_and_in_no_trace(
    server: RedcapStandIn, client: RedcapClient
) -> None:
    token = next(iter(server.projects.values())).token
    for fill in range(160, 201, 8):
        server.faults.clear()
        server.fault("record", status=400, body=json.dumps({"error": "x" * fill + token.lower()}))
        with pytest.raises(SourceError) as caught:
            client.rows(fields=["record_id"])
        told = "".join(traceback.format_exception(caught.value)).lower()
        assert token[:6].lower() not in told


def test_settings_that_pycap_would_only_assert_are_configuration_errors() -> None:
    with pytest.raises(ConfigurationError) as caught:
        RedcapClient("ftp://redcap.example.org/", "secret-token", True, "source rc")
    assert len(caught.value.problems) == 2
    assert "secret" not in str(caught.value)


def test_a_missing_slash_at_the_end_of_the_address_is_forgiven(server: RedcapStandIn) -> None:
    client = client_of(server, url=server.api_url.rstrip("/"))
    assert client.learn(NOW)


# --- What is asked, and how often ---


def test_what_the_project_is_like_is_read_once_an_hour(
    server: RedcapStandIn, client: RedcapClient
) -> None:
    assert not client.learn(NOW + dt.timedelta(minutes=59))
    assert client.learn(NOW + dt.timedelta(minutes=61))
    assert server.journal.count("metadata") == 2


def test_a_clock_that_was_set_back_does_not_stop_the_hourly_look(client: RedcapClient) -> None:
    assert client.learn(NOW - dt.timedelta(days=300))


def test_a_field_that_is_not_known_makes_it_look_again_at_once(
    server: RedcapStandIn, client: RedcapClient
) -> None:
    server.rename_field("mri_date", "scan_date")
    with pytest.raises(SourceUnavailable, match="mri_date"):
        client.rows(fields=["mri_date"])
    assert client.learn(NOW)
    assert "scan_date" in client.dictionary.forms


def test_events_are_asked_for_once_and_never_in_a_classic_project(
    server: RedcapStandIn, client: RedcapClient
) -> None:
    assert client.events() == client.events() == ["screening_arm_1", "baseline_arm_1", "t1_arm_1"]
    assert server.journal.count("event") == 1
    server.projects.clear()
    server.add_project(empty_project("classic"))
    classic = client_of(server)
    classic.learn(NOW)
    assert classic.events() == []
    assert server.journal.count("event") == 1


def test_rows_of_no_record_are_none_rather_than_all(
    server: RedcapStandIn, client: RedcapClient
) -> None:
    before = server.journal.count()
    assert client.rows(fields=["record_id"], records=[]) == []
    assert server.journal.count() == before


def test_an_export_without_record_ids_is_a_refusal(
    server: RedcapStandIn, client: RedcapClient
) -> None:
    server.fault("record", body='[{"study_id": "S-1"}]')
    with pytest.raises(SourceRefused, match="record_id"):
        client.record_ids()


def test_deleted_records_are_read_from_the_log(server: RedcapStandIn, client: RedcapClient) -> None:
    server.project().delete_record("3")
    assert client.deleted_since(dt.datetime(2026, 3, 2, 7)) == ["3"]
    server.fault("log", body='[{"action": "Delete record (API) 12", "record": ""}]')
    assert client.deleted_since(dt.datetime(2026, 3, 2, 7)) == ["12"]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (403, "You do not have permissions to use the API"),
        (400, 'The value of the parameter "content" is not valid'),
        (501, "The requested method is not implemented."),
    ],
)
def test_a_log_that_may_not_be_read_is_tried_again_after_an_hour_only(
    server: RedcapStandIn, client: RedcapClient, status: int, words: str
) -> None:
    server.fault("log", status=status, body=json.dumps({"error": words}), times=1)
    since = dt.datetime(2026, 3, 2, 7)
    assert client.deleted_since(since) is None
    assert client.deleted_since(since) is None
    assert server.journal.count("log") == 1
    client.learn(NOW + dt.timedelta(hours=2))
    assert client.deleted_since(since) == []


def test_a_ban_while_asking_for_the_log_does_not_pass_for_a_missing_right(
    server: RedcapStandIn, client: RedcapClient
) -> None:
    server.fault("log", status=403, html="ban", times=1)
    since = dt.datetime(2026, 3, 2, 7)
    with pytest.raises(SourceRefused):
        client.deleted_since(since)
    assert client.deleted_since(since) == []


def test_the_servers_time_is_that_of_the_first_answer(
    server: RedcapStandIn, client: RedcapClient
) -> None:
    client.start_watch()
    client.record_ids()
    first = server.clock.now()
    server.clock.advance(3600)
    client.record_ids()
    assert client.server_time == first.replace(microsecond=0)


@pytest.mark.parametrize("date", ["Mon, 02 Mar 2026 14:00:00 -0000", "", "yesterday"])
def test_an_odd_date_header_breaks_nothing(client: RedcapClient, date: str) -> None:
    response = requests.Response()
    response.headers["Date"] = date
    client.start_watch()
    client._note_time(response)
    assert client.server_time == (NOW - dt.timedelta(hours=1) if "14:00" in date else None)


# --- Writing ---


def scan_row(**values: str) -> dict[str, Any]:
    return {
        "record_id": "1",
        "redcap_event_name": "t1_arm_1",
        "redcap_repeat_instrument": "mri",
        "redcap_repeat_instance": 1,
        **values,
    }


def stored(server: RedcapStandIn, project: Project, name: str) -> str:
    rows = project.records["1"]
    return next(v.get(name, "") for key, v in rows.items() if key.instance == 1)


def test_values_are_written_and_blanks_change_nothing(
    server: RedcapStandIn, client: RedcapClient
) -> None:
    client.import_records([scan_row(mri_pps_status="2", mri_time="")])
    project = server.project()
    assert stored(server, project, "mri_pps_status") == "2"
    assert stored(server, project, "mri_time") == "09:30"


def test_nothing_to_write_asks_nothing(server: RedcapStandIn, client: RedcapClient) -> None:
    client.import_records([])
    assert server.journal.count("record.import") == 0


def test_no_right_to_write_is_a_refusal(server: RedcapStandIn, client: RedcapClient) -> None:
    server.set_rights(imports=False)
    with pytest.raises(SourceRefused, match="403"):
        client.import_records([scan_row(mri_pps_status="2")])


@pytest.mark.parametrize("status", [200, 400, 406])
def test_a_value_that_is_not_taken_is_said_by_its_field_and_never_shown(
    server: RedcapStandIn, client: RedcapClient, status: int
) -> None:
    said = '"1","mri_done_at","1999-12-31 Jane Doe","The value is not a date."'
    server.fault("record.import", status=status, body=json.dumps({"error": said}))
    with pytest.raises(SourceUnavailable, match="mri_done_at was not taken") as caught:
        client.import_records([scan_row(mri_done_at="1999-12-31 Jane Doe")])
    assert "1999" not in str(caught.value)


def test_a_count_of_zero_is_no_success(server: RedcapStandIn, client: RedcapClient) -> None:
    server.fault("record.import", body='{"count": 0}')
    with pytest.raises(SourceUnavailable, match="taken"):
        client.import_records([scan_row(mri_pps_status="2")])
