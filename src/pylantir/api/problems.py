"""Errors as problem details (RFC 9457): one shape, and one table from our errors to a status."""

from __future__ import annotations

import http
import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from pylantir.api.methods import allowed
from pylantir.errors import (
    AccessDenied,
    Conflict,
    InvalidAccount,
    InvalidItem,
    InvalidQuery,
    NotAllowed,
    NotFound,
    PasswordChangeRequired,
    PylantirError,
    SignInFailed,
    SourceError,
    StoreError,
    TooManyAttempts,
)

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


class FieldProblem(BaseModel):
    """One value that cannot be used."""

    field: str = Field(description="name of the field, query parameter or header")
    message: str = Field(description="what was expected")


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = Field("about:blank", description="always about:blank: `code` says which kind")
    title: str = Field(description="the status in words")
    status: int = Field(description="HTTP status")
    code: str = Field(description="kind of problem, for programs")
    detail: str = Field(description="what happened, for people")
    request_id: str = Field(description="names this request in the server's log")
    errors: list[FieldProblem] = Field([], description="values that cannot be used")


_STATUSES: tuple[tuple[type[PylantirError], int, str], ...] = (
    (TooManyAttempts, 429, "too_many_attempts"),
    (PasswordChangeRequired, 403, "password_change_required"),
    (NotAllowed, 403, "not_allowed"),
    (SignInFailed, 401, "sign_in_failed"),
    (AccessDenied, 403, "access_denied"),
    (InvalidItem, 422, "invalid_item"),
    (InvalidQuery, 422, "invalid_query"),
    (InvalidAccount, 422, "invalid_account"),
    (NotFound, 404, "not_found"),
    (Conflict, 409, "conflict"),
    (StoreError, 503, "database_unavailable"),
    (SourceError, 502, "source_failed"),
    (PylantirError, 500, "failed"),
)
"""Which error becomes which HTTP status: the table beside this door. The first that fits."""

_CODES = {
    400: "bad_request",
    401: "sign_in_failed",
    403: "not_allowed",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    408: "too_slow",
    412: "changed_meanwhile",
    413: "too_large",
    415: "unsupported_media_type",
    422: "invalid_request",
    500: "failed",
    503: "unavailable",
    504: "too_slow",
}

DEFECT = "a defect of the server; its log has this request's id"
_NOT_FOR_CLIENTS = (StoreError,)
"""Errors whose text names files of the server."""


def problem(
    request_id: str,
    status: int,
    detail: str,
    *,
    code: str = "",
    errors: Sequence[tuple[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The response of a problem."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": http.HTTPStatus(status).phrase,
        "status": status,
        "code": code or _CODES.get(status, "failed"),
        "detail": detail,
        "request_id": request_id,
        "errors": [{"field": field, "message": message} for field, message in errors],
    }
    # What somebody sent may hold halves of surrogate pairs, which UTF-8 cannot say.
    encoded = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
    return Response(encoded, status, dict(headers or {}), MEDIA_TYPE)


def problem_of(error: PylantirError, request_id: str) -> Response:
    """The response of one of our errors."""
    status, code = next((s, c) for kind, s, c in _STATUSES if isinstance(error, kind))
    headers: dict[str, str] = {}
    if isinstance(error, TooManyAttempts):
        headers["Retry-After"] = str(max(1, round(error.wait_s)))
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    detail = str(error)
    if isinstance(error, _NOT_FOR_CLIENTS):
        detail = "the database cannot be used at the moment; the server's log says why"
    errors = [(p.field, p.reason) for p in getattr(error, "problems", ())]
    return problem(request_id, status, detail, code=code, errors=errors, headers=headers)


def log_defect(request_id: str, error: Exception) -> None:
    """Say that a request met a defect of ours; never with the values that it was about."""
    log.error("REST request %s failed: %s", request_id, type(error).__name__)
    log.debug("cause", exc_info=error)


def request_id_of(request: Request) -> str:
    """The id under which the log knows a request."""
    return str(request.scope.get("state", {}).get("request_id", ""))


def install(app: FastAPI) -> None:
    """Let every error of a route end in one shape."""

    @app.exception_handler(PylantirError)
    def ours(request: Request, error: PylantirError) -> Response:
        return problem_of(error, request_id_of(request))

    @app.exception_handler(HTTPException)
    def plain(request: Request, error: HTTPException) -> Response:
        headers = {name.title(): value for name, value in (error.headers or {}).items()}
        if error.status_code == 405:
            methods = allowed(app, request.url.path)
            headers |= {"Allow": methods} if methods else {}
            if request.method == "OPTIONS":
                return Response(None, 204, headers)
        return problem(
            request_id_of(request),
            error.status_code,
            str(error.detail),
            errors=getattr(error, "errors", ()),
            headers=headers,
        )

    @app.exception_handler(Exception)
    def defect(request: Request, error: Exception) -> Response:
        log_defect(request_id_of(request), error)
        return problem(request_id_of(request), 500, DEFECT)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        broken = any(each["type"] == "json_invalid" for each in error.errors())
        errors = [(_where(each["loc"]), str(each["msg"])) for each in error.errors()]
        if broken:
            errors = [("body", "expected JSON (RFC 8259)")]
        status = 400 if broken else 422
        detail = "; ".join(f"{field}: {message}" for field, message in errors)
        return problem(request_id_of(request), status, detail, errors=errors)


def _where(location: Sequence[Any]) -> str:
    """The name of the field, without the place that FastAPI found it in."""
    inner = [str(part) for part in location[1:]] or [str(part) for part in location]
    return ".".join(inner)
