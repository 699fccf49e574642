"""How the keys of a worklist query match, over the wire (PS3.4 C.2.2.2, K.2.2, Table K.6-1)."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from tests.dicom.serving import Server, query
from tests.worklist.bookings import booking

from pylantir.worklist.attributes import FIELDS, Attribute, Level

START_DATE = "ScheduledProcedureStepStartDate"
START_TIME = "ScheduledProcedureStepStartTime"
STATION = "ScheduledStationAETitle"


def found(server: Server, identifier: Dataset) -> list[str]:
    """Records of the bookings that match, from their Patient IDs."""
    return [patient_id.removeprefix("PID-") for patient_id in server.ids(identifier)]


# --- 1. Single value (C.2.2.2.1) ---


def test_a_single_value_is_exact_and_case_sensitive(server: Server) -> None:
    server.book("1", accession_number="Acc1")
    server.book("2", accession_number="ACC1")
    server.book("3", accession_number="Acc12")
    assert found(server, query(AccessionNumber="Acc1")) == ["1"]


@pytest.mark.parametrize("key", ["muller^zoe", "MÜLLER^ZOË", "Müller^Zoë^^^", "Mu\u0308ller^Zoe"])
def test_a_person_name_matches_whatever_its_case_accents_and_trailing_delimiters(
    server: Server, key: str
) -> None:
    server.book("1", patient_name="Müller^Zoë")
    server.book("2", patient_name="Müller^Zoltan")
    assert found(server, query(character_set="ISO_IR 192", PatientName=key)) == ["1"]


def test_a_family_name_alone_is_not_a_whole_name(server: Server) -> None:
    server.book("1", patient_name="Doe^Jane")
    server.book("2", patient_name="Doe")
    assert found(server, query(PatientName="Doe")) == ["2"]


# --- 2. Several stored values ---


@pytest.mark.parametrize("station", ["MR1", "MR2"])
def test_any_of_several_stored_values_matches_and_all_come_back(
    server: Server, station: str
) -> None:
    server.book("1", scheduled_station_ae_title="MR1\\MR2")
    server.book("2", scheduled_station_ae_title="MR3")
    (item,) = server.find(query({STATION: station})).items
    step = item.ScheduledProcedureStepSequence[0]
    assert list(step.ScheduledStationAETitle) == ["MR1", "MR2"]


def test_any_allergy_matches(server: Server) -> None:
    server.book("1", allergies="latex\\penicillin")
    server.book("2", allergies="peanut")
    assert found(server, query(Allergies="penicillin")) == ["1"]


# --- 3. List of UID (C.2.2.2.2) ---


def test_a_list_of_uid_matches_each_of_them(server: Server) -> None:
    for number in ("1", "2", "3"):
        server.book(number, study_instance_uid=f"1.2.{number}")
    assert found(server, query(StudyInstanceUID=["1.2.1", "1.2.3"])) == ["1", "3"]


def test_several_values_of_another_key_mean_any_of_them(server: Server) -> None:
    for number, modality in (("1", "MR"), ("2", "CT"), ("3", "PT")):
        server.book(number, modality=modality)
    assert found(server, query({"Modality": ["MR", "PT"]})) == ["1", "3"]


# --- 4. Universal (C.2.2.2.3) ---


@pytest.mark.parametrize("key", ["", "*", "**"])
def test_universal_matching_finds_items_without_a_value_too(server: Server, key: str) -> None:
    server.book("1", accession_number="A1")
    server.book("2")
    assert found(server, query(AccessionNumber=key)) == ["1", "2"]


@pytest.mark.parametrize("key", ["?*", "*?", "A*", "A1"])
def test_a_key_with_a_value_never_matches_an_empty_one(server: Server, key: str) -> None:
    server.book("1", accession_number="A1")
    server.book("2")
    assert found(server, query(AccessionNumber=key)) == ["1"]


# --- 5. Wild card (C.2.2.2.4) ---


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("Do*", ["1", "2"]),
        ("*^Jane", ["1", "3"]),
        ("D?e^J?ne", ["1"]),
        ("d*^j*", ["1", "2"]),
        ("Doe^Jane*", ["1"]),
        ("Doe^Jane?", []),
    ],
)
def test_wild_cards_match_in_a_name(server: Server, key: str, expected: list[str]) -> None:
    server.book("1", patient_name="Doe^Jane")
    server.book("2", patient_name="Dover^Jim")
    server.book("3", patient_name="Roe^Jane")
    assert found(server, query(PatientName=key)) == expected


def test_a_question_mark_is_one_character_and_not_one_byte(server: Server) -> None:
    server.book("1", patient_comments="Füße")
    server.book("2", patient_comments="Fuuße")
    key = query(character_set="ISO_IR 192", PatientComments="F?ße")
    assert found(server, key) == ["1"]


def test_wild_cards_are_case_sensitive_outside_names(server: Server) -> None:
    server.book("1", requested_procedure_description="Brain")
    server.book("2", requested_procedure_description="brain")
    assert found(server, query(RequestedProcedureDescription="br*")) == ["2"]


@pytest.mark.parametrize(
    ("key", "expected"),
    [("PID_001", ["_"]), ("PID_0*", ["_"]), ("PID%*", ["%"]), ("PID[0]?", ["["]), ("*.'1", ["."])],
)
def test_characters_that_mean_something_to_sql_or_patterns_are_ordinary(
    server: Server, key: str, expected: list[str]
) -> None:
    ids = {"_": "PID_001", "%": "PID%001", "[": "PID[0]1", "x": "PIDX001", ".": "PID.'1"}
    server.items.put([booking(record, patient_id=ids[record]) for record in ids])
    assert server.ids(query(PatientID=key)) == [ids[record] for record in expected]


@pytest.mark.parametrize(
    ("step", "key"),
    [
        ({STATION: "MR*"}, {}),
        ({"Modality": "M?"}, {}),
        ({}, {"PatientID": "PID-?"}),
        ({"ScheduledProcedureStepID": "S*"}, {}),
    ],
)
def test_wild_cards_match_where_the_standard_only_obliges_to_single_values(
    server: Server, step: dict[str, str], key: dict[str, str]
) -> None:
    server.book("1", scheduled_procedure_step_id="S1")
    server.book(
        "22",
        scheduled_procedure_step_id="X1",
        modality="PET",
        scheduled_station_ae_title="PET1",
    )
    assert found(server, query(step, **key)) == ["1"]


@pytest.mark.parametrize(
    "step", [{START_DATE: "2025*"}, {START_TIME: "08*"}, {START_DATE: "2025070?"}]
)
def test_wild_cards_have_no_meaning_in_dates_and_times(
    server: Server, step: dict[str, str]
) -> None:
    server.book("1")
    answer = server.find(query(step))
    assert (answer.status, answer.items) == (0xA900, [])


@pytest.mark.parametrize("key", ["1.2.*", "1.2.?", "one"])
def test_wild_cards_have_no_meaning_in_uids(server: Server, key: str) -> None:
    server.book("1", study_instance_uid="1.2.3")
    ds = query()
    ds.add_new(0x0020000D, "LO", key)  # in implicit VR nobody sees the difference
    answer = server.find(ds)
    assert (answer.status, answer.items) == (0xA900, [])


# --- 6. Range (C.2.2.2.5) ---


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("20250707", ["2"]),
        ("20250706-20250707", ["1", "2"]),
        ("20250707-", ["2", "3"]),
        ("-20250707", ["1", "2"]),
        ("20250707 - 20250708", ["2", "3"]),
        ("20250708-20250706", []),
    ],
)
def test_a_range_of_dates_includes_both_ends(server: Server, key: str, expected: list[str]) -> None:
    for number, day in (("1", 6), ("2", 7), ("3", 8)):
        server.book(number, scheduled_procedure_step_start_date=dt.date(2025, 7, day))
    ds = query({})
    ds.ScheduledProcedureStepSequence[0].add_new(tag_for_keyword(START_DATE), "LO", key)
    assert found(server, ds) == expected


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("1200", ["12:00"]),
        ("120000", ["12:00"]),
        ("120000.000000", ["12:00"]),
        ("12", ["12:00"]),
        ("120000-", ["12:00", "22:30"]),
        ("-1200", ["08:30", "12:00"]),
        ("0830-1159", ["08:30"]),
        ("2230", ["22:30"]),
        ("2200-0900", []),  # no range of times crosses midnight
    ],
)
def test_times_are_compared_by_meaning(server: Server, key: str, expected: list[str]) -> None:
    for time in ("08:30", "12:00", "22:30"):
        server.book(time, scheduled_procedure_step_start_time=time)
    assert found(server, query({START_TIME: key})) == expected


def test_ranges_of_date_and_time_together_are_one_interval(server: Server) -> None:
    """The example of the remark in Table K.6-1: 5 July 10:00 to 7 July 18:00."""
    for record, day, time in (
        ("before", 5, "09:59"),
        ("first", 5, "10:00"),
        ("evening", 5, "23:00"),
        ("night", 6, "02:00"),
        ("last", 7, "18:00"),
        ("after", 7, "18:01"),
    ):
        server.book(
            record,
            scheduled_procedure_step_start_date=dt.date(2025, 7, day),
            scheduled_procedure_step_start_time=time,
        )
    key = query({START_DATE: "20250705-20250707", START_TIME: "100000-180000"})
    assert found(server, key) == ["first", "evening", "night", "last"]


def test_one_range_and_one_single_value_match_separately(server: Server) -> None:
    for record, day, time in (("1", 5, "10:00"), ("2", 6, "10:00"), ("3", 6, "11:00")):
        server.book(
            record,
            scheduled_procedure_step_start_date=dt.date(2025, 7, day),
            scheduled_procedure_step_start_time=time,
        )
    assert found(server, query({START_DATE: "20250705-20250707", START_TIME: "1000"})) == ["1", "2"]
    assert found(server, query({START_DATE: "20250706", START_TIME: "1030-"})) == ["3"]


# --- 7. Sequence (C.2.2.2.6) ---


def test_an_item_of_a_stored_sequence_must_satisfy_all_keys_by_itself(server: Server) -> None:
    codes = [{"value": "A", "scheme": "X"}, {"value": "B", "scheme": "Y"}]
    server.book("1", requested_procedure_codes=codes)
    for value, scheme, expected in (("A", "X", ["1"]), ("B", "Y", ["1"]), ("A", "Y", [])):
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator = value, scheme
        assert found(server, query(RequestedProcedureCodeSequence=[code])) == expected


def test_a_code_inside_the_step_matches(server: Server) -> None:
    server.book("1", scheduled_protocol_codes=[{"value": "BRAIN", "scheme": "L"}])
    server.book("2", scheduled_protocol_codes=[{"value": "KNEE", "scheme": "L"}])
    code = Dataset()
    code.CodeValue = "BR*"
    assert found(server, query({"ScheduledProtocolCodeSequence": [code]})) == ["1"]


def test_two_items_in_a_key_sequence_are_refused(server: Server) -> None:
    server.book("1")
    ds = query({"Modality": "MR"})
    ds.ScheduledProcedureStepSequence.append(Dataset())
    answer = server.find(ds)
    assert (answer.status, answer.items) == (0xA900, [])


# --- 8. Unsupported optional keys: see test_return_keys.py ---

# --- 9. Padding (PS3.5 6.2) ---


@pytest.mark.parametrize("key", ["MR1 ", "  MR1", "MR1           "])
def test_leading_and_trailing_spaces_do_not_count(server: Server, key: str) -> None:
    server.book("1")
    server.book("2", scheduled_station_ae_title="MR2")
    assert found(server, query({STATION: key})) == ["1"]


def test_a_uid_is_padded_with_a_null_and_still_matches(server: Server) -> None:
    server.book("1", study_instance_uid="1.2.345")
    ds = query()
    ds.StudyInstanceUID = "1.2.345"
    assert found(server, ds) == ["1"]


def test_spaces_inside_a_value_count(server: Server) -> None:
    server.book("1", patient_id="A B")
    server.book("2", patient_id="AB")
    assert server.ids(query(PatientID="A B")) == ["A B"]


# --- 10. Person name groups ---


@pytest.mark.parametrize(
    ("key", "matches"),
    [
        ("Yamada^Tarou", True),
        ("山田^太郎", True),
        ("やまだ^たろう", True),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", True),
        ("=山田^太郎", True),
        ("=山田*", True),
        ("==やまだ*", True),
        ("山*", True),
        ("=Yamada^Tarou", False),
        ("Yamada^Tarou=鈴木^太郎", False),
    ],
)
def test_a_name_key_is_tried_on_each_group_or_on_those_it_names(
    server: Server, key: str, matches: bool
) -> None:
    server.book("1", patient_name="Yamada^Tarou=山田^太郎=やまだ^たろう")
    server.book("2", patient_name="Suzuki^Hanako")
    expected = ["1"] if matches else []
    assert found(server, query(character_set="ISO_IR 192", PatientName=key)) == expected


# --- Table K.6-1, row by row ---

VALUES = {
    "AE": "MR7",
    "CS": "YES",
    "DA": "20240229",
    "DS": "72.5",
    "LO": "Some words",
    "LT": "Some words",
    "PN": "Roe^Richard",
    "SH": "Some words",
    "TM": "071500",
    "UI": "1.2.3.4",
    "US": 2,
}
OWN_VALUES: dict[str, Any] = {"status": "STARTED", "patient_sex": "F", "patient_size_m": "1.72"}
MATCHED = [a for a in FIELDS if a.matching != "-" and not a.is_sequence]


@pytest.mark.parametrize("attribute", MATCHED, ids=lambda attribute: attribute.keyword)
def test_every_attribute_of_the_model_is_matched_and_answered(
    server: Server, attribute: Attribute
) -> None:
    value = OWN_VALUES.get(attribute.name, VALUES[attribute.vr])
    server.book("1", **{attribute.name: value})
    server.book("2")
    keys = {attribute.keyword: value}
    identifier = query(keys) if attribute.level is Level.STEP else query(**keys)
    answer = server.find(identifier)
    assert (answer.status, answer.codes) == (0x0000, [0xFF00])
    (item,) = answer.items
    level = item.ScheduledProcedureStepSequence[0] if attribute.level is Level.STEP else item
    assert str(level[attribute.keyword].value) == str(value)
