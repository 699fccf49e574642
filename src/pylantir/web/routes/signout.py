"""Signing out: of an account of ours, or of a session at the site's issuer."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from pylantir.api.access import House
from pylantir.api.audited import Audit
from pylantir.api.routes import auth
from pylantir.web.rendering import renderer_of
from pylantir.web.routes.issuer import BACK, client_of, redirect_uri
from pylantir.web.session import PATH, Anybody, Form, Visitor, drop_session, guests_of

router = APIRouter()


@router.post("/sign-out")
def sign_out(
    request: Request, services: House, visitor: Anybody, audit: Audit, form: Form
) -> Response:
    """Ends the session, and with it every other one of the account."""
    answer: Response = RedirectResponse(f"{PATH}/", 303)
    if visitor.principal is not None and visitor.session != visitor.token:
        audit.signed_out(visitor.principal)
        answer = _at_the_issuer(request, visitor)
    elif visitor.token:
        auth.logout(services, visitor.token, audit)
    drop_session(answer, services)
    return answer


def _at_the_issuer(request: Request, visitor: Visitor) -> Response:
    """Ends the session here, and leads to where it ends at the issuer as well."""
    guests, client = guests_of(request), client_of(request)
    grant = guests.leave(visitor.session) if guests is not None else None
    home = redirect_uri(request, client).removesuffix(BACK) + f"{PATH}/"
    onwards = client.sign_out_address(grant, home) if grant is not None else None
    # A form may lead to no other host; a page may.
    values = {"onwards": onwards or f"{PATH}/", "is_in": False}
    return renderer_of(request)(request, Visitor.new(), "onwards.html", **values)
