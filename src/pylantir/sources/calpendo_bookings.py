"""Reading one Calpendo booking: JSON before and after version 11, hidden values, dates, status."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pylantir.clock import SiteClock
from pylantir.sources.extraction import look_up

HIDDEN = "<Hidden>"
"""What Calpendo writes where the account has no right to see a value."""

_MOMENT = r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)"
_RANGE = re.compile(rf"\[?\s*{_MOMENT}\s*[,–]\s*{_MOMENT}\s*\]?")
_COMPACT = re.compile(r"(\d{4})(\d\d)(\d\d)[T-](\d\d):?(\d\d)(?::?(\d\d))?(?:\.\d+)?")
_MOST_REPEATING = 1000


def in_one_shape(row: Mapping[str, Any]) -> dict[str, Any]:
    """A booking in one shape, whichever the server writes.

    Everything stands below ``properties``, objects within objects; what was at the root stays there
    too. Hidden values are nothing. A reference without a ``name`` has its display text for one.
    """
    root = {key: _seen(value) for key, value in row.items() if key != "properties"}
    inner = row.get("properties")
    found: dict[str, Any] = {}
    for part in (root, inner if isinstance(inner, Mapping) else {}):
        for path, value in part.items():
            _put(found, path.split("."), _seen(value))
    top = {key: value for key, value in root.items() if "." not in key}
    return {**top, "properties": {key: _named(value) for key, value in found.items()}}


def _put(into: dict[str, Any], path: Sequence[str], value: Any) -> None:
    *lead, last = path
    for name in lead:
        below = into.get(name)
        if not isinstance(below, dict):
            below = {} if below is None else {"formattedName": below}
            into[name] = below
        into = below
    if last == "name" and isinstance(value, Mapping):
        value = value.get("name") or value.get("formattedName")
    if isinstance(value, Mapping) and isinstance(into.get(last), dict):
        into[last] = {**into[last], **value}
    elif value is not None or last not in into:
        into[last] = value


def _seen(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _seen(held) for key, held in value.items()}
    if isinstance(value, list):
        return [_seen(held) for held in value]
    return None if value == HIDDEN else value


def _named(value: Any) -> Any:
    if isinstance(value, Mapping) and value.get("formattedName") and not value.get("name"):
        return {**value, "name": value["formattedName"]}
    return value


def has(row: Mapping[str, Any], path: str) -> bool:
    """Whether a row says something about a path, even that it is nothing or hidden."""
    inner = row.get("properties")
    return any(
        path in start or _walks(start, path.split("."))
        for start in (row, inner)
        if isinstance(start, Mapping)
    )


def _walks(start: Mapping[str, Any], path: Sequence[str]) -> bool:
    value: Any = start
    for part in path:
        if value == HIDDEN:
            return True
        if not isinstance(value, Mapping) or part not in value:
            return False
        value = value[part]
    return True


def text_at(booking: Mapping[str, Any], path: str) -> str:
    """The text at a dotted path, stripped; an object's name; empty when nothing or hidden."""
    value = look_up(booking, path)
    if isinstance(value, Mapping):
        value = value.get("name") or value.get("formattedName")
    return "" if value is None else str(value).strip()


def date_range(
    booking: Mapping[str, Any], clock: SiteClock
) -> tuple[dt.datetime, dt.datetime | None] | None:
    """Start and end as wall-clock times of the Calpendo server, or nothing when it has none.

    ``dateRange`` first, as an object or as text; ``formattedName`` is for people, and an
    administrator may change it.
    """
    start = _wall(look_up(booking, "dateRange.start"), clock)
    if start is not None:
        end = look_up(booking, "dateRange.finish") or look_up(booking, "dateRange.end")
        return start, _wall(end, clock)
    for path in ("dateRange", "formattedName"):
        match = _RANGE.search(text_at(booking, path))
        first = _wall(match[1], clock) if match is not None else None
        if match is not None and first is not None:
            return first, _wall(match[2], clock)
    return None


def _wall(value: Any, clock: SiteClock) -> dt.datetime | None:
    """A wall-clock time; an instant with an offset is converted to the server's zone."""
    if not isinstance(value, str):
        return None
    written = value.strip()
    compact = _COMPACT.fullmatch(written)
    if compact is not None:
        written = "{}-{}-{}T{}:{}:{}".format(*compact.groups(default="00"))
    try:
        moment = dt.datetime.fromisoformat(written)
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
    if text_at(booking, "cancelled").lower() == "true":
        return "cancelled in Calpendo"
    status = text_at(booking, "status")
    return "" if status.lower() in schedulable else f"{status or 'without status'} in Calpendo"


class Occurrences:
    """Keys for bookings that take place several times under one id.

    The first occurrence that was seen keeps the plain id, as a booking that takes place once does;
    the others are ``id/YYYYMMDD``. Which ids repeat is remembered in the cursor: in some weeks only
    one occurrence is in the window, and it must keep its key.
    """

    def __init__(self, plain_days: Mapping[str, str], read_at: dt.datetime | None = None) -> None:
        self._plain_days = dict(plain_days)
        self.read_at = read_at
        """When the bookings were read the last time."""

    @classmethod
    def read(cls, cursor: str | None) -> Occurrences:
        """What a cursor remembers; nothing when it is of another kind."""
        try:
            held = json.loads(cursor or "")
            repeating = {str(key): str(day) for key, day in held.get("repeating", {}).items()}
            return cls(repeating, dt.datetime.fromisoformat(held["at"]))
        except (ValueError, AttributeError, KeyError, TypeError):
            return cls({})

    def cursor(self, now: dt.datetime) -> str:
        """What to remember."""
        self.read_at = now
        kept = dict(list(self._plain_days.items())[-_MOST_REPEATING:])
        return json.dumps({"at": now.isoformat(), "repeating": kept})

    def repeats(self, booking_id: str) -> bool:
        """Whether a booking was ever seen on several days."""
        return booking_id in self._plain_days

    def keys(
        self, dated: Iterable[tuple[str, dt.date | None]], seen: dt.date | None = None
    ) -> list[str]:
        """The key of each booking, from its id and the day it starts.

        Parameters
        ----------
        seen : date, optional
            The last day that was ever seen, where days are seen one at a time: an item under the
            plain id is of the newest day until then.
        """
        pairs = list(dated)
        days: defaultdict[str, set[dt.date]] = defaultdict(set)
        for booking_id, day in pairs:
            days[booking_id] |= {day} if day is not None else set()
        for booking_id, found in days.items():
            if len(found) > 1:
                until = {day for day in found if seen is not None and day <= seen}
                plain = max(until) if until else min(found)
                self._plain_days.setdefault(booking_id, plain.isoformat())
        return [self._key(booking_id, day) for booking_id, day in pairs]

    def _key(self, booking_id: str, day: dt.date | None) -> str:
        plain = self._plain_days.get(booking_id)
        if plain is None or day is None or day.isoformat() == plain:
            return booking_id
        return f"{booking_id}/{day:%Y%m%d}"
