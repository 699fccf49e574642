"""The REDCap stand-in as PyCap, a client that somebody else wrote, finds it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import pytest
import requests
from redcap.project import Project as PyCap
from redcap.request import RedcapError
from tests.standins.redcap import RedcapStandIn
from tests.standins.redcap_data import Project, RowKey
from tests.standins.redcap_samples import empty_project

PERFORMED = {
    "record_id": "1",
    "redcap_event_name": "t1_arm_1",
    "redcap_repeat_instrument": "mri",
    "redcap_repeat_instance": 1,
    "mri_pps_status": "2",
    "mri_done_at": "2026-03-02 10:41",
}


@pytest.fixture
def client(redcap: RedcapStandIn, project: Project) -> Any:
    return PyCap(redcap.api_url, project.token, timeout=10)


def refusal(client: Any, *rows: Mapping[str, object], **how: Any) -> str:
    with pytest.raises(RedcapError) as caught:
        client.import_records(list(rows), **how)
    told = caught.value.args[0]["error"]
    assert isinstance(told, str)
    return told


def test_the_project_is_recognised(client: Any) -> None:
    assert client.def_field == "record_id"
    assert client.is_longitudinal
    assert str(client.redcap_version) == "14.9.1"
    assert client.export_project_info()["project_id"] == 123
    assert [e["unique_event_name"] for e in client.export_events()] == [
        "screening_arm_1",
        "baseline_arm_1",
        "t1_arm_1",
    ]
    assert client.export_repeating_instruments_events() == [
        {"event_name": "t1_arm_1", "form_name": "mri", "custom_form_label": ""}
    ]


def test_a_classic_project_is_recognised(redcap: RedcapStandIn) -> None:
    classic = redcap.add_project(empty_project("classic", "classic", "subj"))
    client = PyCap(redcap.api_url, classic.token)
    assert client.def_field == "subj"
    assert not client.is_longitudinal
    assert client.export_records() == []


def test_an_export_with_a_date_range(redcap: RedcapStandIn, project: Project, client: Any) -> None:
    redcap.clock.advance(600)
    project.put("3", {"mri_time": "10:30"}, RowKey("t1_arm_1", "mri", 1))
    rows = client.export_records(
        fields=["record_id", "mri_time"], date_begin=dt.datetime(2026, 3, 2, 8, 5)
    )
    assert [(row["record_id"], row["mri_time"]) for row in rows] == [
        ("3", ""),
        ("3", ""),
        ("3", "10:30"),
    ]


def test_the_missing_record_id_is_filled_in_through_metadata(
    redcap: RedcapStandIn, client: Any
) -> None:
    rows = client.export_records(fields=["mri_date"], records=["2"])
    assert rows[-1]["redcap_repeat_instance"] == 1
    assert [e.routes[0] for e in redcap.journal.entries] == ["metadata", "record"]
    assert redcap.journal.entries[-1].form["fields[1]"] == "record_id"


def test_an_export_of_everything(client: Any) -> None:
    rows = client.export_records()
    assert len(rows) == 8
    assert rows[0]["enrolment_complete"] == "0"
    assert (rows[1]["enrolment_complete"], rows[1]["race___1"]) == ("", "")


def test_a_performed_scan_is_written_back_and_seen_again(
    redcap: RedcapStandIn, client: Any
) -> None:
    redcap.clock.advance(600)
    assert client.import_records([PERFORMED], return_content="ids") == ["1"]
    newest = client.export_logging(log_type="record_edit")[0]
    assert newest["action"] == "Update record (API) 1"
    assert newest["username"] == "api_user"
    rows = client.export_records(
        fields=["record_id", "mri_pps_status"], date_begin=dt.datetime(2026, 3, 2, 8, 10)
    )
    assert "2" in [row["mri_pps_status"] for row in rows]


def test_counts_of_imports_are_of_records_not_of_rows(client: Any) -> None:
    second = {**PERFORMED, "redcap_repeat_instance": 2}
    assert client.import_records([PERFORMED, second]) == {"count": 1}
    assert client.import_records([]) == {"count": 0}


def test_numbers_are_given_out_when_asked_for(client: Any) -> None:
    new = {"record_id": "x", "redcap_event_name": "baseline_arm_1", "study_id": "CPIP-0009"}
    told = client.import_records([new], return_content="auto_ids", force_auto_number=True)
    assert told == ["4,x"]
    assert client.generate_next_record_name() == "5"


def test_blanks_are_ignored_unless_overwriting(project: Project, client: Any) -> None:
    key = RowKey("t1_arm_1", "mri", 1)
    blank = {**PERFORMED, "mri_date": "", "mri_time": ""}
    client.import_records([blank])
    assert project.records["1"][key]["mri_date"] == "2026-03-02"
    client.import_records([blank], overwrite="overwrite")
    assert "mri_date" not in project.records["1"][key]


def test_dates_in_another_order_are_turned(project: Project, client: Any) -> None:
    client.import_records([{**PERFORMED, "mri_date": "31/03/2026"}], date_format="DMY")
    assert project.records["1"][RowKey("t1_arm_1", "mri", 1)]["mri_date"] == "2026-03-31"


def test_an_import_in_csv(project: Project, client: Any) -> None:
    text = "record_id,redcap_event_name,study_id\n7,baseline_arm_1,CPIP-0007\n"
    assert client.import_records(text, import_format="csv", return_format_type="csv") == "1"
    assert project.records["7"] == {RowKey("baseline_arm_1"): {"study_id": "CPIP-0007"}}


def test_a_missing_data_code_is_accepted_in_a_date(project: Project, client: Any) -> None:
    client.import_records([{**PERFORMED, "mri_date": "NI"}])
    assert project.records["1"][RowKey("t1_arm_1", "mri", 1)]["mri_date"] == "NI"


def test_a_field_in_an_event_without_its_form_is_refused(client: Any) -> None:
    row = {"record_id": "1", "redcap_event_name": "baseline_arm_1", "mri_pps_status": "2"}
    assert refusal(client, row) == (
        '"1","mri_pps_status","2","This field (\'mri_pps_status\') exists on an instrument that '
        "is not designated for the event named 'Baseline (Arm 1: Arm 1)'. You are not allowed to "
        'import data for this field into this event."'
    )


def test_an_instance_of_what_does_not_repeat_is_refused(client: Any) -> None:
    row = {
        "record_id": "1",
        "redcap_event_name": "baseline_arm_1",
        "redcap_repeat_instance": 3,
        "study_id": "x",
    }
    assert refusal(client, row).startswith(
        '"1","redcap_repeat_instance","3","redcap_repeat_instance cannot have a value since this '
        "instrument or event is not a repeating instrument or repeating event, respectively"
    )


def test_a_repeating_field_without_its_instance_is_refused(client: Any) -> None:
    row = {"record_id": "1", "redcap_event_name": "t1_arm_1", "mri_pps_status": "2"}
    assert refusal(client, row).startswith(
        '"1","mri_pps_status","2","This field exists on a Repeating Instrument named \'mri\'. '
        "However, the fields 'redcap_repeat_instance' and/or 'redcap_repeat_instrument'"
    )


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"redcap_event_name": ""}, '"redcap_event_name",""'),
        ({"redcap_event_name": "nix"}, '"redcap_event_name","nix"'),
        ({"redcap_repeat_instance": ""}, '"redcap_repeat_instance",""'),
        ({"mri_pps_status": "9"}, '"mri_pps_status","9","The value is not a valid category'),
        ({"mri_date": "2026-02-30"}, "does not follow the expected format"),
        ({"nix": "1"}, "not found in the project as real data fields: nix"),
        ({"study_id": "x"}, '"study_id","x"'),
        ({"record_id": ""}, "record_id"),
    ],
)
def test_a_wrong_row_is_refused_and_none_is_taken(
    project: Project, client: Any, change: dict[str, object], part: str
) -> None:
    before = repr(project.records)
    good = {**PERFORMED, "redcap_repeat_instance": 2}
    assert part in refusal(client, good, {**PERFORMED, **change})
    assert repr(project.records) == before


def test_a_locked_record_is_refused(project: Project, client: Any) -> None:
    project.locked.add("1")
    assert "locked" in refusal(client, PERFORMED)


def test_data_that_is_no_json_is_406(redcap: RedcapStandIn, project: Project) -> None:
    form = {"token": project.token, "content": "record", "format": "json", "data": "{"}
    assert requests.post(redcap.api_url, data=form).status_code == 406


def test_records_are_deleted(project: Project, client: Any) -> None:
    assert client.delete_records(["2", "3"]) == 2
    assert list(project.records) == ["1"]
    with pytest.raises(RedcapError, match="do not exist: 2"):
        client.delete_records(["2"])


def test_one_instance_is_deleted(project: Project, client: Any) -> None:
    client.delete_records(["1"], instrument="mri", event="t1_arm_1", repeat_instance=2)
    assert [key.instance for key in project.records["1"]] == [0, 1]
    with pytest.raises(RedcapError, match="event"):
        client.delete_records(["1"], instrument="mri")


def test_an_unknown_token_raises(redcap: RedcapStandIn) -> None:
    stranger = PyCap(redcap.api_url, "F" * 32)
    with pytest.raises(RedcapError, match="You do not have permissions to use the API"):
        stranger.export_records()


def test_a_server_error_with_a_valid_list_passes_for_success(
    redcap: RedcapStandIn, client: Any
) -> None:
    redcap.fault("record", status=500, keep_body=True)
    assert len(client.export_records(fields=["record_id"])) == 4
    assert redcap.journal.entries[-1].status == 500


def test_a_page_in_place_of_json_raises(redcap: RedcapStandIn, client: Any) -> None:
    redcap.fault("metadata", html="maintenance")
    with pytest.raises(requests.JSONDecodeError):
        client.export_records()


def test_a_hung_server_runs_into_the_time_out(redcap: RedcapStandIn, project: Project) -> None:
    redcap.fault("record", hang=True)
    client = PyCap(redcap.api_url, project.token, timeout=0.2)
    with pytest.raises(requests.ReadTimeout):
        client.export_records(fields=["record_id"])
