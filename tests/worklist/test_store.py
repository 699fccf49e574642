"""The store of items: what is kept, what is changed, and what is left alone."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from tests.worklist.bookings import NOW, booking
from tests.worklist.conftest import Foreign

from pylantir.errors import Conflict, NotFound
from pylantir.worklist.attributes import BY_NAME
from pylantir.worklist.database import Database
from pylantir.worklist.item import WorklistItem, change_item
from pylantir.worklist.query import Key, PersonName, SingleValue, WorklistQuery, fold_name
from pylantir.worklist.status import MOVES, SCHEDULED_STATUSES, ItemStatus
from pylantir.worklist.store import ItemStore, PutReport

EVERYTHING = WorklistQuery()


def only(items: ItemStore) -> WorklistItem:
    (item,) = items.find(EVERYTHING)
    return item


def changes(foreign: Foreign) -> int:
    return int(foreign("SELECT version FROM changes")[0][0])


def test_a_new_worklist_is_empty(items: ItemStore) -> None:
    assert items.find(EVERYTHING) == []
    assert items.count() == 0
    assert items.rejected() == []


def test_an_item_comes_back_as_it_was_put(items: ItemStore) -> None:
    item = booking(
        patient_name="Yamada^Tarou=山田^太郎=やまだ^たろう",
        scheduled_station_ae_title=["MR1", "MR2"],
        scheduled_station_name=["A", "B"],
        scheduled_protocol_codes=[{"value": "1", "scheme": "99X", "meaning": "Kopf – groß"}],
        requested_procedure_codes=[{"value": "2", "scheme": "99X", "version": "3"}],
        patient_weight_kg="72.5",
        patient_size_m="1.72",
        patient_birth_date="1980-02-29",
        pregnancy_status=4,
        medical_alerts=["Pacemaker", "50% _ '\"; DROP TABLE worklist_items"],
        patient_comments="two\nlines \\ one backslash",
        start_time="08:30:15.5",
        status="READY",
        study_date="2025-07-07",
        study_time="08:31",
        PatientAge="045Y",
        ReferencedStudySequence=[{"ReferencedSOPInstanceUID": "1.2"}],
    )
    assert items.put([item]) == PutReport(created=1, updated=0, unchanged=0)
    stored = only(items)
    assert stored.content() == item.content()
    assert stored.item_id is not None
    assert stored.version > 0
    assert items.get(stored.item_id) == stored


def test_items_come_sorted_by_scheduled_start(items: ItemStore) -> None:
    starts = ["2025-07-08 08:00", "2025-07-07 10:00", "2025-07-07 09:59:59", "2025-07-07 00:00"]
    starts += ["2025-07-07 10:00:00.5"]
    for number, start in enumerate(starts):
        items.add(booking(str(number), start_date=start[:10], start_time=start[11:]))
    found = items.find(EVERYTHING)
    assert [item.start for item in found] == sorted(map(dt.datetime.fromisoformat, starts))


def test_an_answer_may_be_limited(items: ItemStore) -> None:
    items.put([booking(str(n), start_time=f"{n:02d}:00") for n in range(6)])

    def records(**query: int) -> str:
        return "".join(item.source_record_id for item in items.find(WorklistQuery(**query)))  # type: ignore[arg-type]

    assert records(limit=2) == "01"
    assert records(limit=2, offset=3) == "34"
    assert records(offset=5) == "5"
    assert records(limit=0) == ""
    assert records(limit=9, offset=9) == ""


@pytest.mark.parametrize("asked", ["yamada^tarou", "山田^太郎", "YAMADA*", "山*", "=山田*"])
def test_a_name_is_found_by_any_of_its_groups(items: ItemStore, asked: str) -> None:
    items.put([booking(patient_name="Yamada^Tarou=山田^太郎"), booking("2")])
    name_key = Key(BY_NAME["patient_name"], PersonName(fold_name(asked)))
    found = items.find(WorklistQuery(keys=(name_key,)))
    assert [item.source_record_id for item in found] == ["1"]


# --- put ---


def test_putting_the_same_again_writes_nothing(
    items: ItemStore, database: Database, foreign: Foreign
) -> None:
    items.put([booking("1"), booking("2", patient_weight_kg="70")])
    before = foreign("SELECT * FROM worklist_items ORDER BY id"), changes(foreign)
    seen = database.revision()
    report = items.put([booking("1"), booking("2", patient_weight_kg="70.00")])
    assert report == PutReport(created=0, updated=0, unchanged=2)
    assert database.revision() == seen
    items.put([booking("1", accession_number="A1")])
    assert database.revision() != seen
    assert (foreign("SELECT * FROM worklist_items ORDER BY id"), changes(foreign)) != before


def test_a_changed_booking_keeps_its_row_and_gets_a_new_version(items: ItemStore) -> None:
    items.put([booking()])
    old = only(items)
    assert items.put([booking(start_time="10:00")]) == PutReport(0, 1, 0)
    new = only(items)
    assert new.item_id == old.item_id
    assert new.version > old.version
    assert new.scheduled_procedure_step_start_time == dt.time(10)


def test_items_of_one_source_do_not_touch_those_of_another(items: ItemStore) -> None:
    items.put([booking("1", source="a"), booking("1", source="b")])
    items.put([booking("1", source="a", accession_number="A1")])
    assert [i.accession_number for i in items.find(EVERYTHING)] == ["A1", ""]


def test_the_study_instance_uid_never_changes(items: ItemStore) -> None:
    items.put([booking(study_instance_uid="1.2.3")])
    assert items.put([booking(study_instance_uid="1.2.4", accession_number="A1")]).updated == 1
    assert only(items).study_instance_uid == "1.2.3"
    with pytest.raises(Conflict, match="Study Instance UID"):
        items.replace(replace(only(items), study_instance_uid="1.2.4"))
    assert only(items).study_instance_uid == "1.2.3"


@pytest.mark.parametrize("status", ["IN_PROGRESS", "COMPLETED", "DISCONTINUED"])
def test_what_a_scanner_has_begun_keeps_its_status(items: ItemStore, status: str) -> None:
    items.put([booking(status=status, study_date="2025-07-07", study_time="08:31")])
    assert items.put([booking()]) == PutReport(0, 0, 1)
    items.put([booking(accession_number="A1", status="CANCELLED")])
    stored = only(items)
    assert stored.status == status
    assert stored.accession_number == "A1"
    assert stored.study_date == dt.date(2025, 7, 7)


@pytest.mark.parametrize("status", [*SCHEDULED_STATUSES, ItemStatus.CANCELLED])
def test_before_that_the_source_says_the_status(items: ItemStore, status: ItemStatus) -> None:
    items.put([booking(status=status)])
    items.put([booking(status="ARRIVED")])
    assert only(items).status is ItemStatus.ARRIVED


def test_a_batch_is_put_as_a_whole_or_not_at_all(items: ItemStore, foreign: Foreign) -> None:
    items.put([booking("1")])
    foreign(
        "CREATE TRIGGER full_disk BEFORE INSERT ON worklist_items WHEN NEW.source_record_id = '3'"
        " BEGIN SELECT RAISE(ABORT, 'disk full'); END"
    )
    before = foreign("SELECT * FROM worklist_items"), changes(foreign)
    with pytest.raises(Exception, match="disk full"):
        items.put([booking("1", accession_number="A1"), booking("2"), booking("3")])
    assert (foreign("SELECT * FROM worklist_items"), changes(foreign)) == before


def test_the_same_booking_twice_in_a_batch_is_one_item(items: ItemStore) -> None:
    assert items.put([booking(), booking(), booking(accession_number="A1")]) == PutReport(1, 1, 1)
    assert only(items).accession_number == "A1"


# --- add, replace, set_status ---


def test_an_added_item_is_returned_with_its_number(items: ItemStore) -> None:
    added = items.add(booking())
    assert items.get(added.item_id or 0) == added
    with pytest.raises(Conflict, match="record 1 of test exists"):
        items.add(booking())
    assert items.count() == 1


def test_there_is_no_item_of_an_unknown_number(items: ItemStore) -> None:
    with pytest.raises(NotFound, match="item 7"):
        items.get(7)
    with pytest.raises(NotFound, match="item 7"):
        items.set_status(7, ItemStatus.ARRIVED)
    with pytest.raises(NotFound):
        items.replace(booking())


def test_a_change_is_refused_when_somebody_else_was_faster(items: ItemStore) -> None:
    mine = theirs = items.add(booking())
    saved = items.replace(change_item(theirs, {"accession_number": "A1"}))
    assert saved == only(items)
    with pytest.raises(Conflict, match="changed by somebody else"):
        items.replace(change_item(mine, {"accession_number": "A2"}))
    assert only(items).accession_number == "A1"
    again = items.replace(change_item(only(items), {"accession_number": "A2"}))
    assert again.version > saved.version


def test_replacing_moves_a_status_along_the_table_only(items: ItemStore) -> None:
    item = items.add(booking(status="COMPLETED"))
    with pytest.raises(Conflict, match="is COMPLETED, it cannot become CANCELLED"):
        items.replace(change_item(item, {"status": "CANCELLED"}))
    assert items.replace(change_item(item, {"status": "IN_PROGRESS"})).status == "IN_PROGRESS"


@pytest.mark.parametrize("before", ItemStatus)
@pytest.mark.parametrize("after", ItemStatus)
def test_a_status_moves_along_the_table_only(
    items: ItemStore, before: ItemStatus, after: ItemStatus
) -> None:
    item = items.add(booking(status=before))
    if after is before:
        assert items.set_status(item.item_id or 0, after) == item
    elif after in MOVES[before]:
        moved = items.set_status(item.item_id or 0, after)
        assert moved.status is after
        assert moved == only(items)
        assert moved.version > item.version
    else:
        with pytest.raises(Conflict, match=f"is {before}, it cannot become {after}"):
            items.set_status(item.item_id or 0, after)
        assert only(items) == item


def test_a_done_item_does_not_walk_back_by_hand() -> None:
    assert ItemStatus.SCHEDULED not in MOVES[ItemStatus.COMPLETED]
    assert ItemStatus.CANCELLED not in MOVES[ItemStatus.IN_PROGRESS]
    assert set(MOVES) == set(ItemStatus)


def test_the_clock_stamps_what_was_made_and_changed(database: Database, foreign: Foreign) -> None:
    now = NOW
    store = ItemStore(database, now=lambda: now)
    store.put([booking()])
    now = NOW + dt.timedelta(hours=1)
    store.put([booking(accession_number="A1")])
    assert foreign("SELECT created_at, updated_at FROM worklist_items") == [
        ("2025-07-07T12:00:00.000+00:00", "2025-07-07T13:00:00.000+00:00")
    ]


# --- stations ---


def test_items_that_name_no_station_get_the_default_one(database: Database) -> None:
    store = ItemStore(database, default_station="MR9", now=lambda: NOW)
    bare = booking("1", scheduled_station_ae_title="")
    store.put([bare, booking("2")])
    store.add(booking("3", scheduled_station_ae_title=""))
    assert store.put([bare]) == PutReport(0, 0, 1)
    stations = [item.scheduled_station_ae_title for item in store.find(EVERYTHING)]
    assert stations == [("MR9",), ("MR1",), ("MR9",)]


def test_other_programs_can_read_the_published_columns(items: ItemStore, foreign: Foreign) -> None:
    items.put(
        [
            booking(
                patient_weight_kg="72.57",
                protocol_name="BRAIN",
                hisris_coding_designator="99X",
                scheduled_station_ae_title="MR1\\MR2",
            )
        ]
    )
    assert foreign(
        "SELECT patient_name, scheduled_start_date, scheduled_start_time, patient_weight_lb,"
        " protocol_name, hisris_coding_designator, scheduled_station_aetitle,"
        " performed_procedure_step_status, data_source, source_record_id, accession_number"
        " FROM worklist_items"
    ) == [
        (
            *("Doe^Jane", "2025-07-07", "08:30", "160.0", "BRAIN", "99X", "MR1\\MR2"),
            *("SCHEDULED", "test", "1", None),
        )
    ]


def test_a_key_that_nothing_has_finds_nothing(items: ItemStore) -> None:
    items.put([booking()])
    name_key = Key(BY_NAME["status"], SingleValue(None))
    assert items.find(WorklistQuery(keys=(name_key,))) == []
