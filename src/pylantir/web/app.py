"""The page beside the API: an application of its own under ``/page``, with pages for errors."""

from __future__ import annotations

import logging
from collections.abc import Callable

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from pylantir.api.problems import DEFECT, log_defect, problem_of, request_id_of
from pylantir.api.services import Services
from pylantir.errors import NotAllowed, PylantirError, SignInFailed
from pylantir.web.day import Looks
from pylantir.web.guests import Guests
from pylantir.web.openid import OpenId
from pylantir.web.rendering import Renderer, renderer_of
from pylantir.web.routes import accounts, board, health, issuer, items, live, signin, signout, steps
from pylantir.web.session import PATH, visitor_of
from pylantir.web.vitals import Vitals
from pylantir.web.words import Languages, words_of

log = logging.getLogger(__name__)

_ROUTERS = (board, items, steps, health, accounts, live, signin, issuer, signout)


def page_over(services: Services) -> Callable[[FastAPI], None]:
    """What adds the page to the application of the API; nothing where the site wants none."""

    def extend(api: FastAPI) -> None:
        if services.config.page.enabled:
            api.mount(PATH, build_page(services, api))
            api.add_route("/", _to_the_page, include_in_schema=False)

    return extend


def _to_the_page(_: Request) -> Response:
    return RedirectResponse(f"{PATH}/", 307)


def build_page(services: Services, api: FastAPI) -> FastAPI:
    """The page, over the same services, pages and streams as the API."""
    page = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    page.state.services = services
    page.state.pages = api.state.pages
    page.state.streams = api.state.streams
    settings = services.config.page
    languages = Languages(settings.language, words_of(settings.words))
    page.state.renderer = Renderer(services, languages)
    page.state.openid = page.state.guests = None
    oidc = services.config.api.oidc
    if oidc is not None and oidc.client_id:
        page.state.openid = OpenId(oidc)
        life_s = 60 * services.config.api.session_max_minutes
        page.state.guests = Guests(page.state.openid, life_s)
    page.state.vitals = Vitals(services)
    page.state.looks = Looks()
    _install_errors(page)
    for module in _ROUTERS:
        page.include_router(module.router)
    return page


def _install_errors(page: FastAPI) -> None:
    @page.exception_handler(SignInFailed)
    def sign_in(request: Request, error: SignInFailed) -> Response:
        return signin.to_sign_in(request)

    @page.exception_handler(PylantirError)
    def ours(request: Request, error: PylantirError) -> Response:
        status = problem_of(error, "").status_code
        shown = str(error) if status < 500 or isinstance(error, NotAllowed) else ""
        return _error(request, status, shown)

    @page.exception_handler(HTTPException)
    def plain(request: Request, error: HTTPException) -> Response:
        return _error(request, error.status_code, str(error.detail))

    @page.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        return _error(request, 404, "there is no such page")

    @page.exception_handler(Exception)
    def defect(request: Request, error: Exception) -> Response:
        log_defect(request_id_of(request), error)
        return _error(request, 500, DEFECT)


def _error(request: Request, status: int, detail: str) -> Response:
    services: Services = request.app.state.services
    try:
        visitor = visitor_of(request, services)
    except PylantirError:  # the accounts cannot be read either
        return Response("the page cannot be shown at the moment", status, media_type="text/plain")
    values = {"status": status, "detail": detail}
    return renderer_of(request)(request, visitor, "error.html", status, **values)
