"""WorklistItem: the one type that crosses every border.

A source yields it, the store keeps it, C-FIND answers it and REST shows it. It is flat, frozen
and always valid: :func:`make_item` checks every value against its value representation, and
nothing else makes an item from outside data.
"""

from __future__ import annotations

import datetime as dt
import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from functools import cache
from types import MappingProxyType
from typing import Any

from pylantir.errors import InvalidItem, ValueProblem
from pylantir.worklist import identity
from pylantir.worklist.attributes import BY_KEYWORD, BY_NAME, FIELDS, Attribute, attribute_named
from pylantir.worklist.status import ItemStatus, parse_status
from pylantir.worklist.values import Code, Parser, parser_for, pounds, text, weight_kg

MAX_EXTRAS = 256
"""Attributes beyond the model that one item may have."""

Origin = tuple[str, str]
"""Name of a source and its own stable key: what identifies an item."""

NO_EXTRAS: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class WorklistItem:
    """One scheduled procedure step with its requested procedure and patient (Table K.6-1).

    Dates and times are the site's wall clock. Weight is in kilograms, size in metres. Text is
    Unicode without insignificant spaces; empty means unknown. The fields are those of
    :data:`pylantir.worklist.attributes.FIELDS`, followed by where the item came from.

    Parameters
    ----------
    extras : mapping
        Attributes beyond the model by DICOM keyword, as plain JSON values.
    data_source, source_record_id : str
        Identity of the item: the name of its source and the source's own stable key.
    item_id : int or None
        Number in the database; nothing before it is stored.
    version : int
        Raised by every change to any item; 0 before it is stored.
    """

    scheduled_station_ae_title: tuple[str, ...] = ()
    scheduled_procedure_step_start_date: dt.date
    scheduled_procedure_step_start_time: dt.time
    modality: str
    scheduled_performing_physician_name: str = ""
    scheduled_procedure_step_description: str = ""
    scheduled_protocol_codes: tuple[Code, ...] = ()
    scheduled_procedure_step_id: str
    scheduled_station_name: tuple[str, ...] = ()
    scheduled_procedure_step_location: str = ""
    pre_medication: str = ""
    requested_contrast_agent: str = ""
    status: ItemStatus = ItemStatus.SCHEDULED
    scheduled_procedure_step_end_date: dt.date | None = None
    scheduled_procedure_step_end_time: dt.time | None = None
    scheduled_procedure_step_comments: str = ""
    requested_procedure_id: str
    requested_procedure_description: str = ""
    requested_procedure_codes: tuple[Code, ...] = ()
    study_instance_uid: str
    study_date: dt.date | None = None
    study_time: dt.time | None = None
    study_description: str = ""
    requested_procedure_priority: str = ""
    patient_transport_arrangements: str = ""
    reason_for_requested_procedure: str = ""
    requested_procedure_comments: str = ""
    accession_number: str = ""
    referring_physician_name: str = ""
    requesting_physician: str = ""
    requesting_service: str = ""
    placer_order_number: str = ""
    filler_order_number: str = ""
    admission_id: str = ""
    current_patient_location: str = ""
    institution_name: str = ""
    admitting_diagnoses_description: tuple[str, ...] = ()
    service_episode_id: str = ""
    patient_name: str
    patient_id: str
    issuer_of_patient_id: str = ""
    patient_birth_date: dt.date | None = None
    patient_sex: str = ""
    patient_weight_kg: Decimal | None = None
    patient_size_m: Decimal | None = None
    confidentiality_constraint: str = ""
    patient_state: str = ""
    special_needs: str = ""
    pregnancy_status: int | None = None
    medical_alerts: tuple[str, ...] = ()
    allergies: tuple[str, ...] = ()
    additional_patient_history: str = ""
    last_menstrual_date: dt.date | None = None
    smoking_status: str = ""
    ethnic_group: str = ""
    patient_comments: str = ""
    responsible_person: str = ""
    barcode_value: str = ""
    extras: Mapping[str, Any] = field(default_factory=lambda: NO_EXTRAS, hash=False)
    data_source: str
    source_record_id: str
    item_id: int | None = None
    version: int = 0

    @property
    def start(self) -> dt.datetime:
        """Scheduled start as a wall-clock time of the site."""
        return dt.datetime.combine(
            self.scheduled_procedure_step_start_date, self.scheduled_procedure_step_start_time
        )

    def values_of(self, attribute: Attribute) -> tuple[Any, ...]:
        """The values an attribute has in this item; none when it is empty."""
        value = getattr(self, attribute.name) if attribute.name else None
        if isinstance(value, tuple):
            return value
        return () if value is None or value == "" else (value,)

    @property
    def origin(self) -> Origin:
        """Its identity: source and record id."""
        return self.data_source, self.source_record_id

    def content(self) -> dict[str, Any]:
        """Every field that says something about the booking: all but its number and version."""
        return {name: getattr(self, name) for name in _CONTENT}


_BOOKKEEPING = ("item_id", "version")
_CONTENT = tuple(f.name for f in fields(WorklistItem) if f.name not in _BOOKKEEPING)

_IDENTIFIERS = {
    "study_instance_uid": identity.study_instance_uid,
    "requested_procedure_id": identity.requested_procedure_id,
    "scheduled_procedure_step_id": identity.scheduled_procedure_step_id,
}

_PUBLISHED_ONLY = {
    "patient_weight_lb": "weight in pounds",
    "protocol_name": "protocol code and step description",
    "hisris_coding_designator": "coding scheme of the protocol code",
}
"""Names of the published release that are no single attribute; :func:`make_item` reads them."""


@cache
def _parsers() -> dict[str, Parser]:
    made = {a.name: parser_for(a.name, a.vr, multiple=a.multiple) for a in FIELDS}
    made["status"] = parse_status
    return made


def known_names() -> tuple[str, ...]:
    """Every name that :func:`make_item` takes, DICOM keywords of extras aside."""
    return (*BY_NAME, *_PUBLISHED_ONLY)


def make_item(
    values: Mapping[str, Any], *, data_source: str, source_record_id: str, authority: str = ""
) -> WorklistItem:
    """Make an item from outside values, or say everything that is wrong with them.

    Parameters
    ----------
    values : mapping
        Field, published name or DICOM keyword to value, in any of the forms that
        :mod:`pylantir.worklist.values` reads. Empty values count as absent.
    data_source, source_record_id : str
        Identity of the item; missing identifiers are made from it.
    authority : str
        Who issues them, see :mod:`pylantir.worklist.identity`.

    Raises
    ------
    InvalidItem
        With one problem for each value that cannot be used and each required one that is missing.
    """
    problems: list[ValueProblem] = []
    given, extras = _sort_values(values, problems)
    parsed = {name: _parse(name, value, problems) for name, value in given.items()}
    _read_published(values, parsed, problems)
    _complete(parsed, (authority, data_source, source_record_id))
    _require(parsed, problems)
    if problems:
        raise InvalidItem(problems)
    return WorklistItem(
        **parsed,
        extras=MappingProxyType(extras) if extras else NO_EXTRAS,
        data_source=data_source,
        source_record_id=source_record_id,
    )


def change_item(item: WorklistItem, values: Mapping[str, Any]) -> WorklistItem:
    """The item with some values changed; its identity, number and version stay.

    Identifiers stay as well when they are emptied. Names of the published release that repeat
    what the item says change nothing; with another value they replace what stands for them.

    Raises
    ------
    InvalidItem
        A new value cannot be used, or a required one would become empty.
    """
    kept = {name: getattr(item, name) for name in BY_NAME}
    named = {a.name: v for n, v in values.items() if (a := attribute_named(n)) is not None}
    others = {n: v for n, v in values.items() if attribute_named(n) is None}
    named = {n: v for n, v in named.items() if n not in _IDENTIFIERS or not _is_empty(v)}
    _make_way(item, kept, others)
    made = make_item(
        {**item.extras, **kept, **named, **others},
        data_source=item.data_source,
        source_record_id=item.source_record_id,
    )
    return replace(made, item_id=item.item_id, version=item.version)


def published_protocol(item: WorklistItem) -> tuple[str, str]:
    """Protocol name and coding scheme as the published release keeps them."""
    if item.scheduled_protocol_codes:
        code = item.scheduled_protocol_codes[0]
        return code.value, code.scheme
    return item.scheduled_procedure_step_description, ""


def _make_way(item: WorklistItem, kept: dict[str, Any], others: dict[str, Any]) -> None:
    """Drop from `kept` what published names in `others` replace."""
    weight = item.patient_weight_kg
    if "patient_weight_lb" in others and (
        weight is None or str(others["patient_weight_lb"]).strip() != pounds(weight)
    ):
        del kept["patient_weight_kg"]
    present = published_protocol(item)
    protocol = str(others.get("protocol_name", present[0]) or "").strip()
    scheme = str(others.get("hisris_coding_designator", present[1]) or "").strip()
    if (protocol, scheme) == present:
        others.pop("protocol_name", None)
        return
    others |= {"protocol_name": protocol, "hisris_coding_designator": scheme}
    del kept["scheduled_protocol_codes"]
    if item.scheduled_procedure_step_description == present[0]:
        del kept["scheduled_procedure_step_description"]


def _sort_values(
    values: Mapping[str, Any], problems: list[ValueProblem]
) -> tuple[dict[str, Any], dict[str, Any]]:
    given: dict[str, Any] = {}
    extras: dict[str, Any] = {}
    for name, value in values.items():
        attribute = attribute_named(name)
        if attribute is not None:
            if attribute.name not in given or not _is_empty(value):
                given[attribute.name] = value
        elif name not in _PUBLISHED_ONLY and not _is_empty(value):
            extras[name] = value
    if len(extras) > MAX_EXTRAS:
        expected = f"expected at most {MAX_EXTRAS} attributes beyond the model, got {len(extras)}"
        problems.append(ValueProblem("extras", "", expected))
        return given, {}
    return given, {name: _parse_extra(name, value, problems) for name, value in extras.items()}


def _parse_extra(name: str, value: Any, problems: list[ValueProblem]) -> Any:
    from pylantir.worklist.extras import is_keyword, parse_extra  # the dictionary is slow to load

    if name not in BY_KEYWORD and not is_keyword(name):
        shown = _shown(name)
        near = difflib.get_close_matches(shown, known_names(), n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        problems.append(ValueProblem(shown, "", f"unknown name{hint}"))
        return None
    try:
        return parse_extra(name, value)
    except ValueError as error:
        problems.append(ValueProblem(name, _shown(value), str(error)))
        return None


def _is_empty(value: Any) -> bool:
    return value is None or value == "" or value == () or value == []


def _shown(value: Any) -> str:
    shown = str(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."


def _parse(name: str, value: Any, problems: list[ValueProblem]) -> Any:
    parser = _parsers()[name]
    try:
        return parser(value)
    except ValueError as error:
        problems.append(ValueProblem(name, _shown(value), str(error)))
        return parser(None)


def _read_published(
    values: Mapping[str, Any], parsed: dict[str, Any], problems: list[ValueProblem]
) -> None:
    """Names of the published release that stand for something else on the wire."""
    pounds = values.get("patient_weight_lb")
    if not _is_empty(pounds) and parsed.get("patient_weight_kg") is None:
        try:
            parsed["patient_weight_kg"] = weight_kg(pounds, default_unit="lb")
        except ValueError as error:
            problems.append(ValueProblem("patient_weight_lb", _shown(pounds), str(error)))
    try:
        protocol = text(str(values.get("protocol_name") or ""), "LO")
        scheme = text(str(values.get("hisris_coding_designator") or ""), "SH")
    except ValueError as error:
        shown = _shown(values.get("protocol_name"))
        problems.append(ValueProblem("protocol_name", shown, str(error)))
        return
    if protocol and not parsed.get("scheduled_procedure_step_description"):
        parsed["scheduled_procedure_step_description"] = protocol
    # A code needs its scheme (type 1) and at most 16 characters; without both the description
    # alone carries the protocol, as Table K.6-1 allows.
    if protocol and scheme and len(protocol) <= 16 and not parsed.get("scheduled_protocol_codes"):
        parsed["scheduled_protocol_codes"] = (Code(protocol, scheme, protocol),)


def _complete(parsed: dict[str, Any], origin: tuple[str, str, str]) -> None:
    """Fill what Table K.6-1 wants with a value and what can be known without guessing."""
    for name, make in _IDENTIFIERS.items():
        if not parsed.get(name):
            parsed[name] = make(*origin)
    step, procedure = "scheduled_procedure_step_description", "requested_procedure_description"
    has_step_code = bool(parsed.get("scheduled_protocol_codes"))
    candidates = (procedure, "study_description", "modality")
    if not parsed.get(step) and not has_step_code:
        parsed[step] = next((parsed[n] for n in candidates if parsed.get(n)), "")
    if not parsed.get(procedure) and not parsed.get("requested_procedure_codes"):
        parsed[procedure] = parsed.get("study_description") or _step_words(parsed)


def _step_words(parsed: Mapping[str, Any]) -> str:
    words: str = parsed.get("scheduled_procedure_step_description") or ""
    codes: tuple[Code, ...] = parsed.get("scheduled_protocol_codes") or ()
    return words or (codes[0].meaning or codes[0].value if codes else "")


_REQUIRED = (
    "patient_name",
    "patient_id",
    "modality",
    "scheduled_procedure_step_start_date",
    "scheduled_procedure_step_start_time",
)


def _require(parsed: Mapping[str, Any], problems: list[ValueProblem]) -> None:
    faulty = {problem.field for problem in problems}
    for name in _REQUIRED:
        if _is_empty(parsed.get(name)) and name not in faulty:
            problems.append(ValueProblem(name, "", "required, but empty"))
