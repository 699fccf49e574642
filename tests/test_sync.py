"""A batch becomes the worklist: what is created, changed, withdrawn, kept."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.audit.trails import lines
from tests.bookable import TODAY, BookableSource, booking, snapshots_of
from tests.synced_site import Site, begin, opened_site

from pylantir.audit.files import TrailFiles
from pylantir.audit.trail import AuditTrail
from pylantir.errors import DatabaseUnavailable, SourceUnavailable, ValueProblem
from pylantir.sources.base import RejectedRecord
from pylantir.sync import Synchronizer
from pylantir.worklist.status import ItemStatus


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with opened_site(tmp_path) as site:
        yield site


def test_the_first_round_imports_the_whole_window(site: Site) -> None:
    site.source.records = [booking("1"), booking("2")]
    report = site.sync.run_once()
    assert len(report.plan.created) == 2
    (window,) = site.source.windows
    assert window.cursor is None
    assert window.full
    assert window.first_day == TODAY - dt.timedelta(days=1)
    assert window.last_day == TODAY + dt.timedelta(days=30)


def test_the_cursor_of_a_round_is_where_the_next_one_begins_also_after_a_restart(
    site: Site,
) -> None:
    site.sync.run_once()
    again = Synchronizer("book", site.source, site.database, site.clock)
    again.run_once()
    assert [window.cursor for window in site.source.windows] == [None, "cursor 1"]
    assert not site.source.windows[1].full


def test_everything_is_compared_in_the_first_round_of_each_day(site: Site) -> None:
    for _ in range(3):
        site.sync.run_once()
        site.clock.instant += dt.timedelta(hours=10)
    days = [window.last_day for window in site.source.windows]
    assert days[0] == days[1] != days[2]
    assert [window.full for window in site.source.windows] == [True, False, True]


def test_an_unchanged_round_writes_no_item(site: Site) -> None:
    site.source.records = [booking("1"), booking("2")]
    site.sync.run_once()
    before = site.all()
    report = site.sync.run_once()
    assert report.plan.unchanged == 2
    assert not report.says_something
    assert site.all() == before
    assert len(site.sync.states.runs("book")) == 1


def test_a_rescheduled_booking_keeps_its_row_and_its_study_instance_uid(site: Site) -> None:
    site.source.records = [booking("1")]
    site.sync.run_once()
    before = site.item("1")
    site.source.records = [booking("1", scheduled_start_time="15:30")]
    site.sync.run_once()
    after = site.item("1")
    assert after.scheduled_procedure_step_start_time == dt.time(15, 30)
    assert (after.item_id, after.study_instance_uid) == (before.item_id, before.study_instance_uid)


def test_a_source_cannot_change_the_study_instance_uid(site: Site) -> None:
    site.source.records = [booking("1", study_instance_uid="2.25.1")]
    site.sync.run_once()
    site.source.records = [booking("1", study_instance_uid="2.25.2")]
    site.sync.run_once()
    assert site.item("1").study_instance_uid == "2.25.1"


def test_two_bookings_of_one_person_on_one_day_are_two_items(site: Site) -> None:
    same = {"patient_id": "P", "patient_name": "Doe^Jo"}
    site.source.records = [booking("1", **same), booking("2", **same)]
    site.sync.run_once()
    assert len({item.study_instance_uid for item in site.all()}) == 2


def test_one_bad_record_is_one_rejection_and_never_a_lost_batch(site: Site) -> None:
    site.source.records = [booking("1"), booking("2", scheduled_start_date="31/02"), booking("3")]
    report = site.sync.run_once()
    assert site.scheduled() == ["1", "3"]
    (rejection,) = site.sync.states.rejections("book")
    assert rejection.record_id == "2"
    assert "scheduled_procedure_step_start_date" in rejection.reasons
    assert report.newly_rejected == 1
    assert site.sync.run_once().newly_rejected == 0


def test_a_mended_record_is_struck_off_the_list_of_rejections(site: Site) -> None:
    site.source.records = [booking("1", patient_id="")]
    site.sync.run_once()
    site.source.records = [booking("1")]
    site.sync.run_once()
    assert site.sync.states.rejections() == []
    assert site.scheduled() == ["1"]


def test_a_booking_that_was_broken_by_an_edit_stays_as_it_was(site: Site) -> None:
    site.source.records = [booking("1")]
    site.sync.run_once()
    site.source.records = [booking("1", scheduled_start_time="late")]
    site.sync.run_once()
    assert site.item("1").scheduled_procedure_step_start_time == dt.time(10)
    assert site.scheduled() == ["1"]


def test_a_withdrawn_booking_is_cancelled_with_its_reason(site: Site) -> None:
    site.source.records = [booking("1"), booking("2")]
    site.sync.run_once()
    gone = booking("1")
    site.source.records = [type(gone)(gone.record_id, gone.fields, "denied"), booking("2")]
    site.sync.run_once()
    assert site.item("1").status is ItemStatus.CANCELLED
    assert site.remembered("1", "withdrawn_reason") == "denied"


def test_a_booking_that_was_never_here_is_not_created_to_be_cancelled(site: Site) -> None:
    gone = booking("1")
    site.source.records = [type(gone)(gone.record_id, gone.fields, "cancelled")]
    site.sync.run_once()
    assert site.all() == []


def test_a_vanished_booking_goes_when_a_second_complete_batch_does_not_name_it(site: Site) -> None:
    site.source.records = [booking("1"), booking("2")]
    site.sync.run_once()
    site.source.records = [booking("1")]
    site.sync.run_once()
    assert site.scheduled() == ["1", "2"]
    site.sync.run_once()
    assert site.scheduled() == ["1"]


def test_a_booking_that_comes_back_in_time_is_not_withdrawn(site: Site) -> None:
    both = [booking("1"), booking("2")]
    for records in (both, both[:1], both, both[:1]):
        site.source.records = records
        site.sync.run_once()
    assert site.scheduled() == ["1", "2"]


def test_a_source_that_can_be_asked_confirms_at_once(site: Site) -> None:
    site.source.records = [booking("1"), booking("2"), booking("3")]
    site.sync.run_once()
    site.source.records = [booking("1")]
    site.source.alive = frozenset({"2"})
    site.sync.run_once()
    assert site.scheduled() == ["1", "2"]


def test_a_source_that_cannot_answer_withdraws_nothing(site: Site) -> None:
    site.source.records = [booking("1"), booking("2")]
    site.sync.run_once()
    site.source.records = [booking("1")]
    site.source.alive = SourceUnavailable("down")
    for _ in range(3):
        site.sync.run_once()
    assert site.scheduled() == ["1", "2"]


def test_a_snapshot_of_a_record_withdraws_what_it_no_longer_holds(site: Site) -> None:
    site.source.records = [booking("7/t1/mri/1"), booking("7/t1/mri/2"), booking("8/t1/mri/1")]
    site.sync.run_once()
    site.source.records = [booking("7/t1/mri/1")]
    site.source.scope = snapshots_of("7")
    site.sync.run_once()
    assert site.scheduled() == ["7/t1/mri/1", "8/t1/mri/1"]


def test_a_partial_batch_withdraws_nothing_and_keeps_the_cursor(site: Site) -> None:
    site.source.records = [booking("1"), booking("2")]
    site.sync.run_once()
    site.source.records, site.source.complete = [booking("3")], False
    for _ in range(3):
        site.sync.run_once()
    assert site.scheduled() == ["1", "2", "3"]
    assert site.sync.states.state("book").cursor == "cursor 1"


def test_a_failing_source_leaves_everything_as_it_was(site: Site) -> None:
    site.source.records = [booking("1")]
    site.sync.run_once()
    before = site.all()
    site.source.error = SourceUnavailable("down")
    with pytest.raises(SourceUnavailable):
        site.sync.run_once()
    assert site.all() == before


def test_when_most_would_vanish_at_once_nothing_goes_and_a_person_is_told(site: Site) -> None:
    site.source.records = [booking(str(n)) for n in range(10)]
    site.sync.run_once()
    site.source.records, site.source.alive = [], frozenset()
    report = site.sync.run_once()
    assert report.frozen
    assert len(site.scheduled()) == 10
    state = site.sync.states.state("book")
    assert state.cursor == "cursor 1"
    assert "nothing was withdrawn" in state.notes[-1]


def test_what_stays_frozen_or_incomplete_is_news_once_and_again_when_it_is_over(site: Site) -> None:
    everything = [booking(str(n)) for n in range(10)]
    said = []
    for records, complete in (
        *[(everything, True)] * 2,
        *[([], True)] * 3,
        *[(everything, True)] * 2,
        *[(everything, False)] * 2,
        (everything, True),
    ):
        site.source.records, site.source.complete = records, complete
        site.source.alive = frozenset()
        said.append(site.sync.run_once().says_something)
    assert said == [True, False, True, False, False, True, False, True, False, True]
    assert len(site.sync.states.runs("book")) == 5


def test_a_person_who_has_looked_may_let_them_go(site: Site) -> None:
    site.source.records = [booking(str(n)) for n in range(10)]
    site.sync.run_once()
    site.source.records, site.source.alive = [], frozenset()
    report = site.sync.run_once(accept_withdrawals=True)
    assert not report.frozen
    assert site.scheduled() == []


@pytest.mark.parametrize(
    ("number", "going", "frozen"), [(4, 3, False), (12, 3, False), (16, 4, False), (15, 4, True)]
)
def test_the_guard_wants_more_than_three_and_more_than_a_quarter(
    site: Site, number: int, going: int, frozen: bool
) -> None:
    site.source.records = [booking(str(n)) for n in range(number)]
    site.sync.run_once()
    site.source.records, site.source.alive = site.source.records[going:], frozenset()
    assert site.sync.run_once().frozen is frozen


def test_what_a_scanner_has_begun_is_not_changed_but_held_back_and_shown(site: Site) -> None:
    site.source.records = [booking("1")]
    site.sync.run_once()
    begin(site, "1")
    site.source.records = [booking("1", scheduled_start_time="16:00")]
    report = site.sync.run_once()
    item = site.item("1")
    assert item.status is ItemStatus.IN_PROGRESS
    assert item.scheduled_procedure_step_start_time == dt.time(10)
    assert len(report.plan.held_back) == 1
    assert json.loads(site.remembered("1", "held_back")) == {"scheduled_start_time": "16:00"}
    assert site.sync.run_once().plan.held_back == []


def test_what_the_source_itself_cannot_read_keeps_its_booking(site: Site) -> None:
    site.source.records = [booking("1"), booking("2")]
    site.sync.run_once()
    unreadable = ValueProblem("record id", "2", "stands twice")
    site.source.records = [booking("1")]
    site.source.rejected = (RejectedRecord("2", (unreadable,)),)
    site.source.scope = snapshots_of("1", "2")
    site.sync.run_once()
    assert site.scheduled() == ["1", "2"]


def test_what_a_scanner_has_begun_is_never_withdrawn(site: Site) -> None:
    site.source.records = [booking("1")]
    site.sync.run_once()
    begin(site, "1")
    site.source.records, site.source.alive = [], frozenset()
    site.sync.run_once()
    assert site.item("1").status is ItemStatus.IN_PROGRESS


@pytest.mark.parametrize("said", ["SCHEDULED", "IN_PROGRESS", "COMPLETED", "CANCELLED"])
def test_a_source_never_resets_what_a_scanner_has_begun(site: Site, said: str) -> None:
    site.source.records = [booking("1")]
    site.sync.run_once()
    begin(site, "1")
    site.source.records = [booking("1", performed_procedure_step_status=said)]
    site.sync.run_once()
    assert site.item("1").status is ItemStatus.IN_PROGRESS


def test_a_source_does_not_know_what_a_scanner_has_begun(site: Site) -> None:
    site.source.records = [booking("1", performed_procedure_step_status="IN_PROGRESS")]
    site.sync.run_once()
    assert site.item("1").status is ItemStatus.SCHEDULED


def test_a_booking_that_a_person_cancelled_stays_cancelled_until_its_source_changes_it(
    site: Site,
) -> None:
    site.source.records = [booking("1")]
    site.sync.run_once()
    site.items.set_status(site.item("1").item_id or 0, ItemStatus.CANCELLED)
    site.sync.run_once()
    assert site.item("1").status is ItemStatus.CANCELLED
    site.source.records = [booking("1", scheduled_start_time="11:00")]
    site.sync.run_once()
    assert site.item("1").status is ItemStatus.SCHEDULED


def test_a_booking_that_its_source_brings_back_is_scheduled_again(site: Site) -> None:
    site.source.records = [booking("1")]
    site.sync.run_once()
    uid = site.item("1").study_instance_uid
    site.source.records, site.source.alive = [], frozenset()
    site.sync.run_once()
    assert site.item("1").status is ItemStatus.CANCELLED
    site.source.records = [booking("1")]
    site.sync.run_once()
    assert site.item("1").status is ItemStatus.SCHEDULED
    assert site.item("1").study_instance_uid == uid


def test_a_dry_run_says_everything_and_writes_nothing(site: Site) -> None:
    site.source.records = [booking("1"), booking("2", patient_id="")]
    report = site.sync.run_once(dry_run=True)
    assert (len(report.plan.created), len(report.rejected)) == (1, 1)
    assert site.all() == []
    assert site.sync.states.states() == []
    assert site.sync.states.rejections() == []


def test_items_of_other_sources_are_left_alone(site: Site) -> None:
    other = BookableSource()
    other.records = [booking("1")]
    Synchronizer("other", other, site.database, site.clock).run_once()
    site.source.alive = frozenset()
    site.sync.run_once()
    assert [item.data_source for item in site.all()] == ["other"]


def test_one_person_who_is_booked_in_two_sources_is_two_items(site: Site) -> None:
    other = BookableSource()
    other.records = site.source.records = [booking("1")]
    Synchronizer("other", other, site.database, site.clock).run_once()
    site.sync.run_once()
    first, second = site.all()
    assert {first.data_source, second.data_source} == {"book", "other"}
    assert first.patient_id == second.patient_id
    assert first.study_instance_uid != second.study_instance_uid


def test_a_round_that_is_stopped_half_way_applies_nothing(site: Site) -> None:
    site.source.records = [booking("1")]
    site.sync.stopping.set()
    site.sync.run_once()
    assert site.all() == []
    assert site.sync.states.state("book").cursor == ""


def test_when_the_database_fails_neither_items_nor_cursor_move(site: Site) -> None:
    site.source.records = [booking("1")]
    with site.database.write() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER broken BEFORE INSERT ON source_states"
            " BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
    with pytest.raises(DatabaseUnavailable):
        site.sync.run_once()
    assert site.all() == []


def test_the_first_batch_claims_the_rows_of_the_published_release(site: Site) -> None:
    with site.database.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO worklist_items (patient_name, patient_id, modality, scheduled_start_date,"
            " scheduled_start_time, study_instance_uid, performed_procedure_step_status, version)"
            " VALUES ('Doe^1', 'P-1', 'MR', '2026-03-02', '10:00', '1.2.3', 'COMPLETED', -1)"
        )
    site.items.check_foreign_rows()
    site.source.records = [booking("1")]
    site.sync.run_once()
    site.sync.run_once()
    (item,) = site.all()
    assert (item.data_source, item.source_record_id) == ("book", "1")
    assert (item.study_instance_uid, item.status) == ("1.2.3", ItemStatus.COMPLETED)


def test_a_row_that_could_be_two_bookings_is_claimed_by_neither(site: Site) -> None:
    with site.database.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO worklist_items (patient_name, patient_id, modality, scheduled_start_date,"
            " scheduled_start_time, version)"
            " VALUES ('Doe^1', 'P', 'MR', '2026-03-02', '10:00', -1)"
        )
    site.items.check_foreign_rows()
    site.source.records = [booking("1", patient_id="P"), booking("2", patient_id="P")]
    site.sync.run_once()
    assert len(site.all()) == 3


def test_a_forgotten_source_leaves_no_scheduled_items(site: Site) -> None:
    site.source.records = [booking("1"), booking("2")]
    site.sync.run_once()
    begin(site, "2")
    assert site.sync.states.forget("book") == 1
    assert [item.status for item in site.all()] == [ItemStatus.CANCELLED, ItemStatus.IN_PROGRESS]
    assert site.sync.states.states() == []


def test_what_a_source_changed_stands_in_the_history_by_name(site: Site) -> None:
    site.source.records = [booking("1"), booking("2")]
    site.sync.run_once()
    site.source.records = [booking("1", scheduled_start_time="11:15", patient_id="P-9")]
    site.source.scope = snapshots_of("1", "2")
    site.sync.run_once()

    moved, gone = (site.items.history(site.item(record).item_id or 0) for record in ("1", "2"))

    assert [(each.kind, each.who) for each in moved.changes] == [("changed", "book")]
    assert set(moved.changes[0].fields) == {"scheduled_start_time", "patient_id"}
    assert [(each.kind, each.who) for each in gone.changes] == [("withdrawn", "book")]


def test_what_a_scanner_has_begun_meanwhile_is_not_told_as_changed(site: Site) -> None:
    site.source.records = [booking("1")]
    site.sync.run_once()
    begin(site, "1")
    site.source.records = [booking("1", scheduled_start_time="11:15")]
    site.sync.run_once()

    assert site.items.history(site.item("1").item_id or 0).changes == ()


def test_the_audit_trail_has_the_names_of_what_a_source_changed_and_no_value(
    site: Site, tmp_path: Path
) -> None:
    files = TrailFiles(tmp_path / "trail")
    audit = AuditTrail(files)
    site.source.records = [booking("1")]
    sync = Synchronizer("book", site.source, site.database, site.clock, audit)
    audit.start()
    sync.run_once()
    site.source.records = [booking("1", patient_name="Planted^Name")]
    sync.run_once()
    audit.stop()

    created, updated = lines(files)
    assert [created["event"], updated["event"]] == ["created", "updated"]
    assert "Fields" not in json.dumps(created)
    assert "patient_name" in json.dumps(updated)
    assert "Planted" not in json.dumps(updated)
