"""An item as people and programs see it: plain values under the published names.

Dates are ``YYYY-MM-DD``, times ``HH:MM[:SS]``; several values are a list.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from pylantir import clock
from pylantir.worklist.attributes import FIELDS
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.values import pounds


def plain_item(item: WorklistItem) -> dict[str, Any]:
    """The item with every field under its published name, ready for JSON."""
    plain: dict[str, Any] = {"id": item.item_id}
    plain |= {a.column: _plain(getattr(item, a.name)) for a in FIELDS}
    weight = item.patient_weight_kg
    plain["patient_weight_lb"] = "" if weight is None else pounds(weight)
    plain["extras"] = dict(item.extras)
    plain["data_source"] = item.data_source
    plain["source_record_id"] = item.source_record_id
    return plain


def changed_names(before: WorklistItem, after: WorklistItem) -> tuple[str, ...]:
    """Published names of what two versions of an item say differently, and never their values."""
    names = [a.column for a in FIELDS if getattr(before, a.name) != getattr(after, a.name)]
    for name in ("data_source", "source_record_id"):
        if getattr(before, name) != getattr(after, name):
            names.append(name)
    others = {**before.extras, **after.extras} if before.extras != after.extras else {}
    differ = (name for name in others if before.extras.get(name) != after.extras.get(name))
    return (*names, *sorted(differ))


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [part if isinstance(part, str) else asdict(part) for part in value]
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, dt.time):
        return clock.as_iso_time(value)
    if isinstance(value, Decimal):
        return float(value)
    return "" if value is None else str(value) if isinstance(value, str) else value
