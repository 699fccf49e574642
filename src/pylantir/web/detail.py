"""One booking, in full: each value with where it came from, what happened, what scanners get."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset

from pylantir.api.history import data_set_of
from pylantir.api.services import Services
from pylantir.config.schema import DataSource
from pylantir.worklist.attributes import FIELDS, Attribute, attribute_named
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.values import Code

_MINTED = ("study_instance_uid", "requested_procedure_id", "scheduled_procedure_step_id")


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a booking.

    Parameters
    ----------
    attribute : Attribute
        What it is.
    shown : str
        For people.
    field : str
        Field of the source that it was read from; empty when that is not configured.
    is_made_here : bool
        It may have been made here, because nobody gave one.
    """

    attribute: Attribute
    shown: str
    field: str
    is_made_here: bool


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a data set as a scanner gets it."""

    depth: int
    tag: str
    keyword: str
    vr: str
    value: str


def values_of(item: WorklistItem, sources: Sequence[DataSource]) -> list[Value]:
    """Every value that a booking has."""
    source = next((entry for entry in sources if entry.name == item.data_source), None)
    fields = fields_of(source.field_mapping) if source is not None else {}
    found = []
    for attribute in FIELDS:
        values = item.values_of(attribute)
        if values:
            field = fields.get(attribute.name, "")
            made = attribute.name in _MINTED and not field
            shown = ", ".join(map(_shown, values))
            found.append(Value(attribute, shown, field, made))
    return found


def fields_of(mapping: Mapping[str, Any]) -> dict[str, str]:
    """Item field to field of the source, from a field mapping in either direction."""
    found: dict[str, str] = {}
    for left, right in mapping.items():
        if isinstance(right, Mapping) and isinstance(right.get("source_field"), str):
            _note(found, left, right["source_field"])
        elif isinstance(right, str) and attribute_named(right) is not None:
            _note(found, right, left)
        elif isinstance(right, str):
            _note(found, left, right)
    return found


def _note(found: dict[str, str], target: str, field: str) -> None:
    attribute = attribute_named(target)
    if attribute is not None:
        found[attribute.name] = field


def _shown(value: Any) -> str:
    if isinstance(value, Code):
        return f"{value.meaning or value.value} ({value.value}, {value.scheme})"
    return value.isoformat() if isinstance(value, dt.date | dt.time) else str(value)


def data_set_for(services: Services, item: WorklistItem, ae_title: str) -> list[Line]:
    """What a scanner that asks for everything would get of a booking."""
    ds = data_set_of(services, item, ae_title)
    return list(_lines(ds, 0))


def _lines(ds: Dataset, depth: int) -> Iterator[Line]:
    for element in ds:
        tag = f"{element.tag.group:04X},{element.tag.element:04X}"
        if element.VR == "SQ":
            yield Line(depth, tag, element.keyword, "SQ", "" if element.value else "–")
            for part in element.value:
                yield from _lines(part, depth + 1)
            continue
        value = element.value
        shown = "\\".join(map(str, value)) if element.VM > 1 else str(value if value else "")
        yield Line(depth, tag, element.keyword, element.VR, shown)
