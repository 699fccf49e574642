"""Accounts, for admins."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response

from pylantir.api.access import House
from pylantir.api.audited import Audit
from pylantir.api.routes import users
from pylantir.errors import Conflict, InvalidAccount, PylantirError
from pylantir.users.roles import Role
from pylantir.web.rendering import renderer_of
from pylantir.web.session import PATH, Admin, Form, Visitor

router = APIRouter(prefix="/accounts")


@router.get("")
def show(request: Request, services: House, visitor: Admin) -> Response:
    """Every account, and the form of a new one."""
    return _page(request, services, visitor)


@router.post("")
def create(request: Request, services: House, visitor: Admin, audit: Audit, form: Form) -> Response:
    """Makes an account whose owner chooses another password before signing in."""
    try:
        body = users.NewAccount(
            username=form.get("username", ""),
            password=form.get("password", ""),
            role=form.get("role", Role.READ),
            full_name=form.get("full_name") or None,
            must_change_password=True,
        )
        users.create_user(services, visitor.looks, audit, body)
    except (InvalidAccount, Conflict, ValidationError) as error:
        return _page(request, services, visitor, 422, problem=told(error), typed=form)
    return _to("made")


@router.post("/{user_id}")
def change(
    request: Request,
    services: House,
    visitor: Admin,
    audit: Audit,
    user_id: users.UserId,
    form: Form,
) -> Response:
    """Changes role, activity or password; the account's sessions end."""
    try:
        values: dict[str, Any] = {"role": form.get("role"), "is_active": "is_active" in form}
        if form.get("password"):
            values |= {"password": form["password"], "must_change_password": True}
        body = users.AccountChange(**values)
        users.change_user(services, visitor.looks, audit, user_id, body)
    except (InvalidAccount, Conflict, ValidationError) as error:
        return _page(request, services, visitor, 422, problem=told(error))
    return _to("changed")


@router.post("/{user_id}/delete")
def delete(
    request: Request,
    services: House,
    visitor: Admin,
    audit: Audit,
    user_id: users.UserId,
    form: Form,
) -> Response:
    """Deletes an account, never one's own and never the last admin's."""
    try:
        users.delete_user(services, visitor.looks, audit, user_id)
    except Conflict as error:
        return _page(request, services, visitor, 409, problem=told(error))
    return _to("deleted")


def told(error: PylantirError | ValidationError) -> str:
    """What is wrong with an account, in words."""
    if isinstance(error, InvalidAccount):
        return "; ".join(f"{problem.field}: {problem.reason}" for problem in error.problems)
    if isinstance(error, ValidationError):
        return "; ".join(str(each["msg"]) for each in error.errors())
    return str(error)


def _to(done: str) -> Response:
    return RedirectResponse(f"{PATH}/accounts?done={done}", 303)


def _page(
    request: Request,
    services: House,
    visitor: Visitor,
    status: int = 200,
    /,
    *,
    problem: str = "",
    typed: dict[str, str] | None = None,
) -> Response:
    values = {
        "accounts": users.list_users(services, visitor.looks),
        "roles": list(Role),
        "problem": problem,
        "typed": typed or {},
        "done_word": request.query_params.get("done", ""),
    }
    return renderer_of(request)(request, visitor, "accounts.html", status, **values)
