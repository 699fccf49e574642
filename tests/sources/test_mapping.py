"""How pairs of a field mapping are read: both directions, roles, objects, paths and slips."""

from __future__ import annotations

from typing import Any

import pytest
from tests.sources.mappings import (
    DATE_ROLE,
    PUBLISHED_TEMPLATES,
    RECORD,
    ROLES,
    START_DATE,
    START_TIME,
    calpendo,
    item_of,
    published,
    redcap,
    values,
)

from pylantir.errors import ConfigurationError, InvalidItem

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
