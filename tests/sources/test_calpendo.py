"""What becomes of Calpendo's bookings, read from a server that behaves like it."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.sources.calpendo_site import TODAY, ZONE, Site, at, calpendo_site
from tests.standins.calpendo_data import Repeat
from tests.standins.calpendo_samples import probe

from pylantir.config.schema import DailyWindow
from pylantir.errors import ConfigurationError, InvalidItem, SourceRefused, SourceUnavailable
from pylantir.sources.calpendo import longest_prefix
from pylantir.worklist.item import make_item


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with calpendo_site(tmp_path) as made:
        yield made


def ids(site: Site) -> list[str]:
    return sorted(v["patient_id"] for v in site.values())


# --- Which bookings ---


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


def test_bookings_of_the_whole_horizon_are_read(site: Site) -> None:
    site.config = {"days_ahead": 3}
    for days in (-2, -1, 0, 3, 4):
        site.book(f"D{days + 2}_A_B", at(23, 0, days), minutes=30)
    assert ids(site) == ["D1", "D2", "D5"]


def test_a_booking_that_has_begun_stays_in_the_window(site: Site) -> None:
    site.book("SUB001_A_B", at(0, 5), minutes=30)
    site.later(hours=15)
    assert ids(site) == ["SUB001"]


def test_the_published_multiplier_is_accepted(site: Site) -> None:
    site.config = {"lookback_multiplier": 2.5}
    assert site.fetch().complete


def test_window_mode_today_reads_the_present_day_only(site: Site) -> None:
    site.entry = {"window_mode": "today"}
    for days in (-1, 0, 1):
        site.book(f"D{days + 1}_A_B", at(12, 0, days))
    assert ids(site) == ["D1"]


def test_the_entrys_window_mode_wins_over_the_config(site: Site) -> None:
    site.config, site.entry = {"window_mode": "rolling"}, {"window_mode": "today"}
    assert site.source.days_ahead == 0


def night(start: tuple[int, int], end: tuple[int, int]) -> dict[str, Any]:
    return {"daily_window": DailyWindow(start_time=start, end_time=end)}


def test_a_daily_window_takes_its_part_of_the_day_to_the_minute(site: Site) -> None:
    site.entry = night((9, 0), (12, 0))
    for minute, title in ((8 * 60 + 59, "A"), (9 * 60, "B"), (12 * 60, "C"), (12 * 60 + 1, "D")):
        site.book(f"{title}1_A_B", at(minute // 60, minute % 60), minutes=30)
    site.book("E1_A_B", at(10, 0, days=1))
    assert ids(site) == ["B1", "C1"]


def test_a_daily_window_may_stand_in_the_config(site: Site) -> None:
    site.config = {"daily_window": {"start_time": [9, 0], "end_time": [12, 0]}}
    site.book("A1_A_B", at(8)), site.book("B1_A_B", at(10))
    assert ids(site) == ["B1"]


def test_a_daily_window_over_midnight_ends_next_morning(site: Site) -> None:
    site.entry = night((22, 0), (6, 0))
    for title, start in (
        ("A1", at(5)),
        ("B1", at(12)),
        ("C1", at(22)),
        ("D1", at(6, 0, 1)),
        ("E1", at(6, 1, 1)),
        ("F1", at(22, 30, 1)),
    ):
        site.book(f"{title}_A_B", start)
    assert ids(site) == ["A1", "C1", "D1"]


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


# --- What they become ---


def test_the_published_example_gives_a_whole_item(site: Site) -> None:
    site.server.bookings.name("project", "BRISKP", "BRISKP (Brain network models)")
    site.config = {"resource_modality_mapping": {"3T": "MR"}}
    booking = site.book("SUB001_John_Doe", at(14), minutes=90)
    (values,) = site.values()
    item = make_item(values, data_source="cal", source_record_id=str(booking.id), authority="x")
    assert (item.patient_id, item.patient_name) == ("SUB001", "John_Doe")
    assert item.study_description == "BRISKP"
    assert item.accession_number == str(booking.id)
    assert item.start == at(14)
    assert item.modality == "MR"


def test_the_largest_id_fits_the_accession_number(site: Site) -> None:
    site.server.bookings._ids = itertools.count(2**53 - 1)
    booking = site.book("SUB001_A_B", at(9))
    (values,) = site.values()
    item = make_item(values, data_source="cal", source_record_id=str(booking.id), authority="x")
    assert item.accession_number == "9007199254740991"


def test_a_plain_id_is_no_study_instance_uid_and_that_is_noted(site: Site) -> None:
    site.mapping["study_instance_uid"] = "id"
    site.book("SUB001_A_B", at(9))
    (values,) = site.values()
    assert "study_instance_uid" not in values
    (note,) = site.source.notes()
    assert "study_instance_uid is left empty" in note
    assert site.source.notes() == ()


def test_a_title_that_does_not_match_rejects_its_booking_with_the_reason(site: Site) -> None:
    site.book("phantom test", at(9))
    with pytest.raises(InvalidItem, match="patient_id"):
        site.values()


def test_a_title_that_does_not_match_may_be_taken_as_it_is(site: Site) -> None:
    site.config = {"on_no_match": "original"}
    site.book("phantom", at(9))
    (values,) = site.values()
    assert values["patient_id"] == "phantom"


def test_without_a_mapping_the_title_names_the_patient(site: Site) -> None:
    site.mapping = {"accession_number": "id"}
    site.book("SUB001", at(9))
    (values,) = site.values()
    assert (values["patient_id"], values["patient_name"]) == ("SUB001", "SUB001")


def test_the_nested_mapping_of_the_published_quickstart_is_understood(site: Site) -> None:
    site.mapping = {
        "title": {
            "_extract": {
                "patient_id": {"pattern": "^([A-Z0-9]+)_", "group": 1},
                "patient_name": {"pattern": "^[A-Z0-9]+_(.+)$", "group": 1},
            }
        }
    }
    site.book("SUB001_John_Doe", at(9))
    (values,) = site.values()
    assert (values["patient_id"], values["patient_name"]) == ("SUB001", "John_Doe")


@pytest.mark.parametrize(
    ("name_format", "name"),
    [("first_last", "Doe^John"), ("given_only", "^John_Doe"), ("as_is", "John_Doe")],
)
def test_a_name_without_carets_is_read_as_the_site_writes_it(
    site: Site, name_format: str, name: str
) -> None:
    site.config = {"name_format": name_format}
    site.book("SUB001_John_Doe", at(9))
    (values,) = site.values()
    assert values["patient_name"] == name


@pytest.mark.parametrize(
    ("resource", "modality"),
    [
        ("3T", "MR"),
        ("3T Research", "PT"),
        ("3T Research 2", "PT"),
        ("3T Diag", "MR"),
        ("EEG", "OT"),
    ],
)
def test_the_modality_is_the_exact_entrys_else_that_of_the_longest_beginning(
    site: Site, resource: str, modality: str
) -> None:
    site.config = {
        "resources": [resource],
        "resource_modality_mapping": {"3T": "MR", "3T Research": "PT"},
    }
    site.book("SUB001_A_B", at(9), resource=resource)
    (values,) = site.values()
    assert values["modality"] == modality


def test_a_resource_may_be_a_scanner(site: Site) -> None:
    site.config = {"resource_station_mapping": {"3T": "MR3T", "3T D": "MR3TD"}}
    site.book("SUB001_A_B", at(9))
    (values,) = site.values()
    assert values["scheduled_station_ae_title"] == "MR3TD"
    assert values["scheduled_station_name"] == "3T Diagnostic"


def test_no_entry_fits_a_name_that_only_ends_alike() -> None:
    assert longest_prefix({"T": "MR"}, "3T") == ""


def test_hidden_values_never_reach_the_worklist(site: Site) -> None:
    site.server.account.hidden = {"title", "project"}
    site.book("SUB001_A_B", at(9))
    (record,) = site.fetch().records
    assert "<Hidden>" not in repr(record)
    values = site.source.values_of(record)
    with pytest.raises(InvalidItem):
        make_item(values, data_source="cal", source_record_id="1", authority="x")


@pytest.mark.parametrize("path", ["status", "dateRange", "resource"])
def test_a_booking_whose_essentials_are_hidden_is_rejected_not_withdrawn(
    site: Site, path: str
) -> None:
    booking = site.book("SUB001_A_B", at(9))
    row: dict[str, Any] = {
        "id": booking.id,
        "status": "Approved",
        "dateRange": {"start": "2026-03-02T09:00:00"},
        "resource": {"name": "3T Diagnostic"},
    }
    site.server.fault("query", body=json.dumps({"biskits": [row | {path: "<Hidden>"}]}))
    batch = site.fetch()
    assert batch.records == []
    (rejected,) = batch.rejected
    assert rejected.problems[0].field == path


# --- How it is asked ---


@pytest.mark.parametrize("style", ["flat", "nested"])
def test_one_query_brings_all_where_paths_work(site: Site, style: str) -> None:
    site.server.style.paths_style = style
    for number in range(30):
        site.book(f"SUB{number}_A_B", at(9, days=number % 7))
    assert len(site.values()) == 30
    assert site.server.journal.count() == 1


@pytest.mark.parametrize("version", [10, 11])
def test_a_server_that_refuses_a_property_is_asked_for_details(
    tmp_path: Path, version: int
) -> None:
    with calpendo_site(tmp_path, version=version) as site:
        site.mapping["patient_comments"] = "colour"
        booking = site.book("SUB001_A_B", at(9))
        (values,) = site.values()
        assert values["scheduled_procedure_step_start_date"] == TODAY
        assert site.server.journal.count(f"*/b/Calpendo.Booking/{booking.id}") == 1


def ignore_paths(site: Site) -> None:
    """Make the server one that does not know ``paths``."""
    site.server._paths = lambda type_name, request: []  # type: ignore[method-assign]


@pytest.mark.parametrize("version", [10, 11])
def test_a_server_that_ignores_paths_is_asked_for_details(tmp_path: Path, version: int) -> None:
    with calpendo_site(tmp_path, version=version) as site:
        ignore_paths(site)
        site.book("SUB001_A_B", at(9)), site.book("SUB002_A_B", at(10), status="Denied")
        assert ids(site) == ["SUB001"]
        assert site.server.journal.count("detail") == 2


def test_no_more_than_five_details_are_asked_for_at_once(site: Site) -> None:
    ignore_paths(site)
    for number in range(12):
        site.book(f"SUB{number}_A_B", at(9))
    busy, most = set(), 0
    site.server.fault("detail", latency_s=0.05)

    def count(entry: Any) -> None:
        nonlocal most
        busy.add(entry)
        most = max(most, sum(e.took_s is None for e in site.server.journal.of("detail")))

    site.server.before = lambda entry: count(entry.number)
    assert len(site.values()) == 12
    assert 2 <= most <= 5


def test_far_days_are_read_only_now_and_then_where_details_are_needed(site: Site) -> None:
    ignore_paths(site)
    for number in range(30):
        site.book(f"SUB{number}_A_B", at(9, days=6))
    site.book("NEAR_A_B", at(9))
    cursor = site.fetch().next_cursor
    asked = site.server.journal.last_number
    site.later(minutes=1)
    batch = site.fetch(cursor)
    assert len(batch.records) == 1
    assert not batch.scope.covers("x", TODAY + dt.timedelta(days=6))
    assert site.server.journal.count("detail", asked) == 1
    site.later(minutes=15)
    assert len(site.fetch(cursor).records) == 31


def test_one_detail_that_fails_costs_no_other_booking(site: Site) -> None:
    ignore_paths(site)
    made = [site.book(f"SUB{number}_A_B", at(9)) for number in range(50)]
    site.server.fault(f"*/b/Calpendo.Booking/{made[7].id}", status=500)
    batch = site.fetch()
    assert len(batch.records) == 49
    assert not batch.complete
    assert batch.notes == ("1 bookings could not be read this time",)


def test_a_page_in_place_of_details_is_an_incomplete_batch_never_an_empty_one(site: Site) -> None:
    ignore_paths(site)
    site.book("SUB001_A_B", at(9))
    site.server.fault("detail", html="login")
    batch = site.fetch()
    assert batch.records == []
    assert not batch.complete


def test_details_that_all_fail_are_given_up(site: Site) -> None:
    ignore_paths(site)
    for number in range(40):
        site.book(f"SUB{number}_A_B", at(9))
    site.server.fault("detail", status=500)
    assert not site.fetch().complete
    assert site.server.journal.count("detail") <= 30


def test_a_booking_that_only_we_may_not_see_is_rejected(site: Site) -> None:
    ignore_paths(site)
    hidden, _ = site.book("SUB001_A_B", at(9)), site.book("SUB002_A_B", at(10))
    site.server.fault(f"*/b/Calpendo.Booking/{hidden.id}", status=403)
    batch = site.fetch()
    assert batch.complete
    assert len(batch.records) == 1
    assert [r.record_id for r in batch.rejected] == [str(hidden.id)]


@pytest.mark.parametrize("status", [401, 403])
def test_an_account_that_may_see_no_detail_is_refused(site: Site, status: int) -> None:
    ignore_paths(site)
    site.book("SUB001_A_B", at(9))
    site.server.fault("detail", status=status)
    with pytest.raises(SourceRefused):
        site.fetch()


@pytest.mark.parametrize("encoded_slash", ["allow", "reject", "decode"])
def test_a_resource_with_a_slash_is_read_through_every_proxy(
    tmp_path: Path, encoded_slash: str
) -> None:
    with calpendo_site(tmp_path, encoded_slash=encoded_slash) as site:
        site.config = {"resources": ["PET/MR", "3T Diagnostic"]}
        for number, resource in enumerate(("PET/MR", "3T Diagnostic", "9.4T Animal")):
            site.book(f"SUB00{number}_A_B", at(9 + number), resource=resource)
        assert ids(site) == ["SUB000", "SUB001"]


@pytest.mark.parametrize("field", ["operator", "Operator.name", "properties.Operator.name"])
def test_operators_of_scans_take_one_more_query_for_all(site: Site, field: str) -> None:
    site.mapping["operators_name"] = field
    site.mapping["patient_comments"] = field
    for number in range(3):
        booking = site.book(f"SUB{number}_A_B", at(9 + number))
        site.server.bookings.edit(booking.id, operator="Jane Smith")
    assert {v["patient_comments"] for v in site.values()} == {"Jane Smith"}
    assert site.server.journal.count() == 2


def test_a_site_without_operators_is_read_all_the_same(site: Site) -> None:
    site.mapping["patient_comments"] = "operator"
    site.server.account.forbidden_types.add("MRIScan")
    site.book("SUB001_A_B", at(9))
    batch = site.fetch()
    assert batch.complete
    assert len(batch.records) == 1
    assert "operators of MRIScan" in batch.notes[0]


# --- Repeats ---


def test_each_day_of_a_repeat_booking_is_a_booking(tmp_path: Path) -> None:
    with calpendo_site(tmp_path, repeats="expanded") as site:
        booking = site.book("SUB001_A_B", at(9), repeat=Repeat(2, 4))
        records = site.fetch().records
        assert [r.record_id for r in records] == [
            str(booking.id),
            *(f"{booking.id}/{day}" for day in ("20260304", "20260306", "20260308")),
        ]
        days = {site.source.values_of(r)["scheduled_procedure_step_start_date"] for r in records}
        assert len(days) == 4


def test_a_repeat_that_the_server_does_not_expand_is_noted(site: Site) -> None:
    ignore_paths(site)
    site.book("SUB001_A_B", at(9), repeat=Repeat(2, 4))
    (note,) = site.fetch().notes
    assert "repeat" in note


# --- Clocks ---


def starts(site: Site) -> list[str]:
    return [
        f"{v['scheduled_procedure_step_start_date']} {v['scheduled_procedure_step_start_time']}"
        for v in site.values()
    ]


@pytest.mark.parametrize("zone", [ZONE, None])
def test_a_booking_in_the_hour_that_spring_skips_keeps_its_wall_clock(
    site: Site, zone: str | None
) -> None:
    site.site_zone = zone
    site.book("SUB001_A_B", dt.datetime(2026, 3, 8, 2, 30))
    assert starts(site) == ["2026-03-08 02:30"]


def test_without_a_zone_of_the_site_bookings_keep_their_wall_clock(site: Site) -> None:
    site.site_zone = None
    site.book("SUB001_A_B", at(9))
    assert starts(site) == ["2026-03-02 09:00"]


@pytest.mark.parametrize(
    ("day", "there"),
    [
        ((2026, 3, 7), "2026-03-07 17:00"),  # UTC-7
        ((2026, 3, 8), "2026-03-08 16:00"),  # UTC-6 from 02:00 on
        ((2026, 10, 31), "2026-10-31 16:00"),
        ((2026, 11, 1), "2026-11-01 16:00"),  # and Alberta stays there
        ((2026, 11, 2), "2026-11-02 16:00"),
        ((2027, 1, 15), "2027-01-15 16:00"),
    ],
)
def test_a_site_in_another_zone_sees_its_own_wall_clock(
    site: Site, day: tuple[int, int, int], there: str
) -> None:
    site.site_zone = "UTC"
    start = dt.datetime(*day, 10)
    site.server.clock.set(start)
    site.book("SUB001_A_B", start)
    assert starts(site) == [there]


def test_the_hour_that_comes_twice_is_the_first_of_the_two_elsewhere(site: Site) -> None:
    site.config, site.site_zone = {"timezone": "America/Toronto"}, "UTC"
    start = dt.datetime(2026, 11, 1, 1, 30)
    site.server.clock.set(start)
    site.book("SUB001_A_B", start)
    assert starts(site) == ["2026-11-01 05:30"]


def test_days_of_the_site_are_asked_for_in_the_wall_clock_of_the_server(site: Site) -> None:
    site.site_zone = "Europe/Berlin"  # eight hours ahead of Edmonton in winter
    site.entry = {"window_mode": "today"}
    for title, start in (
        ("A1", at(15, 0, -1)),  # 23:00 of yesterday there
        ("B1", at(16, 0, -1)),  # 00:00 of today there
        ("C1", at(15, 45)),
        ("D1", at(16, 0)),
    ):
        site.book(f"{title}_A_B", start, minutes=15)
    assert ids(site) == ["B1", "C1"]


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
        ("status_filter", ""),
        ("days_ahead", -1),
    ],
)
def test_a_wrong_setting_names_its_key_and_not_its_value(site: Site, key: str, value: Any) -> None:
    site.config = {key: value}
    with pytest.raises(ConfigurationError) as caught:
        _ = site.source
    assert f"source cal: config.{key}" in str(caught.value)
    assert "secret" not in str(caught.value)


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
