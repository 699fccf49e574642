"""Bookings to show: a probe for the query grammar, and a day that goes on by itself."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from tests.standins.calpendo import CalpendoStandIn
from tests.standins.calpendo_data import Booking, Bookings


def probe(bookings: Bookings, day: dt.date) -> list[Booking]:
    """Six bookings of one day that tell a right query from one with the status inside the OR.

    Approved, cancelled and denied on ``3T Diagnostic``, approved on ``9.4T Animal``, requested on
    ``PET/MR``, and one on ``3T Diagnostic`` the day after.
    """
    rows = [
        ("3T Diagnostic", "Approved", 0),
        ("3T Diagnostic", "Cancelled", 0),
        ("3T Diagnostic", "Denied", 0),
        ("9.4T Animal", "Approved", 0),
        ("PET/MR", "Requested", 0),
        ("3T Diagnostic", "Approved", 1),
    ]
    made = []
    for number, (resource, status, later) in enumerate(rows, 1):
        start = dt.datetime.combine(day + dt.timedelta(days=later), dt.time(8 + number))
        title = f"SUB{number:03d}_John_Doe"
        made.append(bookings.create(title, start, resource=resource, status=status))
    return made


def live_day(server: CalpendoStandIn, resource: str = "3T Diagnostic") -> Iterator[str]:
    """A day at the booking desk: each step changes the bookings and says so, for ever."""
    desk = server.bookings
    number = 0
    while True:
        today = server.clock.wall().replace(hour=0, minute=0, second=0, microsecond=0)
        held = []
        for hour, name in ((9, "John_Doe"), (11, "Zoë_García"), (14, "Wei_Zhang")):
            number += 1
            title = f"SUB{number:03d}_{name}"
            start = today + dt.timedelta(hours=hour)
            held.append(desk.create(title, start, resource=resource))
            yield f"{title} is booked for {start:%H:%M} on {resource}"
        first, second, third = held
        desk.move(first.id, start=first.start + dt.timedelta(minutes=45))
        yield f"{first.title} moves to {first.start + dt.timedelta(minutes=45):%H:%M}"
        desk.edit(second.id, title=second.title + " (repeat)")
        yield f"{second.title} has another title"
        desk.cancel(second.id)
        yield f"{second.title} is cancelled: off the worklist"
        desk.edit(third.id, status="Denied")
        yield f"{third.title} is denied: off the worklist"
        desk.edit(third.id, status="Approved")
        yield f"{third.title} is approved after all"
        desk.move(third.id, resource="9.4T Animal")
        yield f"{third.title} moves to another scanner: off the worklist of {resource}"
        desk.delete(first.id)
        yield f"{first.title} is deleted"
