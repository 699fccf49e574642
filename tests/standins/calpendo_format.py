"""Calpendo's bodies: the JSON of releases before and after 11, and XML and HTML of the same."""

from __future__ import annotations

import datetime as dt
import html
import json
from collections.abc import Mapping
from dataclasses import dataclass

from tests.standins.calpendo_data import Booking, Named, Stamp
from tests.standins.calpendo_query import Properties, resolve
from tests.standins.clock import VirtualClock
from tests.standins.wire import JSON, XML, Reply, page

_TOP_LEVEL = ("id", "formattedName", "title", "status", "biskitType", "created")


@dataclass
class Style:
    """How a server writes; what no public source settles can be had either way.

    Attributes
    ----------
    version : int
        The release: 11 changed the shape of lists and details.
    display : str
        Template of ``formattedName`` (``{title} {start:%H:%M} {resource}``); blank for the
        default, the date range as Java writes it.
    status_case : str
        ``title`` (Approved) or ``upper`` (APPROVED).
    modified_name : str
        Name of the property with the last change: ``modified`` or ``updated``.
    finish_name : str
        ``finish`` or ``end``, in the JSON of release 11.
    paths_style : str
        ``flat`` (``"resource.name": ...``) or ``nested`` rows in answers to ``paths=``.
    """

    version: int = 11
    display: str = ""
    status_case: str = "title"
    modified_name: str = "modified"
    finish_name: str = "finish"
    paths_style: str = "flat"


def booking_properties(
    booking: Booking,
    style: Style,
    clock: VirtualClock,
    occurrence: tuple[dt.datetime, dt.datetime] | None = None,
) -> dict[str, object]:
    """All properties of a booking, or of one of its occurrences, as queries see them."""
    start, finish = occurrence or (booking.start, booking.finish)
    status = booking.status.upper() if style.status_case == "upper" else booking.status
    told: dict[str, object] = {
        "id": booking.id,
        "biskitType": booking.biskit_type,
        "formattedName": _display(booking, style, start, finish),
        "title": booking.title,
        "status": status,
        "dateRange": {"start": start, "finish": finish},
        "resource": booking.resource.properties(),
        "project": booking.project.properties(),
        "booker": booking.booker.properties(),
        "owner": booking.owner.properties(),
        "durationInMinutes": int((finish - start).total_seconds() // 60),
        "allDay": booking.all_day,
        "created": Stamp.of(booking.created, clock),
        style.modified_name: Stamp.of(booking.modified, clock),
        "description": booking.description,
        "cancelled": booking.status == "Cancelled",
        "cancellationReason": booking.cancellation_reason,
        "repeat": _repeat(booking),
    }
    if booking.biskit_type == "MRIScan":
        told["Operator"] = booking.operator.properties() if booking.operator else None
    return told


def named_properties(item: Named, type_name: str) -> dict[str, object]:
    """The properties of a resource, project or person asked for by itself."""
    return {**item.properties(), "biskitType": type_name}


def list_row(properties: Properties, style: Style) -> dict[str, object]:
    """A row of a query without ``paths``."""
    names = ("id", "biskitType") if style.version >= 11 else _TOP_LEVEL
    return {name: properties[name] for name in names if name in properties}


def path_row(properties: Properties, paths: list[str], style: Style) -> dict[str, object]:
    """A row of a query with ``paths``."""
    row = list_row(properties, style)
    if style.paths_style == "flat":
        return {**row, **{path: _flat_value(properties, path) for path in paths}}
    nested: dict[str, object] = {}
    for path in paths:
        below = nested
        *lead, last = path.split(".")
        for name in lead:
            below = below.setdefault(name, {})  # type: ignore[assignment]
        below[last] = _reference(resolve(properties, path))
    return {**row, "properties": nested}


def detail(properties: Properties, style: Style) -> dict[str, object]:
    """One biskit in full."""
    if style.version < 11:
        top = {name: properties[name] for name in _TOP_LEVEL if name in properties}
        hidden = (*_TOP_LEVEL[:-1], "dateRange", "repeat", "Operator", "allDay")
        return {**top, "properties": {k: v for k, v in properties.items() if k not in hidden}}
    below = {k: _reference(v) for k, v in properties.items() if k not in _TOP_LEVEL[:2]}
    below.pop("biskitType", None)
    below.pop("Operator", None)
    span = properties.get("dateRange")
    if isinstance(span, Mapping):
        below["dateRange"] = {"start": span["start"], style.finish_name: span["finish"]}
    head = ("id", "biskitType", "formattedName")
    return {**{k: properties[k] for k in head}, "properties": below}


def reply(content: Mapping[str, object], form: str) -> Reply:
    """The content as ``json``, ``xml`` or ``html``."""
    plain = _plain(content)
    if form == "json":
        return Reply(200, json.dumps(plain, ensure_ascii=False).encode(), JSON)
    if form == "xml":
        text = f'<?xml version="1.0" encoding="UTF-8"?>\n{_xml("result", plain)}\n'
        return Reply(200, text.encode(), XML)
    return page("Calpendo", f"<pre>{html.escape(json.dumps(plain, indent=1))}</pre>")


def _display(booking: Booking, style: Style, start: dt.datetime, finish: dt.datetime) -> str:
    if not style.display:
        return f"[{_java(start)}, {_java(finish)}]"
    return style.display.format(
        title=booking.title,
        start=start,
        finish=finish,
        resource=booking.resource.name,
        project=booking.project.name,
    )


def _java(wall: dt.datetime) -> str:
    """A time as ``java.sql.Timestamp`` writes it."""
    fraction = f"{wall.microsecond:06d}".rstrip("0") or "0"
    return f"{wall:%Y-%m-%d %H:%M:%S}.{fraction}"


def _repeat(booking: Booking) -> dict[str, object] | None:
    if booking.repeat is None:
        return None
    return {"everyDays": booking.repeat.every_days, "times": booking.repeat.times}


def _flat_value(properties: Properties, path: str) -> object:
    """A value by its path; the name of a person comes as a reference to the person."""
    *lead, last = path.split(".")
    if last == "name" and lead and lead[-1] in {"Operator", "booker", "owner"}:
        return _reference(resolve(properties, ".".join(lead)))
    return _reference(resolve(properties, path))


def _reference(value: object) -> object:
    if isinstance(value, Mapping) and "formattedName" in value:
        return {"formattedName": value["formattedName"], "id": value["id"]}
    return value


def _plain(value: object) -> object:
    if isinstance(value, Stamp):
        return str(value)
    if isinstance(value, dt.datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: _plain(held) for key, held in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(held) for held in value]
    return value


def _xml(name: str, value: object) -> str:
    if isinstance(value, Mapping):
        inside = "".join(_xml(key, held) for key, held in value.items())
    elif isinstance(value, list):
        inside = "".join(_xml(name.removesuffix("s"), held) for held in value)
    else:
        inside = "" if value is None else html.escape(str(value))
    return f"<{name}>{inside}</{name}>"
