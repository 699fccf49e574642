"""The application: routes, errors, and what holds for every request."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import FastAPI, Request
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from pylantir.api import problems
from pylantir.api.guard import Guard
from pylantir.api.pages import Pages
from pylantir.api.problems import MEDIA_TYPE, Problem
from pylantir.api.routes import (
    auth,
    documents,
    events,
    health,
    items,
    scanners,
    sources,
    steps,
    users,
    worklist,
)
from pylantir.api.services import Services

log = logging.getLogger(__name__)

_DESCRIPTION = """The worklist over HTTP. Sign in with `POST /auth/login` and send the token as
`Authorization: Bearer ...`. Roles: **read** looks, **write** changes the worklist, **admin**
manages accounts as well. Errors are problem details (RFC 9457)."""
_EXPOSED = ("ETag Link Location Retry-After X-Pylantir-Note X-Request-ID X-Total-Count").split()
_ROUTERS = (auth, worklist, items, scanners, steps, sources, users, events, health, documents)
_PROBLEM: dict[str, Any] = {
    "model": Problem,
    "description": "something went wrong",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


Extension = Callable[[FastAPI], None]
"""Adds something beside the routes of the API, such as the page on the workstation."""


def build_app(services: Services, *extensions: Extension) -> Guard:
    """The REST API over some parts of the house, and what goes with it."""
    routes = build_routes(services)
    for extend in extensions:
        extend(routes)
    inner = _cors(services, routes)
    cors = inner if isinstance(inner, CORSMiddleware) else None
    return Guard(inner, is_tls=bool(_tls(services)), cors=cors)


def _tls(services: Services) -> str | bool | None:
    api = services.config.api
    return api.tls_certificate or api.behind_proxy


def build_routes(services: Services) -> FastAPI:
    """The application without what holds for every request; its description is here."""
    app = FastAPI(
        title="Pylantir",
        description=_DESCRIPTION,
        version=_version(),
        docs_url=None,
        redoc_url=None,
        responses={"4XX": _PROBLEM, "5XX": _PROBLEM},
    )
    app.state.services = services
    app.state.pages = Pages(services.items)
    app.state.streams = events.Streams()
    problems.install(app)
    for module in _ROUTERS:
        app.include_router(module.router)
    return app


def _version() -> str:
    try:
        return version("pylantir")
    except PackageNotFoundError:
        return "0"


class _Cors(CORSMiddleware):
    """Refuses in the shape of every other error."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """Whether a browser may send what it is about to."""
        answer = super().preflight_response(request_headers)
        return answer if answer.status_code == 200 else _NotAllowedHere(answer)


class _NotAllowedHere(Response):
    """A refused preflight request; knows its request only when it is sent."""

    def __init__(self, refused: Response) -> None:
        super().__init__()
        self._detail = bytes(refused.body).decode()
        self._vary = refused.headers.get("vary", "Origin")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = problems.request_id_of(Request(scope))
        detail = f"{self._detail}; see api.cors_allowed_origins and its neighbours"
        answer = problems.problem(request_id, 400, detail, headers={"Vary": self._vary})
        await answer(scope, receive, send)


def _cors(services: Services, app: ASGIApp) -> ASGIApp:
    """Cross-origin requests, for the origins that the site names; none by default."""
    api = services.config.api
    if not api.cors_allowed_origins:
        return app
    every = "*" in api.cors_allowed_origins
    if every:
        log.warning("api.cors_allowed_origins is *: every web page may use the API")
    return _Cors(
        app,
        allow_origins=list(api.cors_allowed_origins),
        allow_credentials=api.cors_allow_credentials and not every,
        allow_methods=list(api.cors_allow_methods),
        allow_headers=list(api.cors_allow_headers),
        expose_headers=_EXPOSED,
    )
