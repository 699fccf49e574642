"""Settings of a REDCap source: refused with their key, or checked against the project."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.sources.redcap_site import Site, redcap_site, use
from tests.standins.redcap_data import Field, RowKey
from tests.standins.redcap_samples import empty_project, sample_project

from pylantir.errors import ConfigurationError, SourceRefused, SourceUnavailable

BASE, SCAN = RowKey("baseline_arm_1"), RowKey("t1_arm_1", "mri", 1)
FIRST = "1/t1_arm_1/mri/1"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with redcap_site(tmp_path) as site:
        site.project.log.clear()
        yield site


def withdrawn(report: Any) -> list[str]:
    return sorted(each.item.source_record_id for each, _ in report.plan.withdrawn)


# --- Settings ---


def problems(site: Site, config: dict[str, Any], **environ: str) -> str:
    site.config = config
    with pytest.raises(ConfigurationError) as caught:
        site.synchronizer(**environ)
    return "\n".join(map(str, caught.value.problems))


def test_an_unknown_setting_is_refused_with_the_nearest_one(site: Site) -> None:
    told = problems(site, {"date_feild": "x"})
    assert "source rc: config.date_feild: unknown key (did you mean 'date_field'?)" in told


@pytest.mark.parametrize(
    "config",
    [{"mwl_days_ahead": -1}, {"mwl_days_ahead": "2"}, {"server_timezone": "Mars"}, {"events": "x"}],
    ids=str,
)
def test_a_wrong_setting_names_its_key(site: Site, config: dict[str, Any]) -> None:
    assert f"config.{next(iter(config))}" in problems(site, config)


def test_a_missing_token_names_its_variable(site: Site) -> None:
    told = problems(site, {}, REDCAP_API_URL=site.server.api_url)
    assert "REDCAP_API_TOKEN" in told


@pytest.mark.parametrize("token", ["short", "Z" * 31 + "-"])
def test_a_token_that_is_none_is_refused_without_showing_it(site: Site, token: str) -> None:
    told = problems(site, {}, REDCAP_API_URL=site.server.api_url, REDCAP_API_TOKEN=token)
    assert "32 letters and digits" in told
    assert token not in told


def test_two_projects_have_their_own_credentials(site: Site, tmp_path: Path) -> None:
    other = site.server.add_project(sample_project("other"))
    path = tmp_path / "token"
    path.write_text(other.token + "\n")
    site.config["credentials"] = {"url_env": "OTHER_URL", "token_file": str(path)}
    site.synchronizer(OTHER_URL=site.server.api_url).run_once()
    assert len(site.items()) == 3


def test_a_new_token_in_its_file_is_used_in_the_next_round(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(site.project.token)
    site.config["credentials"] = {"token_file": str(path)}
    site.sync()
    site.project.token = "0123456789ABCDEF" * 2
    with pytest.raises(SourceRefused):
        site.sync()
    path.write_text(site.project.token)
    site.project.put("1", {"mri_time": "16:00"}, SCAN)
    site.sync()
    assert site.items()[FIRST].start.hour == 16


def test_missing_data_codes_are_remembered_while_the_project_cannot_be_asked(site: Site) -> None:
    site.sync()
    site.later(hours=2)
    site.server.fault("project", status=403, body='{"error": "You do not have permissions"}')
    report = site.sync(full=True)
    assert report.rejected == ()


def test_the_published_concussion_type_reads_its_own_variables(site: Site) -> None:
    site.source_type = "redcap_concussion"
    environ = {
        "REDCAP_API_URL_CONCUSSION": site.server.api_url,
        "REDCAP_API_TOKEN_CONCUSSION": site.project.token,
    }
    site.synchronizer(**environ).run_once()
    assert len(site.items()) == 3


# --- Settings that do not fit the project (R3, row 30) ---


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"instrument": "mir"}, r"instrument 'mir'.*it has enrolment, mri"),
        ({"events": ["t1"]}, r"event 't1'.*t1_arm_1"),
        ({"baseline_event": "baseline"}, r"event 'baseline'.*baseline_arm_1"),
        ({"date_field": "mri_dat"}, r"field 'mri_dat'.*did you mean 'mri_date'"),
    ],
    ids=str,
)
def test_a_setting_that_the_project_does_not_know_is_said_and_empties_nothing(
    site: Site, config: dict[str, Any], told: str
) -> None:
    site.sync()
    before = site.items()
    site.restart()
    if "date_field" in config:
        del site.mapping["scheduled_date"]
    site.config |= config
    with pytest.raises(SourceUnavailable, match=told):
        site.sync(full=True)
    assert site.items() == before


@pytest.mark.parametrize("field", ["study_id", "family_id", "demo_sex", "neuro_pcp"])
@pytest.mark.parametrize("how", ["removed", "renamed"])
def test_a_field_that_vanishes_from_the_project_changes_no_identity(
    site: Site, field: str, how: str
) -> None:
    site.config["value_maps"] = {"demo_sex": {"1": "M", "2": "F"}}
    site.sync()
    before = site.items()
    if how == "removed":
        site.server.remove_field(field)
    else:
        site.server.rename_field(field, "another_name")
    site.later(hours=2)
    for _ in range(2):
        with pytest.raises(SourceUnavailable, match=field):
            site.sync(full=True)
    assert site.items() == before


def test_a_server_that_tells_of_fields_and_records_only_is_enough(site: Site) -> None:
    for route in ("project", "event", "log"):
        site.server.fault(route, status=400, body='{"error": "The content is not valid"}')
    site.sync()
    assert len(site.items()) == 3
    site.project.put("1", {"mri_time": "16:00"}, SCAN)
    site.later(minutes=1)
    site.sync()
    assert site.items()[FIRST].start.hour == 16


def test_a_field_that_comes_back_is_noticed_in_the_next_round(site: Site) -> None:
    site.sync()
    site.server.rename_field("family_id", "family")
    site.later(hours=2)
    with pytest.raises(SourceUnavailable, match="put it back"):
        site.sync()
    site.server.rename_field("family", "family_id")
    site.project.put("1", {"mri_time": "16:00"}, SCAN)
    site.later(minutes=1)
    site.sync()
    assert site.items()[FIRST].start.hour == 16


def test_without_a_field_that_says_nothing_of_identity_the_rest_goes_on(site: Site) -> None:
    site.project.put("1", {"mri_wt_lbs": "150"}, SCAN)
    site.sync()
    assert site.items()[FIRST].patient_weight_kg is not None
    site.server.remove_field("mri_wt_lbs")
    site.project.put("1", {"mri_time": "16:00"}, SCAN)
    site.later(hours=2)
    report = site.sync()
    assert any("mri_wt_lbs" in note for note in report.notes)
    assert site.items()[FIRST].start.hour == 16


def test_a_mapped_field_that_never_was_is_noted_and_the_rest_goes_on(site: Site) -> None:
    site.mapping["mri_comment"] = "patient_comments"
    report = site.sync()
    assert any("mri_comment" in note for note in report.notes)
    assert len(site.items()) == 3


def test_without_an_instrument_called_mri_the_one_with_the_date_holds_the_bookings(
    site: Site,
) -> None:
    project = use(site, empty_project("repeating"))
    project.fields = [
        Field(f.name, f.form.replace("mri", "scan_visit"), f.label, f.kind, f.choices, f.validation)
        for f in project.fields
    ]
    project.forms = {"enrolment": "Enrolment", "scan_visit": "Scan"}
    project.repeating = {("", "scan_visit")}
    project.put("1", {"study_id": "S-1"}, RowKey())
    scan = {"mri_date": "2026-03-03", "mri_time": "10:00"}
    project.put("1", scan, RowKey("", "scan_visit", 1))
    site.sync()
    assert site.scheduled() == ["1//scan_visit/1"]


def test_a_date_field_may_hold_the_time_as_well(site: Site) -> None:
    site.config |= {"date_field": "mri_done_at", "time_field": "mri_done_at"}
    del site.mapping["scheduled_date"], site.mapping["scheduled_time"]
    site.project.put("1", {"mri_done_at": "2026-03-03 10:15"}, SCAN)
    report = site.sync()
    assert report.rejected == ()
    assert site.items()[FIRST].start == dt.datetime(2026, 3, 3, 10, 15)


def test_a_checkbox_is_mapped_by_its_column(site: Site) -> None:
    site.mapping["race___1"] = "patient_comments"
    site.project.put("1", {"race___1": "1"}, BASE)
    site.sync()
    assert site.items()[FIRST].patient_comments == "1"
