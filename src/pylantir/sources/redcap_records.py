"""From REDCap's rows to bookings: events, arms, repeating instruments and repeating events.

A record is many rows: one for each event, and one for each repeat of an instrument or of an event.
What does not repeat belongs to the person and counts for every booking. The booking's own row comes
before all; then the baseline event where one is named; then the booking's own event, which knows
the weight on that day; then all events in their order.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

EVENT = "redcap_event_name"
INSTRUMENT = "redcap_repeat_instrument"
INSTANCE = "redcap_repeat_instance"

Row = Mapping[str, Any]
_SHORT = 20


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a project keeps its bookings.

    Parameters
    ----------
    record_id_field : str
        Field that holds the record id.
    instrument : str
        Repeating instrument whose repeats are bookings.
    date_field, time_field, session_field : str
        Fields of a booking.
    events : collection of str
        Only these events hold bookings; all when empty.
    baseline_event : str
        The event that says who the person is; all when empty.
    missing_codes : frozenset of str
        Values that stand for "unknown".
    """

    record_id_field: str
    instrument: str
    date_field: str
    time_field: str
    session_field: str
    events: Collection[str] = ()
    baseline_event: str = ""
    missing_codes: frozenset[str] = frozenset()

    @property
    def own(self) -> tuple[str, ...]:
        """Fields that a booking has from its own row only."""
        return self.date_field, self.time_field, self.session_field


def by_record(rows: Iterable[Row], layout: Layout) -> dict[str, list[dict[str, str]]]:
    """Rows by record id, values as text, missing-data codes as empty."""
    grouped: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        known = {name: _text(value, layout.missing_codes) for name, value in row.items()}
        record_id = str(row.get(layout.record_id_field, "")).strip()
        if record_id:
            grouped.setdefault(record_id, []).append(known)
    return grouped


def bookings(
    record_id: str, rows: Iterable[dict[str, str]], layout: Layout
) -> Iterator[tuple[str, dict[str, str]]]:
    """The bookings of one record.

    Yields
    ------
    (str, dict)
        Key of the booking, ``record/event/instrument/instance``, and its merged fields.
    """
    all_rows = list(rows)
    person = _merged(row for row in all_rows if _is_about_the_person(row, layout))
    for row in all_rows:
        if not row.get(layout.date_field) or not _is_bookable(row, layout):
            continue
        same_event = _merged(
            other
            for other in all_rows
            if not _repeats(other) and other.get(EVENT, "") == row.get(EVENT, "")
        )
        shared = same_event | person if layout.baseline_event else person | same_event
        fields = shared | {name: value for name, value in row.items() if value}
        fields |= {name: row.get(name, "") for name in layout.own}
        if not fields[layout.session_field]:
            fields[layout.session_field] = row.get(INSTANCE, "")
        yield booking_key(record_id, row), fields


def booking_key(record_id: str, row: Mapping[str, str]) -> str:
    """Stable key of a booking: its place in the project, whatever its values are."""
    parts = (record_id, row.get(EVENT, ""), row.get(INSTRUMENT, ""), row.get(INSTANCE, ""))
    return "/".join(map(escaped, parts))


def escaped(part: str) -> str:
    """A part of a key, whose slashes are no separators."""
    return part.replace("%", "%25").replace("/", "%2F")


def unescaped(part: str) -> str:
    """The part as REDCap knows it."""
    return part.replace("%2F", "/").replace("%25", "%")


def _merged(rows: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """All values of some rows; where several have one, the first stays."""
    merged: dict[str, str] = {}
    for row in rows:
        for name, value in row.items():
            if value and not merged.get(name):
                merged[name] = value
    return merged


def _is_about_the_person(row: Mapping[str, str], layout: Layout) -> bool:
    """What does not repeat, over all events in their order or in the configured one."""
    return not _repeats(row) and (
        not layout.baseline_event or row.get(EVENT, "") == layout.baseline_event
    )


def _repeats(row: Mapping[str, str]) -> bool:
    return bool(row.get(INSTANCE) or row.get(INSTRUMENT))


def _is_bookable(row: Mapping[str, str], layout: Layout) -> bool:
    """A repeat of the scan's instrument, of an event, or a row of a project without repeats."""
    if layout.events and row.get(EVENT, "") not in layout.events:
        return False
    return row.get(INSTRUMENT, "") in ("", layout.instrument)


def _text(value: Any, missing_codes: frozenset[str]) -> str:
    text = "" if value is None else str(value).strip()
    if text in missing_codes or text == "NaN":
        return ""
    # Dates, events and codes stand in thousands of rows: one copy of each is enough.
    return sys.intern(text) if len(text) <= _SHORT else text
