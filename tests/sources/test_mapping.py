"""One field mapping for all sources; configurations of earlier releases go on working."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pylantir.errors import ConfigurationError, InvalidItem
from pylantir.sources.mapping import OPTION_KEYS, FieldMapping, MappingOptions, summarize
from pylantir.worklist.item import WorklistItem, make_item

CONFIG = Path(__file__).parents[2] / "config"

ROLES = {
    "study_id": "study_id",
    "session_id": "mri_instance",
    "family_id": "family_id",
    "youth_dob_y": "youth_dob_y",
    "t1_date": "",
    "demo_sex": "demo_sex",
    "scheduled_date": "mri_date",
    "scheduled_time": "mri_time",
    "instrument": "redcap_repeat_instrument",
}
PUBLISHED_TEMPLATES = {
    "patient_name_template": "cpip-id-{study}^fa-{family}",
    "patient_id_template": "sub_{study}_ses_{session}_fam_{family}_site_{site}",
}
START_DATE = "scheduled_procedure_step_start_date"
START_TIME = "scheduled_procedure_step_start_time"
DATE_ROLE = '"scheduled_date" is a role: field '

RECORD = {
    "study_id": "12",
    "mri_instance": 1,
    "family_id": "34",
    "mri_date": "2026-03-02",
    "mri_time": "9:05",
}


def redcap(written: dict[str, Any], *, known_fields: Any = (), **config: Any) -> FieldMapping:
    return FieldMapping.read(
        written,
        where="source main",
        source_first=True,
        options=MappingOptions.read(config, "source main"),
        roles=ROLES,
        parts=("site",),
        known_fields=known_fields,
    )


def calpendo(written: dict[str, Any], **config: Any) -> FieldMapping:
    options = MappingOptions.read(config, "source scanners")
    return FieldMapping.read(written, where="source scanners", source_first=False, options=options)


def values(mapping: FieldMapping, **fields: Any) -> dict[str, Any]:
    return mapping.apply(fields).values


def published(file: str) -> dict[str, Any]:
    mapping: dict[str, Any] = json.loads((CONFIG / file).read_text(encoding="utf-8"))
    return mapping["data_sources"][0]["field_mapping"] if "data_sources" in mapping else mapping


def item_of(mapped: dict[str, Any]) -> WorklistItem:
    return make_item(mapped, data_source="main", source_record_id="1")


# --- both readings of a REDCap pair ---


def test_the_published_redcap_example_is_understood_pair_by_pair() -> None:
    mapping = redcap(published("mwl_config.json"))

    assert mapping.warnings == ()
    assert mapping.explain() == [
        '"study_id" is a role: field study_id',
        '"session_id" is a role: field mri_instance',
        '"family_id" is a role: field family_id',
        '"youth_dob_y" is a role: field youth_dob_y -> patient_birth_date',
        '"t1_date" is a role: field t1_date',
        '"demo_sex" is a role: field demo_sex -> patient_sex',
        f'"scheduled_date" is a role: field mri_date -> {START_DATE}',
        f'"scheduled_time" is a role: field mri_time -> {START_TIME}',
        '"instrument" is a role: field redcap_repeat_instrument',
        "field mri_wt_lbs -> patient_weight_lb",
        "field referring_physician -> referring_physician_name",
        "field performing_physician -> scheduled_performing_physician_name",
        "field station_name -> scheduled_station_name",
        "field status -> status",
    ]


def test_the_published_redcap_example_makes_the_item_that_it_used_to_make() -> None:
    defaults = {"modality": "MR"}
    mapping = redcap(published("mwl_config.json"), defaults=defaults, **PUBLISHED_TEMPLATES)
    fields = {**RECORD, "mri_wt_lbs": "160", "station_name": "MRI 1", "status": "SCHEDULED"}

    item = item_of(mapping.apply(fields, {"site": "792"}).values)

    assert item.patient_name == "cpip-id-12^fa-34"
    assert item.patient_id == "sub_12_ses_1_fam_34_site_792"
    assert f"{item.start:%Y-%m-%d %H:%M}" == "2026-03-02 09:05"
    assert str(item.patient_weight_kg) == "72.57"
    assert item.scheduled_station_name == ("MRI 1",)


@pytest.mark.parametrize(
    ("left", "right", "understood"),
    [
        # The right side is spelt as the item, the published releases or DICOM spell it.
        ("scheduled_date", "scheduled_start_date", f"field scheduled_date -> {START_DATE}"),
        ("mri_wt_lbs", "patient_weight_lb", "field mri_wt_lbs -> patient_weight_lb"),
        ("patient_id", "patient_id", "field patient_id -> patient_id"),
        ("booked_by", "RequestingPhysician", "field booked_by -> requesting_physician"),
        ("dose", "RadiopharmaceuticalVolume", "field dose -> RadiopharmaceuticalVolume"),
        ("demo_sex", "patient_sex", "field demo_sex -> patient_sex"),
        # The left side is a role, under its own name or another that it has.
        ("scheduled_date", "visit_day", f'{DATE_ROLE}visit_day -> {START_DATE}'),
        ("mri_date", "visit_day", f'{DATE_ROLE}visit_day -> {START_DATE}'),
        ("session_id", "visit", '"session_id" is a role: field visit'),
        # An everyday word on the right is a field where the left is a role ...
        ("demo_sex", "sex", '"demo_sex" is a role: field sex -> patient_sex'),
        ("scheduled_date", "start_date", f'{DATE_ROLE}start_date -> {START_DATE}'),
        ("scheduled_date", "scheduled_date", f"{DATE_ROLE}scheduled_date -> {START_DATE}"),
        # ... and a worklist name where it is not.
        ("gender", "sex", "field gender -> patient_sex"),
        # Neither: but the left is a worklist name, so the pair was written the other way round.
        ("patient_id", "record_id", "field record_id -> patient_id (read the other way round)"),
    ],
)  # fmt: skip
def test_a_pair_is_read_by_the_documented_rule(left: str, right: str, understood: str) -> None:
    mapping = redcap({left: right})

    assert [line for line in mapping.explain() if "by default" not in line] == [understood]


def test_fields_that_exist_decide_a_pair_that_can_be_read_both_ways() -> None:
    pair = {"scheduled_date": "study_date"}

    assert redcap(pair).sources_of("study_date") == ("scheduled_date",)
    assert redcap(pair, known_fields=["study_date"]).sources_of(START_DATE) == ("study_date",)
    both = redcap(pair, known_fields=["study_date", "scheduled_date"])
    assert both.sources_of("study_date") == ("scheduled_date",)


@pytest.mark.parametrize(
    ("pair", "target"),
    [({"mri_date": "scheduled_date"}, START_DATE), ({"demo_sex": "sex"}, "patient_sex")],
)
def test_an_everyday_word_that_is_no_field_is_the_worklists(
    pair: dict[str, str], target: str
) -> None:
    ((field, word),) = pair.items()

    assert redcap(pair).sources_of(target) == (word,), "a role, as long as no field is known"
    assert redcap(pair, known_fields=[field, word]).sources_of(target) == (word,)
    assert redcap(pair, known_fields=[field]).sources_of(target)[-1] == field


def test_a_role_that_nobody_names_is_played_by_its_usual_field() -> None:
    mapping = redcap({})

    assert mapping.roles == {role: field for role, field in ROLES.items() if field}
    assert f'"scheduled_date" is a role: field mri_date -> {START_DATE} (by default)' in (
        mapping.explain()
    )


def test_a_field_mapped_to_the_worklist_beats_the_role_and_an_empty_one_does_not() -> None:
    mapping = redcap({"visit_start": "scheduled_start_date"})

    assert values(mapping, mri_date="2026-03-02", visit_start="2026-03-09")[START_DATE] == (
        "2026-03-09"
    )
    assert values(mapping, mri_date="2026-03-02", visit_start="")[START_DATE] == "2026-03-02"


def test_of_several_fields_for_one_value_the_last_that_has_one_counts_and_it_is_said() -> None:
    mapping = redcap({"a": "study_description", "b": "StudyDescription"})

    assert values(mapping, a="one", b="two")["study_description"] == "two"
    assert values(mapping, a="one", b="")["study_description"] == "one"
    assert "several fields give study_description" in mapping.warnings[0]


def test_source_fields_are_all_that_is_read_and_nothing_else() -> None:
    mapping = redcap(
        {"study_id": "subj", "weight": "patient_weight_lb", "x": "no_such_name"},
        patient_id_template="sub_{study}_{visit_label}_site_{site}",
        required=["family_id", "weight"],
    )

    assert mapping.source_fields == {
        "subj",
        "mri_instance",
        "family_id",
        "youth_dob_y",
        "demo_sex",
        "mri_date",
        "mri_time",
        "redcap_repeat_instrument",
        "weight",
        "visit_label",
    }


# --- Calpendo's direction ---


def test_the_published_calpendo_example_reads_bookings_before_and_after_version_11() -> None:
    written = published("calpendo_config_example.json")
    mapping = calpendo(written)
    project = {"project": {"formattedName": "BRISKP (Brain network models)"}}
    title = "SUB001_John_Doe"

    before = mapping.apply({"id": 300004157686785, "title": title, "properties": project})
    after = mapping.apply({"id": 300004157686785, "properties": {**project, "title": title}})

    assert before == after
    assert after.values == {
        "patient_id": "SUB001",
        "patient_name": "John_Doe",
        "study_description": "BRISKP",
        "accession_number": "300004157686785",
    }


def test_a_booking_number_mapped_to_the_study_uid_is_left_out_and_the_booking_kept() -> None:
    mapping = calpendo({"patient_id": "title", "study_instance_uid": "id"})

    mapped = mapping.apply({"id": 300004157686785, "title": "SUB001"})

    assert mapped.values == {"patient_id": "SUB001"}
    assert [note.field for note in mapped.notes] == ["study_instance_uid"]


def test_a_study_uid_that_is_broken_rejects_the_booking() -> None:
    mapping = calpendo({"study_instance_uid": "uid"})

    assert values(mapping, uid="2.25.1") == {"study_instance_uid": "2.25.1"}
    with pytest.raises(InvalidItem, match="expected a UID"):
        mapping.apply({"uid": "2.25.007"})


def test_a_pattern_for_each_of_several_names_under_one_field_is_accepted() -> None:
    nested = {
        "title": {
            "_extract": {
                "patient_id": {"pattern": "^([A-Z0-9]+)_.*", "group": 1},
                "patient_name": {"pattern": "^[A-Z0-9]+_(.+)$", "group": 1},
            }
        },
        "accession_number": "id",
    }

    mapped = values(calpendo(nested), title="SUB1_Doe", id=7)

    assert mapped == {"patient_id": "SUB1", "patient_name": "Doe", "accession_number": "7"}


@pytest.mark.parametrize("mapping_of", [redcap, calpendo])
def test_objects_with_patterns_are_the_same_in_both_directions(mapping_of: Any) -> None:
    extract = {"pattern": r"S(\d+)", "group": 1}
    target_first = mapping_of({"patient_id": {"source_field": "code", "_extract": extract}})
    source_first = mapping_of({"code": {"target_field": "patient_id", "_extract": extract}})

    assert values(target_first, code="S12")["patient_id"] == "12"
    assert values(source_first, code="S12")["patient_id"] == "12"


def test_a_role_may_be_a_part_of_a_field() -> None:
    last_digits = {"pattern": r".*-(\d+)$", "group": 1}
    mapping = redcap({"study_id": {"source_field": "subj", "_extract": last_digits}})

    assert mapping.role_value("study_id", {"subj": "CPIP-0012"}) == "0012"
    assert mapping.role_value("study", {"subj": ""}) == ""
    with pytest.raises(InvalidItem, match="study_id: the pattern"):
        mapping.role_value("study_id", {"subj": "x"})


def test_paths_go_into_objects_and_lists() -> None:
    mapping = calpendo(
        {"referring_physician": "people.0.name", "location": "resource.room"},
    )

    mapped = values(mapping, people=[{"name": "Smith"}], properties={"resource": {"room": "B1"}})

    assert mapped == {
        "referring_physician_name": "Smith",
        "scheduled_procedure_step_location": "B1",
    }


def test_a_value_that_no_field_has_may_be_a_constant() -> None:
    assert values(calpendo({"modality": {"default": "MR"}})) == {"modality": "MR"}
    otherwise = calpendo({"modality": {"source_field": "kind", "default": "OT"}})
    assert values(otherwise, kind="") == {"modality": "OT"}
    assert values(otherwise, kind="MR") == {"modality": "MR"}


# --- names that nothing has ---


def test_an_unknown_name_is_a_warning_with_the_nearest_known_one() -> None:
    mapping = redcap({"doctor": "refering_physician_name"})

    assert mapping.warnings == (
        "field_mapping.doctor: 'refering_physician_name' is not used: unknown name "
        "(did you mean referring_physician_name?)",
    )
    assert any("is not used" in line for line in mapping.explain())
    assert "doctor" not in mapping.source_fields


def test_a_pair_read_the_other_way_round_may_be_a_slip() -> None:
    assert redcap({"patient_id": "record_id"}).warnings == ()
    assert (
        "did you mean study_description?"
        in (redcap({"patient_id": "study_descripton"}).warnings[0])
    )


@pytest.mark.parametrize("name", ["source_record_id", "data_source"])
def test_the_identity_of_a_booking_cannot_be_mapped(name: str) -> None:
    assert "identity" in calpendo({name: "id"}).warnings[0]


def test_pixels_cannot_be_mapped() -> None:
    assert "PixelData is" in redcap({"picture": "PixelData"}).warnings[0]


def test_comments_are_read_over() -> None:
    assert redcap({"_comment": "what this is", "_x": 3}).warnings == ()


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        (5, "field_mapping.patient_id: expected a name, or an object with source_field, got 5"),
        (None, "expected a name"),
        ({"source_field": 5}, "expected names as texts"),
        ({}, "expected a source_field, or a default"),
        ({"source_feld": "x"}, "patient_id.source_feld: unknown key (did you mean source_field?)"),
        ({"source_field": "x", "_extrct": {}}, "_extrct: unknown key (did you mean _extract?)"),
        ({"source_field": "x", "_extract": {"pattern": "("}}, "patient_id._extract.pattern"),
        ({"source_field": "x", "_extract": {"pattern": "x", "group": 1}}, "_extract.group"),
        ({"source_field": "x", "_extract": "x"}, "expected an object with a pattern"),
        ({"_extract": {"patient_name": {"pattern": "("}}}, "_extract.patient_name.pattern"),
        ({"source_field": "x", "default": "x" * 65}, "default of patient_id"),
        ({"source_field": "x", "default": ["1"]}, "patient_id.default: expected a text"),
    ],
)
def test_a_pair_that_cannot_work_is_refused_when_it_is_read(written: Any, problem: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        calpendo({"patient_id": written})

    assert problem in str(raised.value)
    assert "source scanners" in str(raised.value)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(ConfigurationError) as raised:
        calpendo({"patient_id": 5, "modality": 6}, defaults={"modalty": "MR"}, date_format="x")

    assert len(raised.value.problems) == 4


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
