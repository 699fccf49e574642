"""Forms about a booking: which fields they have, and what was typed into them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from pylantir.api.fields import rest_item
from pylantir.errors import InvalidItem
from pylantir.worklist.attributes import attribute_named
from pylantir.worklist.item import WorklistItem

FIELDS = (
    "patient_name patient_id patient_birth_date patient_sex patient_weight_kg accession_number "
    "scheduled_start_date scheduled_start_time scheduled_procedure_step_end_time modality "
    "scheduled_station_aetitle scheduled_procedure_step_description referring_physician_name "
    "performing_physician scheduled_procedure_step_comments"
).split()
"""Published names of what the forms hold."""

_NAMES = ("patient_name", "referring_physician_name", "performing_physician")


def typed(form: Mapping[str, str]) -> dict[str, str]:
    """What somebody typed; a name may be typed as ``Family, Given``."""
    values = {name: form[name].strip() for name in FIELDS if name in form}
    for name in _NAMES:
        if "^" not in values.get(name, ""):
            family, comma, given = values.get(name, "").partition(",")
            if comma:
                values[name] = f"{family.strip()}^{given.strip()}"
    return values


def shown(item: WorklistItem) -> dict[str, str]:
    """What the form of a booking holds at first."""
    present = rest_item(item)
    found = {name: present.get(name) for name in FIELDS}
    return {name: _text(value) for name, value in found.items()}


def changed(form: Mapping[str, str], item: WorklistItem) -> dict[str, Any]:
    """What of a form says something else than the booking."""
    before = shown(item)
    return {name: value for name, value in typed(form).items() if value != before[name]}


def for_somebody(now: dt.datetime, *, is_phantom: bool) -> dict[str, str]:
    """What the form of a new booking holds at first: somebody who stands in the door, now."""
    values = dict.fromkeys(FIELDS, "")
    values |= {
        "scheduled_start_date": f"{now:%Y-%m-%d}",
        "scheduled_start_time": f"{now:%H:%M}",
        "modality": "MR",
    }
    if is_phantom:
        values |= {
            "patient_name": "PHANTOM^QA",
            "patient_id": f"PHANTOM-{now:%Y%m%d-%H%M%S}",
            "scheduled_procedure_step_description": "Phantom",
        }
    return values


def problems_in(error: InvalidItem) -> dict[str, str]:
    """What is wrong, by the name of the field in the form; the rest under an empty name."""
    found: dict[str, str] = {}
    for problem in error.problems:
        attribute = attribute_named(problem.field)
        name = attribute.column if attribute is not None else problem.field
        words = problem.reason if name in FIELDS else f"{problem.field}: {problem.reason}"
        key = name if name in FIELDS else ""
        found[key] = "; ".join(filter(None, (found.get(key, ""), words)))
    return found


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return "" if value is None else str(value)
