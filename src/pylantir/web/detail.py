"""One booking, in full: each value with where it came from, what happened, what scanners get."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset

from pylantir.api.history import data_set_of
from pylantir.api.services import Services
from pylantir.worklist.attributes import FIELDS, Attribute
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
        Fields of the source that it was read from; empty when that is not known.
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


def values_of(item: WorklistItem, origin_of: Callable[[str], str]) -> list[Value]:
    """Every value that a booking has.

    Parameters
    ----------
    item : WorklistItem
        The booking.
    origin_of : callable
        From the name of an item's field to the fields of the source, in words.
    """
    found = []
    for attribute in FIELDS:
        values = item.values_of(attribute)
        if values:
            origin = origin_of(attribute.name)
            made = attribute.name in _MINTED and not origin
            found.append(Value(attribute, ", ".join(map(_shown, values)), origin, made))
    return found


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
