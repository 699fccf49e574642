"""Rows that other programs write into the same table: checked, served, or set aside."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from tests.worklist.bookings import NOW, booking
from tests.worklist.conftest import Foreign

from pylantir.worklist import identity
from pylantir.worklist.applying import apply_part, parts
from pylantir.worklist.database import Database
from pylantir.worklist.query import WorklistQuery
from pylantir.worklist.rows import item_of_foreign_row
from pylantir.worklist.schedule import Claims, Plan, known_items, plan_items
from pylantir.worklist.status import ItemStatus
from pylantir.worklist.store import ItemStore, PutReport
from pylantir.worklist.values import Code

EVERYTHING = WorklistQuery()

GOOD: dict[str, Any] = {
    "patient_name": "Roe^Richard",
    "patient_id": "R1",
    "modality": "MR",
    "scheduled_start_date": "20250707",
    "scheduled_start_time": "0915",
    "data_source": "script",
    "source_record_id": "1",
}


def insert(foreign: Foreign, **values: Any) -> None:
    row = {**GOOD, **values}
    marks = ", ".join("?" * len(row))
    foreign(f"INSERT INTO worklist_items ({', '.join(row)}) VALUES ({marks})", *row.values())


def served(items: ItemStore) -> list[str]:
    return [item.source_record_id for item in items.find(EVERYTHING)]


def reasons(items: ItemStore) -> str:
    return "; ".join(row.reason for row in items.rejected())


def test_a_good_row_is_served_and_completed(items: ItemStore, foreign: Foreign) -> None:
    insert(foreign)
    (item,) = items.find(EVERYTHING)
    assert item.patient_name == "Roe^Richard"
    origin = ("https://redcap.example", "script", "1")
    assert item.study_instance_uid == identity.study_instance_uid(*origin)
    assert item.status is ItemStatus.SCHEDULED
    assert foreign(
        "SELECT scheduled_start_date, scheduled_start_time, patient_name_key, study_instance_uid,"
        " created_at IS NOT NULL, version FROM worklist_items"
    ) == [("2025-07-07", "09:15", "roe^richard", item.study_instance_uid, 1, item.version)]
    assert items.find(EVERYTHING) == [item]
    assert items.check_foreign_rows() == 0


def test_a_row_without_an_identity_gets_one_for_good(items: ItemStore, foreign: Foreign) -> None:
    insert(foreign, data_source=None, source_record_id=None)
    insert(foreign, data_source=None, source_record_id=None)
    first, second = items.find(EVERYTHING)
    assert first.source_record_id != second.source_record_id
    assert items.find(EVERYTHING) == [first, second]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"patient_id": None}, "patient_id: required, but empty"),
        ({"patient_name": ""}, "patient_name: required, but empty"),
        ({"modality": None}, "modality: required, but empty"),
        ({"scheduled_start_date": "someday"}, "scheduled_procedure_step_start_date: expected a"),
        ({"scheduled_start_time": "25:00"}, "scheduled_procedure_step_start_time: expected a"),
        ({"study_instance_uid": "1.02"}, "study_instance_uid: expected a UID"),
        ({"patient_weight_lb": "heavy"}, "patient_weight_lb: expected a weight"),
        ({"performed_procedure_step_status": "DONE"}, "status: expected one of"),
        ({"scheduled_protocol_codes": "{"}, "scheduled_protocol_codes: expected a list"),
        ({"scheduled_protocol_codes": '[{"value": "1"}]'}, "scheduled_protocol_codes: expected"),
        ({"extras": "{"}, "extras: expected an object"),
        ({"extras": "[1]"}, "extras: expected an object"),
        ({"extras": '{"Nonsense": "1"}'}, "Nonsense: unknown name"),
        ({"extras": '{"PatientAge": "34"}'}, "PatientAge: expected an age"),
        ({"extras": "[" * 100_000}, "extras: expected an object"),
        ({"patient_id": b"\x00\xff"}, "patient_id: expected one plain value"),
        ({"patient_name": "M\ufffdller"}, "wrong decoding"),
    ],
)
def test_a_bad_row_is_set_aside_with_its_reason_and_hides_no_other(
    items: ItemStore, foreign: Foreign, values: dict[str, Any], reason: str
) -> None:
    items.put([booking("own")])
    insert(foreign, source_record_id="good")
    insert(foreign, source_record_id="bad", **values)
    assert served(items) == ["own", "good"]
    assert reason in reasons(items)
    assert [row.source_record_id for row in items.rejected()] == ["bad"]
    assert items.count() == 3
    assert items.check_foreign_rows() == 0


def test_text_that_is_not_utf_8_hides_no_other_row(items: ItemStore, foreign: Foreign) -> None:
    items.put([booking("own")])
    insert(foreign, source_record_id="latin")
    foreign(
        "UPDATE worklist_items SET patient_name = CAST(X'4DFC6C' AS TEXT) WHERE patient_id = 'R1'"
    )
    assert served(items) == ["own"]
    assert "wrong decoding" in reasons(items)
    foreign("UPDATE worklist_items SET patient_name = 'Mül' WHERE patient_id = 'R1'")
    assert served(items) == ["own", "latin"]


@pytest.mark.parametrize(
    ("column", "stored", "rejected"),
    [
        ("patient_name", b"M\xfcller^J\xf6rg", "patient_name"),
        ("patient_id", bytes(7), "patient_id"),
        ("data_source", b"script", "data_source: expected text"),
        ("source_record_id", b"1", "source_record_id: expected text"),
        ("extras", b"\xff\x00", "extras"),
        ("protocol_name", b"\xff\x00", ""),
    ],
)
def test_bytes_in_a_column_of_text_hide_no_other_row(
    items: ItemStore, foreign: Foreign, column: str, stored: bytes, rejected: str
) -> None:
    insert(foreign)
    values = {"source_record_id": "2"} if column != "source_record_id" else {}
    if column == "data_source":
        values = {}
    insert(foreign, **{**values, column: stored})
    assert "1" in served(items)
    assert len(items.rejected()) == 1
    assert rejected in reasons(items)


def test_a_row_that_nobody_foresaw_hides_no_other(
    items: ItemStore, foreign: Foreign, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(row: Any, **_: Any) -> Any:
        if row["source_record_id"] == "2":
            raise ZeroDivisionError("Planted^Name")
        return item_of_foreign_row(row, published=False)

    monkeypatch.setattr("pylantir.worklist.foreign.item_of_foreign_row", read)
    insert(foreign)
    insert(foreign, source_record_id="2")
    assert served(items) == ["1"]
    assert reasons(items) == "cannot be read: ZeroDivisionError"


def test_two_rows_of_one_booking_do_not_hide_the_others(items: ItemStore, foreign: Foreign) -> None:
    items.put([booking("own")])
    for number in range(2):
        insert(foreign, data_source=None, source_record_id="r1", patient_id=f"P{number}")
    assert served(items) == ["own", "r1"]
    assert "another row has" in reasons(items)
    foreign("UPDATE worklist_items SET source_record_id = 'r2' WHERE patient_id = 'P1'")
    assert served(items) == ["own", "r1", "r2"]


def test_a_repaired_row_is_served_again(items: ItemStore, foreign: Foreign) -> None:
    insert(foreign, patient_id="")
    assert served(items) == []
    foreign("UPDATE worklist_items SET patient_id = 'R1'")
    assert served(items) == ["1"]
    assert items.rejected() == []
    foreign("UPDATE worklist_items SET scheduled_start_date = 'never'")
    assert served(items) == []
    foreign("UPDATE worklist_items SET scheduled_start_date = '2025-07-08'")
    assert served(items) == ["1"]


def test_a_change_by_another_program_is_seen_and_gets_a_version(
    items: ItemStore, foreign: Foreign
) -> None:
    before = items.add(booking(patient_weight_kg="72.5", study_instance_uid="1.2.3"))
    foreign("UPDATE worklist_items SET accession_number = 'A1'")
    (after,) = items.find(EVERYTHING)
    assert after.accession_number == "A1"
    assert after.version > before.version
    assert after.patient_weight_kg == before.patient_weight_kg
    assert after.study_instance_uid == "1.2.3"


def test_what_changes_nothing_that_is_served_needs_no_check(
    items: ItemStore, foreign: Foreign
) -> None:
    items.add(booking())
    foreign("UPDATE worklist_items SET updated_at = 'now'")
    assert items.check_foreign_rows() == 0


def test_another_program_may_write_the_published_names(items: ItemStore, foreign: Foreign) -> None:
    items.add(
        booking(patient_weight_kg="72.5", protocol_name="BRAIN", hisris_coding_designator="99X")
    )
    foreign("UPDATE worklist_items SET patient_weight_lb = '200', protocol_name = 'KNEE'")
    (item,) = items.find(EVERYTHING)
    assert str(item.patient_weight_kg) == "90.72"
    assert item.scheduled_protocol_codes == (Code("KNEE", "99X", "KNEE"),)
    assert item.scheduled_procedure_step_description == "KNEE"
    foreign("UPDATE worklist_items SET hisris_coding_designator = NULL")
    (item,) = items.find(EVERYTHING)
    assert item.scheduled_protocol_codes == ()
    assert item.scheduled_procedure_step_description == "KNEE"


def test_a_code_with_its_meaning_survives_a_change_of_something_else(
    items: ItemStore, foreign: Foreign
) -> None:
    code = {"value": "1", "scheme": "99X", "meaning": "Head", "version": "2"}
    before = items.add(booking(scheduled_protocol_codes=[code], step_description="Kopf"))
    foreign("UPDATE worklist_items SET accession_number = 'A1'")
    (after,) = items.find(EVERYTHING)
    assert after.scheduled_protocol_codes == before.scheduled_protocol_codes
    assert after.scheduled_procedure_step_description == "Kopf"


def test_a_row_that_another_program_copied_with_its_version_hides_no_other(
    items: ItemStore, foreign: Foreign
) -> None:
    items.put([booking("own")])
    insert(foreign, source_record_id="copied", version=3, scheduled_start_date="someday")
    assert served(items) == ["own"]
    assert "expected a date" in reasons(items)


def test_deleted_rows_are_gone(items: ItemStore, foreign: Foreign) -> None:
    items.put([booking("1"), booking("2")])
    foreign("DELETE FROM worklist_items WHERE source_record_id = '1'")
    assert served(items) == ["2"]


def test_the_log_counts_bad_rows_and_shows_nobody(
    items: ItemStore, foreign: Foreign, caplog: pytest.LogCaptureFixture
) -> None:
    insert(foreign, patient_id="SECRET-1", scheduled_start_time="SECRET-2")
    with caplog.at_level(logging.DEBUG):
        items.find(EVERYTHING)
    assert "1 of 1 rows written by other programs cannot be served" in caplog.text
    assert "SECRET" not in caplog.text


# --- a source meets such a row ---


def test_a_source_repairs_a_row_that_was_set_aside(items: ItemStore, foreign: Foreign) -> None:
    first = items.add(booking("1"))
    items.put([booking("2")])
    foreign("UPDATE worklist_items SET patient_id = '' WHERE source_record_id = '2'")
    assert served(items) == ["1"]
    assert items.put([booking("1"), booking("2", patient_id="P2")]) == PutReport(0, 1, 1)
    assert items.get(first.item_id or 0) == first
    second = items.find(EVERYTHING)[1]
    assert (second.source_record_id, second.patient_id) == ("2", "P2")
    assert items.rejected() == []


def test_a_row_that_was_set_aside_keeps_its_study_and_its_progress(
    items: ItemStore, foreign: Foreign
) -> None:
    items.add(booking(study_instance_uid="1.2.3", status="IN_PROGRESS"))
    foreign("UPDATE worklist_items SET patient_id = ''")
    assert served(items) == []
    items.put([booking(study_instance_uid="1.2.4")])
    (item,) = items.find(EVERYTHING)
    assert item.study_instance_uid == "1.2.3"
    assert item.status is ItemStatus.IN_PROGRESS


def test_a_source_meets_a_row_that_has_not_been_checked_yet(
    items: ItemStore, foreign: Foreign
) -> None:
    items.add(booking(study_instance_uid="1.2.3", status="IN_PROGRESS"))
    foreign("UPDATE worklist_items SET accession_number = 'A1'")
    assert items.put([booking(accession_number="A1")]) == PutReport(0, 0, 1)
    foreign("UPDATE worklist_items SET accession_number = 'A3'")
    assert items.put([booking(accession_number="A2")]) == PutReport(0, 1, 0)
    (item,) = items.find(EVERYTHING)
    assert item.accession_number == "A2"
    assert item.study_instance_uid == "1.2.3"
    assert item.status is ItemStatus.IN_PROGRESS


def test_a_changed_row_can_be_used_before_anybody_looked_for_it(
    items: ItemStore, foreign: Foreign
) -> None:
    item = items.add(booking())
    foreign("UPDATE worklist_items SET accession_number = 'A1'")
    assert items.get(item.item_id or 0).accession_number == "A1"
    foreign("UPDATE worklist_items SET accession_number = 'A2'")
    assert items.set_status(item.item_id or 0, ItemStatus.ARRIVED).accession_number == "A2"


def test_the_default_station_is_for_foreign_rows_too(database: Database, foreign: Foreign) -> None:
    insert(foreign)
    store = ItemStore(database, default_station="MR9", now=lambda: NOW)
    (item,) = store.find(EVERYTHING)
    assert item.scheduled_station_ae_title == ("MR9",)


@pytest.mark.parametrize("spoilt", ["accession_number = 'A1'", "patient_id = ''"])
def test_a_batch_of_a_source_takes_nothing_from_a_row_that_waits_or_was_set_aside(
    items: ItemStore, foreign: Foreign, spoilt: str
) -> None:
    items.add(booking(study_instance_uid="1.2.3", status="IN_PROGRESS"))
    foreign(f"UPDATE worklist_items SET {spoilt}")
    if "patient_id" in spoilt:
        assert served(items) == []
    with items.database.write() as connection:
        plan, changed = Plan(), booking(accession_number="A2")
        known = known_items(connection, "test", [changed.source_record_id])
        plan_items(plan, known, [changed], Claims([], []))
        (part,) = parts(plan)
        apply_part(connection, part, NOW.isoformat())
    (item,) = items.find(EVERYTHING)
    assert item.accession_number == "A2"
    assert item.study_instance_uid == "1.2.3"
    assert item.status is ItemStatus.IN_PROGRESS
