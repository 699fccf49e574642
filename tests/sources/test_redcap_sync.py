"""What goes wrong around REDCap, one failure after the other: the worklist stays true."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.sources.redcap_site import Site, begin, many, redcap_site, use
from tests.standins.redcap_data import RowKey
from tests.standins.redcap_samples import empty_project, scan_key

from pylantir.errors import SourceRefused, SourceUnavailable
from pylantir.worklist.status import ItemStatus

BASE, SCAN = RowKey("baseline_arm_1"), RowKey("t1_arm_1", "mri", 1)
FIRST = "1/t1_arm_1/mri/1"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with redcap_site(tmp_path) as site:
        site.project.log.clear()
        yield site


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


def test_a_renamed_record_keeps_its_item_under_its_new_name(site: Site) -> None:
    site.sync()
    before = site.items()["3/t1_arm_1/mri/1"]
    site.later(minutes=5)
    site.server.rename_record("3", "33")
    site.sync()
    assert [key for key in site.scheduled() if key.startswith("3")] == ["33/t1_arm_1/mri/1"]
    after = site.items()["33/t1_arm_1/mri/1"]
    assert (after.item_id, after.study_instance_uid) == (before.item_id, before.study_instance_uid)


def test_a_record_that_is_renamed_and_edited_at_once_is_a_new_item_in_place_of_the_old(
    site: Site,
) -> None:
    site.sync()
    site.later(minutes=5)
    site.server.rename_record("3", "33")
    site.project.put("33", {"mri_time": "17:00"}, SCAN)
    site.sync()
    assert [key for key in site.scheduled() if key.startswith("3")] == ["33/t1_arm_1/mri/1"]


def test_a_renamed_event_gives_no_booking_another_item(site: Site) -> None:
    many(site, 12)
    site.sync()
    begin(site, FIRST)
    before = {i.item_id: (i.study_instance_uid, i.status) for i in site.items().values()}
    site.later(minutes=5)
    site.project.rename_event("t1_arm_1", "First visit")
    report = site.sync(full=True)
    assert not report.frozen
    assert {i.item_id: (i.study_instance_uid, i.status) for i in site.items().values()} == before
    assert {key.split("/")[1] for key in site.items()} == {"first_visit_arm_1"}


def test_a_scan_that_has_begun_is_not_on_the_list_again_when_its_record_is_renamed(
    site: Site,
) -> None:
    site.sync()
    begin(site, FIRST)
    site.later(minutes=5)
    site.server.rename_record("1", "11")
    site.sync()
    assert "11/t1_arm_1/mri/1" not in site.scheduled()
    assert site.items()["11/t1_arm_1/mri/1"].status is ItemStatus.IN_PROGRESS


@pytest.mark.parametrize("begun", [False, True])
def test_a_second_booking_of_the_same_person_and_time_is_another_one(
    site: Site, begun: bool
) -> None:
    site.sync()
    if begun:
        begin(site, FIRST)
    site.later(minutes=5)
    for key, values in site.project.records["1"].items():
        if key in (BASE, SCAN):
            site.project.put("11", dict(values), key)
    site.sync()
    assert {FIRST, "11/t1_arm_1/mri/1"} <= set(site.items())


def test_a_record_that_gets_its_name_back_has_its_old_item(site: Site) -> None:
    site.sync()
    before = site.items()["3/t1_arm_1/mri/1"]
    for old, new in (("3", "33"), ("33", "3")):
        site.later(minutes=5)
        site.server.rename_record(old, new)
        site.sync()
    assert [key for key in site.scheduled() if key.startswith("3")] == ["3/t1_arm_1/mri/1"]
    assert site.items()["3/t1_arm_1/mri/1"].study_instance_uid == before.study_instance_uid


def test_a_new_booking_makes_no_other_one_disappear(site: Site) -> None:
    many(site, 12)
    site.sync()
    before = site.scheduled()
    site.later(minutes=5)
    site.project.put("99", {"study_id": "S-99"}, BASE)
    scan = {"mri_instance": "1", "mri_date": "2026-03-03", "mri_time": "10:00"}
    site.project.put("99", scan, SCAN)
    site.sync()
    assert site.scheduled() == sorted([*before, "99/t1_arm_1/mri/1"])


def test_in_a_large_project_a_renamed_record_goes_too(site: Site) -> None:
    many(site, 12)
    site.config["chunk_size"] = 5
    site.sync()
    site.later(minutes=5)
    site.server.rename_record("3", "33")
    site.sync()
    assert {key.partition("/")[0] for key in site.scheduled()} & {"3", "33"} == {"33"}


def test_a_renamed_record_does_not_go_before_it_is_known_to_be_gone(site: Site) -> None:
    site.sync()
    before = set(site.scheduled())
    site.later(minutes=5)
    site.server.rename_record("3", "33")
    site.server.fault("record", status=500, body="<html></html>", nth=3, times=5)
    with pytest.raises(SourceUnavailable):
        site.sync()
    assert set(site.scheduled()) == before
    site.server.faults.clear()
    site.sync()
    assert {key.partition("/")[0] for key in site.scheduled()} & {"3", "33"} == {"33"}


def test_with_no_day_ahead_the_bookings_of_a_day_are_there_when_it_begins(site: Site) -> None:
    site.config["days_ahead"] = 0
    project = many(site)
    site.sync()
    for hours in (15, 2):
        site.later(hours=hours)
        site.sync()
    rows = [row for rows in project.records.values() for row in rows.values()]
    tomorrow = [row for row in rows if row.get("mri_date") == "2026-03-03"]
    found = [i for i in site.items().values() if i.start.date() == dt.date(2026, 3, 3)]
    assert len(found) == len(tomorrow) > 0


@pytest.mark.parametrize("chunk_size", [5, 500])
def test_without_the_log_a_deleted_record_goes_as_soon(site: Site, chunk_size: int) -> None:
    many(site, 12)
    site.config["chunk_size"] = chunk_size
    site.server.set_rights(logging=False)
    site.sync()
    site.later(minutes=5)
    site.server.delete_record("3")
    site.sync()
    assert not [key for key in site.scheduled() if key.startswith("3/")]


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


def test_a_field_of_the_patient_id_that_vanishes_is_missed_after_a_restart_too(site: Site) -> None:
    site.sync()
    before = site.items()
    site.later(minutes=5)
    site.server.remove_field("family_id")
    site.project.put("1", {"mri_time": "16:00"}, SCAN)
    for _ in range(2):
        site.restart()
        with pytest.raises(SourceUnavailable, match="family_id, which says who the patient is"):
            site.sync(full=True)
    assert site.items() == before


def test_without_that_field_it_goes_on_when_the_templates_do_without(site: Site) -> None:
    site.sync()
    site.server.remove_field("family_id")
    site.restart()
    del site.mapping["family_id"]
    site.config["patient_name_template"] = "cpip-id-{study}"
    site.config["patient_id_template"] = "sub_{study}_ses_{session}"
    site.sync(full=True)
    assert site.items()[FIRST].patient_id == "sub_0001_ses_1"


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


def test_what_scanners_may_see_ahead_is_fetched_ahead(site: Site) -> None:
    site.config["mwl_days_ahead"] = 60
    site.project.put("1", {"mri_date": "2026-04-10"}, SCAN)
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
