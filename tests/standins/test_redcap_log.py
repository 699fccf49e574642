"""The REDCap stand-in over HTTP: edits, the log, and the date range that reads it."""

from __future__ import annotations

import datetime as dt
import json

import pytest
import requests
from tests.standins.conftest import Ask
from tests.standins.journal import Entry
from tests.standins.redcap import RedcapStandIn
from tests.standins.redcap_data import Project, RowKey
from tests.standins.redcap_samples import generate

SAMPLE_FIELDS = (
    "record_id,study_id,family_id,demo_sex,youth_dob_y,neuro_pcp,mri_instance,mri_date,mri_time"
)
T1 = RowKey("t1_arm_1", "mri", 1)


class TestDateRange:
    """Created or modified since, by the log, in server time."""

    def test_a_touched_record_comes_back_with_all_its_rows(
        self, redcap: RedcapStandIn, project: Project, ask: Ask
    ) -> None:
        redcap.clock.advance(600)
        project.put("1", {"mri_time": "11:00"}, T1)
        answer = ask("record", fields=SAMPLE_FIELDS, dateRangeBegin="2026-03-02 08:05:00")
        assert [row["mri_time"] for row in answer.json()] == ["", "11:00", "14:00"]
        later = ask("record", dateRangeBegin="2026-03-02 08:10:01")
        assert later.json() == []
        earlier = ask("record", fields="record_id", dateRangeEnd="2026-03-02 08:05:00")
        assert {row["record_id"] for row in earlier.json()} == {"1", "2", "3"}

    def test_the_range_is_in_the_zone_of_the_server(
        self, redcap: RedcapStandIn, project: Project, ask: Ask
    ) -> None:
        redcap.clock.set_zone("UTC")
        redcap.clock.advance(600)
        project.put("1", {"mri_time": "11:00"}, T1)
        asked = {"fields": "record_id", "dateRangeBegin": "2026-03-02 15:05:00"}
        assert [row["record_id"] for row in ask("record", **asked).json()] == ["1"]

    def test_a_deleted_instance_is_absent_and_a_deleted_record_does_not_come_back(
        self, redcap: RedcapStandIn, project: Project, ask: Ask
    ) -> None:
        redcap.clock.advance(600)
        redcap.delete_instance("1", event="t1_arm_1", instrument="mri", instance=2)
        redcap.delete_record("2")
        answer = ask("record", fields=SAMPLE_FIELDS, dateRangeBegin="2026-03-02 08:05:00")
        assert [row["mri_time"] for row in answer.json()] == ["", "09:30"]
        log = ask("log", logtype="record_delete", beginTime="2026-03-02 08:05").json()
        assert [(line["action"], line["record"]) for line in log] == [("Delete record 2", "2")]

    def test_a_renamed_record_is_an_update_of_the_new_one(
        self, redcap: RedcapStandIn, project: Project, ask: Ask
    ) -> None:
        redcap.clock.advance(600)
        redcap.rename_record("3", "30")
        answer = ask("record", fields="record_id", dateRangeBegin="2026-03-02 08:05:00")
        assert {row["record_id"] for row in answer.json()} == {"30"}
        newest = ask("log", logtype="record").json()[0]
        assert (newest["action"], newest["details"]) == ("Update record 30", "record_id = '30'")

    def test_two_instants_of_the_autumn_night_share_a_stamp(
        self, redcap: RedcapStandIn, project: Project, ask: Ask
    ) -> None:
        redcap.clock.set_zone("America/New_York")
        redcap.clock.set(dt.datetime(2026, 11, 1, 5, 30, tzinfo=dt.UTC))
        project.put("1", {"mri_time": "11:00"}, T1)
        redcap.clock.advance(3600)
        project.put("2", {"mri_time": "11:00"}, T1)
        lines = ask("log", logtype="record_edit", beginTime="2026-11-01 01:00").json()
        assert [line["timestamp"] for line in lines] == ["2026-11-01 01:30"] * 2


class TestLog:
    """The log export."""

    def test_lines_come_newest_first_to_the_minute(
        self, redcap: RedcapStandIn, project: Project, ask: Ask
    ) -> None:
        redcap.clock.advance(845)
        project.put("12", {"study_id": "CPIP-0012"}, username="coord7")
        project.put("1", {"mri_date": "2026-03-04"}, T1)
        newest = ask("log", logtype="record").json()[:2]
        assert newest == [
            {
                "timestamp": "2026-03-02 08:14",
                "username": "coord1",
                "action": "Update record 1",
                "details": "[instance = 1],\nmri_date = '2026-03-04'",
                "record": "1",
            },
            {
                "timestamp": "2026-03-02 08:14",
                "username": "coord7",
                "action": "Create record 12",
                "details": "study_id = 'CPIP-0012'",
                "record": "12",
            },
        ]

    def test_filters(self, redcap: RedcapStandIn, project: Project, ask: Ask) -> None:
        redcap.clock.advance(845)
        project.put("1", {"mri_date": "2026-03-04"}, T1)
        assert len(ask("log", beginTime="2026-03-02 08:14").json()) == 1
        assert len(ask("log", beginTime="2026-03-02 08:14:59").json()) == 1
        assert ask("log", beginTime="2026-03-02 08:15").json() == []
        assert {line["record"] for line in ask("log", record="3").json()} == {"3"}
        assert ask("log", user="nobody").json() == []
        added = ask("log", logtype="record_add", endTime="2026-03-02 08:00").json()
        assert [line["record"] for line in added] == ["3", "2", "1"]

    def test_an_edit_that_changes_nothing_leaves_no_line(self, project: Project, ask: Ask) -> None:
        before = len(project.log)
        assert project.put("1", {"mri_date": "2026-03-02"}, T1) is False
        assert len(project.log) == before

    def test_an_export_is_logged(self, ask: Ask) -> None:
        ask("record", fields="record_id")
        line = ask("log", logtype="export").json()[0]
        assert (line["action"], line["username"]) == ("Data export (API)", "api_user")


class TestControlDoor:
    """Mutations over HTTP, as curl sends them."""

    def test_records_are_put_moved_and_deleted(self, redcap: RedcapStandIn, ask: Ask) -> None:
        door = f"{redcap.url}/__control__"
        where = {"record": "1", "event": "t1_arm_1", "instrument": "mri", "instance": "1"}
        done = requests.post(f"{door}/put", data={**where, "mri_time": "12:15"})
        assert done.json() == {"record": "1", "changed": True}
        rows_of_1 = ask("record", fields="mri_time", records="1").json()
        assert rows_of_1[0] == {"mri_time": "12:15"}
        requests.post(f"{door}/delete_instance", data=where)
        assert len(ask("record", fields="mri_time", records="1").json()) == 1
        requests.post(f"{door}/delete_record", data={"record": "1"})
        assert ask("record", records="1").json() == []
        shown = requests.get(f"{door}/records", params={"record": "2"}).json()
        assert shown[0]["study_id"] == "CPIP-0002"

    @pytest.mark.parametrize(
        ("path", "message"),
        [
            ("put?record=1&nix=1", "project 'mri' has no field 'nix'"),
            ("put?record=1&event=nix", "project 'mri' has no event 'nix'"),
            ("put?record=1&instrument=mri", "needs an instance number"),
            ("put?record=1&instance=2", "'baseline_arm_1' does not repeat"),
            ("delete_record?record=9", "project 'mri' has no record '9'"),
            ("delete_record?record=1&project=x", "no project 'x': there are mri"),
            ("rename_record?record=1&new=2", "record '2' exists already"),
            ("remove_field?field=nix", "project 'mri' has no field 'nix'"),
            ("set_rights?nix=1", "no right 'nix'"),
        ],
    )
    def test_a_wrong_mutation_is_explained_and_changes_nothing(
        self, redcap: RedcapStandIn, project: Project, path: str, message: str
    ) -> None:
        before = json.dumps(project.records, default=str, skipkeys=True)
        event = "&event=baseline_arm_1" if "put?" in path and "event" not in path else ""
        answer = requests.post(f"{redcap.url}/__control__/{path}{event}")
        assert answer.status_code == 400
        assert message in answer.json()["error"]
        assert json.dumps(project.records, default=str, skipkeys=True) == before

    def test_the_dictionary_can_change_under_a_client(
        self, redcap: RedcapStandIn, ask: Ask
    ) -> None:
        redcap.rename_field("record_id", "subj")
        redcap.rename_field("mri_time", "scan_time")
        redcap.remove_field("family_id")
        assert ask("metadata").json()[0]["field_name"] == "subj"
        exported = ask("record", fields="subj,scan_time", records="1").json()
        assert [row["scan_time"] for row in exported] == ["", "09:30", "14:00"]
        assert exported[0]["subj"] == "1"
        assert ask("record", fields="family_id").status_code == 400

    def test_projects_have_their_own_tokens_and_routes(
        self, redcap: RedcapStandIn, project: Project, ask: Ask
    ) -> None:
        other = redcap.add_project(generate(10, name="other"))
        assert other.token != project.token
        redcap.fault("other/record", status=503)
        assert ask("record").status_code == 200
        assert ask("record", token=other.token).status_code == 503
        assert redcap.journal.count("mri/record") == 1
        assert redcap.journal.secrets_in_urls() == []
        requests.get(f"{redcap.api_url}?token={other.token}")
        assert len(redcap.journal.secrets_in_urls()) == 1


def test_data_can_change_between_two_requests_of_a_client(
    redcap: RedcapStandIn, project: Project, ask: Ask
) -> None:
    def move(entry: Entry) -> None:
        if entry.number == 2:
            project.put("1", {"mri_time": "17:00"}, T1)

    redcap.before = move
    seen = [ask("record", fields="mri_time", records="1").json()[0] for _ in range(2)]
    assert seen == [{"mri_time": "09:30"}, {"mri_time": "17:00"}]
