"""Reading one Calpendo booking: JSON before and after version 11, hidden values, dates, status."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

from pylantir.clock import SiteClock

HIDDEN = "<Hidden>"
"""What Calpendo writes where the account has no right to see a value."""

_RANGE = re.compile(
    r"\[?\s*(\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)\s*[,–]\s*"
    r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)\s*\]?"
)
_COMPACT = re.compile(r"(\d{4})(\d\d)(\d\d)[T-](\d\d):?(\d\d)(?::?(\d\d))?")


def value_at(booking: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path: flat, nested, or below ``properties``; nothing when hidden."""
    for start in (booking, booking.get("properties")):
        if isinstance(start, Mapping):
            if path in start:
                return _seen(start[path])
            found = _walk(start, path)
            if found is not None:
                return _seen(found)
    return None


def _walk(start: Mapping[str, Any], path: str) -> Any:
    value: Any = start
    for part in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def _seen(value: Any) -> Any:
    return None if value == HIDDEN else value


def name_of(value: Any) -> str:
    """The name of a resource, project or person: plain text, or an object that has one."""
    if isinstance(value, Mapping):
        value = value.get("name") or value.get("formattedName")
    return "" if value is None or value == HIDDEN else str(value).strip()


def resource_of(booking: Mapping[str, Any]) -> str:
    """Name of the booked resource."""
    return name_of(value_at(booking, "resource.name")) or name_of(value_at(booking, "resource"))


def date_range(
    booking: Mapping[str, Any], clock: SiteClock
) -> tuple[dt.datetime, dt.datetime | None] | None:
    """Start and end as wall-clock times of the Calpendo server, or nothing when it has none.

    ``dateRange`` first; ``formattedName`` is text for people, and an administrator may change it.
    """
    start = _wall(value_at(booking, "dateRange.start"), clock)
    if start is not None:
        end = value_at(booking, "dateRange.finish") or value_at(booking, "dateRange.end")
        return start, _wall(end, clock)
    match = _RANGE.search(str(value_at(booking, "formattedName") or ""))
    if match is None:
        return None
    first, last = _wall(match[1], clock), _wall(match[2], clock)
    return (first, last) if first is not None else None


def _wall(value: Any, clock: SiteClock) -> dt.datetime | None:
    """A wall-clock time; an instant with an offset is converted to the server's zone."""
    if not isinstance(value, str):
        return None
    compact = _COMPACT.match(value.strip())
    if compact is not None:
        value = "{}-{}-{}T{}:{}:{}".format(*compact.groups(default="00"))
    try:
        moment = dt.datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    return moment if moment.tzinfo is None else clock.wall_of(moment)


def why_not(booking: Mapping[str, Any], schedulable: frozenset[str]) -> str:
    """Why a booking must not be scanned; empty when it may.

    Parameters
    ----------
    schedulable : frozenset of str
        Statuses that may be scanned, in lower case.
    """
    if value_at(booking, "cancelled") is True:
        return "cancelled in Calpendo"
    status = str(value_at(booking, "status") or "").strip()
    if status.lower() in schedulable:
        return ""
    return f"{status or 'without status'} in Calpendo"
