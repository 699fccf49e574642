"""A Calpendo server to test against: query and REST API, before and after release 11.

As a library::

    with CalpendoStandIn(version=11) as calpendo:
        booking = calpendo.bookings.create("SUB001_John_Doe", datetime(2026, 3, 2, 9, 30))
        requests.get(f"{calpendo.api_url}/b/Calpendo.Booking/{booking.id}", auth=calpendo.auth,
                     headers={"Accept": "application/json"})

As a program: ``python -m tests.standins.calpendo --port 8082 --live``.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import ssl
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from urllib.parse import parse_qs, unquote

from tests.standins.base import StandIn
from tests.standins.calpendo_data import SPECIMEN, Account, Booking, Bookings, Repeat
from tests.standins.calpendo_format import (
    Style,
    booking_properties,
    detail,
    list_row,
    named_properties,
    path_row,
    reply,
)
from tests.standins.calpendo_query import (
    NULL,
    RELATIONS,
    Expression,
    QueryError,
    parse,
    resolve,
)
from tests.standins.clock import VirtualClock
from tests.standins.wire import JSON, Reply, Request, page

BOOKING = "Calpendo.Booking"
_NAMED = {"Calpendo.Resource": "resource", "Calpendo.Project": "project", "Calpendo.User": "person"}
_SUBTYPES = ("MRIScan", "EEGScan")
_ENCODED_SLASH = re.compile("%2f", re.IGNORECASE)
_FORMATS = {"application/json": "json", "application/xml": "xml", "text/xml": "xml"}


class CalpendoStandIn(StandIn):
    """Calpendo on loopback.

    Parameters
    ----------
    version : int
        Below 11 the API is at ``/webdav``, from 11 on at ``/api``.
    dead_root : str
        What the other root answers: ``404``, or ``spa``, the web client's page with status 200.
    repeats : str
        ``base``: a repeat booking is found by its first occurrence only; ``expanded``: by each.
    answer_format : str
        ``negotiate``: HTML unless the client accepts JSON or XML; or always ``json``, ``xml`` or
        ``html``.
    encoded_slash : str
        ``%2F`` in a path: ``allow``, ``reject`` (400, as servlet containers do) or ``decode``
        (a proxy makes it a slash).
    subtype_properties : bool
        Whether ``Calpendo.Booking`` can be asked for ``Operator``, a property of its subtype
        ``MRIScan``.
    refuses_with : int
        Status of the answer to a query that it does not understand: 400, or 500 with a page.
    style : Style, optional
        How JSON is written; its version is set to `version`.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: VirtualClock | None = None,
        ssl_context: ssl.SSLContext | None = None,
        compress: bool = False,
        prefix: str = "",
        version: int = 11,
        dead_root: str = "404",
        repeats: str = "base",
        answer_format: str = "negotiate",
        encoded_slash: str = "allow",
        subtype_properties: bool = False,
        refuses_with: int = 400,
        style: Style | None = None,
    ) -> None:
        super().__init__(
            host=host, port=port, clock=clock, ssl_context=ssl_context, compress=compress
        )
        self.prefix = prefix
        self.style = style or Style()
        self.style.version = version
        self.dead_root = dead_root
        self.repeats = repeats
        self.answer_format = answer_format
        self.encoded_slash = encoded_slash
        self.subtype_properties = subtype_properties
        self.refuses_with = refuses_with
        self.account = Account()
        self.accounts = {self.account.name: self.account}
        self.bookings = Bookings(self.clock)

    @property
    def api_path(self) -> str:
        """The root that is alive: ``/api`` or ``/webdav``."""
        return "/api" if self.style.version >= 11 else "/webdav"

    @property
    def base_url(self) -> str:
        """The URL clients are configured with, without the root of the API."""
        return self.url + self.prefix

    @property
    def api_url(self) -> str:
        """Base URL and living root."""
        return self.base_url + self.api_path

    @property
    def auth(self) -> tuple[str, str]:
        """Name and password of the first account."""
        return self.account.name, self.account.password

    # The API -------------------------------------------------------------------------------

    def routes(self, request: Request) -> tuple[str, ...]:
        """``query``, ``detail`` or ``list`` (a whole type), each again with the type after it
        (``query/Calpendo.Booking``), and the path as sent; ``page`` for all that is not the API.
        """
        verb, type_name, rest = self._parsed(request)
        if verb not in ("q", "b"):
            return ("page", request.path)
        name = "query" if verb == "q" else ("detail" if rest else "list")
        return (name, f"{name}/{type_name}", request.path)

    def secrets(self) -> Iterable[str]:
        return [account.password for account in self.accounts.values()]

    def answer(self, request: Request) -> Reply:
        path = request.path.removeprefix(self.prefix)
        if path.startswith(("/api/", "/webdav/")) and not path.startswith(f"{self.api_path}/"):
            if self.dead_root == "spa":
                return page("Calpendo", '<div id="root"></div><script src="/app.js"></script>')
            return _not_found()
        verb, type_name, rest = self._parsed(request)
        if verb is None:
            return page("Calpendo", "Log in to see bookings.") if path == "/" else _not_found()
        account = self._account(request)
        if account is None:
            challenge = {"WWW-Authenticate": 'Basic realm="Calpendo"'}
            return page("Unauthorized", "Log in first.", 401, **challenge)
        if request.method not in ("GET", "HEAD"):
            return page("Method Not Allowed", "The API is read-only.", 405, Allow="GET")
        if self.encoded_slash == "reject" and _ENCODED_SLASH.search(request.path):
            return page("Bad Request", "The request path is ambiguous.", 400)
        if type_name in account.forbidden_types:
            return page("Forbidden", f"You may not read {type_name}.", 403)
        form = self._format(request)
        if type_name not in (BOOKING, *_NAMED, *_SUBTYPES):
            return _not_found()
        try:
            return self._query(account, type_name, rest, request, form, verb)
        except QueryError as error:
            if self.refuses_with != 400:
                return page("Internal Server Error", "NullPointerException", self.refuses_with)
            if form == "json":
                return Reply(400, json.dumps({"error": str(error)}).encode(), JSON)
            return page("Bad Request", str(error), 400)

    def _query(
        self, account: Account, type_name: str, rest: str, request: Request, form: str, verb: str
    ) -> Reply:
        if verb == "b" and rest:
            wanted = unquote(rest)
            item = self._item(type_name, wanted)
            return reply(detail(account.sees(item), self.style), form) if item else _not_found()
        expanded = verb == "q" and self.repeats == "expanded"
        items = [account.sees(item) for item in self._items(type_name, expanded)]
        if verb == "b":
            return reply({"biskits": [detail(item, self.style) for item in items]}, form)
        if self.encoded_slash == "decode":
            rest = _ENCODED_SLASH.sub("/", rest)
        paths = self._paths(type_name, request)
        if rest:
            expression = parse(rest)
            self._check(type_name, expression)
            items = [item for item in items if expression.holds(item)]
        if paths:
            rows = [path_row(item, paths, self.style) for item in items]
        else:
            rows = [list_row(item, self.style) for item in items]
        return reply({"biskits": rows}, form)

    def _item(self, type_name: str, wanted: str) -> dict[str, object] | None:
        booking = self.bookings.items.get(int(wanted)) if wanted.isdecimal() else None
        if booking is not None and type_name in (BOOKING, booking.biskit_type):
            return booking_properties(booking, self.style, self.clock)
        if type_name not in _NAMED:
            return None
        return next((i for i in self._items(type_name) if str(i["id"]) == wanted), None)

    def _items(self, type_name: str, expanded: bool = False) -> Iterator[dict[str, object]]:
        if type_name in _NAMED:
            for named in list(self.bookings.named[_NAMED[type_name]].values()):
                yield named_properties(named, type_name)
            return
        # A copy: a test may book from its own thread meanwhile.
        for booking in list(self.bookings.items.values()):
            if type_name not in (BOOKING, booking.biskit_type):
                continue
            times = booking.occurrences() if expanded else [None]
            for occurrence in times:
                told = booking_properties(booking, self.style, self.clock, occurrence)
                if self.subtype_properties and type_name == BOOKING:
                    told.setdefault("Operator", None)
                yield told

    def _paths(self, type_name: str, request: Request) -> list[str]:
        said = parse_qs(request.query).get("paths", [""])[0]
        paths = [path.strip() for path in said.split(",") if path.strip()]
        for path in paths:
            resolve(self._prototype(type_name), path)
        return paths

    def _check(self, type_name: str, expression: Expression) -> None:
        """Refuse properties and values that do not fit the type, whatever bookings there are."""
        prototype = self._prototype(type_name)
        for condition in expression.conditions():
            held = resolve(prototype, condition.path)
            if condition.value != NULL and held is not None:
                RELATIONS[condition.relation](held, condition.value)

    def _prototype(self, type_name: str) -> dict[str, object]:
        """Properties of an item that has a value everywhere."""
        if type_name in _NAMED:
            return named_properties(SPECIMEN.resource, type_name)
        with_operator = type_name == BOOKING and self.subtype_properties
        biskit_type = "MRIScan" if with_operator else type_name
        booking = replace(SPECIMEN, biskit_type=biskit_type)
        return booking_properties(booking, self.style, self.clock)

    def _parsed(self, request: Request) -> tuple[str | None, str, str]:
        """The verb (q or b), the type, and what follows it, still percent-encoded."""
        path = request.path.removeprefix(self.prefix)
        if not path.startswith(f"{self.api_path}/"):
            return None, "", ""
        verb, _, below = path.removeprefix(f"{self.api_path}/").partition("/")
        type_name, _, rest = below.partition("/")
        return (verb if verb in ("q", "b") else None), unquote(type_name), rest

    def _account(self, request: Request) -> Account | None:
        given = request.basic()
        if given is None:
            return None
        account = self.accounts.get(given[0])
        known = account is not None and account.local and account.password == given[1]
        return account if known else None

    def _format(self, request: Request) -> str:
        if self.answer_format != "negotiate":
            return self.answer_format
        accepted = request.headers.get("Accept", "")
        kinds = [part.partition(";")[0].strip() for part in accepted.split(",")]
        return next((_FORMATS[kind] for kind in kinds if kind in _FORMATS), "html")

    # The control door ----------------------------------------------------------------------

    def actions(self) -> dict[str, Callable[..., object]]:
        return {
            "bookings": self._show_bookings,
            "create": self._create,
            "edit": self._edit,
            "move": self._move,
            "cancel": self._cancel,
            "deny": self._deny,
            "approve": self._approve,
            "delete": self._delete,
            "hide": self._hide,
            "set_password": self._set_password,
            "set_style": self._set_style,
        }

    def _show_bookings(self) -> list[dict[str, object]]:
        return [self._shown(booking) for booking in self.bookings.items.values()]

    def _create(
        self,
        title: str,
        start: dt.datetime,
        minutes: int = 60,
        resource: str = "3T Diagnostic",
        project: str = "BRISKP",
        status: str = "Approved",
        biskit_type: str = "MRIScan",
        repeat_days: int = 0,
        repeat_times: int = 0,
    ) -> dict[str, object]:
        made = self.bookings.create(
            title,
            start,
            minutes=minutes,
            resource=resource,
            project=project,
            status=status,
            biskit_type=biskit_type,
            repeat=Repeat(repeat_days or 7, repeat_times) if repeat_times else None,
        )
        return self._shown(made)

    def _edit(
        self,
        id: int,
        title: str | None = None,
        status: str | None = None,
        resource: str | None = None,
        project: str | None = None,
        operator: str | None = None,
        description: str | None = None,
        start: dt.datetime | None = None,
        finish: dt.datetime | None = None,
    ) -> dict[str, object]:
        said = {
            "title": title,
            "status": status,
            "resource": resource,
            "project": project,
            "operator": operator,
            "description": description,
            "start": start,
            "finish": finish,
        }
        changes = {name: value for name, value in said.items() if value is not None}
        return self._shown(self.bookings.edit(id, **changes))

    def _move(
        self,
        id: int,
        start: dt.datetime | None = None,
        finish: dt.datetime | None = None,
        resource: str | None = None,
    ) -> dict[str, object]:
        return self._shown(self.bookings.move(id, start, finish, resource))

    def _cancel(self, id: int, reason: int = 1) -> dict[str, object]:
        return self._shown(self.bookings.cancel(id, reason))

    def _deny(self, id: int) -> dict[str, object]:
        return self._shown(self.bookings.edit(id, status="Denied"))

    def _approve(self, id: int) -> dict[str, object]:
        return self._shown(self.bookings.edit(id, status="Approved"))

    def _delete(self, id: int) -> None:
        self.bookings.delete(id)

    def _hide(self, path: str = "", project: str = "", account: str = "") -> dict[str, object]:
        held = self.accounts[account] if account else self.account
        held.hidden |= {path} if path else set()
        held.hidden_projects |= {project} if project else set()
        return {"hidden": sorted(held.hidden), "hidden_projects": sorted(held.hidden_projects)}

    def _set_password(self, password: str, account: str = "") -> None:
        (self.accounts[account] if account else self.account).password = password

    def _set_style(self, **style: object) -> dict[str, object]:
        for name, value in style.items():
            if name not in vars(self.style):
                raise LookupError(f"no style {name!r}: there are {', '.join(vars(self.style))}")
            setattr(self.style, name, type(getattr(self.style, name))(value))
        return dict(vars(self.style))

    def _shown(self, booking: Booking) -> dict[str, object]:
        return {
            "id": booking.id,
            "title": booking.title,
            "status": booking.status,
            "start": booking.start.isoformat(timespec="minutes"),
            "finish": booking.finish.isoformat(timespec="minutes"),
            "resource": booking.resource.name,
            "project": booking.project.name,
        }


def _not_found() -> Reply:
    return page("HTTP Status 404", "The requested resource is not available.", 404)


if __name__ == "__main__":
    from tests.standins.programs import calpendo_main

    raise SystemExit(calpendo_main())
