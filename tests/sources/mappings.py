"""Field mappings in both directions, for tests of what they make of a record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pylantir.sources.mapping import FieldMapping, MappingOptions
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
