"""Items as CSV and plain JSON: what goes out comes back, whatever a column is called."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.worklist.any_item import any_items
from tests.worklist.bookings import booking
from tests.worklist.textual import MANY, ROW, csv_of, from_csv, from_json, only, reasons

from pylantir.worklist.attributes import FIELDS
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.textfiles import write_csv, write_json
from pylantir.worklist.values import Code

# The columns of a worklist that another program exports, values as it writes them.
FOREIGN: dict[str, str] = {
    "study_instance_uid": "1.2.826.0.1.3680043.8.498.7.10.1",
    "patient_name": "HASSAN^ANNA",
    "patient_id": "0000001",
    "patient_birth_date": "19420109",
    "patient_sex": "F",
    "patient_weight": "61",
    "accession_number": "0000017",
    "referring_physician": "WEBER^LENA",
    "performing_physician": "LEROY^ALICE",
    "modality": "MR",
    "study_description": "STUDY 018",
    "procedure_id": "RP0000001",
    "procedure_description": "MRI brain 3T",
    "step_id": "SPS0000001",
    "step_description": "Brain",
    "protocol_code": "BRAIN_MRI_3T",
    "protocol_meaning": "MRI brain 3T, research",
    "station_aet": "MRC1",
    "station_name": "PRISMA_1",
    "location": "MR ROOM 1",
    "start_date": "20260302",
    "start_time": "090000",
}


# --- Round trips ---


@MANY
@given(st.lists(any_items(), min_size=1, max_size=3, unique_by=lambda i: i.source_record_id))
def test_every_field_and_extra_survives_csv(items: list[WorklistItem]) -> None:
    read = from_csv(write_csv(items).encode("utf-8-sig"), keep_source=True)
    assert [str(refusal) for refusal in read.refused] == []
    assert [item.content() for item in read.items] == [item.content() for item in items]


@MANY
@given(any_items())
def test_every_field_and_extra_survives_json(item: WorklistItem) -> None:
    assert only(from_json(write_json([item]), keep_source=True)).content() == item.content()


def test_no_items_are_a_header_and_an_empty_list() -> None:
    assert write_csv([]).startswith("scheduled_station_aetitle,")
    assert from_csv(write_csv([]).encode()).items == []
    assert json.loads(write_json([])) == []


def test_each_item_of_json_stands_on_its_own_line() -> None:
    lines = write_json([booking("1"), booking("2")]).splitlines()
    assert [line.strip(",")[:1] for line in lines] == ["[", "{", "{", "]"]


def test_kanji_survive_both_formats() -> None:
    name = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    assert only(from_csv(csv_of({**ROW, "patient_name": name}))).patient_name == name
    assert only(from_json(json.dumps({**ROW, "patient_name": name}))).patient_name == name


# --- Names ---


@pytest.mark.parametrize("read", [from_csv, from_json])
def test_the_columns_of_another_program_are_understood(read: Any) -> None:
    data = csv_of(FOREIGN) if read is from_csv else json.dumps([FOREIGN])
    item = only(read(data, default_scheme="99LOCAL"))
    assert item.study_instance_uid == "1.2.826.0.1.3680043.8.498.7.10.1"
    assert (item.patient_name, item.patient_id) == ("HASSAN^ANNA", "0000001")
    assert item.patient_birth_date is not None
    assert item.patient_birth_date.isoformat() == "1942-01-09"
    assert (item.patient_sex, str(item.patient_weight_kg)) == ("F", "61")
    assert item.accession_number == "0000017"
    assert item.referring_physician_name == "WEBER^LENA"
    assert item.scheduled_performing_physician_name == "LEROY^ALICE"
    assert (item.modality, item.study_description) == ("MR", "STUDY 018")
    assert item.requested_procedure_id == "RP0000001"
    assert item.requested_procedure_description == "MRI brain 3T"
    assert item.scheduled_procedure_step_id == "SPS0000001"
    assert item.scheduled_procedure_step_description == "Brain"
    assert item.scheduled_protocol_codes == (
        Code("BRAIN_MRI_3T", "99LOCAL", "MRI brain 3T, research"),
    )
    assert item.scheduled_station_ae_title == ("MRC1",)
    assert item.scheduled_station_name == ("PRISMA_1",)
    assert item.scheduled_procedure_step_location == "MR ROOM 1"
    assert item.start.isoformat() == "2026-03-02T09:00:00"
    assert item.extras == {}


def test_every_name_of_the_attribute_table_may_head_a_column() -> None:
    for attribute in FIELDS:
        for name in (attribute.name, attribute.column, attribute.keyword, *attribute.alias):
            table = csv_of({**ROW, name: ROW.get(name, "")})
            assert "unknown" not in "".join(map(str, from_csv(table).refused)), name


def test_a_dicom_keyword_beyond_the_model_is_an_extra() -> None:
    item = only(from_csv(csv_of({**ROW, "PatientMotherBirthName": "Roe^Ann"})))
    assert item.extras == {"PatientMotherBirthName": "Roe^Ann"}


def test_an_unknown_column_is_named_with_the_nearest_known_one() -> None:
    (reason,) = reasons(from_csv(csv_of({**ROW, "patient_weigth": "70"})))
    assert reason.startswith("bookings.csv, row 1: column: unknown name")
    assert "did you mean patient_weight" in reason
    assert "'patient_weigth'" in reason


def test_an_unknown_column_can_be_left_out_on_request() -> None:
    importer = from_csv(csv_of({**ROW, "colour": "red"}), ignore_unknown=True)
    assert only(importer).patient_id == "P1"
    assert importer.notes == ["bookings.csv: columns left out: colour"]


def test_an_unknown_key_of_json_refuses_its_object_only() -> None:
    importer = from_json(json.dumps([{**ROW, "colour": "red"}, {**ROW, "patient_id": "P2"}]))
    assert [item.patient_id for item in importer.items] == ["P2"]
    assert "object 1: colour: unknown name" in str(importer.refused[0])
    assert len(from_json(json.dumps({**ROW, "colour": "red"}), ignore_unknown=True).items) == 1


def test_two_columns_of_one_attribute_are_refused() -> None:
    found = reasons(from_csv(csv_of({**ROW, "scheduled_start_date": "2026-03-03"})))
    assert "scheduled_procedure_step_start_date stands in several columns" in found[0]


def test_two_keys_of_one_attribute_must_agree() -> None:
    assert only(from_json(json.dumps({**ROW, "PatientID": "P1"}))).patient_id == "P1"
    (reason,) = reasons(from_json(json.dumps({**ROW, "PatientID": "P2"})))
    assert "given twice, the other time as 'P1'" in reason


def test_numbers_and_times_of_the_database_are_read_over() -> None:
    values = {**ROW, "id": "17", "created_at": "2026-01-01", "version": "3"}
    assert only(from_csv(csv_of(values))).item_id is None


# --- Codes ---


def test_a_code_without_a_scheme_is_kept_as_a_description_only() -> None:
    values = {**ROW, "protocol_code": "DTI_64", "protocol_meaning": "Diffusion"}
    importer = from_csv(csv_of(values))
    item = only(importer)
    assert item.scheduled_protocol_codes == ()
    assert item.scheduled_procedure_step_description == "Diffusion"
    assert importer.notes == [
        "bookings.csv: codes left out because nothing names their coding scheme: 1"
    ]


@pytest.mark.parametrize("column", ["protocol_scheme", "hisris_coding_designator"])
def test_a_code_takes_its_scheme_from_a_column(column: str) -> None:
    values = {**ROW, "protocol_code": "DTI_64", column: "99MR"}
    item = only(from_csv(csv_of(values), default_scheme="99OTHER"))
    assert item.scheduled_protocol_codes == (Code("DTI_64", "99MR"),)


def test_a_procedure_code_may_be_spread_over_columns() -> None:
    values = {**ROW, "procedure_code": "B3", "procedure_meaning": "Brain", "procedure_scheme": "L"}
    assert only(from_csv(csv_of(values))).requested_procedure_codes == (Code("B3", "L", "Brain"),)


def test_codes_and_extras_stand_in_a_cell_as_json() -> None:
    codes = [{"value": "A", "scheme": "99L"}, {"value": "B", "scheme": "99L", "meaning": "b"}]
    extras = {"PatientAge": "045Y", "OtherPatientIDsSequence": [{"PatientID": "X"}]}
    values = {**ROW, "scheduled_protocol_codes": json.dumps(codes), "extras": json.dumps(extras)}
    item = only(from_csv(csv_of(values)))
    assert [code.value for code in item.scheduled_protocol_codes] == ["A", "B"]
    assert item.extras == extras


@pytest.mark.parametrize(
    ("column", "cell", "reason"),
    [
        ("extras", "{oops", "expected JSON in this column"),
        ("extras", "[1]", "expected an object keyed by DICOM keyword"),
        ("extras", '{"extras": {}}', "expected no extras within extras"),
        ("extras", '{"PixelData": "x"}', "expected a text, number or sequence attribute"),
        ("extras", '{"PatientAddres": "x"}', "unknown name (did you mean PatientAddress?)"),
        ("scheduled_protocol_codes", "BRAIN", "expected JSON in this column"),
        ("ReferencedStudySequence", "[{]", "expected JSON in this column"),
        ("extras", "[" * 100 + "]" * 100, "nested too deep"),
    ],
)
def test_a_cell_that_is_not_its_json_is_refused(column: str, cell: str, reason: str) -> None:
    (found,) = reasons(from_csv(csv_of({**ROW, column: cell})))
    assert found.startswith("bookings.csv, row 2: ")
    assert reason in found


# --- Formulas ---


@pytest.mark.parametrize("text", ["=1+1", "+49 1", "-5", "@SUM(A1)", "'=1+1", "''@x", "＝1"])
def test_a_formula_is_neutralised_on_export_and_comes_back(text: str) -> None:
    item = booking(patient_comments=text, patient_id=text)
    written = write_csv([item])
    cells = next(iter(csv.DictReader(io.StringIO(written, newline=""))))
    assert cells["patient_comments"] == cells["patient_id"] == f"'{text}"
    assert only(from_csv(written.encode(), keep_source=True)).content() == item.content()


def test_an_apostrophe_before_anything_else_is_kept() -> None:
    item = booking(patient_name="'t Hooft^Jan")
    assert "\"'t" not in write_csv([item])
    assert only(from_csv(write_csv([item]).encode())).patient_name == "'t Hooft^Jan"
