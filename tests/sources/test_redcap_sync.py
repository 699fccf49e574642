"""What goes wrong around REDCap, one failure after the other: the worklist stays true."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.sources.redcap_site import Site, redcap_site, use
from tests.standins.clock import VirtualClock
from tests.standins.journal import Entry
from tests.standins.redcap_data import Field, Project, RowKey
from tests.standins.redcap_samples import empty_project, generate, scan_key

from pylantir.errors import SourceRefused, SourceUnavailable
from pylantir.worklist.status import ItemStatus
from pylantir.worklist.step import PerformedProcedureStep, ScheduledStepReference, StepStatus
from pylantir.worklist.steps import StepStore

BASE, SCAN = RowKey("baseline_arm_1"), RowKey("t1_arm_1", "mri", 1)
FIRST = "1/t1_arm_1/mri/1"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with redcap_site(tmp_path) as site:
        site.project.log.clear()
        yield site


def many(site: Site, records: int = 12, **how: Any) -> Project:
    """A project whose records were all entered long ago."""
    project = generate(
        records, first_day=dt.date(2026, 3, 2), days=5, clock=site.server.clock, **how
    )
    return use(site, project)


def begin(site: Site, record_id: str) -> None:
    item = site.items()[record_id]
    step = PerformedProcedureStep(
        sop_instance_uid=f"2.25.{item.item_id}",
        status=StepStatus.IN_PROGRESS,
        performed_procedure_step_id="1",
        performed_station_ae_title="MR1",
        calling_ae_title="MR1",
        modality="MR",
        patient_id=item.patient_id,
        patient_name=item.patient_name,
        started=item.start,
        references=(
            ScheduledStepReference(
                study_instance_uid=item.study_instance_uid,
                scheduled_procedure_step_id=item.scheduled_procedure_step_id,
            ),
        ),
        attributes={},
    )
    StepStore(site.database, now=site.server.clock.now).create(step)


def withdrawn(report: Any) -> list[str]:
    return sorted(each.item.source_record_id for each, _ in report.plan.withdrawn)


# --- Identity (R1, R5, R12, S8) ---


def test_two_bookings_of_one_person_on_one_day_are_two_items(site: Site) -> None:
    site.project.put("1", {"mri_date": "2026-03-02"}, RowKey("t1_arm_1", "mri", 2))
    site.sync()
    days = [i.start.date() for key, i in site.items().items() if key.startswith("1/")]
    assert days == [dt.date(2026, 3, 2)] * 2


def test_one_session_number_in_two_arms_is_two_items(site: Site) -> None:
    project = use(site, empty_project("arms"))
    for arm in (1, 2):
        project.put("1", {"study_id": "S-1"}, RowKey(f"baseline_arm_{arm}"))
        scan = {"mri_instance": "1", "mri_date": "2026-03-03", "mri_time": "10:00"}
        project.put("1", scan, RowKey(f"t1_arm_{arm}", "mri", 1))
    site.sync()
    assert site.scheduled() == ["1/t1_arm_1/mri/1", "1/t1_arm_2/mri/1"]


def test_a_renamed_record_id_field_changes_no_item(site: Site) -> None:
    site.sync()
    before = site.items()
    site.server.rename_field("record_id", "subj")
    site.later(hours=2)
    site.sync(full=True)
    assert site.items() == before


def test_a_renamed_record_is_a_new_booking_and_the_old_one_goes_the_next_day(site: Site) -> None:
    site.sync()
    site.later(minutes=5)
    site.server.rename_record("3", "33")
    site.sync()
    assert "33/t1_arm_1/mri/1" in site.scheduled()
    site.later(hours=25)
    site.sync()
    assert "3/t1_arm_1/mri/1" not in site.scheduled()


def test_ids_with_the_prefix_of_a_group_are_read_and_a_groups_token_sees_its_own(
    site: Site,
) -> None:
    many(site, 6, dags=2)
    site.server.set_rights(dag="site_1")
    site.sync()
    assert {key.partition("-")[0] for key in site.items()} == {"1452"}


# --- Progress (S5, rows 21 and 22) ---


def test_what_a_scanner_has_begun_is_neither_moved_nor_withdrawn(site: Site) -> None:
    site.sync()
    begin(site, FIRST)
    start = site.items()[FIRST].start
    for change in ({"mri_time": "16:00"}, {"mri_date": ""}):
        site.later(minutes=5)
        site.project.put("1", change, SCAN)
        site.sync()
        item = site.items()[FIRST]
        assert (item.status, item.start) == (ItemStatus.IN_PROGRESS, start)


def test_a_booking_that_moves_there_and_back_is_one_item_with_one_uid(site: Site) -> None:
    site.sync()
    uid, number = site.items()[FIRST].study_instance_uid, len(site.items())
    for time in ("15:00", "16:00", "09:30"):
        site.later(minutes=5)
        site.project.put("1", {"mri_time": time}, SCAN)
        site.sync()
    item = site.items()[FIRST]
    assert (item.study_instance_uid, item.start.hour, len(site.items())) == (uid, 9, number)


def test_editing_a_record_after_its_scan_day_does_not_cancel_the_past(site: Site) -> None:
    many(site)
    site.sync()
    site.later(days=4)
    site.sync()
    for record in site.project.records:
        site.project.put(record, {"family_id": "FAM-900"}, BASE)
    report = site.sync()
    assert withdrawn(report) == []
    assert not report.frozen


# --- What is gone (R7, row 19) ---


def test_a_date_that_becomes_unknown_takes_the_booking_away(site: Site) -> None:
    site.sync()
    site.later(minutes=5)
    site.project.put("1", {"mri_date": "UNK"}, SCAN)
    assert withdrawn(site.sync()) == [FIRST]


def test_a_booking_that_moves_out_of_the_window_is_withdrawn_and_back_in_it_returns(
    site: Site,
) -> None:
    site.config["days_ahead"] = 10
    site.sync()
    for day, expected in (("2026-03-13", False), ("2026-03-12", True), ("2026-02-20", False)):
        site.later(minutes=5)
        site.project.put("1", {"mri_date": day}, SCAN)
        site.sync()
        assert (FIRST in site.scheduled()) is expected


def test_a_booking_far_ahead_comes_when_its_day_comes_near(site: Site) -> None:
    site.project.put("1", {"mri_date": "2026-04-10"}, SCAN)
    site.sync()
    assert FIRST not in site.items()
    site.later(days=20)
    site.sync()
    assert FIRST in site.scheduled()


def test_a_record_that_is_deleted_and_entered_again_stays_one_item(site: Site) -> None:
    site.sync()
    uid = site.items()["3/t1_arm_1/mri/1"].study_instance_uid
    site.later(minutes=5)
    site.project.delete_record("3")
    site.sync()
    site.later(minutes=5)
    site.project.put("3", {"study_id": "CPIP-0003"}, BASE)
    site.project.put("3", {"mri_date": "2026-03-05", "mri_time": "8:00"}, SCAN)
    site.sync()
    item = site.items()["3/t1_arm_1/mri/1"]
    assert (item.status, item.study_instance_uid) == (ItemStatus.SCHEDULED, uid)


def test_an_empty_list_where_thirty_were_scheduled_freezes_instead_of_emptying(
    site: Site,
) -> None:
    many(site, 30)
    site.sync()
    number = len(site.scheduled())
    site.server.fault("record", body="[]")
    report = site.sync(full=True)
    assert report.frozen
    assert len(site.scheduled()) == number


def test_the_log_of_an_old_redcap_is_not_needed(site: Site) -> None:
    site.sync()
    words = '{"error": "The value of the parameter \\"content\\" is not valid"}'
    site.server.fault("log", status=400, body=words)
    site.later(minutes=5)
    site.project.put("1", {"mri_time": "16:00"}, SCAN)
    report = site.sync()
    assert site.items()[FIRST].start.hour == 16
    assert any("may not read the log" in note for note in report.notes)


# --- Outages (rows 2, 9, 18, 27, 28) ---


def test_two_refusals_and_then_an_answer_recover_alone(site: Site) -> None:
    site.server.fault("*", status=401, body='{"error": "no"}', times=2)
    for _ in range(2):
        with pytest.raises(SourceRefused):
            site.sync()
    site.sync()
    assert len(site.items()) == 3


def test_a_failure_half_way_through_the_chunks_applies_nothing_and_keeps_the_cursor(
    site: Site,
) -> None:
    many(site)
    site.config["chunk_size"] = 5
    site.server.fault("record", nth=3, status=500)
    with pytest.raises(SourceUnavailable):
        site.sync()
    assert (site.items(), site.cursor) == ({}, "")
    site.sync()
    assert len(site.items()) == 24


def test_chunks_are_halved_when_the_server_runs_out_of_memory(site: Site) -> None:
    many(site, 20)
    site.project.max_rows = 25
    site.sync()
    assert len(site.items()) == 40


def test_a_single_record_that_is_too_much_is_a_failure_and_no_endless_halving(
    site: Site,
) -> None:
    site.project.max_rows = 4
    site.project.put("1", {"mri_date": "2026-03-05"}, RowKey("t1_arm_1", "mri", 3))
    site.project.put("1", {"mri_date": "2026-03-05"}, RowKey("t1_arm_1", "mri", 4))
    with pytest.raises(SourceUnavailable, match="memory"):
        site.sync()


def test_a_record_that_is_deleted_between_two_chunks_is_no_booking(site: Site) -> None:
    site.config["chunk_size"] = 1

    def delete(entry: Entry) -> None:
        if entry.form.get("records[0]") == "2":
            site.server.before = None
            site.project.delete_record("3")

    site.server.before = delete
    site.sync()
    assert site.scheduled() == [FIRST, "1/t1_arm_1/mri/2"]


def test_an_edit_while_a_long_fetch_runs_is_seen_in_the_next_round(site: Site) -> None:
    site.config["chunk_size"] = 1
    site.skew = dt.timedelta(hours=2)

    def edit_behind_its_back(entry: Entry) -> None:
        if entry.form.get("records[0]") == "2":
            site.server.before = None
            site.project.put("1", {"mri_time": "16:00"}, SCAN)
            site.later(minutes=40)

    site.server.before = edit_behind_its_back
    site.sync()
    assert site.items()[FIRST].start.hour == 9
    site.later(minutes=1)
    site.sync()
    assert site.items()[FIRST].start.hour == 16


def test_a_restart_after_three_days_catches_up(site: Site) -> None:
    site.sync()
    site.restart()
    site.later(minutes=1)
    site.project.put("1", {"mri_date": "2026-03-06"}, SCAN)
    site.project.delete_record("3")
    site.later(days=3)
    site.sync()
    assert site.items()[FIRST].start.date() == dt.date(2026, 3, 6)
    assert "3/t1_arm_1/mri/1" not in site.scheduled()


def test_a_cursor_of_another_type_of_source_means_all_over_again(site: Site) -> None:
    site.sync()
    site.restart()
    site.project.delete_record("3")
    site.project.log.clear()
    with site.database.write() as connection:
        connection.exec_driver_sql("UPDATE source_states SET cursor = '{\"files\": 1}'")
    site.later(minutes=5)
    site.sync()
    assert "3/t1_arm_1/mri/1" not in site.scheduled()
    assert dt.datetime.fromisoformat(site.cursor)


# --- Clocks (R8, rows 16 and 17) ---


@pytest.mark.parametrize("minutes", [-600, -10, 10, 600])
def test_a_clock_that_is_wrong_on_either_side_loses_no_edit(site: Site, minutes: int) -> None:
    site.skew = dt.timedelta(minutes=minutes)
    site.sync()
    for hour in (13, 14, 15):
        site.later(minutes=30)
        site.project.put("1", {"mri_time": f"{hour}:00"}, SCAN)
        site.later(seconds=1)
        site.sync()
        assert site.items()[FIRST].start.hour == hour


def test_a_server_in_another_zone_loses_no_edit(site: Site) -> None:
    site.config["server_timezone"] = "Asia/Tokyo"
    site.server.clock.zone = VirtualClock("Asia/Tokyo").zone
    site.sync()
    site.later(minutes=30)
    site.project.put("1", {"mri_time": "16:00"}, SCAN)
    site.later(minutes=1)
    site.sync()
    assert site.items()[FIRST].start.hour == 16


@pytest.mark.parametrize("pause", [5, 20, 55, 70])
@pytest.mark.parametrize("late", [1, 4, 13])
def test_the_hour_that_happens_twice_in_autumn_loses_no_edit(
    site: Site, pause: int, late: int
) -> None:
    clock = site.server.clock
    clock.set(dt.datetime(2025, 11, 2, 6, 50, tzinfo=dt.UTC))  # 00:50, an hour before 01:50
    site.project.put("1", {"mri_date": "2025-11-03"}, SCAN)
    site.sync()
    for hour in (10, 11, 12, 13, 14):
        site.later(minutes=late)
        site.project.put("1", {"mri_time": f"{hour}:00"}, SCAN)
        site.later(minutes=pause)
        site.sync()
        assert site.items()[FIRST].start.hour == hour


def test_the_hour_that_is_skipped_in_spring_loses_no_edit(site: Site) -> None:
    site.server.clock.set(dt.datetime(2026, 3, 8, 8, 40, tzinfo=dt.UTC))  # 01:40, 02:40 is none
    site.project.put("1", {"mri_date": "2026-03-09"}, SCAN)
    site.sync()
    for hour in (10, 11, 12):
        site.later(minutes=15)
        site.project.put("1", {"mri_time": f"{hour}:00"}, SCAN)
        site.later(minutes=7)
        site.sync()
        assert site.items()[FIRST].start.hour == hour


def test_the_date_range_is_the_servers_wall_clock_and_has_no_end(site: Site) -> None:
    site.sync()
    site.later(minutes=30)
    site.sync()
    asked = [e.form for e in site.server.journal.of("record") if "dateRangeBegin" in e.form]
    assert [form["dateRangeBegin"] for form in asked] == ["2026-03-02 07:48:00"]
    assert "dateRangeEnd" not in asked[0]


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


@pytest.mark.parametrize("field", ["study_id", "family_id", "mri_wt_lbs"])
@pytest.mark.parametrize("how", ["removed", "renamed"])
def test_a_field_that_vanishes_from_the_project_changes_no_identity(
    site: Site, field: str, how: str
) -> None:
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


# --- Records that are no bookings (S11) ---


def test_a_date_that_nobody_can_read_rejects_one_booking_and_says_why(site: Site) -> None:
    site.project.put("1", {"mri_date": "next week"}, SCAN)
    report = site.sync()
    (rejected,) = report.rejected
    assert rejected.record_id == FIRST
    assert "mri_date" in str(rejected.problems[0])
    assert site.scheduled() == ["1/t1_arm_1/mri/2", "3/t1_arm_1/mri/1"]


def test_a_person_without_study_id_and_without_booking_is_nothing_to_talk_about(
    site: Site,
) -> None:
    site.project.put("9", {"family_id": "FAM-1"}, BASE)
    assert site.sync().rejected == ()


def test_names_in_every_script_become_valid_items_or_reasons(site: Site) -> None:
    names = ["Zoë-Ünal", "O'Neil-山田", "x-^", "y-\\", "z-" + "a" * 80, "ن-ن", "e-e\u0301", "f-😀"]
    for number, name in enumerate(names, 10):
        site.project.put(str(number), {"study_id": name}, BASE)
        scan = {"mri_date": "2026-03-03", "mri_time": "10:00", "mri_instance": "1"}
        site.project.put(str(number), scan, SCAN)
    report = site.sync()
    assert len(site.items()) + len(report.rejected) == 3 + len(names)
    assert all(rejected.problems for rejected in report.rejected)


# --- Rights that shrink, and every shape ---


def test_reduced_rights_on_a_changed_record_are_an_alarm_too(site: Site) -> None:
    site.sync()
    before = site.items()
    site.server.set_rights(export="deidentified")
    site.later(minutes=20)
    site.project.put("1", {"mri_time": "16:00"}, SCAN)
    with pytest.raises(SourceRefused, match="study_id"):
        site.sync()
    assert site.items() == before


def test_every_shape_withdraws_a_deleted_scan_in_the_next_round(site: Site) -> None:
    for shape in ("longitudinal", "repeating", "events", "arms", "classic"):
        many(site, 8, shape=shape, name=shape)
        site.restart()
        site.later(days=1)
        site.sync(full=True, accept_withdrawals=True)
        site.later(minutes=20)
        key = scan_key(site.project, session=1)
        gone = next(k for k in site.scheduled() if k.endswith(f"/{key.instance or ''}"))
        record = gone.partition("/")[0]
        arm = 2 if "_arm_2" in gone else 1
        site.project.put(record, {"mri_date": ""}, scan_key(site.project, 1, arm))
        assert gone in withdrawn(site.sync())
