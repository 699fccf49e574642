"""What a worklist answer holds: return keys of types 1, 2 and 3 (PS3.4 K.2.2.1.2, K.4.1.1.3.2)."""

from __future__ import annotations

import struct

import pytest
from pydicom.dataset import Dataset
from tests.dicom.serving import STEP_SEQUENCE, Server, everything, query, step_of
from tests.worklist.bookings import booking

from pylantir.worklist.attributes import MODEL, Attribute, Level

STEP_ATTRIBUTES = [a for a in MODEL if a.level is Level.STEP]
CODES = [{"value": "T1", "scheme": "99SITE", "meaning": "T1 weighted"}]


def keywords(ds: Dataset) -> list[str]:
    return [element.keyword for element in ds]


def only(server: Server, identifier: Dataset) -> Dataset:
    """The single item of an answer."""
    (item,) = server.find(identifier).items
    return item


# --- 12. Return keys ---


def test_the_answer_holds_exactly_the_keys_that_were_asked(server: Server) -> None:
    server.book("1", accession_number="A1", patient_sex="F", allergies="latex")
    item = only(server, query({"Modality": ""}, PatientName="Doe*", AccessionNumber=""))
    assert keywords(item) == ["AccessionNumber", "PatientName", "PatientID", STEP_SEQUENCE]
    assert keywords(step_of(item)) == ["Modality"]


def test_a_single_key_gets_a_single_element(server: Server) -> None:
    server.book("1")
    ds = Dataset()
    ds.PatientName = ""
    assert keywords(only(server, ds)) == ["PatientName"]


def test_matching_keys_come_back_with_the_values_of_the_item(server: Server) -> None:
    server.book("1", patient_name="Doe^Jane")
    item = only(server, query({"ScheduledProcedureStepStartDate": "20250701-"}, PatientName="d*"))
    assert str(item.PatientName) == "Doe^Jane"
    assert step_of(item).ScheduledProcedureStepStartDate == "20250707"


@pytest.mark.parametrize(
    "attribute",
    [a for a in MODEL if a.return_type in ("1", "1C") and not a.is_sequence],
    ids=lambda a: a.keyword,
)
def test_type_1_always_has_a_value(server: Server, attribute: Attribute) -> None:
    server.book("1")
    keys = {attribute.keyword: ""}
    item = only(server, query(keys) if attribute.level is Level.STEP else query(**keys))
    level = step_of(item) if attribute.level is Level.STEP else item
    assert not level[attribute.keyword].is_empty


@pytest.mark.parametrize(
    "attribute",
    [a for a in MODEL if a.return_type in ("2", "2C", "3") and a.name != "status"],
    ids=lambda a: a.keyword,
)
def test_what_is_unknown_comes_back_empty(server: Server, attribute: Attribute) -> None:
    server.book("1")
    value = [] if attribute.is_sequence else None
    keys = {attribute.keyword: value}
    item = only(server, query(keys) if attribute.level is Level.STEP else query(**keys))
    level = step_of(item) if attribute.level is Level.STEP else item
    assert level[attribute.keyword].is_empty


def test_an_item_without_a_station_is_answered_with_the_scanner_that_asks(server: Server) -> None:
    server.book("1", scheduled_station_ae_title="")
    asked = only(server, query({"ScheduledStationAETitle": "MR7"}))
    unasked = only(server, query({"ScheduledStationAETitle": ""}))
    wild = only(server, query({"ScheduledStationAETitle": "MR*"}))
    titles = [step_of(item).ScheduledStationAETitle for item in (asked, unasked, wild)]
    assert titles == ["MR7", "MR1", "MR1"]


# --- 13. Sequences ---


@pytest.mark.parametrize("items", [[], [Dataset()]], ids=["zero items", "an empty item"])
def test_an_empty_key_sequence_asks_for_the_whole_step(
    server: Server, items: list[Dataset]
) -> None:
    server.book("1", requested_contrast_agent="gadolinium")
    ds = query()
    ds.ScheduledProcedureStepSequence = items
    step = step_of(only(server, ds))
    assert set(keywords(step)) == {a.keyword for a in STEP_ATTRIBUTES}
    assert step.RequestedContrastAgent == "gadolinium"
    assert step.ScheduledProcedureStepStartTime == "083000"


def test_an_absent_key_sequence_is_absent_from_the_answer(server: Server) -> None:
    server.book("1")
    assert STEP_SEQUENCE not in only(server, query())


def test_an_empty_code_sequence_key_asks_for_whole_codes(server: Server) -> None:
    server.book("1", scheduled_protocol_codes=CODES)
    (code,) = step_of(
        only(server, query({"ScheduledProtocolCodeSequence": []}))
    ).ScheduledProtocolCodeSequence
    assert keywords(code) == ["CodeValue", "CodingSchemeDesignator", "CodeMeaning"]
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("T1", "99SITE")


def test_a_code_is_answered_with_the_parts_that_were_asked(server: Server) -> None:
    server.book("1", requested_procedure_codes=CODES)
    asked = Dataset()
    asked.CodeValue = asked.CodingSchemeVersion = ""
    item = only(server, query(RequestedProcedureCodeSequence=[asked]))
    (code,) = item.RequestedProcedureCodeSequence
    assert keywords(code) == ["CodeValue", "CodingSchemeVersion"]
    assert (code.CodeValue, code.CodingSchemeVersion) == ("T1", "")


def test_a_type_2_sequence_without_data_has_no_items(server: Server) -> None:
    server.book("1")
    asked = Dataset()
    asked.ReferencedSOPClassUID = asked.ReferencedSOPInstanceUID = ""
    item = only(server, query(ReferencedStudySequence=[asked], ReferencedPatientSequence=[]))
    assert list(item.ReferencedStudySequence) == list(item.ReferencedPatientSequence) == []


# --- 14. Granularity ---


def test_two_steps_of_one_procedure_are_two_answers_of_one_study(server: Server) -> None:
    shared = {"study_instance_uid": "1.2.3", "requested_procedure_id": "RP1"}
    server.book("1", scheduled_procedure_step_id="S1", **shared)
    server.book("2", scheduled_procedure_step_id="S2", **shared)
    items = server.find(query({"ScheduledProcedureStepID": ""}, StudyInstanceUID="")).items
    assert [str(item.StudyInstanceUID) for item in items] == ["1.2.3", "1.2.3"]
    assert [step_of(item).ScheduledProcedureStepID for item in items] == ["S1", "S2"]


# --- 8. Unsupported keys, and attributes beyond the model ---


def test_supported_keys_are_pending_without_warning(server: Server) -> None:
    server.book("1")
    assert server.find(query({"Modality": "MR"})).codes == [0xFF00]


def test_an_unsupported_key_is_ignored_for_matching_and_warned_about(server: Server) -> None:
    server.book("1")
    answer = server.find(query(BodyPartExamined="HEAD"))
    assert (answer.status, answer.codes) == (0x0000, [0xFF01])
    assert keywords(answer.items[0]) == ["PatientID"]


def test_an_extra_is_answered_where_an_item_has_it(server: Server) -> None:
    server.items.put([booking("1", BodyPartExamined="HEAD"), booking("2")])
    first, second = server.find(query(BodyPartExamined="")).items
    assert first.BodyPartExamined == "HEAD"
    assert "BodyPartExamined" not in second


def test_an_extra_that_is_a_sequence_is_answered_with_the_parts_that_were_asked(
    server: Server,
) -> None:
    other = [{"PatientID": "X-1", "IssuerOfPatientID": "Elsewhere"}]
    server.items.put([booking("1", OtherPatientIDsSequence=other)])
    asked = Dataset()
    asked.PatientID = ""
    (part,) = only(server, query(OtherPatientIDsSequence=[asked])).OtherPatientIDsSequence
    assert keywords(part) == ["PatientID"]
    (whole,) = only(server, query(OtherPatientIDsSequence=[])).OtherPatientIDsSequence
    assert keywords(whole) == ["PatientID", "IssuerOfPatientID"]


def test_private_and_unknown_attributes_are_not_answered(server: Server) -> None:
    server.book("1")
    ds = query()
    ds.add_new(0x00091001, "LO", "private")
    ds.add_new(0x00081FFF, "LO", "no such attribute")
    answer = server.find(ds)
    assert (answer.status, answer.codes) == (0x0000, [0xFF01])
    assert keywords(answer.items[0]) == ["PatientID"]


def test_a_query_level_belongs_to_another_model_and_is_tolerated(server: Server) -> None:
    server.book("1")
    answer = server.find(query(QueryRetrieveLevel="PATIENT"))
    assert (answer.codes, keywords(answer.items[0])) == ([0xFF00], ["PatientID"])


def test_an_attribute_at_the_wrong_level_is_no_key(server: Server) -> None:
    server.book("1")
    ds = query({"PatientName": "Nobody"}, ScheduledProcedureStepID="nothing")
    answer = server.find(ds)
    assert (answer.status, answer.codes) == (0x0000, [0xFF01])
    assert keywords(answer.items[0]) == ["PatientID", STEP_SEQUENCE]


def test_an_answer_to_unknown_keys_of_a_step_still_has_its_item(server: Server) -> None:
    server.book("1")
    ds = query()
    step = Dataset()
    step.add_new(0x00091001, "LO", "private")
    ds.ScheduledProcedureStepSequence = [step]
    assert keywords(step_of(only(server, ds))) == []


# --- What scanners ask for ---


def test_elements_of_an_answer_stand_in_ascending_order(server: Server) -> None:
    server.book("1")
    ds = everything()
    (raw,) = server.find(ds).encoded
    tags = root_tags(raw)
    assert tags == [element.tag for element in ds]


def root_tags(data: bytes) -> list[int]:
    """Tags of an implicit VR little endian data set, in the order of the bytes."""
    found, position = [], 0
    while position < len(data):
        group, element, length = struct.unpack_from("<HHI", data, position)
        assert length != 0xFFFFFFFF
        found.append(group << 16 | element)
        position += 8 + length
    return found


def test_weight_and_size_are_kilograms_and_metres(server: Server) -> None:
    server.book("1", patient_weight_lb="160", patient_size_m="1.72")
    item = only(server, query(PatientWeight="", PatientSize=""))
    assert (str(item.PatientWeight), str(item.PatientSize)) == ("72.57", "1.72")


def test_a_key_of_each_kind_comes_back_in_one_answer(server: Server) -> None:
    server.book("1", pregnancy_status=2, study_date="20250707", study_time="08:31:02")
    item = only(server, query(PregnancyStatus=None, StudyDate="", StudyTime=""))
    assert (item.PregnancyStatus, item.StudyDate, item.StudyTime) == (2, "20250707", "083102")
