"""Attributes beyond the model, by DICOM keyword."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pylantir.worklist.extras import is_keyword, nearest_keyword, parse_extra


@pytest.mark.parametrize(
    ("keyword", "value", "kept"),
    [
        ("PatientReligiousPreference", " none ", "none"),
        ("EthnicGroup", "x", "x"),
        ("PatientAge", "034Y", "034Y"),
        ("PatientBirthTime", "08:30", "083000"),
        ("DateOfSecondaryCapture", "2025-07-07", "20250707"),
        ("ScheduledProcedureStepModificationDateTime", "20250707", "20250707"),
        ("NumberOfTemporalPositions", "12", 12),
        ("SeriesNumber", 7, 7),
        ("SliceThickness", "1.50", "1.50"),
        ("MagneticFieldStrength", 3.0, "3"),
        ("PixelSpacing", "0.5\\0.25", ["0.5", "0.25"]),
        ("PixelSpacing", [0.5, 0.25], ["0.5", "0.25"]),
        ("OtherPatientNames", "A^B\\C^D", ["A^B", "C^D"]),
        ("OtherPatientNames", "A^B", ["A^B"]),
        ("StudyComments", "two\nlines", "two\nlines"),
        ("FailedSOPInstanceUIDList", "1.2.3", ["1.2.3"]),
        ("SmallestImagePixelValue", "5", 5),
    ],
)
def test_an_extra_is_kept_as_plain_json_in_the_form_of_its_vr(
    keyword: str, value: object, kept: Any
) -> None:
    parsed = parse_extra(keyword, value)
    assert parsed == kept
    assert json.loads(json.dumps(parsed)) == kept


def test_a_kept_extra_is_read_as_itself() -> None:
    for keyword, value in (("PixelSpacing", "0.5\\0.25"), ("PatientBirthTime", "08:30:01.5")):
        kept = parse_extra(keyword, value)
        assert parse_extra(keyword, kept) == kept


def test_a_sequence_is_a_list_of_objects_keyed_by_keyword() -> None:
    kept = parse_extra(
        "ReferencedStudySequence",
        [{"ReferencedSOPClassUID": "1.2.840.10008.3.1.2.3.1", "ReferencedSOPInstanceUID": "1.2"}],
    )
    assert kept == [
        {"ReferencedSOPClassUID": "1.2.840.10008.3.1.2.3.1", "ReferencedSOPInstanceUID": "1.2"}
    ]
    assert parse_extra("ReferencedStudySequence", {"ReferencedSOPInstanceUID": "1.2"}) == [
        {"ReferencedSOPInstanceUID": "1.2"}
    ]
    assert parse_extra("ReferencedStudySequence", []) == []


def test_sequences_may_be_nested_but_not_without_end() -> None:
    def nested(depth: int) -> Any:
        value: Any = [{"CodeValue": "1"}]
        for _ in range(depth - 1):
            value = [{"PurposeOfReferenceCodeSequence": value}]
        return value

    kept = parse_extra("PurposeOfReferenceCodeSequence", nested(5))
    assert kept == nested(5)
    with pytest.raises(ValueError, match="nested at most 5 deep"):
        parse_extra("PurposeOfReferenceCodeSequence", nested(6))


@pytest.mark.parametrize(
    ("keyword", "value", "reason"),
    [
        ("PatientReligiousPreferance", "x", "did you mean PatientReligiousPreference"),
        ("Zzz", "x", "expected a DICOM keyword"),
        ("", "x", "expected a DICOM keyword"),
        ("SpecificCharacterSet", "ISO_IR 192", "not of its encoding"),
        ("TransferSyntaxUID", "1.2.840.10008.1.2", "not of its encoding"),
        ("MessageID", 1, "not of its encoding"),
        ("ScheduledProcedureStepSequence", [{"Modality": "MR"}], "beside the others"),
        ("PixelData", "x", "PixelData is OB"),
        ("RescaleSlopeSequence", "x", "expected a DICOM keyword"),
        ("PatientAge", "34", "expected an age"),
        ("PixelSpacing", "0.5\\x", "expected a number"),
        ("PatientReligiousPreference", "x" * 65, "at most 64"),
        ("ReferencedStudySequence", "1.2.3", "list of objects"),
        ("ReferencedStudySequence", ["1.2.3"], "an object keyed by DICOM keyword"),
        ("ReferencedStudySequence", [{"ReferencedSOPInstanceUID": "1.x"}], "expected a UID"),
        ("ReferencedStudySequence", [{"Nonsense": "1"}], "expected a DICOM keyword"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_its_reason(
    keyword: str, value: object, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_extra(keyword, value)


def test_keywords_are_those_of_the_dictionary() -> None:
    assert is_keyword("PatientAge")
    assert not is_keyword("PatientYears")
    assert nearest_keyword("PatientNme") == "PatientName"
    assert nearest_keyword("xyzzy") == ""
