"""Why an item is, or is not, in the answer to a query: key by key, with what would change it.

The same tests as :meth:`WorklistQuery.matches`, one at a time, with words. A test compares both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from pylantir.worklist.asked import is_certain, words
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.query import START_DATE, STATION, STATUS, Key, Range, WorklistQuery


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason that an item is shown or not.

    Parameters
    ----------
    what : str
        The key, setting or state that was looked at.
    asked : str
        What it wants, in words.
    has : str
        What the item has; may name a person.
    fits : bool or None
        Whether the item satisfies it; nothing when that cannot be told.
    remedy : str
        What would make it fit; empty when it does.
    """

    what: str
    asked: str
    has: str
    fits: bool | None
    remedy: str = ""


def findings(item: WorklistItem, query: WorklistQuery) -> list[Finding]:
    """Every test of a query, applied to an item."""
    found = (*_of_settings(item, query), *_of_window(item, query), *_of_keys(item, query))
    return [replace(each, remedy="") if each.fits else each for each in found]


def is_shown(found: list[Finding]) -> bool | None:
    """Whether all tests together show the item; nothing when that cannot be told."""
    if any(each.fits is False for each in found):
        return False
    return None if any(each.fits is None for each in found) else True


def _of_settings(item: WorklistItem, query: WorklistQuery) -> Iterator[Finding]:
    status = item.status
    if query.hidden and not query.names_status:
        yield Finding(
            "hidden_statuses",
            f"not {' or '.join(query.hidden)}",
            status,
            status not in query.hidden,
            "set the status back, or take it out of hidden_statuses",
        )
    if query.only_statuses:
        fits = status in query.only_statuses
        yield _limit("statuses", query.only_statuses, status, fits)
    if query.only_modalities:
        fits = item.modality in query.only_modalities
        yield _limit("modalities", query.only_modalities, item.modality, fits)
    if query.only_stations:
        stations = item.scheduled_station_ae_title
        fits = not stations or bool(set(stations) & set(query.only_stations))
        yield _limit("stations", query.only_stations, "\\".join(stations) or "any scanner", fits)


def _limit(name: str, wanted: tuple[str, ...], has: str, fits: bool) -> Finding:
    return Finding(
        f"scanner profile: {name}",
        " or ".join(wanted),
        has,
        fits,
        f"change the item, or {name} in this scanner's entry under scanners",
    )


def _of_window(item: WorklistItem, query: WorklistQuery) -> Iterator[Finding]:
    if query.names_date:
        return
    day = item.scheduled_procedure_step_start_date
    window = query.window
    if window.first is not None or window.last is not None:
        yield Finding(
            "days_back and days_ahead",
            words(window),
            day.isoformat(),
            window.accepts(day),
            "the scanner asks for a date, or days_back and days_ahead are widened",
        )
    for source, first, last in query.shown_days:
        if source == item.data_source:
            yield Finding(
                f"days that source {source} shows",
                words(Range(first, last)),
                day.isoformat(),
                first <= day <= last,
                "the scanner asks for a date, or mwl_days_ahead or window_mode of the source is "
                "changed",
            )


def _of_keys(item: WorklistItem, query: WorklistQuery) -> Iterator[Finding]:
    for key in query.keys:
        yield _of_key(key, item)
    for code in query.codes:
        certain = all(is_certain(match) for _, match in code.parts)
        asked = ", ".join(f"{name} {words(match)}" for name, match in code.parts)
        has = ", ".join(each.value for each in item.values_of(code.attribute))
        fits = code.accepts(item) if certain else None
        yield Finding(code.attribute.keyword, asked, has, fits, _remedy(code.attribute.keyword))
    if query.start is not None:
        asked = words(Range(query.start.first, query.start.last))
        fits = query.start.accepts(item)
        yield Finding("scheduled start", asked, str(item.start), fits, _remedy("start"))


def _of_key(key: Key, item: WorklistItem) -> Finding:
    values = item.values_of(key.attribute)
    has = "\\".join(map(_shown, values))
    if key.attribute is STATION and not values:
        return Finding(key.attribute.keyword, words(key.match), "any scanner", True)
    keyword = key.attribute.keyword
    fits = key.accepts(item) if is_certain(key.match) or not values else None
    return Finding(keyword, words(key.match), has or "nothing", fits, _remedy(keyword))


def _remedy(keyword: str) -> str:
    return _REMEDIES.get(keyword, "the scanner asks without this key, or the item is corrected")


_REMEDIES = {
    STATION.keyword: "book it on this scanner's AE title, or let the scanner ask for this one",
    START_DATE.keyword: "let the scanner ask for the day of the booking, or move the booking",
    STATUS.keyword: "let the scanner ask without a status, or move the status of the booking",
    "start": "let the scanner ask for the time of the booking, or move the booking",
}


def _shown(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
