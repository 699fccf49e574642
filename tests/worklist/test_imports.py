"""What identifies a booking that comes out of a file, and what happens when it comes twice."""

from __future__ import annotations

from typing import Any

import pytest

from pylantir.errors import ValueProblem
from pylantir.worklist.imports import Importer, Reading, Record, refused_file
from pylantir.worklist.store import ItemStore

VALUES = {
    "patient_name": "Doe^Jane",
    "patient_id": "P1",
    "modality": "MR",
    "start_date": "2026-03-02",
    "start_time": "09:00",
    "station_aet": "MR1",
}


def importing(*bookings: dict[str, Any], **options: Any) -> Importer:
    importer = Importer(**options)
    records = [Record(f"row {n}", values) for n, values in enumerate(bookings, start=2)]
    importer.take("a.csv", Reading(tuple(records)))
    return importer


def record_id(**values: Any) -> str:
    (item,) = importing({**VALUES, **values}).items
    assert item.data_source == "import"
    return item.source_record_id


def test_a_record_id_that_the_file_gives_is_kept() -> None:
    assert record_id(source_record_id=" 17_1 ", study_instance_uid="1.2.3", step_id="S") == "17_1"


def test_a_booking_is_known_by_study_and_step_else_by_accession_and_step() -> None:
    assert record_id(study_instance_uid="1.2.3", step_id="S1", accession="A1") == "1.2.3/S1"
    assert record_id(accession="A1", step_id="S1") == "A1/S1"
    assert "/" not in record_id(study_instance_uid="1.2.3")


def test_a_booking_without_identifiers_is_known_by_patient_start_and_station() -> None:
    known = record_id()
    assert known == record_id(patient_name="Roe^Ann", patient_weight=70)
    assert known == record_id(start_date="20260302", start_time="0900", station_aet=["MR1"])
    others = [
        record_id(patient_id="P2"),
        record_id(start_date="2026-03-03"),
        record_id(start_time="09:01"),
        record_id(station_aet="MR2"),
        record_id(station_aet=""),
    ]
    assert len({known, *others}) == 6
    assert "P1" not in known


def test_importing_twice_changes_nothing(items: ItemStore) -> None:
    bookings = (VALUES, {**VALUES, "patient_id": "P2", "step_id": "S", "accession": "A"})
    first = items.put(importing(*bookings, authority="site").items)
    second = items.put(importing(*bookings, authority="site").items)
    assert (first.created, second.created, second.updated, second.unchanged) == (2, 0, 0, 2)


def test_a_booking_that_comes_twice_counts_once() -> None:
    importer = importing(VALUES, dict(VALUES))
    assert (len(importer.items), importer.refused) == (1, [])


def test_a_booking_that_comes_twice_with_other_values_is_refused() -> None:
    importer = importing(VALUES, {**VALUES, "patient_name": "Roe^Ann"})
    assert [item.patient_name for item in importer.items] == ["Doe^Jane"]
    (refusal,) = importer.refused
    assert "row 3: source_record_id: the same booking as a.csv, row 2, with" in str(refusal)


def test_one_scheduled_step_under_two_record_ids_is_refused() -> None:
    step = {**VALUES, "study_instance_uid": "1.2.3", "step_id": "S1"}
    importer = importing({**step, "source_record_id": "1"}, {**step, "source_record_id": "2"})
    assert len(importer.items) == 1
    assert "the same scheduled step as a.csv, row 2" in str(importer.refused[0])


@pytest.mark.parametrize("wrong", ["x" * 256, "1\x1b[2J", "1\ud800"])
def test_a_record_id_that_no_person_could_type_is_refused(wrong: str) -> None:
    importer = importing({**VALUES, "source_record_id": wrong})
    assert importer.items == []
    assert "expected at most 255 printable characters" in str(importer.refused[0])
    assert str(importer.refused[0]).isprintable()


def test_the_source_is_the_importers_unless_the_file_may_name_it() -> None:
    values = {**VALUES, "data_source": "redcap"}
    assert importing(values, data_source="clinic").items[0].data_source == "clinic"
    assert importing(values, keep_source=True).items[0].data_source == "redcap"
    assert importing(VALUES, keep_source=True).items[0].data_source == "import"


def test_what_the_reader_found_wrong_refuses_the_booking() -> None:
    importer = Importer()
    problem = ValueProblem("extras", "{", "not JSON")
    doubt = ValueProblem("PatientID", "", "doubtful")
    importer.take("a", Reading((Record("row 2", VALUES, (problem,), (doubt,)),)))
    importer.take("b", Reading((Record("", VALUES, (), (doubt,)),)))
    importer.take("c", Reading((Record("", {**VALUES, "modality": "?"}, (), (doubt,)),)))
    assert importer.items == []
    assert [str(refusal) for refusal in importer.refused] == [
        "a, row 2: extras: not JSON, got '{'",
        "b: PatientID: doubtful",
        "c: modality: expected only A-Z, 0-9, space and underscore, got '?'",
    ]


def test_an_item_can_be_taken_back() -> None:
    importer = importing(VALUES)
    importer.refuse(importer.items[0], "too late")
    assert importer.items == []
    assert "a.csv, row 2: study_instance_uid: too late" in str(importer.refused[0])


def test_every_problem_of_a_booking_is_told_at_once() -> None:
    importer = importing({"patient_id": ["P1"], "colour": "red", "start_date": "soon"})
    fields = {problem.field for problem in importer.refused[0].problems}
    assert {"patient_id", "colour", "modality", "patient_name"} <= fields
    assert "scheduled_procedure_step_start_date" in fields


def test_a_refused_file_says_so_once() -> None:
    importer = Importer()
    importer.take("a.csv", refused_file("empty"))
    assert [str(refusal) for refusal in importer.refused] == ["a.csv: file: empty"]
