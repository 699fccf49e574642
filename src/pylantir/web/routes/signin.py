"""Signing in and out, a password that has to be changed, and the first account."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response

from pylantir.api.access import House
from pylantir.api.audited import Audit
from pylantir.api.routes import auth
from pylantir.api.services import Services
from pylantir.errors import (
    AccessDenied,
    InvalidAccount,
    PasswordChangeRequired,
    PylantirError,
    SignInFailed,
    TooManyAttempts,
)
from pylantir.web.rendering import renderer_of
from pylantir.web.routes.accounts import told
from pylantir.web.session import (
    PATH,
    Anybody,
    Form,
    Visitor,
    drop_session,
    keep_form,
    keep_session,
)

router = APIRouter()


def to_sign_in(request: Request) -> Response:
    """Send a visitor to where they sign in, and back afterwards."""
    where = request.url.path
    if request.url.query:
        where += f"?{request.url.query}"
    back = f"?next={quote(where, safe='')}" if request.method == "GET" else ""
    return RedirectResponse(f"{PATH}/sign-in{back}", 303)


def way_back(shown: str) -> str:
    """A page of ours, whatever the address says: nobody is led to another site."""
    is_ours = shown.startswith(f"{PATH}/") and "\\" not in shown and shown.isprintable()
    return shown if is_ours else f"{PATH}/"


@router.get("/sign-in")
def show(request: Request, services: House, visitor: Anybody) -> Response:
    """Where one signs in."""
    back = way_back(request.query_params.get("next", ""))
    if services.sign_in.setup_code is not None and not services.users.has_admin():
        return renderer_of(request)(request, visitor, "setup.html", problem="", username="admin")
    return show_sign_in(request, visitor, back=back)


def show_sign_in(
    request: Request,
    visitor: Visitor,
    status: int = 200,
    /,
    *,
    back: str = "",
    problem: str = "",
    username: str = "",
    wait_s: int = 0,
    refusal: str = "",
) -> Response:
    """The form, with what went wrong, and the way to the site's own issuer."""
    done = request.query_params.get("done", "")
    values: dict[str, Any] = {
        "back": back,
        "problem": problem,
        "username": username,
        "wait_s": wait_s,
    }
    client = request.app.state.openid
    values |= {"refusal": refusal, "issuer": client.name if client is not None else ""}
    return renderer_of(request)(request, visitor, "sign_in.html", status, done_word=done, **values)


@router.post("/sign-in")
async def sign_in(
    request: Request, services: House, visitor: Anybody, audit: Audit, form: Form
) -> Response:
    """Checks a name and a password; the session begins."""
    username, back = form.get("username", ""), way_back(form.get("next", ""))
    try:
        body = auth.Login(username=username, password=form.get("password", ""))
        token = await auth.login(services, request, audit, body)
    except PasswordChangeRequired:
        return _password(request, visitor, 403, username=username, is_forced=True)
    except TooManyAttempts as error:
        wait_s = max(1, round(error.wait_s))
        answer = show_sign_in(request, visitor, 429, back=back, username=username, wait_s=wait_s)
        answer.headers["Retry-After"] = str(wait_s)
        return answer
    except (SignInFailed, ValidationError):
        problem = "wrong"
        return show_sign_in(request, visitor, 401, back=back, problem=problem, username=username)
    return _signed_in(services, token, back)


def _signed_in(services: Services, token: auth.AccessToken, back: str) -> Response:
    answer = RedirectResponse(back, 303)
    keep_session(answer, services, token.access_token, token.expires_in)
    # What was known before signing in must prove nothing afterwards.
    keep_form(answer, services, Visitor.new())
    return answer


@router.get("/password")
def show_password(request: Request, visitor: Anybody) -> Response:
    """Where one changes one's own password."""
    name = visitor.principal.username if visitor.principal else ""
    return _password(request, visitor, username=name)


def _password(
    request: Request,
    visitor: Visitor,
    status: int = 200,
    /,
    *,
    username: str = "",
    problem: str = "",
    is_forced: bool = False,
) -> Response:
    values = {"username": username, "problem": problem, "is_forced": is_forced}
    return renderer_of(request)(request, visitor, "password.html", status, **values)


@router.post("/password")
async def change_password(
    request: Request, services: House, visitor: Anybody, audit: Audit, form: Form
) -> Response:
    """Changes the password of whoever knows the present one; they sign in anew."""
    username = form.get("username", "")
    try:
        if form.get("new_password") != form.get("repeated"):
            return _password(request, visitor, 422, username=username, problem="repeated")
        body = auth.PasswordChange(
            username=username,
            current_password=form.get("current_password", ""),
            new_password=form.get("new_password", ""),
            setup_code=form.get("setup_code", ""),
        )
        await auth.change_password(services, request, audit, body)
    except (AccessDenied, InvalidAccount, ValidationError) as error:
        return _password(request, visitor, 422, username=username, problem=told(error))
    answer = RedirectResponse(f"{PATH}/sign-in?done=password", 303)
    drop_session(answer, services)
    return answer


@router.post("/setup")
async def set_up(
    request: Request, services: House, visitor: Anybody, audit: Audit, form: Form
) -> Response:
    """Makes the first admin account with the code that was printed at the start."""
    username = form.get("username", "")
    values: dict[str, Any] = {"username": username}
    try:
        if form.get("password") != form.get("repeated"):
            values["problem"] = "repeated"
            return renderer_of(request)(request, visitor, "setup.html", 422, **values)
        body = auth.SetUp(
            setup_code=form.get("setup_code", ""),
            username=username,
            password=form.get("password", ""),
        )
        await auth.set_up(services, request, audit, body)
    except (PylantirError, ValidationError) as error:
        values["problem"] = told(error)
        return renderer_of(request)(request, visitor, "setup.html", 422, **values)
    return RedirectResponse(f"{PATH}/sign-in?done=setup", 303)
