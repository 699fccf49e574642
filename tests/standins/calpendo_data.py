"""What a Calpendo server holds: bookings, what they refer to, and who may see what."""

from __future__ import annotations

import datetime as dt
import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from tests.standins.calpendo_query import HIDDEN
from tests.standins.clock import VirtualClock

STATUSES = ("Requested", "Tentative", "Approved", "Denied", "Cancelled")
_FIRST_ID = 300_004_157_686_785
_ID_STEP = 1024  # ids are numbers times 1024 plus the shard, since release 10


class Stamp(dt.datetime):
    """An instant that is compared as the server's wall time and shown in UTC to the minute."""

    instant: dt.datetime

    @classmethod
    def of(cls, instant: dt.datetime, clock: VirtualClock) -> Self:
        """The stamp of an instant on a server."""
        wall = clock.to_wall(instant)
        stamp = cls(wall.year, wall.month, wall.day, wall.hour, wall.minute, wall.second)
        stamp.instant = instant
        return stamp

    def __str__(self) -> str:
        return f"{self.instant:%Y-%m-%dT%H:%MZ}"


@dataclass(frozen=True)
class Named:
    """A resource, a project or a person."""

    id: int
    name: str
    formatted_name: str
    groups: tuple[str, ...] = ()

    def properties(self) -> dict[str, object]:
        """As bookings show it."""
        told: dict[str, object] = {
            "id": self.id,
            "name": self.name,
            "formattedName": self.formatted_name,
        }
        return {**told, "groups": list(self.groups)} if self.groups else told


@dataclass(frozen=True)
class Repeat:
    """The rule of a repeat booking: so many times, so many days apart, but for those skipped."""

    every_days: int = 7
    times: int = 2
    skipped: tuple[int, ...] = ()


@dataclass(frozen=True)
class Booking:
    """One booking; `start` and `finish` are the server's wall time, on one day."""

    id: int
    title: str
    start: dt.datetime
    finish: dt.datetime
    resource: Named
    project: Named
    booker: Named
    owner: Named
    created: dt.datetime
    modified: dt.datetime
    status: str = "Approved"
    biskit_type: str = "MRIScan"
    operator: Named | None = None
    description: str = ""
    cancellation_reason: int | None = None
    all_day: bool = False
    repeat: Repeat | None = None

    def occurrences(self) -> Iterator[tuple[dt.datetime, dt.datetime]]:
        """Start and finish of each time it takes place."""
        rule = self.repeat or Repeat(0, 1)
        for number in range(rule.times):
            if number in rule.skipped:
                continue
            later = dt.timedelta(days=rule.every_days * number)
            yield self.start + later, self.finish + later


_ANY = Named(1, "any", "any", ("any",))
_EPOCH = dt.datetime(2000, 1, 1, 9, tzinfo=dt.UTC)

SPECIMEN = Booking(
    id=1,
    title="any",
    start=_EPOCH.replace(tzinfo=None),
    finish=_EPOCH.replace(tzinfo=None),
    resource=_ANY,
    project=_ANY,
    booker=_ANY,
    owner=_ANY,
    created=_EPOCH,
    modified=_EPOCH,
    operator=_ANY,
    cancellation_reason=0,
    repeat=Repeat(),
)
"""A booking with a value everywhere, to check queries against when there are no bookings."""


@dataclass
class Account:
    """A local account; accounts of the single sign-on cannot use the API.

    `hidden` are property paths whose values it may not see, `hidden_projects` names of projects
    whose bookings it sees as busy only, `forbidden_types` types it may not ask for.
    """

    name: str = "pylantir"
    password: str = "stand-in"
    hidden: set[str] = field(default_factory=set)
    hidden_projects: set[str] = field(default_factory=set)
    forbidden_types: set[str] = field(default_factory=set)
    local: bool = True

    def sees(self, properties: dict[str, object]) -> dict[str, object]:
        """The properties with ``<Hidden>`` in place of what the account may not see."""
        paths = set(self.hidden)
        project = properties.get("project")
        if isinstance(project, Mapping) and project.get("name") in self.hidden_projects:
            paths |= {"title", "description", "project", "booker", "owner"}
        for path in paths:
            properties = _hide(properties, path.split("."))
        return properties


class Bookings:
    """All bookings of a server. Every change is stamped with the server's clock."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.items: dict[int, Booking] = {}
        self.named: dict[str, dict[str, Named]] = {"resource": {}, "project": {}, "person": {}}
        self._ids = itertools.count(_FIRST_ID, _ID_STEP)
        self._named_ids = itertools.count(101)

    def name(
        self, kind: str, name: str, formatted_name: str = "", groups: tuple[str, ...] = ()
    ) -> Named:
        """The resource, project or person of that name; made on first use."""
        held = self.named[kind].get(name)
        if held is None or (formatted_name and held.formatted_name != formatted_name):
            number = held.id if held else next(self._named_ids)
            held = Named(number, name, formatted_name or name, groups)
            self.named[kind][name] = held
        return held

    def create(
        self,
        title: str,
        start: dt.datetime,
        *,
        finish: dt.datetime | None = None,
        minutes: int = 60,
        resource: str = "3T Diagnostic",
        project: str = "BRISKP",
        booker: str = "Emily Smith",
        owner: str = "Robert Jones",
        operator: str | None = "Jane Smith",
        status: str = "Approved",
        biskit_type: str = "MRIScan",
        repeat: Repeat | None = None,
        **more: object,
    ) -> Booking:
        """Book. `more` are other fields of `Booking`: ``id``, ``description``, ``all_day``."""
        now = self.clock.now()
        person = self.name("person", operator) if operator and biskit_type == "MRIScan" else None
        booking = Booking(
            id=next(self._ids),
            title=title,
            start=start,
            finish=finish or start + dt.timedelta(minutes=minutes),
            resource=self.name("resource", resource),
            project=self.name("project", project),
            booker=self.name("person", booker),
            owner=self.name("person", owner),
            created=now,
            modified=now,
            status=_status(status),
            biskit_type=biskit_type,
            operator=person,
            repeat=repeat,
        )
        return self._keep(_changed(booking, more))

    def get(self, booking_id: int) -> Booking:
        """A booking by its id.

        Raises
        ------
        LookupError
            There is none, or no longer.
        """
        if booking_id not in self.items:
            raise LookupError(f"no booking {booking_id}")
        return self.items[booking_id]

    def edit(self, booking_id: int, **changes: object) -> Booking:
        """Change fields; resource, project, booker, owner and operator are given by name."""
        said = dict(changes)
        for name in ("resource", "project", "booker", "owner", "operator"):
            if isinstance(said.get(name), str):
                kind = name if name in self.named else "person"
                said[name] = self.name(kind, str(said[name]))
        if "status" in said:
            said["status"] = _status(str(said["status"]))
        changed = _changed(self.get(booking_id), {"modified": self.clock.now(), **said})
        return self._keep(changed)

    def move(
        self,
        booking_id: int,
        start: dt.datetime | None = None,
        finish: dt.datetime | None = None,
        resource: str | None = None,
    ) -> Booking:
        """Move in time, keeping the length unless told otherwise, or to another resource."""
        held = self.get(booking_id)
        begin = start or held.start
        said: dict[str, object] = {"start": begin}
        said["finish"] = finish or begin + (held.finish - held.start)
        return self.edit(booking_id, **said, **({"resource": resource} if resource else {}))

    def cancel(self, booking_id: int, reason: int = 1) -> Booking:
        """Cancel: the booking stays, with status and reason."""
        return self.edit(booking_id, status="Cancelled", cancellation_reason=reason)

    def delete(self, booking_id: int) -> None:
        """Delete for good: asked for, it is 404 from now on."""
        self.get(booking_id)
        del self.items[booking_id]

    def _keep(self, booking: Booking) -> Booking:
        if booking.finish.date() != booking.start.date():
            raise ValueError("a booking ends on the day it starts")
        if booking.finish <= booking.start:
            raise ValueError("a booking ends after it starts")
        self.items[booking.id] = booking
        return booking


def fill(
    bookings: Bookings,
    count: int,
    *,
    seed: int = 0,
    first_day: dt.date | None = None,
    days: int = 14,
    resources: tuple[str, ...] = ("3T Diagnostic", "9.4T Animal", "EEG Lab", "PET/MR"),
) -> list[Booking]:
    """Make `count` bookings, the same for the same seed, most of them approved.

    They are spread over `days` days from `first_day` (today on the server's wall) on.
    """
    chance = random.Random(seed)
    first = first_day or bookings.clock.wall().date()
    made = []
    for number in range(1, count + 1):
        day = first + dt.timedelta(days=chance.randrange(days))
        minute = chance.randrange(7 * 60, 20 * 60, 15)
        resource = chance.choice(resources)
        made.append(
            bookings.create(
                f"SUB{number:03d}_{chance.choice(_GIVEN)}_{chance.choice(_FAMILY)}",
                dt.datetime.combine(day, dt.time(minute // 60, minute % 60)),
                minutes=chance.choice((30, 45, 60, 90)),
                resource=resource,
                project=chance.choice(("BRISKP", "NEUROPED", "QA")),
                status=chance.choices(STATUSES, (1, 1, 14, 1, 2))[0],
                biskit_type="EEGScan" if resource.startswith("EEG") else "MRIScan",
            )
        )
    return made


_GIVEN = ("John", "Zoë", "José", "Siobhán", "Anne-Marie", "Wei")
_FAMILY = ("Doe", "García", "O'Neill", "Müller", "Tremblay", "Zhang")


def _changed(booking: Booking, changes: Mapping[str, object]) -> Booking:
    unknown = [name for name in changes if name not in Booking.__dataclass_fields__]
    if unknown:
        raise LookupError(f"a booking has no field {unknown[0]!r}")
    return replace(booking, **changes)  # type: ignore[arg-type]


def _status(text: str) -> str:
    status = text.capitalize()
    if status not in STATUSES:
        raise ValueError(f"status {text!r}: expected one of {', '.join(STATUSES)}")
    return status


def _hide(properties: dict[str, object], path: list[str]) -> dict[str, object]:
    name, *below = path
    if name not in properties:
        return properties
    held = properties[name]
    if not below:
        return {**properties, name: HIDDEN}
    if isinstance(held, dict):
        return {**properties, name: _hide(held, below)}
    return properties
