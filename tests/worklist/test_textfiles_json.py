"""Plain JSON of anybody: what is not JSON, or of the wrong shape, is named by its place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.worklist.textual import ROW, from_json, only, reasons

from pylantir.worklist.textfiles import UnreadableText, is_dicom_json, parse_json


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'[{"patient_id": "P1"', "not JSON: Expecting"),
        (b"[NaN]", "not JSON: NaN"),
        (b'{"patient_id": "1", "patient_id": "2"}', "'patient_id' stands twice in one object"),
        (b'"text"', "expected a list of objects"),
        (b"[" * 100_000, "not JSON: nested too deep"),
        (b"[" * 90 + b"]" * 90, "not JSON: nested too deep"),
        (b"1" * 5000, "limit"),
        (b"\x80\x81", "not text"),
    ],
)
def test_what_is_not_json_says_where(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableText, match=reason):
        parse_json(data)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("patient_name", {"family": "Doe"}),
        ("patient_name", ["Doe"]),
        ("patient_id", True),
        ("modality", [["MR"]]),
        ("allergies", [{"a": 1}]),
        ("PatientMotherBirthName", {"Alphabetic": "x"}),
        ("source_record_id", ["1"]),
        ("protocol_code", {"value": 1}),
        ("extras", {"OtherPatientIDsSequence": [{"PatientID": ["a", "b"]}]}),
    ],
)
def test_a_value_of_the_wrong_shape_is_refused(name: str, value: Any) -> None:
    (reason,) = reasons(from_json(json.dumps({**ROW, name: value})))
    assert "expected one value: text or a number" in reason


def test_numbers_lists_and_null_are_what_they_look_like() -> None:
    values = {
        **ROW,
        "patient_id": 12,
        "patient_weight": 72.5,
        "station_aet": ["MR1", "MR2"],
        "allergies": None,
        "medical_alerts": [],
        "patient_size_m": "",
    }
    item = only(from_json(json.dumps(values)))
    assert (item.patient_id, str(item.patient_weight_kg)) == ("12", "72.5")
    assert item.scheduled_station_ae_title == ("MR1", "MR2")
    assert (item.allergies, item.medical_alerts, item.patient_size_m) == ((), (), None)


def test_what_is_no_object_is_refused_by_its_place() -> None:
    importer = from_json(json.dumps([ROW, 17, None]))
    assert len(importer.items) == 1
    assert [refusal.where for refusal in importer.refused] == ["object 2", "object 3"]


def test_dicom_json_is_told_by_its_shape() -> None:
    assert is_dicom_json([{"00100010": {"vr": "PN"}}, {"0020000d": {"vr": "UI"}}])
    assert not is_dicom_json([ROW])
    assert not is_dicom_json([])
    assert not is_dicom_json([{}, 17])
