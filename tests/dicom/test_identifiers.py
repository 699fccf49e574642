"""From the bytes of a request to the query it means and the keys to answer (PS3.4 K.4.1.1)."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from tests.dicom.modality import encode
from tests.dicom.serving import everything, query

from pylantir.dicom.elements import Encoding
from pylantir.dicom.identifiers import (
    Asked,
    FindRequest,
    read_identifier,
    whole_item,
    whole_step,
)
from pylantir.dicom.keys import MAX_KEY_CHARACTERS, match_for
from pylantir.errors import InvalidQuery
from pylantir.worklist.attributes import BY_NAME, MODEL, Level
from pylantir.worklist.query import (
    AnyOf,
    CodeKey,
    Key,
    PersonName,
    Range,
    SingleValue,
    StartInterval,
    WildCard,
)
from pylantir.worklist.status import ItemStatus

IMPLICIT = Encoding(implicit_vr=True, little_endian=True)
STEP = "ScheduledProcedureStepSequence"


def read(ds: Dataset) -> FindRequest:
    return read_identifier(encode(ds), IMPLICIT)


def keywords(asked: tuple[Asked, ...] | None) -> list[str]:
    return [key.keyword for key in asked or ()]


# --- What is asked back ---


def test_keys_are_asked_back_in_the_order_of_the_request() -> None:
    request = read(query({"Modality": "MR"}, PatientName="Doe*", AccessionNumber=""))
    assert keywords(request.asked) == ["AccessionNumber", "PatientName", "PatientID", STEP]
    assert keywords(request.asked[-1].children) == ["Modality"]


@pytest.mark.parametrize("items", [[], [Dataset()]], ids=["no item", "empty item"])
def test_an_empty_step_sequence_asks_for_the_whole_step(items: list[Dataset]) -> None:
    ds = query()
    ds.ScheduledProcedureStepSequence = items
    assert read(ds).asked[-1].children == whole_step()


def test_the_whole_item_is_the_whole_model() -> None:
    *root, step = whole_item()
    assert {key.attribute for key in root} == {a for a in MODEL if a.level is Level.ROOT}
    assert {key.attribute for key in step.children or ()} == {
        a for a in MODEL if a.level is Level.STEP
    }


def test_everything_empty_is_a_query_for_everything() -> None:
    request = read(everything())
    assert (request.keys, request.codes, request.start, request.unsupported) == (
        (),
        (),
        None,
        False,
    )
    assert len(request.asked) == len([a for a in MODEL if a.level is Level.ROOT]) + 1


def test_what_describes_the_keys_is_neither_matched_nor_asked() -> None:
    request = read(
        query(character_set="ISO_IR 100", TimezoneOffsetFromUTC="+0100", QueryRetrieveLevel="STUDY")
    )
    assert (keywords(request.asked), request.unsupported) == (["PatientID"], False)
    assert request.character_set == ("ISO_IR 100",)


def test_an_attribute_beyond_the_model_is_asked_and_marked_unsupported() -> None:
    request = read(query(BodyPartExamined="HEAD"))
    assert keywords(request.asked) == ["PatientID", "BodyPartExamined"]
    assert request.unsupported
    assert request.keys == ()


def test_a_private_attribute_is_only_marked_unsupported() -> None:
    ds = query()
    ds.add_new(0x00091001, "LO", "private")
    request = read(ds)
    assert (keywords(request.asked), request.unsupported) == (["PatientID"], True)


def test_a_key_inside_a_sequence_that_is_never_matched_is_unsupported() -> None:
    part = Dataset()
    part.ReferencedSOPInstanceUID = "1.2.3"
    assert read(query(ReferencedStudySequence=[part])).unsupported
    part.ReferencedSOPInstanceUID = ""
    assert not read(query(ReferencedStudySequence=[part])).unsupported


# --- What is matched ---


def test_keys_of_both_levels_become_keys_of_the_query() -> None:
    request = read(query({"Modality": "MR"}, AccessionNumber="A1"))
    assert request.keys == (
        Key(BY_NAME["accession_number"], SingleValue("A1")),
        Key(BY_NAME["modality"], SingleValue("MR")),
    )


def test_both_ranges_of_the_start_become_one_interval() -> None:
    request = read(
        query(
            {
                "ScheduledProcedureStepStartDate": "20250705-20250707",
                "ScheduledProcedureStepStartTime": "10-18",
            }
        )
    )
    first, last = dt.datetime(2025, 7, 5, 10), dt.datetime(2025, 7, 7, 18)
    assert (request.keys, request.start) == ((), StartInterval(first, last))


def test_the_parts_of_a_code_become_one_key() -> None:
    code = Dataset()
    code.CodeValue, code.CodeMeaning = "T*", ""
    request = read(query(RequestedProcedureCodeSequence=[code]))
    attribute = BY_NAME["requested_procedure_codes"]
    assert request.codes == (CodeKey(attribute, (("value", WildCard("T*")),)),)


@pytest.mark.parametrize(
    ("vr", "text", "expected"),
    [
        ("LO", "", None),
        ("LO", "***", None),
        ("LO", "  * ", None),
        ("LO", " MR ", SingleValue("MR")),
        ("LO", "MR\0", SingleValue("MR")),
        ("CS", "M?", WildCard("M?")),
        ("CS", "MR\\CT", AnyOf((SingleValue("MR"), SingleValue("CT")))),
        ("CS", "MR\\", SingleValue("MR")),
        ("CS", "\\", None),
        ("LT", "a\\b", SingleValue("a\\b")),
        ("PN", "Müller^Zoë^^", PersonName("muller^zoe")),
        ("PN", "^^", None),
        ("UI", "1.2\\1.3", AnyOf((SingleValue("1.2"), SingleValue("1.3")))),
        ("DA", "20250707", SingleValue(dt.date(2025, 7, 7))),
        ("DA", "2025.07.07", SingleValue(dt.date(2025, 7, 7))),
        ("DA", "-20250707", Range(None, dt.date(2025, 7, 7))),
        ("TM", "1200", SingleValue(dt.time(12))),
        ("TM", "120000-", Range(dt.time(12), None)),
        ("TM", "235960", SingleValue(dt.time(23, 59, 59))),
        ("US", "2", SingleValue(2)),
    ],
)
def test_the_text_of_a_key_says_how_it_matches(vr: str, text: str, expected: object) -> None:
    assert match_for("Anything", vr, text) == expected


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        ("STARTED", {ItemStatus.IN_PROGRESS}),
        ("in progress", {ItemStatus.IN_PROGRESS}),
        ("SCHEDULED\\CANCELED", {ItemStatus.SCHEDULED, ItemStatus.CANCELLED}),
        ("S*", {ItemStatus.SCHEDULED, ItemStatus.IN_PROGRESS}),
        ("NOTHING", set()),
        ("Z*", set()),
    ],
)
def test_a_status_is_known_by_all_its_names(text: str, accepted: set[ItemStatus]) -> None:
    match = match_for("ScheduledProcedureStepStatus", "CS", text)
    assert match is not None
    assert {status for status in ItemStatus if match.accepts(status)} == accepted


@pytest.mark.parametrize(
    ("vr", "text"),
    [
        ("DA", "soon"),
        ("DA", "-"),
        ("DA", "20250230"),
        ("DA", "20250701\\20250702"),
        ("TM", "24"),
        ("UI", "1.2.*"),
        ("UI", "1.02"),
        ("DS", "heavy"),
        ("DS", "NaN"),
        ("US", "two"),
        ("LO", "x" * (MAX_KEY_CHARACTERS + 1)),
    ],
)
def test_a_key_without_meaning_is_refused_without_its_value(vr: str, text: str) -> None:
    with pytest.raises(InvalidQuery) as refused:
        match_for("Anything", vr, text)
    assert str(refused.value).startswith("Anything: expected")
    assert text not in refused.value.for_log.replace("Anything: expected", "")


# --- What is refused ---


def test_a_sequence_in_place_of_a_value_is_refused() -> None:
    data = bytes.fromhex("10002000fffffffffeffdde000000000")
    with pytest.raises(InvalidQuery, match="PatientID: expected a value, not a sequence"):
        read_identifier(data, IMPLICIT)


def test_a_value_in_place_of_a_sequence_is_refused() -> None:
    data = b"\x40\x00\x00\x01LO\x02\x00MR"
    with pytest.raises(InvalidQuery, match=f"{STEP}: expected a sequence"):
        read_identifier(data, Encoding(implicit_vr=False, little_endian=True))


def test_a_number_of_the_wrong_length_is_refused() -> None:
    data = bytes.fromhex("1000c0210400000001000000")
    with pytest.raises(InvalidQuery, match="PregnancyStatus: expected a 16 bit number"):
        read_identifier(data, IMPLICIT)


@given(st.binary(min_size=1, max_size=400))
def test_random_bytes_are_never_a_query_for_everything(data: bytes) -> None:
    for syntax in (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian):
        encoding = Encoding(syntax.is_implicit_VR, syntax.is_little_endian)
        try:
            request = read_identifier(data, encoding)
        except InvalidQuery:
            continue
        assert any(key.attribute is not None or key.tag == 0x00400100 for key in request.asked)
