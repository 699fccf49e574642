"""What the page shows of a day: read through the API's query type, and noted in its audit trail."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import Request
from pydantic import ValidationError

from pylantir.api.audited import RestAudit
from pylantir.api.listing import ListParameters, query_of
from pylantir.api.pages import Pages
from pylantir.api.services import Services
from pylantir.errors import InvalidQuery, ValueProblem
from pylantir.users.account import Principal
from pylantir.web.board import Board, Row, Rules, board_of
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.revision import Revision
from pylantir.worklist.status import SCHEDULED_STATUSES

FILTERS = ("q", "status", "station", "source", "modality")
MAX_ROWS = 200
_KEPT_LOOKS = 1000
_LOOK_S = 3600.0
_FIRST_YEAR, _LAST_YEAR = 1900, 9000
"""Days near the ends of the calendar have no day before or after them."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address of the page asks for.

    Parameters
    ----------
    day : date
        The day that is shown.
    filters : dict
        Filters that are set, by name.
    everywhere : bool
        Whether the search goes over all days.
    """

    day: dt.date
    filters: dict[str, str]
    everywhere: bool

    @property
    def previous(self) -> dt.date:
        """The day before."""
        return self.day - dt.timedelta(days=1)

    @property
    def following(self) -> dt.date:
        """The day after."""
        return self.day + dt.timedelta(days=1)


def asked_in(request: Request, services: Services) -> Asked:
    """What an address asks for.

    Raises
    ------
    InvalidQuery
        A day that is none.
    """
    given = request.query_params
    shown = given.get("day", "") or "today"
    days = query_of(ListParameters(date=shown, status=["any"]), services.clock.today())
    day = days.keys[0].match.first  # type: ignore[attr-defined]
    if not _FIRST_YEAR <= day.year <= _LAST_YEAR:
        reason = f"expected a day between {_FIRST_YEAR} and {_LAST_YEAR}"
        raise InvalidQuery([ValueProblem("day", shown[:20], reason)])
    filters = {name: given[name].strip() for name in FILTERS if given.get(name, "").strip()}
    everywhere = "q" in filters and given.get("days") == "all"
    return Asked(day, filters, everywhere)


def parameters_of(asked: Asked) -> ListParameters:
    """The same as the API's list is asked.

    Raises
    ------
    InvalidQuery
        A filter that cannot be used.
    """
    values: dict[str, object] = {
        name: [value] if name in ("status", "station", "source", "modality") else value
        for name, value in asked.filters.items()
    }
    values.setdefault("status", ["any"])
    if not asked.everywhere:
        values["date"] = asked.day.isoformat()
    try:
        return ListParameters.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise InvalidQuery([ValueProblem(name, "", str(first["msg"]))]) from None


def board_on(services: Services, day: dt.date) -> Board:
    """Everything of a day."""
    page = services.config.page
    rules = Rules(dt.timedelta(minutes=page.late_minutes), dt.timedelta(minutes=page.usual_minutes))
    today = services.clock.today()
    query = query_of(ListParameters(date=day.isoformat(), status=["any"]), today)
    items = services.items.find(query)
    # A scan after midnight, or a step whose booking was moved, starts on another day.
    around = dt.timedelta(days=1)
    steps = services.steps.all(first_day=day - around, last_day=day + around)
    now = services.clock.local_now().replace(tzinfo=None)
    return board_of(day, now, items, steps, rules)


def rows_found(
    services: Services, pages: Pages, board: Board, asked: Asked
) -> tuple[list[Row], int]:
    """The rows of the list, and how many match."""
    if not asked.filters:
        return list(board.rows[:MAX_ROWS]), len(board.rows)
    query = query_of(parameters_of(asked), services.clock.today())
    page = pages.page(query, "scheduled_start", 0, MAX_ROWS)
    known = {row.item.item_id: row for row in board.rows}
    rows = [known.get(item.item_id) or _row_elsewhere(services, item) for item in page.items]
    return rows, page.total


def _row_elsewhere(services: Services, item: WorklistItem) -> Row:
    begun = item.status not in SCHEDULED_STATUSES
    steps = services.steps.all(item_id=item.item_id) if begun else []
    now = services.clock.local_now().replace(tzinfo=None)
    return board_of(item.start.date(), now, [item], steps).rows[0]


def left_running(services: Services, today: dt.date) -> Sequence[WorklistItem]:
    """Bookings of the month before today that are still IN PROGRESS."""
    asked = ListParameters(
        status=["IN_PROGRESS"],
        date_from=(today - dt.timedelta(days=31)).isoformat(),
        date_to=(today - dt.timedelta(days=1)).isoformat(),
    )
    return services.items.find(query_of(asked, today))


class Looks:
    """Notes in the audit trail who looked at which list, without a line for each refresh.

    A page that stands open asks again every minute. It is noted when what it shows may have
    changed, and once an hour.
    """

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[str, str, str], tuple[Revision | None, float]] = OrderedDict()
        self._lock = threading.Lock()

    def note(
        self,
        request: Request,
        audit: RestAudit,
        principal: Principal,
        revision: Revision | None,
        found: int,
    ) -> None:
        """Note a look, if it is a new one."""
        client = request.client.host if request.client else ""
        key = (principal.username, client, f"{request.url.path}?{request.url.query}"[:500])
        now = time.monotonic()
        with self._lock:
            seen, at = self._seen.get(key, (None, now))
            if revision is not None and seen == revision and now - at < _LOOK_S:
                return
            self._seen[key] = (revision, now)
            self._seen.move_to_end(key)
            while len(self._seen) > _KEPT_LOOKS:
                self._seen.popitem(last=False)
        audit.asked(principal, found)
