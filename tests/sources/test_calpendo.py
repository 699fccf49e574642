"""Which bookings of Calpendo are taken, and what its settings may say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.sources.calpendo_site import TODAY, Site, at, calpendo_site, ids
from tests.standins.calpendo_samples import probe

from pylantir.errors import ConfigurationError, InvalidItem, SourceUnavailable


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with calpendo_site(tmp_path) as made:
        yield made


def test_only_approved_bookings_of_our_resources_may_be_scanned(site: Site) -> None:
    probe(site.server.bookings, TODAY)
    batch = site.fetch()
    told = {r.fields["properties"]["title"][:6]: r.withdrawn for r in batch.records}
    assert told == {
        "SUB001": "",
        "SUB002": "cancelled in Calpendo",
        "SUB003": "Denied in Calpendo",
        "SUB006": "",
    }


def test_a_list_of_statuses_may_be_scanned(site: Site) -> None:
    site.config = {"status_filter": ["approved", "TENTATIVE"]}
    for number, status in enumerate(("Approved", "Tentative", "Requested"), 1):
        site.book(f"SUB00{number}_A_B", at(8 + number), status=status)
    assert ids(site) == ["SUB001", "SUB002"]


def test_statuses_in_capitals_are_the_same(site: Site) -> None:
    site.server.style.status_case = "upper"
    site.config = {"status_filter": "Approved"}
    site.book("SUB001_A_B", at(9))
    assert ids(site) == ["SUB001"]


def test_an_unknown_status_is_noted_and_not_scheduled(site: Site) -> None:
    booking = site.book("SUB001_A_B", at(9))
    row = {"id": booking.id, "status": "In Progress", "dateRange.start": "2026-03-02T09:00:00"}
    body = json.dumps({"biskits": [row | {"resource.name": "3T Diagnostic"}]})
    site.server.fault("query", body=body)
    batch = site.fetch()
    assert [r.withdrawn for r in batch.records] == ["In Progress in Calpendo"]
    assert batch.notes == ("status 'In Progress' is not known and not scheduled",)


def test_what_the_server_sends_beyond_our_resources_is_left_out(site: Site) -> None:
    site.book("SUB001_A_B", at(9), resource="9.4T Animal")
    row = '{"id":1,"status":"Approved","dateRange.start":"2026-03-02T09:00:00",'
    site.server.fault("query", body=f'{{"biskits":[{row}"resource.name":"9.4T Animal"}}]}}')
    assert site.fetch().records == []


def test_the_published_multiplier_is_accepted(site: Site) -> None:
    site.config = {"lookback_multiplier": 2.5}
    assert site.fetch().complete


def test_only_allowed_studies_are_taken(site: Site) -> None:
    site.config = {"allowed_studies": ["BRISKP", " QA "]}
    site.server.bookings.name("project", "BRISKP", "BRISKP (Brain network models)")
    for number, project in enumerate(("BRISKP", "NEUROPED", "QA"), 1):
        site.book(f"SUB00{number}_A_B", at(8 + number), project=project)
    assert ids(site) == ["SUB001", "SUB003"]


def test_one_title_of_another_kind_does_not_stop_allowed_studies(site: Site) -> None:
    site.config = {"allowed_studies": ["BRISKP"]}
    site.book("maintenance", at(9)), site.book("SUB001_A_B", at(10))
    batch = site.fetch()
    assert [r.withdrawn for r in batch.records] == ["", ""]
    with pytest.raises(InvalidItem):
        site.source.values_of(batch.records[0])


# --- Settings ---


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("base_url", "ftp://x"),
        ("base_url", "https://me:secret@host"),
        ("resources", []),
        ("resources", [""]),
        ("lookback_multiplier", 0),
        ("timezone", "Mars/Base"),
        ("window_mode", "weekly"),
        ("daily_window", {"start_time": [9, 0]}),
        ("daily_window", {"start_time": [25, 0], "end_time": [9, 0]}),
        ("allowed_studies", []),
        ("allowed_studies", [""]),
        ("resource_modality_mapping", {"3T": "magnetic resonance imaging"}),
        ("resource_station_mapping", {"3T": "a title that is far too long"}),
        ("ca_bundle", "no/such/file.pem"),
        ("request_timeout", 0),
        ("base_url", "calpendo.example.org"),
        ("status_filter", [""]),
        ("status_filter", 7),
        ("days_ahead", -1),
    ],
)
def test_a_wrong_setting_names_its_key_and_not_its_value(site: Site, key: str, value: Any) -> None:
    site.config = {key: value}
    with pytest.raises(ConfigurationError) as caught:
        _ = site.source
    assert f"source cal: config.{key}" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"base_url": "calpendo.example.org"}, "config.base_url: expected an address with its"),
        ({"status_filter": 7}, "config.status_filter: input should be a valid tuple"),
    ],
)
def test_a_wrong_setting_says_what_is_expected(
    site: Site, value: dict[str, Any], words: str
) -> None:
    site.config = value
    with pytest.raises(ConfigurationError, match=words):
        _ = site.source


def test_what_is_written_empty_is_absent_as_in_the_published_release(site: Site) -> None:
    site.config = {"status_filter": "", "daily_window": {}}
    site.book("SUB001_A_B", at(22)), site.book("SUB002_A_B", at(9), status="Requested")
    assert ids(site) == ["SUB001"]


@pytest.mark.parametrize("variable", ["CALPENDO_USERNAME", "CALPENDO_PASSWORD"])
def test_a_missing_account_names_its_variable(site: Site, variable: str) -> None:
    site.environ = {variable: ""}
    with pytest.raises(ConfigurationError, match=variable):
        _ = site.source


def test_a_second_site_has_variables_of_its_own(site: Site) -> None:
    name, password = site.server.auth
    site.environ = {"CALPENDO_USERNAME": "", "B_USER": name, "B_WORD": password}
    site.config = {"username_env": "B_USER", "password_env": "B_WORD"}
    assert site.fetch().complete


def test_a_site_below_a_path_is_found(tmp_path: Path) -> None:
    with calpendo_site(tmp_path, prefix="/calpendo") as site:
        site.config = {"base_url": site.server.base_url + "/"}
        site.book("SUB001_A_B", at(9))
        assert ids(site) == ["SUB001"]


@pytest.mark.parametrize("body", ['{"error":"busy"}', '{"items":[]}', "[]"])
def test_a_list_that_is_none_is_a_failure_and_no_empty_day(site: Site, body: str) -> None:
    site.server.fault("query", body=body)
    with pytest.raises(SourceUnavailable):
        site.fetch()
