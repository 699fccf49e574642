"""Worklist names as the targets of a field mapping: which there are and what each can hold."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from pylantir.worklist.attributes import BY_NAME, attribute_named
from pylantir.worklist.measures import as_text, weight_kg
from pylantir.worklist.naming import (
    RECORD_ID,
    SOURCE,
    NamedValues,
    canonical_name,
    is_sequence_name,
    unknown_name,
)
from pylantir.worklist.status import parse_status
from pylantir.worklist.values import parser_for, text

_CODE_PARTS = {
    "protocol_code": "SH",
    "protocol_meaning": "LO",
    "protocol_scheme": "SH",
    "procedure_code": "SH",
    "procedure_meaning": "LO",
    "procedure_scheme": "SH",
}
_BESIDE_THE_MODEL = {
    "patient_weight_lb": "DS",
    "protocol_name": "LO",
    "hisris_coding_designator": "SH",
    **_CODE_PARTS,
}
"""Names that stand for more or less than one attribute, to the representation of their text."""

FEEDS = {
    "patient_weight_kg": ("patient_weight_lb",),
    "scheduled_protocol_codes": ("protocol_code", "protocol_meaning", "protocol_name"),
    "scheduled_procedure_step_description": ("protocol_name",),
    "requested_procedure_codes": ("procedure_code", "procedure_meaning"),
}
"""Item fields to other targets that they are made from."""

WEIGHTS = ("patient_weight_kg", "patient_weight_lb")
SIZE = "patient_size_m"


@lru_cache(maxsize=4096)
def target_name(name: str) -> str:
    """The one spelling of a worklist name; empty when there is none, or it is not for sources.

    Item fields, published names, DICOM keywords, aliases of the attribute table, and a code spread
    over fields (``protocol_code``, ``protocol_meaning``, ``protocol_scheme``). What a source may
    not set is a booking's identity: ``source_record_id`` and ``data_source``.
    """
    known = canonical_name(name)
    if known in ("", "extras", RECORD_ID, SOURCE):
        return ""
    probe = NamedValues()
    probe.read({known: "1"})
    return known if (probe.values or probe.codes) and not _refused_keyword(known) else ""


def unknown_target(name: str) -> str:
    """Why a name is no target, with the nearest one that is."""
    if canonical_name(name) in (RECORD_ID, SOURCE):
        return "the identity of a booking is its source's own and cannot be mapped"
    refused = _refused_keyword(canonical_name(name))
    return refused or unknown_name(name)


def is_own_spelling(name: str) -> bool:
    """Whether a target is spelt as the item, the published releases or DICOM spell it.

    Other spellings (``sex``, ``start_date``) are everyday words that a source's field may well
    have for its own name.
    """
    attribute = attribute_named(name)
    if attribute is None:
        return bool(target_name(name))
    return name.strip() == attribute.keyword or name.strip().lower() in (
        attribute.name,
        attribute.column,
    )


@lru_cache(maxsize=4096)
def vr_of(target: str) -> str:
    """Value representation of a target (PS3.5 section 6.2)."""
    if target in _BESIDE_THE_MODEL:
        return _BESIDE_THE_MODEL[target]
    if target in BY_NAME:
        return BY_NAME[target].vr
    from pydicom.datadict import dictionary_VR  # the dictionary is slow to load

    return dictionary_VR(target).split(" or ")[0]


def takes_lists(target: str) -> bool:
    """Whether a target takes several values, or the items of a sequence."""
    if target in BY_NAME:
        return BY_NAME[target].multiple or BY_NAME[target].is_sequence
    return target not in _BESIDE_THE_MODEL


def takes_objects(target: str) -> bool:
    """Whether a target is a sequence, whose items are objects."""
    return is_sequence_name(target)


def must_be_right(target: str, value: object = "") -> bool:
    """Whether a value that cannot be used rejects its record instead of being left out.

    So it is with return keys of type 1 (PS3.4 Table K.6-1): name, identifier, date, time, modality,
    station and the identifiers of study, procedure and step; and with every other UID. A plain
    number in the place of a Study Instance UID, as published examples have it, is no attempt at a
    UID: a proper one is made instead.
    """
    if target == "study_instance_uid":
        return "." in str(value)
    attribute = BY_NAME.get(target)
    return vr_of(target) == "UI" or (attribute is not None and attribute.return_type == "1")


def is_code_part(target: str) -> bool:
    """Whether a target is one part of a code, such as ``protocol_code``."""
    return target in _CODE_PARTS


def with_codes(values: dict[str, Any]) -> dict[str, Any]:
    """Values in which the parts of codes have become codes; without a scheme, descriptions."""
    named = NamedValues()
    named.read(values)
    named.settle_codes("")
    return named.values


def check(target: str, value: Any) -> None:
    """Refuse a value that the item would not take.

    Raises
    ------
    ValueError
        Says what was expected.
    """
    _checker(target)(value)


@lru_cache(maxsize=4096)
def _checker(target: str) -> Callable[[Any], object]:
    if target == "status":
        return parse_status
    if target == "patient_weight_lb":
        return lambda value: weight_kg(value, default_unit="lb")
    if target in _BESIDE_THE_MODEL:
        vr = _BESIDE_THE_MODEL[target]
        return lambda value: text(as_text(value), vr)
    if target in BY_NAME:
        attribute = BY_NAME[target]
        return parser_for(attribute.name, attribute.vr, multiple=attribute.multiple)
    from pylantir.worklist.extras import parse_extra

    return lambda value: parse_extra(target, value)


@lru_cache(maxsize=4096)
def _refused_keyword(name: str) -> str:
    """Why a DICOM keyword cannot be an extra, such as that of pixel data; empty when it can."""
    if not name or name in BY_NAME or name in _BESIDE_THE_MODEL or not name[:1].isupper():
        return ""
    try:
        check(name, [] if vr_of(name) == "SQ" else "")
    except ValueError as error:
        return str(error)
    return ""
