"""Bookings as DICOM JSON: what goes out comes back, and that of others is read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from tests.dicom.exchanged import MANY, content, from_json, only, worklist
from tests.worklist.any_item import any_items
from tests.worklist.bookings import booking

from pylantir.dicom.worklist_files import write_dicom_json
from pylantir.worklist.item import WorklistItem

# --- What we write ---


@MANY
@given(any_items())
def test_every_field_and_extra_survives_dicom_json(item: WorklistItem) -> None:
    assert content(only(from_json(write_dicom_json([item])))) == content(item)


def test_several_items_are_several_data_sets_of_dicom_json() -> None:
    bookings = [booking("1"), booking("2", patient_name="Müller^Zoë")]
    written = json.loads(write_dicom_json(bookings))
    assert written[1]["00100010"]["Value"] == [{"Alphabetic": "Müller^Zoë"}]
    assert len(from_json(json.dumps(written)).items) == 2
    assert json.loads(write_dicom_json([])) == []


def test_decimals_are_numbers_in_dicom_json_where_nothing_is_lost() -> None:
    item = booking(patient_weight="72.5", patient_size="2", SliceThickness="0.50")
    (written,) = json.loads(write_dicom_json([item]))
    assert written["00101030"]["Value"] == [72.5]
    assert written["00101020"]["Value"] == [2]
    assert written["00180050"]["Value"] == ["0.50"]


# --- DICOM JSON of others ---


def dicom_json(**attributes: Any) -> dict[str, Any]:
    written: dict[str, Any] = json.loads(worklist().to_json())
    return {**written, **attributes}


def test_dicom_json_of_others_is_read() -> None:
    pydicom = dicom_json()
    lower = {tag.lower(): value for tag, value in dicom_json().items()}
    for entry in (pydicom, lower):
        assert only(from_json(json.dumps([entry]))).source_record_id == "1.2.3/SPS1"


def test_dicom_json_holds_names_in_groups_numbers_and_null() -> None:
    entry = dicom_json()
    groups = {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎"}
    entry["00100010"] = {"vr": "PN", "Value": [groups]}
    entry["00101030"] = {"vr": "DS", "Value": [72.5]}
    entry["00100040"] = {"vr": "CS", "Value": [None]}
    entry["00102110"] = {"vr": "LO", "Value": ["Latex", "Nickel"]}
    entry["00081120"] = {"vr": "SQ", "Value": [None]}
    item = only(from_json(json.dumps(entry)))
    assert item.patient_name == "Yamada^Tarou=山田^太郎"
    assert (str(item.patient_weight_kg), item.patient_sex) == ("72.5", "")
    assert item.allergies == ("Latex", "Nickel")


def test_dicom_json_leaves_out_what_an_item_cannot_keep() -> None:
    entry = dicom_json()
    entry["00020010"] = {"vr": "UI", "Value": ["1.2.840.10008.1.2.1"]}
    entry["00091001"] = {"vr": "LO", "Value": ["private"]}
    entry["00080005"] = {"vr": "CS", "Value": ["ISO_IR 192"]}
    entry["7FE00010"] = {"vr": "OW", "InlineBinary": "AAAA"}
    importer = from_json(json.dumps([entry]))
    assert only(importer).extras == {}
    assert importer.notes == ["1.wl: neither text nor number, left out: PixelData"]


@pytest.mark.parametrize(
    ("attribute", "text"),
    [
        ({"00100020": "P1"}, "PatientID: expected an object with vr and a list of values"),
        ({"00100020": {"vr": "LO", "Value": "P1"}}, "PatientID: expected an object with vr"),
        ({"00100020": {"vr": "LO", "Value": [["P1"]]}}, "PatientID: expected text or a number"),
        ({"00100020": {"vr": "LO", "Value": [True]}}, "PatientID: expected text or a number"),
        ({"00100020": {"vr": "LO", "Value": ["a", "b"]}}, "expected one value: text or a number"),
        ({"00400100": {"vr": "SQ", "Value": ["x"]}}, "expected a data set in DICOM JSON"),
        ({"00400100": {"vr": "SQ"}}, "there is no scheduled step"),
        ({"00400100": {"vr": "SQ", "Value": [{"Modality": 1}]}}, "a tag of eight hexadecimal"),
        ({"00400100": {"vr": "SQ", "Value": [{}]}}, "modality: required, but empty"),
        ({"00100030": {"vr": "DA", "Value": ["soon"]}}, "patient_birth_date: expected a date"),
    ],
)
def test_broken_dicom_json_is_refused_by_its_place(attribute: dict[str, Any], text: str) -> None:
    entries = [dicom_json(), dicom_json(**attribute)]
    importer = from_json(json.dumps(entries))
    assert len(importer.items) == 1
    assert str(importer.refused[0]).startswith("1.wl, object 2: ")
    assert text in str(importer.refused[0])
