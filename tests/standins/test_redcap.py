"""The REDCap stand-in over HTTP: rows, design and generated projects."""

from __future__ import annotations

import datetime as dt
import itertools
import threading

import pytest
import requests
from tests.standins.clock import VirtualClock
from tests.standins.conftest import Ask
from tests.standins.redcap import RedcapStandIn
from tests.standins.redcap_data import Project, RowKey
from tests.standins.redcap_samples import empty_project, generate, live_day

SAMPLE_FIELDS = (
    "record_id,study_id,family_id,demo_sex,youth_dob_y,neuro_pcp,mri_instance,mri_date,mri_time"
)
T1 = RowKey("t1_arm_1", "mri", 1)


def rows(values: list[list[object]]) -> list[dict[str, object]]:
    lead = ["record_id", "redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance"]
    names = lead + SAMPLE_FIELDS.split(",")[1:]
    return [dict(zip(names, row, strict=True)) for row in values]


SAMPLE = rows(
    [
        ["1", "baseline_arm_1", "", "", "CPIP-0001", "FAM-011", "1", "2012", "", "", "", ""],
        ["1", "t1_arm_1", "mri", 1, "", "", "", "", "", "1", "2026-03-02", "09:30"],
        ["1", "t1_arm_1", "mri", 2, "", "", "", "", "", "2", "2026-03-09", "14:00"],
        ["2", "baseline_arm_1", "", "", "CPIP-0002", "FAM-011", "2", "2014", "1", "", "", ""],
        ["2", "t1_arm_1", "mri", 1, "", "", "", "", "", "1", "UNK", ""],
        ["3", "screening_arm_1", "", "", "", "FAM-033", "", "", "", "", "", ""],
        ["3", "baseline_arm_1", "", "", "CPIP-0003", "", "1", "2011", "", "", "", ""],
        ["3", "t1_arm_1", "mri", 1, "", "", "", "", "", "1", "2026-03-04", "10:00"],
    ]
)


class TestRows:
    """The shapes of exported rows."""

    def test_longitudinal_and_repeating_as_documented(self, ask: Ask) -> None:
        answer = ask("record", fields=SAMPLE_FIELDS)
        assert answer.json() == SAMPLE
        assert [list(row) for row in answer.json()] == [list(row) for row in SAMPLE]

    @pytest.mark.parametrize("style", ["fields[{}]", "fields[]", "fields"])
    def test_array_parameters_in_three_styles(
        self, redcap: RedcapStandIn, project: Project, style: str
    ) -> None:
        names = SAMPLE_FIELDS.split(",")
        data = [("token", project.token), ("content", "record"), ("format", "json")]
        if style == "fields":
            data.append(("fields", SAMPLE_FIELDS))
        else:
            data += [(style.format(place), name) for place, name in enumerate(names)]
        assert requests.post(redcap.api_url, data=data).json() == SAMPLE

    def test_a_multipart_form_is_read_too(self, redcap: RedcapStandIn, project: Project) -> None:
        form = {"token": project.token, "content": "version"}
        parts = {name: (None, value) for name, value in form.items()}
        assert requests.post(redcap.api_url, files=parts).text == "14.9.1"

    def test_without_the_record_id_the_other_leading_columns_are_missing(self, ask: Ask) -> None:
        assert ask("record", fields="mri_time", records="1").json() == [
            {"mri_time": "09:30"},
            {"mri_time": "14:00"},
        ]

    def test_filters_by_record_event_and_form(self, ask: Ask) -> None:
        screened = ask("record", fields="record_id,family_id", events="screening_arm_1")
        assert [row["record_id"] for row in screened.json()] == ["3"]
        one = ask("record", **{"records[0]": "2", "records[1]": "nobody", "forms": "mri"})
        assert [row["mri_date"] for row in one.json()] == ["UNK"]
        assert "mri_complete" in one.json()[0]
        assert ask("record", records="nobody").json() == []

    def test_entity_attribute_value_rows(self, ask: Ask) -> None:
        answer = ask("record", type="eav", records="2", fields="record_id,neuro_pcp,mri_date")
        lead = {"record": "2", "redcap_event_name": "baseline_arm_1"}
        base = {**lead, "redcap_repeat_instrument": "", "redcap_repeat_instance": ""}
        assert answer.json() == [
            {**base, "field_name": "record_id", "value": "2"},
            {**base, "field_name": "neuro_pcp", "value": "1"},
            {
                "record": "2",
                "redcap_event_name": "t1_arm_1",
                "redcap_repeat_instrument": "mri",
                "redcap_repeat_instance": 1,
                "field_name": "mri_date",
                "value": "UNK",
            },
        ]

    def test_labels_in_place_of_codes(self, ask: Ask) -> None:
        row = ask("record", fields="record_id,demo_sex,race", records="1", rawOrLabel="label")
        assert row.json()[0] == {
            "record_id": "1",
            "redcap_event_name": "Baseline",
            "redcap_repeat_instrument": "",
            "redcap_repeat_instance": "",
            "demo_sex": "Male",
            "race___1": "Unchecked",
            "race___2": "Unchecked",
            "race____9": "Unchecked",
        }

    def test_csv_with_raw_and_with_labelled_headers(self, ask: Ask) -> None:
        fields = {"fields": "record_id,demo_sex", "records": "1", "format": "csv"}
        lead = "record_id,redcap_event_name,redcap_repeat_instrument,redcap_repeat_instance"
        assert ask("record", **fields).text == f"{lead},demo_sex\n1,baseline_arm_1,,,1\n"
        headed = ask("record", **fields, rawOrLabelHeaders="label", csvDelimiter=";").text
        assert headed.splitlines()[0] == (
            "Record ID;Event Name;Repeat Instrument;Repeat Instance;Sex"
        )

    def test_xml_is_the_default_format(self, ask: Ask) -> None:
        answer = ask("record", fields="record_id", records="1", format="")
        assert answer.headers["Content-Type"].startswith("text/xml")
        assert "<item><record_id><![CDATA[1]]></record_id>" in answer.text

    def test_a_classic_project_has_no_event_column(self, redcap: RedcapStandIn, ask: Ask) -> None:
        classic = redcap.add_project(generate(10, "classic", name="classic"))
        row = ask("record", token=classic.token, fields="record_id,mri_date").json()[0]
        assert list(row) == ["record_id", "mri_date"]

    def test_a_repeating_event_has_an_instance_and_no_instrument(
        self, redcap: RedcapStandIn, ask: Ask
    ) -> None:
        events = redcap.add_project(generate(1, "events", name="events"))
        exported = ask("record", token=events.token, fields="record_id,mri_instance").json()
        assert [
            (r["redcap_event_name"], r["redcap_repeat_instrument"], r["redcap_repeat_instance"])
            for r in exported
        ] == [("baseline_arm_1", "", ""), ("t1_arm_1", "", 1), ("t1_arm_1", "", 2)]
        told = ask("repeatingFormsEvents", token=events.token).json()
        assert told == [{"event_name": "t1_arm_1", "form_name": "", "custom_form_label": ""}]

    def test_two_arms(self, redcap: RedcapStandIn, ask: Ask) -> None:
        arms = redcap.add_project(generate(2, "arms", name="arms"))
        exported = ask("record", token=arms.token, fields="record_id").json()
        assert [r["redcap_event_name"] for r in exported] == ["baseline_arm_1", "baseline_arm_2"]
        assert [a["name"] for a in ask("arm", token=arms.token).json()] == ["Patients", "Controls"]
        second = ask("event", token=arms.token, arms="2").json()
        assert [e["unique_event_name"] for e in second] == ["baseline_arm_2", "t1_arm_2"]

    def test_any_record_id_field_and_ids_with_a_group_before_them(
        self, redcap: RedcapStandIn, ask: Ask
    ) -> None:
        odd = redcap.add_project(generate(12, name="odd", record_id="study_id", dags=2))
        answer = ask("record", token=odd.token, fields="study_id", exportDataAccessGroups="True")
        assert answer.json()[0] == {
            "study_id": "1452-1",
            "redcap_event_name": "baseline_arm_1",
            "redcap_repeat_instrument": "",
            "redcap_repeat_instance": "",
            "redcap_data_access_group": "site_1",
        }
        assert [r["study_id"] for r in answer.json()][:7] == [
            f"1452-{n}" for n in (1, 3, 5, 7, 9, 11)
        ] + ["1453-2"]
        odd.rights.dag = "site_2"
        mine = ask("record", token=odd.token, fields="study_id", exportDataAccessGroups="1").json()
        assert {row["study_id"][:4] for row in mine} == {"1453"}
        assert "redcap_data_access_group" not in mine[0]

    def test_an_instance_whose_fields_are_blank_may_be_left_out(
        self, project: Project, ask: Ask
    ) -> None:
        project.put("3", {"mri_date": "", "mri_time": ""}, T1)
        asked = {"fields": "record_id,mri_date,mri_time", "records": "3"}
        assert len(ask("record", **asked).json()) == 2
        project.blank_instances = True
        assert [r["mri_date"] for r in ask("record", **asked).json()] == ["", "", ""]

    def test_deidentified_rights_drop_columns_without_a_word(
        self, project: Project, ask: Ask
    ) -> None:
        project.rights.export = "deidentified"
        answer = ask("record", fields="record_id,study_id,family_id")
        assert answer.status_code == 200
        assert "study_id" not in answer.json()[0]
        assert "family_id" in answer.json()[0]


class TestDesign:
    """What the API tells about a project."""

    def test_metadata_has_18_text_columns_and_the_record_id_first(self, ask: Ask) -> None:
        dictionary = ask("metadata").json()
        assert {len(row) for row in dictionary} == {18}
        assert all(isinstance(value, str) for row in dictionary for value in row.values())
        assert dictionary[0]["field_name"] == "record_id"
        date = next(row for row in dictionary if row["field_name"] == "mri_date")
        assert date["text_validation_type_or_show_slider_number"] == "date_ymd"
        names = {row["field_name"] for row in dictionary}
        assert not any(name.startswith("redcap_") or name.endswith("_complete") for name in names)
        only = ask("metadata", forms="mri").json()
        assert {row["form_name"] for row in only} == {"mri"}

    def test_project_info_is_one_object_with_numbers(self, ask: Ask) -> None:
        info = ask("project").json()
        assert (info["is_longitudinal"], info["has_repeating_instruments_or_events"]) == (1, 1)
        assert info["missing_data_codes"] == "UNK, Unknown | NI, No information"

    def test_instruments_mapping_repeats_and_export_names(self, ask: Ask) -> None:
        assert ask("instrument").json() == [
            {"instrument_name": "enrolment", "instrument_label": "Enrolment"},
            {"instrument_name": "mri", "instrument_label": "Mri"},
        ]
        mapping = ask("formEventMapping").json()
        assert mapping[-1] == {"arm_num": 1, "unique_event_name": "t1_arm_1", "form": "mri"}
        names = ask("exportFieldNames", field="race").json()
        assert [(n["choice_value"], n["export_field_name"]) for n in names] == [
            ("1", "race___1"),
            ("2", "race___2"),
            ("-9", "race____9"),
        ]

    def test_version_is_plain_text(self, ask: Ask) -> None:
        assert ask("version").text == "14.9.1"

    def test_classic_projects_refuse_events_arms_and_mappings(
        self, redcap: RedcapStandIn, ask: Ask
    ) -> None:
        classic = redcap.add_project(empty_project("classic", "classic"))
        for content, what in (
            ("event", "events"),
            ("arm", "arms"),
            ("formEventMapping", "form/event mappings"),
        ):
            answer = ask(content, token=classic.token)
            assert answer.status_code == 400
            assert answer.json() == {"error": f"You cannot export {what} for classic projects"}
        answer = ask("repeatingFormsEvents", token=classic.token)
        assert "does not contain any repeating" in answer.json()["error"]


def test_generated_projects_are_the_same_for_the_same_seed() -> None:
    clock = VirtualClock(start=dt.datetime(2026, 3, 2, 8), frozen=True)
    one, same = (generate(100, seed=5, clock=clock) for _ in range(2))
    other = generate(100, seed=6, clock=clock)
    assert one.records == same.records
    assert one.log == same.log
    assert one.records != other.records
    assert sum(len(record) for record in one.records.values()) == 300


def test_an_export_never_sees_half_of_an_edit(redcap: RedcapStandIn) -> None:
    clock = VirtualClock(redcap.clock.zone)
    redcap.clock = clock
    busy = redcap.add_project(generate(50, name="busy", clock=clock))
    stopped = threading.Event()

    def edit() -> None:
        for number in itertools.cycle(range(1, 51)):
            if stopped.is_set():
                return
            time = f"{number % 24:02d}:{number % 60:02d}"
            busy.put(str(number), {"mri_instance": time, "mri_time": time}, T1)
            busy.put("new", {"study_id": time})
            busy.delete_record("new")

    editor = threading.Thread(target=edit)
    editor.start()
    try:
        form = {"token": busy.token, "content": "record", "format": "json", "forms": "mri"}
        for _ in range(10):
            edited = [
                row
                for row in requests.post(redcap.api_url, data=form).json()
                if row["mri_instance"] not in {"1", "2"}
            ]
            assert all(row["mri_instance"] == row["mri_time"] for row in edited)
    finally:
        stopped.set()
        editor.join()


def test_a_live_day_enrols_moves_and_deletes(redcap: RedcapStandIn, project: Project) -> None:
    day = live_day(redcap)
    told = [next(day) for _ in range(7)]
    assert told[0] == "record 4 (CPIP-0004) is enrolled and booked for 2026-03-02 09:30"
    assert told[-1] == "record 4 is deleted"
    assert list(project.records) == ["1", "2", "3", "5"]
    assert project.records["5"][T1]["mri_time"] == "15:45"
    assert next(day) == "record 5 is deleted"
