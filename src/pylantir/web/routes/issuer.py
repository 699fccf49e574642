"""Signing in at the site's own issuer, such as Keycloak."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from pylantir.api.access import House
from pylantir.api.audited import Audit
from pylantir.errors import NotAllowed, SignInFailed
from pylantir.web.openid import OpenId, Started
from pylantir.web.rendering import renderer_of
from pylantir.web.routes.signin import show_sign_in, way_back
from pylantir.web.session import (
    PATH,
    Anybody,
    Visitor,
    drop_started,
    guests_of,
    keep_form,
    keep_session,
    keep_started,
    started_in,
)

router = APIRouter(prefix="/sign-in/issuer")

BACK = f"{PATH}/sign-in/issuer/done"


def client_of(request: Request) -> OpenId:
    client = request.app.state.openid
    if client is None:
        raise HTTPException(404, "nobody signs in at an issuer here")
    assert isinstance(client, OpenId)
    return client


def redirect_uri(request: Request, client: OpenId) -> str:
    url = request.url
    return client.redirect_uri(f"{url.scheme}://{url.netloc}", BACK)


@router.get("")
def begin(request: Request, services: House, visitor: Anybody) -> Response:
    """Leads to the issuer."""
    client = client_of(request)
    started = Started.new(way_back(request.query_params.get("next", "")))
    try:
        answer = RedirectResponse(client.address(started, redirect_uri(request, client)), 303)
    except SignInFailed as error:
        return show_sign_in(request, visitor, 503, back=started.back, refusal=str(error))
    keep_started(answer, services, started.kept())
    return answer


@router.get("/done")
def finish(request: Request, services: House, visitor: Anybody, audit: Audit) -> Response:
    """Where the issuer sends people back to; the session begins."""
    client, guests = client_of(request), guests_of(request)
    back = f"{PATH}/"
    try:
        started = Started.read(started_in(request))
        back = way_back(started.back)
        grant, principal = client.finish(
            started, request.query_params, redirect_uri(request, client)
        )
    except (SignInFailed, NotAllowed) as error:
        if isinstance(error, NotAllowed):  # the rest anybody could send, as often as they like
            audit.signed_in(f"somebody of {client.name}", str(error))
        answer = show_sign_in(request, visitor, 401, back=back, refusal=str(error))
        drop_started(answer, services)
        return answer
    assert guests is not None
    audit.signed_in(principal.name)
    # A redirect would still be the other site's navigation, and the session stay behind.
    answer = renderer_of(request)(request, Visitor.new(), "onwards.html", onwards=back, is_in=True)
    keep_session(answer, services, guests.enter(principal, grant), int(guests.life_s))
    keep_form(answer, services, Visitor.new())
    drop_started(answer, services)
    return answer
