"""REDCap's bookings on the worklist, hour after hour, against a server that behaves like it."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.sources.redcap_site import START, Site, redcap_site, use
from tests.standins.clock import VirtualClock
from tests.standins.redcap_data import RowKey
from tests.standins.redcap_samples import empty_project, generate, scan_key

from pylantir.errors import SourceError, SourceRefused, SourceUnavailable
from pylantir.worklist.status import ItemStatus


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with redcap_site(tmp_path) as site:
        yield site


# --- What a booking becomes ---


def test_the_seeds_configuration_gives_todays_names_and_ids(site: Site) -> None:
    report = site.sync()
    assert report.rejected == ()
    item = site.items()["1/t1_arm_1/mri/1"]
    assert item.patient_name == "cpip-id-0001^fa-011"
    assert item.patient_id == "sub_0001_ses_1_fam_011_site_792"
    assert item.start == dt.datetime(2026, 3, 2, 9, 30)
    assert item.modality == "MR"
    (code,) = item.scheduled_protocol_codes
    assert (code.value, code.scheme) == ("BRAIN_MRI_3T", "GEHC")
    assert item.study_instance_uid.startswith("2.25.")


def test_a_birth_year_is_unknown_and_never_a_guess(site: Site) -> None:
    site.sync()
    assert site.items()["1/t1_arm_1/mri/1"].patient_birth_date is None


def test_a_coded_sex_is_what_the_project_itself_calls_it(site: Site) -> None:
    report = site.sync()
    assert site.items()["1/t1_arm_1/mri/1"].patient_sex == "M"
    assert not any("patient_sex" in note for note in report.notes)


@pytest.mark.parametrize("choices", [(("1", "Boy"), ("2", "Girl")), (("1", "Rather not say"),), ()])
def test_a_coded_sex_that_the_project_calls_something_else_is_unknown_and_never_a_guess(
    site: Site, choices: tuple[tuple[str, str], ...]
) -> None:
    site.project.fields[:] = [
        replace(f, choices=choices) if f.name == "demo_sex" else f for f in site.project.fields
    ]
    report = site.sync()
    assert site.items()["1/t1_arm_1/mri/1"].patient_sex == ""
    assert any("patient_sex is left empty" in note for note in report.notes)


def test_what_a_value_map_empties_stays_empty(site: Site) -> None:
    site.config["value_maps"] = {"demo_sex": {"1": ""}}
    site.sync()
    assert site.items()["1/t1_arm_1/mri/1"].patient_sex == ""


def test_a_value_map_says_what_codes_mean(site: Site) -> None:
    site.config["value_maps"] = {"demo_sex": {"1": "M", "2": "F"}}
    site.sync()
    assert site.items()["1/t1_arm_1/mri/1"].patient_sex == "M"


def test_pounds_become_kilograms(site: Site) -> None:
    site.project.put("1", {"mri_wt_lbs": "150"}, scan_key(site.project, session=1))
    site.sync()
    assert str(site.items()["1/t1_arm_1/mri/1"].patient_weight_kg) == "68.04"


def test_a_missing_data_code_is_no_date(site: Site) -> None:
    report = site.sync()
    assert not any(key.startswith("2/") for key in site.items())
    assert report.rejected == ()


@pytest.mark.parametrize("said", ["1", "true", "True"])
def test_a_person_without_a_guardian_is_marked(site: Site, said: str) -> None:
    site.project.put("2", {"neuro_pcp": said}, RowKey("baseline_arm_1"))
    key = scan_key(site.project, session=1)
    site.project.put("2", {"mri_date": "2026-03-05", "mri_time": "11:00"}, key)
    site.sync()
    assert site.items()["2/t1_arm_1/mri/1"].patient_id.startswith("sub_ng_0002_ses_1")


def test_what_a_person_is_may_be_spread_over_events(site: Site) -> None:
    site.sync()
    assert site.items()["3/t1_arm_1/mri/1"].patient_name == "cpip-id-0003^fa-033"


def test_an_empty_family_leaves_no_label_behind(site: Site) -> None:
    site.project.put("3", {"family_id": ""}, RowKey("screening_arm_1"))
    site.sync()
    item = site.items()["3/t1_arm_1/mri/1"]
    assert item.patient_name == "cpip-id-0003"
    assert item.patient_id == "sub_0003_ses_1_site_792"


def test_a_booking_without_a_study_id_is_a_rejection_with_its_reason(site: Site) -> None:
    site.project.put("1", {"study_id": ""}, RowKey("baseline_arm_1"))
    report = site.sync()
    assert {record.record_id for record in report.rejected} == {
        "1/t1_arm_1/mri/1",
        "1/t1_arm_1/mri/2",
    }
    assert "study_id: required, but empty" in str(report.rejected[0].problems[0])


@pytest.mark.parametrize("shape", ["longitudinal", "repeating", "events", "arms", "classic"])
def test_every_shape_of_project_is_read(site: Site, shape: str) -> None:
    use(site, generate(6, shape, first_day=START.date(), days=5, clock=site.server.clock))
    report = site.sync()
    assert report.rejected == ()
    assert len(site.items()) >= 3
    assert len({item.study_instance_uid for item in site.items().values()}) == len(site.items())


@pytest.mark.parametrize("name", ["subj", "study_id"])
def test_the_record_id_field_may_have_any_name(site: Site, name: str) -> None:
    records = generate(4, record_id=name, first_day=START.date(), days=5, clock=site.server.clock)
    use(site, records)
    site.sync()
    owners = {key.partition("/")[0] for key in site.items()}
    assert len(owners) > 1
    assert len({item.patient_id for item in site.items().values()}) == len(site.items())


def test_a_slash_in_a_record_id_is_no_separator(site: Site) -> None:
    project = use(site, empty_project("repeating"))
    project.put("A/1", {"study_id": "S-1"}, RowKey())
    scan = {"mri_instance": "1", "mri_date": "2026-03-03", "mri_time": "10:00"}
    project.put("A/1", scan, RowKey("", "mri", 1))
    site.sync()
    assert site.scheduled() == ["A%2F1//mri/1"]
    site.later(minutes=5)
    project.delete_record("A/1")
    site.sync()
    assert site.scheduled() == []


# --- What changes ---


def test_a_second_unchanged_sync_changes_nothing(site: Site) -> None:
    site.sync()
    before = site.items()
    site.later(minutes=1)
    report = site.sync()
    assert not report.says_something
    assert site.items() == before


def test_a_rescheduled_scan_keeps_its_row_and_uid(site: Site) -> None:
    site.sync()
    before = site.items()["1/t1_arm_1/mri/1"]
    site.later(minutes=5)
    site.project.put("1", {"mri_time": "15:45"}, scan_key(site.project, session=1))
    report = site.sync()
    after = site.items()["1/t1_arm_1/mri/1"]
    assert len(report.plan.changed) == 1
    assert after.start == dt.datetime(2026, 3, 2, 15, 45)
    assert (after.item_id, after.study_instance_uid) == (before.item_id, before.study_instance_uid)


def test_a_corrected_family_id_makes_no_second_item(site: Site) -> None:
    site.sync()
    number = len(site.items())
    site.later(minutes=5)
    site.project.put("1", {"family_id": "FAM-099"}, RowKey("baseline_arm_1"))
    site.sync()
    assert len(site.items()) == number
    assert site.items()["1/t1_arm_1/mri/1"].patient_name.endswith("^fa-099")


@pytest.mark.parametrize("how", ["date cleared", "instance deleted", "record deleted", "moved far"])
def test_what_is_gone_from_redcap_leaves_the_worklist_in_the_next_round(
    site: Site, how: str
) -> None:
    site.sync()
    site.later(minutes=5)
    key = scan_key(site.project, session=1)
    if how == "date cleared":
        site.project.put("3", {"mri_date": ""}, key)
    elif how == "instance deleted":
        site.project.delete_row("3", key)
    elif how == "record deleted":
        site.project.delete_record("3")
    else:
        site.project.put("3", {"mri_date": "2027-03-02"}, key)
    site.sync()
    assert site.scheduled() == ["1/t1_arm_1/mri/1", "1/t1_arm_1/mri/2"]


def test_a_scan_that_is_moved_far_away_and_back_keeps_its_uid(site: Site) -> None:
    site.sync()
    uid = site.items()["3/t1_arm_1/mri/1"].study_instance_uid
    for day in ("2027-03-02", "2026-03-05"):
        site.later(minutes=5)
        site.project.put("3", {"mri_date": day}, scan_key(site.project, session=1))
        site.sync()
    item = site.items()["3/t1_arm_1/mri/1"]
    assert (item.status, item.study_instance_uid) == (ItemStatus.SCHEDULED, uid)


def test_without_the_right_to_read_the_log_a_deleted_record_goes_in_the_next_round(
    site: Site,
) -> None:
    site.server.set_rights(logging=False)
    site.sync()
    site.later(minutes=5)
    site.project.delete_record("3")
    report = site.sync()
    assert "3/t1_arm_1/mri/1" not in site.scheduled()
    assert any("may not read the log" in note for note in report.notes)


def test_an_outage_of_days_loses_nothing(site: Site) -> None:
    site.sync()
    site.restart()
    site.later(hours=3)
    site.project.put(
        "2", {"mri_date": "2026-03-06", "mri_time": "13:00"}, scan_key(site.project, 1)
    )
    site.later(days=3)
    site.sync()
    assert "2/t1_arm_1/mri/1" in site.scheduled()


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Los_Angeles"])
def test_an_unknown_zone_of_the_server_loses_no_edit(site: Site, zone: str) -> None:
    site.config["server_timezone"] = None
    site.server.clock.zone = VirtualClock(zone).zone
    site.sync()
    site.later(minutes=2)
    site.project.put("1", {"mri_time": "16:00"}, scan_key(site.project, session=1))
    site.sync()
    assert site.items()["1/t1_arm_1/mri/1"].start.hour == 16


# --- A bad week ---


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"status": 503},
        {"status": 429, "retry_after": "60"},
        {"status": 500, "keep_body": True},
        {"html": "login"},
        {"html": "maintenance"},
        {"body": "", "content_type": "application/json"},
        {"body": "null", "content_type": "application/json"},
        {"body": "{}", "content_type": "application/json"},
        {"prefix": "<br />PHP Warning: x"},
        {"truncate_after": 40},
        {"cut": "reset"},
        {"gzip_garbage": True},
    ],
    ids=str,
)
def test_an_answer_that_is_none_changes_nothing(site: Site, fault: dict[str, Any]) -> None:
    site.sync()
    before = site.items()
    site.later(minutes=5)
    site.server.fault("record", **fault)
    with pytest.raises(SourceUnavailable) as caught:
        site.sync()
    assert site.project.token not in str(caught.value)
    assert site.items() == before
    site.server.faults.clear()
    site.sync()
    assert site.items() == before


def test_a_redirect_to_a_login_page_is_a_refusal(site: Site) -> None:
    site.server.fault("*", redirect="/login")
    with pytest.raises(SourceRefused, match="login page"):
        site.sync()


def test_a_revoked_token_is_a_refusal_that_does_not_show_it(site: Site) -> None:
    site.sync()
    token = site.project.token
    site.server.revoke_token()
    with pytest.raises(SourceRefused) as caught:
        site.sync()
    assert token not in str(caught.value)
    assert "403" in str(caught.value)


def test_identifiers_that_vanish_from_every_row_are_an_alarm_not_a_withdrawal(site: Site) -> None:
    site.sync()
    before = site.items()
    site.server.set_rights(export="deidentified")
    with pytest.raises(SourceRefused, match="study_id"):
        site.sync(full=True)
    assert site.items() == before


def test_a_renamed_date_field_is_said_and_empties_nothing(site: Site) -> None:
    site.sync()
    before = site.items()
    site.server.rename_field("mri_date", "scan_date")
    site.later(hours=2)
    with pytest.raises(SourceError):
        site.sync()
    with pytest.raises(SourceUnavailable, match="mri_date"):
        site.sync()
    assert site.items() == before


def test_a_silent_server_is_given_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from pylantir.sources import redcap_client

    monkeypatch.setattr(redcap_client, "TIMEOUT_S", (0.5, 0.5))
    site.server.fault("*", hang=True)
    with pytest.raises(SourceUnavailable, match="in time"):
        site.sync()


def test_a_server_that_is_not_there_is_said_without_its_address(site: Site) -> None:
    environ = site.environ | {"REDCAP_API_URL": "http://127.0.0.1:9/api/"}
    with pytest.raises(SourceUnavailable) as caught:
        site.synchronizer(**environ).run_once()
    assert "cannot be reached" in str(caught.value)


def test_no_token_and_no_value_of_a_record_is_logged(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        site.sync()
        site.server.fault("record", status=500)
        with pytest.raises(SourceUnavailable):
            site.sync(full=True)
    assert site.project.token not in caplog.text
    assert "CPIP" not in caplog.text
    assert site.server.journal.secrets_in_urls() == []


def test_a_round_asks_little(site: Site) -> None:
    site.sync()
    assert site.server.journal.count() <= 4
    for _ in range(2):
        site.later(minutes=20)
        site.sync()
    before = site.server.journal.count()
    site.later(minutes=1)
    site.sync()
    assert site.server.journal.count() - before == 2
    assert site.server.journal.count("metadata") == 1
