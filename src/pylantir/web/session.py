"""Who sits at the page: a session in a cookie that scripts cannot read and other sites cannot use.

The cookie holds an access token of the API. It goes to the page's own paths only, so that no route
of the API can be reached by it. A form proves that it is ours by a second secret, and by what the
browser says about where the request comes from.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, TypedDict
from urllib.parse import parse_qsl, urlsplit

from fastapi import Depends, Request
from starlette.responses import Response

from pylantir.api.access import House, address_of
from pylantir.api.services import Services
from pylantir.errors import NotAllowed, SignInFailed
from pylantir.users.account import Principal
from pylantir.users.roles import MAY, Right, Role
from pylantir.web.guests import PREFIX, Guests

PATH = "/page"
SESSION, FORM, STARTED = "pylantir_session", "pylantir_form", "pylantir_sign_in"
_STARTED_PATH, _STARTED_S = f"{PATH}/sign-in", 600
FORM_FIELD = "form"
_MAX_FIELDS = 200

KIOSK = Principal("kiosk", Role.READ)
"""Who looks at the wall display, where a site lets it show the day without signing in."""


class _How(TypedDict):
    path: str
    secure: bool
    httponly: bool
    samesite: Literal["lax", "strict"]


@dataclass(frozen=True, slots=True)
class Visitor:
    """Whoever asks for a page.

    Parameters
    ----------
    principal : Principal or None
        Their account; nothing before they have signed in.
    token : str
        Their access token; a secret.
    session : str
        What their browser keeps of the session; a secret, and the same where it is our token.
    form : str
        What their forms prove themselves with; a secret.
    is_kiosk : bool
        The wall display of a site that lets it show the day.
    """

    principal: Principal | None
    token: str
    form: str
    is_kiosk: bool = False
    session: str = ""

    @classmethod
    def new(cls) -> Visitor:
        """Somebody whom nobody knows yet, with a secret of their own."""
        return cls(None, "", secrets.token_urlsafe(24))

    def may(self, right: Right) -> bool:
        """Whether they have a right."""
        return self.principal is not None and right in MAY[self.principal.role]

    @property
    def may_write(self) -> bool:
        """Whether they may change the worklist."""
        return self.may(Right.WRITE_WORKLIST)

    @property
    def may_manage(self) -> bool:
        """Whether they may manage accounts."""
        return self.may(Right.MANAGE_USERS)

    @property
    def looks(self) -> Principal:
        """Who looks.

        Raises
        ------
        SignInFailed
            Nobody who may.
        """
        if self.principal is None:
            raise SignInFailed("sign in first")
        return self.principal


def visitor_of(request: Request, services: House) -> Visitor:
    """Who asks, by the cookies of the request."""
    session = request.cookies.get(SESSION, "")
    form = request.cookies.get(FORM, "") or secrets.token_urlsafe(24)
    if session:
        try:
            principal, token = _identified(request, services, session)
            return Visitor(principal, token, form, session=session)
        except SignInFailed:
            pass  # whoever it was is signed in no longer
    if is_kiosk(request, services):
        return Visitor(KIOSK, "", form, is_kiosk=True)
    return Visitor(None, "", form)


def guests_of(request: Request) -> Guests | None:
    """Sessions of people who signed in at the issuer, where the site has one."""
    guests = request.app.state.guests
    assert guests is None or isinstance(guests, Guests)
    return guests


def _identified(request: Request, services: Services, session: str) -> tuple[Principal, str]:
    if not session.startswith(PREFIX):
        return services.identify(session), session
    guests = guests_of(request)
    if guests is None:
        raise SignInFailed("sign in first")
    return guests.identify(session)


def is_kiosk(request: Request, services: Services) -> bool:
    """Whether this is a wall display that the site lets show the day without signing in."""
    page = services.config.page
    if not page.kiosk or "kiosk" not in request.query_params or request.method != "GET":
        return False
    try:
        address = ipaddress.ip_address(address_of(request))
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return any((mapped or address) in ipaddress.ip_network(net) for net in page.kiosk_addresses)


Anybody = Annotated[Visitor, Depends(visitor_of)]


def _with(right: Right) -> Callable[[Visitor], Visitor]:
    def check(visitor: Anybody) -> Visitor:
        if visitor.is_kiosk:
            raise SignInFailed("sign in first")
        visitor.looks.require(right)
        return visitor

    check.__annotations__ = {"visitor": Anybody, "return": Visitor}
    return check


Reader = Annotated[Visitor, Depends(_with(Right.READ_WORKLIST))]
Writer = Annotated[Visitor, Depends(_with(Right.WRITE_WORKLIST))]
Admin = Annotated[Visitor, Depends(_with(Right.MANAGE_USERS))]


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form that comes from one of our own pages.

    Raises
    ------
    NotAllowed
        It comes from another site, or does not know the secret of the session.
    """
    if not _is_from_here(request):
        raise NotAllowed("this form was sent by another site")
    body = (await request.body()).decode("utf-8", "replace")
    try:
        fields = dict(parse_qsl(body, keep_blank_values=True, max_num_fields=_MAX_FIELDS))
    except ValueError:
        raise NotAllowed("this form has too many fields") from None
    known, shown = request.cookies.get(FORM, ""), fields.pop(FORM_FIELD, "")
    if not known or not hmac.compare_digest(known.encode(), shown.encode()):
        raise NotAllowed("this form is too old: go back, reload the page and send it again")
    return fields


Form = Annotated[dict[str, str], Depends(form_of)]


def _is_from_here(request: Request) -> bool:
    """By what the browser says; a page of another site cannot say otherwise."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


def _is_secure(services: Services) -> bool:
    api = services.config.api
    return bool(api.tls_certificate or api.behind_proxy)


def _how(services: Services) -> _How:
    """How the browser is to treat what it keeps: no script reads it, no other site sends it."""
    return {"path": PATH, "secure": _is_secure(services), "httponly": True, "samesite": "strict"}


def _how_started(services: Services) -> _How:
    """Lax: it has to come along when the issuer sends the browser back."""
    return {**_how(services), "path": _STARTED_PATH, "samesite": "lax"}


def keep_form(response: Response, services: Services, visitor: Visitor) -> None:
    """Let the browser keep what forms prove themselves with, until it is closed."""
    response.set_cookie(FORM, visitor.form, **_how(services))


def keep_session(response: Response, services: Services, token: str, life_s: int) -> None:
    """Let the browser keep an access token for as long as it lives."""
    response.set_cookie(SESSION, token, max_age=life_s, **_how(services))


def keep_started(response: Response, services: Services, kept: str) -> None:
    """Let the browser keep a sign-in at the issuer that is under way."""
    response.set_cookie(STARTED, kept, max_age=_STARTED_S, **_how_started(services))


def started_in(request: Request) -> str:
    """What the browser kept of a sign-in at the issuer."""
    return request.cookies.get(STARTED, "")


def drop_started(response: Response, services: Services) -> None:
    """Each sign-in ends once."""
    response.delete_cookie(STARTED, **_how_started(services))


def drop_session(response: Response, services: Services) -> None:
    """Let the browser forget who was signed in."""
    for name in (SESSION, FORM):
        response.delete_cookie(name, **_how(services))
