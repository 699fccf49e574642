"""What a field mapping makes of values: patterns, maps, units, templates, defaults, required."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sources.mappings import (
    PUBLISHED_TEMPLATES,
    RECORD,
    START_DATE,
    START_TIME,
    calpendo,
    item_of,
    published,
    redcap,
    values,
)

from pylantir.errors import ConfigurationError, InvalidItem
from pylantir.sources.mapping import OPTION_KEYS, MappingOptions, summarize

# --- what becomes of values ---


def test_a_pattern_that_does_not_match_rejects_the_record_and_says_which() -> None:
    mapping = calpendo(published("calpendo_config_example.json"))

    with pytest.raises(InvalidItem) as raised:
        mapping.apply({"id": 1, "title": "maintenance"})

    problems = {problem.field: problem for problem in raised.value.problems}
    assert set(problems) == {"patient_id", "patient_name"}
    assert problems["patient_id"].value == "maintenance"
    assert problems["patient_id"].reason == (
        "the pattern ^([A-Z0-9]+)_.* does not match (field title)"
    )
    assert "maintenance" not in raised.value.for_log


def test_what_a_mismatch_does_can_be_said_for_all_patterns_or_for_one() -> None:
    extract = {"pattern": r"\d+"}
    field = {"source_field": "t", "_extract": extract}

    assert (
        values(calpendo({"patient_id": field}, on_no_match="original"), t="x")["patient_id"] == "x"
    )
    assert values(calpendo({"patient_id": field}, on_no_match="empty"), t="x") == {}
    own = {"source_field": "t", "_extract": {**extract, "on_no_match": "empty"}}
    assert values(calpendo({"patient_id": own}, on_no_match="original"), t="x") == {}


def test_an_empty_field_is_no_mismatch() -> None:
    mapping = calpendo({"study_description": {"source_field": "t", "_extract": {"pattern": "x"}}})

    assert values(mapping, t="") == values(mapping) == {}


def test_a_slow_pattern_rejects_an_identifier_and_leaves_a_description_out() -> None:
    slow = {"source_field": "t", "_extract": {"pattern": "(a|aa)+$"}}
    poison = "a" * 100 + "b"

    with pytest.raises(InvalidItem, match="takes too long"):
        calpendo({"patient_id": slow}).apply({"t": poison})
    assert "takes too long" in str(
        calpendo({"study_description": slow}).apply({"t": poison}).notes[0]
    )


@pytest.mark.parametrize(
    ("target", "bad"),
    [
        ("patient_name", "a^b^c^d^e^f"),
        ("patient_id", "x" * 65),
        ("patient_id", "a\\b"),
        ("modality", "9.4T Animal"),
        ("scheduled_station_aetitle", "a station with a long name"),
        ("scheduled_start_date", "02/03/2026"),
        ("scheduled_start_date", "2026-02-30"),
        ("scheduled_start_time", "9:5"),
        ("scheduled_procedure_step_id", "x" * 17),
        ("FrameOfReferenceUID", "x"),
    ],
)
def test_a_value_that_tells_people_apart_rejects_the_record(target: str, bad: str) -> None:
    with pytest.raises(InvalidItem) as raised:
        redcap({"bad": target}).apply({"bad": bad})

    assert raised.value.problems[0].value == bad
    assert raised.value.problems[0].reason.endswith("(field bad)")


@pytest.mark.parametrize(
    ("target", "bad"),
    [
        ("patient_sex", "1"),
        ("patient_birth_date", "2012"),
        ("patient_birth_date", "2012-05"),
        ("patient_weight_lb", "heavy"),
        ("patient_weight_kg", "1600"),
        ("accession_number", "x" * 17),
        ("study_description", "x" * 65),
        ("status", "Booked"),
        ("referring_physician_name", {"id": 1, "name": "Smith"}),
        ("pregnancy_status", "maybe"),
        ("protocol_name", "x" * 65),
        ("PatientAge", "old"),
    ],
)
def test_another_value_is_left_out_with_a_note_and_the_record_kept(target: str, bad: Any) -> None:
    mapped = redcap({"bad": target}).apply({"bad": bad})

    assert mapped.values == {}
    (note,) = mapped.notes
    assert note.source == "field bad"
    assert str(bad) not in note.reason


def test_a_sex_code_without_a_value_map_is_empty_and_the_way_out_is_said() -> None:
    mapped = redcap({}).apply({"demo_sex": "2"})

    assert mapped.values == {}
    assert "value_maps" in mapped.notes[0].reason


@pytest.mark.parametrize("name", ["demo_sex", "gender", "patient_sex", "PatientSex", "sex"])
def test_a_value_map_is_named_by_role_field_or_target(name: str) -> None:
    mapping = redcap({"demo_sex": "gender"}, value_maps={name: {"1": "M", "2": "F"}})

    assert mapping.warnings == ()
    assert values(mapping, gender=2) == {"patient_sex": "F"}


def test_a_value_map_may_name_all_other_values_and_does_not_mind_case() -> None:
    mapping = calpendo({"modality": "kind"}, value_maps={"kind": {"Brain MRI": "MR", "*": "OT"}})

    assert values(mapping, kind="brain mri") == {"modality": "MR"}
    assert values(mapping, kind="EEG") == {"modality": "OT"}
    assert values(mapping, kind="") == {}


def test_a_value_map_may_empty_a_value() -> None:
    mapping = redcap({"demo_sex": "demo_sex"}, value_maps={"demo_sex": {"9": ""}})

    mapped = mapping.apply({"demo_sex": "9"})

    assert (mapped.values, mapped.notes) == ({}, ())


def test_a_value_map_comes_after_the_pattern() -> None:
    mapping = calpendo(
        {"modality": {"source_field": "t", "_extract": {"pattern": r"(\w+) ", "group": 1}}},
        value_maps={"modality": {"3T": "MR"}},
    )

    assert values(mapping, t="3T Diagnostic") == {"modality": "MR"}


def test_an_option_for_a_name_that_no_pair_has_is_a_warning_with_the_nearest_one() -> None:
    mapping = redcap({}, value_maps={"demo_sx": {"1": "M"}})

    assert mapping.warnings == (
        "config.value_maps.demo_sx: no field, role or target has this name; did you mean demo_sex?",
    )


@pytest.mark.parametrize(
    ("target", "unit", "value", "field", "expected"),
    [
        ("patient_weight_kg", "lb", "160", "patient_weight_kg", "72.57"),
        ("patient_weight_lb", "kg", "72,5", "patient_weight_kg", "72.5"),
        ("patient_weight_kg", "g", "3500", "patient_weight_kg", "3.5"),
        ("patient_weight_kg", "lb", "72 kg", "patient_weight_kg", "72"),
        ("patient_size_m", "cm", "172", "patient_size_m", "1.72"),
        ("patient_size_m", "in", "68", "patient_size_m", "1.73"),
    ],
)
def test_plain_numbers_get_the_configured_unit(
    target: str, unit: str, value: str, field: str, expected: str
) -> None:
    mapping = redcap({"measure": target}, units={"measure": unit})
    base = {"patient_name": "x", "patient_id": "x", "modality": "MR", START_DATE: "20260302"}

    item = item_of({**base, START_TIME: "0930", **values(mapping, measure=value)})

    assert str(getattr(item, field)) == expected


@pytest.mark.parametrize(
    ("target", "unit"), [("patient_size_m", "kg"), ("study_description", "lb")]
)
def test_a_unit_that_its_target_cannot_have_is_refused(target: str, unit: str) -> None:
    with pytest.raises(ConfigurationError, match=r"config\.units\.measure"):
        redcap({"measure": target}, units={"measure": unit})


def test_dates_are_read_in_the_configured_order() -> None:
    mapping = redcap({}, date_format="DD/MM/YYYY")

    mapped = values(mapping, mri_date="02/03/2026 09:30", mri_time="02/03/2026 09:30")

    assert mapped == {START_DATE: "2026-03-02", START_TIME: "09:30"}


def test_names_are_read_as_they_are_written() -> None:
    mapping = calpendo(
        {"patient_name": "who", "referring_physician": "doctor", "requesting_physician": "boss"},
        name_format={"patient_name": "last_first", "*": "first_last"},
    )

    mapped = values(mapping, who="Doe Jane", doctor="Dr. Emily Smith", boss="Kim^Lee")

    assert mapped == {
        "patient_name": "Doe^Jane",
        "referring_physician_name": "Smith^Emily^^Dr.",
        "requesting_physician": "Kim^Lee",
    }


def test_a_code_may_be_spread_over_fields() -> None:
    mapping = redcap(
        {"code": "protocol_code", "words": "protocol_meaning", "set": "protocol_scheme"}
    )

    mapped = values(mapping, code="MRBRAIN", words="MR brain", set="GEHC")

    assert mapped["scheduled_protocol_codes"] == [
        {"value": "MRBRAIN", "scheme": "GEHC", "meaning": "MR brain"}
    ]


# --- templates, defaults, required ---


def test_a_template_uses_parts_roles_and_fields_and_drops_what_is_empty() -> None:
    mapping = redcap({}, patient_id_template="{study}-{session}-{lab}-{site}")

    def made(parts: dict[str, str], **fields: Any) -> Any:
        return mapping.apply(fields, parts).values["patient_id"]

    assert made({"site": "9"}, study_id="1", mri_instance=2, lab="x") == "1-2-x-9"
    assert made({"site": "9", "study": "ng_1"}, study_id="1") == "ng_1-9"
    assert made({}, study_id="1") == "1"


def test_a_field_that_gives_the_name_beats_the_template() -> None:
    mapping = redcap({"real_name": "patient_name"}, **PUBLISHED_TEMPLATES)

    assert values(mapping, real_name="Doe^Jane", study_id="1")["patient_name"] == "Doe^Jane"
    assert values(mapping, real_name="", study_id="1")["patient_name"] == "cpip-id-1"


def test_a_template_whose_parts_are_all_empty_gives_nothing() -> None:
    assert redcap({}, **PUBLISHED_TEMPLATES).apply({}, {}).values == {}


def test_an_identifier_that_gets_too_long_rejects_the_record() -> None:
    with pytest.raises(InvalidItem, match="at most 64 characters") as raised:
        redcap({}, **PUBLISHED_TEMPLATES).apply({"study_id": "1" * 70})

    assert {problem.field for problem in raised.value.problems} == {"patient_name", "patient_id"}


@pytest.mark.parametrize("template", ["sub_{study", "sub_{}", "everybody", "{study:>4}"])
def test_a_template_that_cannot_be_filled_is_refused(template: str) -> None:
    with pytest.raises(ConfigurationError, match=r"config\.patient_id_template"):
        redcap({}, patient_id_template=template)


def test_a_default_fills_what_the_source_does_not_have() -> None:
    mapping = redcap({"kind": "modality"}, defaults={"modality": "MR", "priority": "ROUTINE"})

    assert values(mapping, kind="") == {
        "modality": "MR",
        "requested_procedure_priority": "ROUTINE",
    }
    assert values(mapping, kind="CT")["modality"] == "CT"


def test_a_default_does_not_cover_up_a_value_that_cannot_be_used() -> None:
    mapping = redcap({"demo_sex": "demo_sex"}, defaults={"patient_sex": "O"})

    assert values(mapping, demo_sex="7") == {}
    assert values(mapping, demo_sex="") == {"patient_sex": "O"}


@pytest.mark.parametrize(
    ("defaults", "problem"),
    [({"modalty": "MR"}, "did you mean modality?"), ({"patient_sex": "male-ish"}, "expected M, F")],
)
def test_a_default_that_cannot_be_used_is_refused(defaults: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        redcap({}, defaults=defaults)

    assert problem in str(raised.value)


@pytest.mark.parametrize("name", ["patient_weight_lb", "weight", "family_id", "family"])
def test_a_record_without_a_required_value_is_rejected(name: str) -> None:
    mapping = redcap({"weight": "patient_weight_lb"}, required=[name])

    assert mapping.apply({"weight": "160", "family_id": "1"})
    with pytest.raises(InvalidItem, match="required, but empty"):
        mapping.apply({})


def test_a_required_value_that_cannot_be_used_rejects_the_record() -> None:
    with pytest.raises(InvalidItem, match="patient_sex: required"):
        redcap({}, required=["patient_sex"]).apply({"demo_sex": "7"})


def test_a_faulty_identifier_is_said_once_and_no_template_covers_it_up() -> None:
    mapping = redcap(
        {"code": "patient_id"}, required=["patient_id"], patient_id_template="x" * 65 + "{study}"
    )

    with pytest.raises(InvalidItem) as raised:
        mapping.apply({"code": "a\\b", "study_id": "1"})

    assert [problem.value for problem in raised.value.problems] == ["a\\b"]


def test_a_required_name_that_nothing_has_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"config\.required"):
        redcap({}, required=["famly_id"])


# --- options ---


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"value_maps": []}, "config.value_maps: expected an object, got []"),
        ({"value_maps": {"a": "b"}}, "config.value_maps.a: expected an object"),
        ({"value_maps": {"a": {"1": None}}}, "config.value_maps.a.1: expected a text"),
        ({"defaults": "MR"}, "config.defaults: expected an object"),
        ({"required": "patient_sex"}, "config.required: expected a list of names"),
        ({"patient_id_template": 3}, "config.patient_id_template: expected a text"),
        ({"units": {"w": "stone"}}, "config.units.w: expected one of lb, kg"),
        ({"on_no_match": "skip"}, "config.on_no_match: expected one of reject, empty, original"),
        ({"name_format": "lastfirst"}, "did you mean last_first?"),
    ],
)
def test_an_option_of_another_shape_is_refused(config: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        MappingOptions.read(config, "source main")

    assert problem in str(raised.value)


def test_comments_in_options_are_read_over() -> None:
    config = {"value_maps": {"_comment": "codes", "sex": {"_comment": 1, "2": "F"}}}

    assert MappingOptions.read(config, "source main").value_maps == {"sex": {"2": "F"}}


def test_options_leave_other_keys_of_the_configuration_alone() -> None:
    options = MappingOptions.read({"site_id": "792", "units": {"w": "lb"}}, "source main")

    assert options == MappingOptions(units={"w": "lb"})
    assert "units" in OPTION_KEYS
    assert "site_id" not in OPTION_KEYS


def test_notes_of_many_records_become_a_few_lines_without_values() -> None:
    mapping = redcap({"demo_sex": "gender"})
    notes = [n for sex in ("7", "8", "M", "9") for n in mapping.apply({"gender": sex}).notes]

    assert summarize(notes) == (
        "patient_sex is left empty, field gender: expected M, F, O, or empty when unknown; "
        "value_maps says what a code means (3 times)",
    )


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(st.fixed_dictionaries({}, optional=dict.fromkeys([*RECORD, "w", "d", "t", "u"], _json)))
def test_whatever_the_mapping_lets_through_the_item_takes(fields: dict[str, Any]) -> None:
    written = {
        "w": "patient_weight_lb",
        "d": "ScheduledProcedureStepEndDate",
        "t": "protocol_code",
        "u": "RequestedProcedureCodeSequence",
    }
    mapping = redcap(written, defaults={"modality": "MR"}, **PUBLISHED_TEMPLATES)
    try:
        mapped = mapping.apply({**RECORD, **fields}, {"site": "1"}).values
    except InvalidItem:
        return
    if {"patient_id", "patient_name", START_DATE, START_TIME} <= mapped.keys():
        assert item_of(mapped).modality == "MR"
