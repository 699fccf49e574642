"""``/users``: accounts, for admins."""

from __future__ import annotations

import datetime as dt
import logging
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from pylantir.api.access import Admin, House
from pylantir.api.audited import Audit
from pylantir.api.bodies import StrictRoute
from pylantir.api.routes.auth import Password, Text
from pylantir.errors import Conflict
from pylantir.users.account import User

log = logging.getLogger(__name__)
router = APIRouter(route_class=StrictRoute, prefix="/users", tags=["accounts"])

UserId = Annotated[int, Path(ge=1, le=2**63 - 1, description="number of the account")]


class Account(BaseModel):
    """An account; never its password."""

    id: int
    username: str
    email: str | None
    full_name: str | None
    role: str
    is_active: bool
    must_change_password: bool
    created_at: dt.datetime | None
    last_login: dt.datetime | None


class NewAccount(BaseModel):
    """What a new account needs."""

    model_config = ConfigDict(extra="forbid")

    username: Text
    password: Password = Field(description="12 to 128 characters")
    role: Text = Field("read", description="admin, write or read")
    email: Text | None = None
    full_name: Text | None = None
    must_change_password: bool = Field(
        False, description="the owner has to choose another one before signing in"
    )


class AccountChange(BaseModel):
    """What of an account shall change."""

    model_config = ConfigDict(extra="forbid")

    password: Password | None = None
    role: Text | None = None
    email: Text | None = None
    full_name: Text | None = None
    is_active: bool | None = None
    must_change_password: bool | None = None


@router.get("", summary="List accounts")
def list_users(services: House, _: Admin) -> list[Account]:
    """Every account."""
    return [_shown(user) for user in services.users.all()]


@router.get("/{user_id}", summary="One account")
def get_user(services: House, _: Admin, user_id: UserId) -> Account:
    """One account."""
    return _shown(services.users.get(user_id))


@router.post("", summary="Make an account")
def create_user(services: House, principal: Admin, audit: Audit, body: NewAccount) -> Account:
    """A new account; its name must be free."""
    values = body.model_dump(exclude_unset=True)
    password = values.pop("password")
    user = services.users.create(values, password, created_by=principal.user_id)
    audit.account(principal.name, f"account {user.username}", f"made, role {user.role}")
    log.info("REST: account %d made by %s", user.user_id, principal.name)
    return _shown(user)


@router.put("/{user_id}", summary="Change an account")
def change_user(
    services: House, principal: Admin, audit: Audit, user_id: UserId, body: AccountChange
) -> Account:
    """Changes what is named; a new password, role or activity ends the account's tokens."""
    values: dict[str, Any] = body.model_dump(exclude_unset=True)
    password = values.pop("password", None)
    may_be_empty = ("email", "full_name")
    values = {n: v for n, v in values.items() if v is not None or n in may_be_empty}
    user = services.users.change(user_id, values, password=password)
    what = ", ".join([*values, *(["password"] if password is not None else [])])
    audit.account(principal.name, f"account {user.username}", f"changed: {what}")
    log.info("REST: account %d changed by %s", user_id, principal.name)
    return _shown(user)


@router.delete("/{user_id}", summary="Delete an account")
def delete_user(services: House, principal: Admin, audit: Audit, user_id: UserId) -> dict[str, str]:
    """Deletes an account, never one's own and never the last admin's."""
    if user_id == principal.user_id:
        raise Conflict("this is your own account; another admin has to delete it")
    user = services.users.delete(user_id)
    audit.account(principal.name, f"account {user.username}", "deleted")
    log.info("REST: account %d deleted by %s", user_id, principal.name)
    return {"message": f"User {user.username} deleted successfully"}


def _shown(user: User) -> Account:
    return Account(
        id=user.user_id,
        username=user.username,
        email=user.email,
        full_name=user.full_name,
        role=user.role,
        is_active=user.is_active,
        must_change_password=user.must_change_password,
        created_at=user.created_at,
        last_login=user.last_login,
    )
