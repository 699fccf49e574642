"""Reading the bookings of some days, with as few requests as the server allows.

One query with ``paths`` brings all where the server knows that; otherwise the details are fetched,
a few at a time.
"""

from __future__ import annotations

import datetime as dt
import re
import threading
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pylantir.clock import SiteClock
from pylantir.errors import SourceError, SourceUnavailable
from pylantir.sources.calpendo_bookings import date_range, has, in_one_shape, text_at
from pylantir.sources.calpendo_client import (
    RESOURCE,
    CalpendoClient,
    NotAllowed,
    NotUnderstood,
    ServerFault,
)

AT_ONCE = 5
FEW_DETAILS = 20
DETAILS_BUDGET_S = 600.0
FAILURES_IN_A_ROW = 10
WITNESSES = 3

_CORE = ("dateRange.start", "resource.name", "status")
_NEEDED = (*_CORE, "dateRange.finish", "formattedName", "title", "cancelled", "project")
_PROPERTY = re.compile(r"[A-Za-z]\w*(\.[A-Za-z]\w*)*")
_OPERATOR_TYPE = "MRIScan"
_OPERATOR = "Operator"


@dataclass(slots=True)
class Details:
    """Bookings that were asked for one by one.

    Parameters
    ----------
    bookings : dict
        Id to booking, as the server writes it; empty when there is none.
    hidden : set of str
        Ids that the account may not see.
    unread : set of str
        Ids that nothing is known of.
    reason : str
        Why the first of them could not be read, for the log.
    """

    bookings: dict[str, dict[str, Any]] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    unread: set[str] = field(default_factory=set)
    reason: str = ""
    _failures_in_a_row: int = 0
    _refused: SourceError | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """Bookings of some days.

    Parameters
    ----------
    bookings : list of dict
        In one shape.
    hidden, unread : sets of str
        Ids that the account may not see, and that could not be read this time.
    notes : list of str
        What a person should know.
    listed : frozenset of str
        Ids that the list names, of whatever resource.
    reason : str
        Why bookings could not be read.
    """

    bookings: list[dict[str, Any]]
    hidden: set[str]
    unread: set[str]
    notes: list[str]
    listed: frozenset[str]
    reason: str = ""


class BookingReader:
    """Reads bookings and remembers what the server does not understand.

    Parameters
    ----------
    client : CalpendoClient
        Asks the server.
    resources : sequence of str
        Names of the resources.
    mapped : collection of str
        Source fields of the mapping.
    clock : SiteClock
        The wall clock of the server.
    """

    def __init__(
        self,
        client: CalpendoClient,
        resources: Sequence[str],
        mapped: Collection[str],
        clock: SiteClock,
    ) -> None:
        self._client = client
        self._clock = clock
        self._resources = resources
        named = {path.removeprefix("properties.") for path in mapped}
        self._wants_operator = any(p.partition(".")[0].lower() == "operator" for p in named)
        usable = {p for p in named if _PROPERTY.fullmatch(p) and p.lower() != "operator"}
        self._paths = sorted({*_NEEDED, *(p for p in usable if not p.startswith(_OPERATOR))})
        self._knows_paths = True
        self.filters_by_name = True
        self.many_details = 0
        """Bookings that were requests of their own the last time, zero when there were few."""

    def read(self, first: dt.datetime, last: dt.datetime, *, again: bool) -> Reading:
        """Bookings that start in [first, last), in the wall clock of the server.

        Parameters
        ----------
        again : bool
            Try once more what the server did not understand before: it may be a newer release.

        Raises
        ------
        SourceError
            No answer, or none that can be used.
        """
        if again:
            self._knows_paths = self.filters_by_name = True
        rows = self._rows(first, last)
        short = [row for row in rows if not all(has(row, path) for path in _CORE)]
        details = self.details((str(row.get("id", "")) for row in short), listed=True)
        self.many_details = len(short) if len(short) > FEW_DETAILS else 0
        if short and not details.bookings and len(short) == len(rows):
            if details.unread:
                raise SourceUnavailable(
                    f"none of {len(rows)} bookings could be read: {details.reason}"
                )
            raise NotAllowed("Calpendo lets the account see no booking (HTTP 403)")
        whole = self._with_details(rows, short, details, (first, last))
        bookings = [in_one_shape(row) for row in whole]
        notes = self._add_operators(bookings, first, last)
        listed = frozenset(str(row.get("id", "")) for row in rows)
        return Reading(bookings, details.hidden, details.unread, notes, listed, details.reason)

    def _rows(self, first: dt.datetime, last: dt.datetime) -> list[dict[str, Any]]:
        refused: NotUnderstood | None = None
        ill = False
        for by_name, paths in self._ways():
            names = self._resources if by_name else ()
            try:
                rows = self._client.bookings(first, last, names, paths)
            except NotUnderstood as error:
                refused = refused or error
                continue
            except ServerFault:
                # A property it does not know may be too much for it; or it is ill for a moment.
                if not paths:
                    raise
                ill = True
                continue
            self._knows_paths, self.filters_by_name = bool(paths) or ill, by_name
            return rows
        raise refused or SourceUnavailable("Calpendo understands none of our queries")

    def _ways(self) -> Iterable[tuple[bool, Sequence[str]]]:
        """Ways to ask, the best first; a proxy may refuse the ``%2F`` of a name such as PET/MR."""
        slash = any("/" in name for name in self._resources)
        for by_name in (True, False):
            if (by_name and self.filters_by_name) or (not by_name and slash):
                if self._knows_paths:
                    yield by_name, self._paths
                yield by_name, ()

    def _with_details(
        self,
        rows: Sequence[dict[str, Any]],
        short: Sequence[dict[str, Any]],
        details: Details,
        asked: tuple[dt.datetime, dt.datetime],
    ) -> Iterable[Mapping[str, Any]]:
        lacking = {id(row) for row in short}
        several = _named_several_times(rows)
        for row in rows:
            if id(row) not in lacking:
                yield row
                continue
            booking_id = str(row.get("id", ""))
            detail = details.bookings.get(booking_id)
            if not detail:
                continue
            # A detail has the first day of a repeat booking; its rows may have their own.
            repeats = booking_id in several or self._starts_elsewhere(detail, asked)
            own_day = text_at(row, "formattedName") if repeats else ""
            yield {**_without_range(detail), "formattedName": own_day} if own_day else detail

    def _starts_elsewhere(
        self, detail: Mapping[str, Any], asked: tuple[dt.datetime, dt.datetime]
    ) -> bool:
        """Whether a booking that was listed starts on none of the days that were asked for."""
        found = date_range(in_one_shape(detail), self._clock)
        return found is not None and not asked[0] <= found[0] < asked[1]

    def details(self, booking_ids: Iterable[str], *, listed: bool = False) -> Details:
        """Some bookings, each with all that we may see of it.

        After many failures in a row, or ten minutes, the rest counts as unread.

        Parameters
        ----------
        listed : bool
            The list has just named them, so that a 404 is a contradiction and no answer.

        Raises
        ------
        SourceRefused
            The server refused the account.
        """
        ids = list(dict.fromkeys(booking_ids))
        found = Details(unread=set(ids))
        waiting, lock = iter(ids), threading.Lock()
        until = time.monotonic() + DETAILS_BUDGET_S

        def work() -> None:
            while time.monotonic() < until:
                with lock:
                    given_up = found._refused or found._failures_in_a_row >= FAILURES_IN_A_ROW
                    booking_id = None if given_up else next(waiting, None)
                if booking_id is None:
                    return
                self._read_one(booking_id, found, lock, listed)

        # Daemons, not an executor: a server that hangs must not keep the process from ending.
        threads = [
            threading.Thread(target=work, name=f"calpendo-{n}", daemon=True)
            for n in range(min(AT_ONCE, len(ids)))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if found._refused is not None:
            raise found._refused
        return found

    def _read_one(
        self, booking_id: str, found: Details, lock: threading.Lock, listed: bool
    ) -> None:
        try:
            booking = self._client.booking(booking_id)
            if listed and not booking:
                raise SourceUnavailable("Calpendo lists a booking that it does not know")
        except NotAllowed:
            with lock:
                found.hidden.add(booking_id)
                found.unread.discard(booking_id)
        except SourceUnavailable as error:
            with lock:
                found._failures_in_a_row += 1
                found.reason = found.reason or error.for_log
        except SourceError as error:
            with lock:
                found._refused = error
        else:
            with lock:
                found.bookings[booking_id] = booking
                found.unread.discard(booking_id)
                found._failures_in_a_row = 0

    def answers_for_what_exists(self, some_ids: Iterable[str]) -> bool | None:
        """Whether single bookings can be read at all: a 404 proves nothing where all are 404.

        Parameters
        ----------
        some_ids : iterable of str
            Bookings that exist, as the list says; without any, a resource has to be readable.

        Returns
        -------
        bool or None
            None when the server shows us nothing that exists.

        Raises
        ------
        SourceError
            The server does not answer.
        """
        witnesses = sorted(some_ids)[:WITNESSES]
        if witnesses:
            found = self.details(witnesses, listed=True)
            return bool(found.bookings) and not found.unread
        try:
            named = (self._client.resource_id(name) for name in self._resources)
            resource_id = next(filter(None, named), None)
            return bool(self._client.booking(resource_id, RESOURCE)) if resource_id else None
        except (NotUnderstood, NotAllowed):
            return None

    def _add_operators(
        self, bookings: Sequence[dict[str, Any]], first: dt.datetime, last: dt.datetime
    ) -> list[str]:
        """Operators of MRI scans, which the query of all bookings cannot ask for."""
        scans = [b for b in bookings if b.get("biskitType") == _OPERATOR_TYPE]
        if not scans or not self._wants_operator:
            return []
        names = self._resources if self.filters_by_name else ()
        try:
            rows = self._client.bookings(
                first, last, names, [f"{_OPERATOR}.name"], booking_type=_OPERATOR_TYPE
            )
        except (NotUnderstood, NotAllowed):
            return [f"the operators of {_OPERATOR_TYPE} bookings cannot be read"]
        shaped = map(in_one_shape, rows)
        operators = {str(row.get("id")): text_at(row, f"{_OPERATOR}.name") for row in shaped}
        for booking in scans:
            name = operators.get(str(booking.get("id")), "")
            booking["operator"] = name
            booking["properties"][_OPERATOR] = {"name": name}
        return []


def _named_several_times(rows: Sequence[Mapping[str, Any]]) -> set[str]:
    seen: set[str] = set()
    several: set[str] = set()
    for row in rows:
        booking_id = str(row.get("id", ""))
        (several if booking_id in seen else seen).add(booking_id)
    return several


def _without_range(detail: Mapping[str, Any]) -> dict[str, Any]:
    inner = detail.get("properties")
    kept = {k: v for k, v in detail.items() if k not in ("dateRange", "properties")}
    if isinstance(inner, Mapping):
        hidden = ("dateRange", "formattedName")
        kept["properties"] = {k: v for k, v in inner.items() if k not in hidden}
    return kept
