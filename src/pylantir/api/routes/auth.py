"""``/auth``: signing in, staying signed in, signing out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Request
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from pylantir.api.access import House, Token, address_of
from pylantir.api.audited import Audit, RestAudit
from pylantir.api.bodies import StrictRoute
from pylantir.api.services import Services
from pylantir.errors import AccessDenied, SignInFailed
from pylantir.users.account import User
from pylantir.users.passwords import MAX_CHARACTERS
from pylantir.users.signin import SETUP
from pylantir.users.tokens import IssuedToken

log = logging.getLogger(__name__)
router = APIRouter(route_class=StrictRoute, prefix="/auth", tags=["sign-in"])

T = TypeVar("T")


def _whole_text(value: str) -> str:
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("expected text, found half of a surrogate pair")
    return value


Text = Annotated[str, Field(max_length=200), AfterValidator(_whole_text)]
Password = Annotated[str, Field(max_length=4 * MAX_CHARACTERS), AfterValidator(_whole_text)]


def _no_flag(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("expected a number of minutes")
    return value


Minutes = Annotated[
    int,
    BeforeValidator(_no_flag),
    Field(ge=1, le=2**31 - 1, description="life of the token; longer counts as the longest"),
]


class Login(BaseModel):
    """A name and a password."""

    username: Text
    password: Password
    access_token_expire_minutes: Minutes | None = None


class AccessToken(BaseModel):
    """For the header ``Authorization: Bearer ...``."""

    access_token: str
    token_type: str = "bearer"  # noqa: S105 - the kind, as OAuth names it
    expires_in: int = Field(description="seconds")


class Refresh(BaseModel):
    """How long the new token shall live."""

    access_token_expire_minutes: Minutes | None = None


class PasswordChange(BaseModel):
    """The present password and the next one."""

    username: Text
    current_password: Password
    new_password: Password
    setup_code: Text = ""


class SetUp(BaseModel):
    """The first admin account of a new installation."""

    setup_code: Text = Field(description="printed where the server was started")
    username: Text = "admin"
    password: Password


class Me(BaseModel):
    """Who a token belongs to."""

    id: int | None
    username: str
    role: str


async def _off_the_loop(services: Services, work: Callable[[], T]) -> T:
    """Hash in a thread of its own kind: others' requests go on meanwhile."""
    return await asyncio.get_running_loop().run_in_executor(services.hashing, work)


async def _proved(services: Services, work: Callable[[], T], audit: RestAudit, username: str) -> T:
    """Let somebody prove who they are, and keep how it went."""
    try:
        done = await _off_the_loop(services, work)
    except AccessDenied as error:
        audit.signed_in(username, failed=str(error))
        raise
    audit.signed_in(username)
    return done


def _answer(issued: IssuedToken) -> AccessToken:
    return AccessToken(access_token=issued.text, expires_in=issued.expires_in_s)


@router.post("/login", summary="Sign in with a name and a password")
async def login(services: House, request: Request, audit: Audit, body: Login) -> AccessToken:
    """An access token for the other routes."""
    address = address_of(request)

    def work() -> tuple[User, IssuedToken]:
        return services.sign_in.login(
            body.username, body.password, address, body.access_token_expire_minutes
        )

    user, issued = await _proved(services, work, audit, body.username)
    log.info("REST sign-in of account %d", user.user_id)
    return _answer(issued)


@router.post("/refresh", summary="A new token for one that is still valid")
def refresh(services: House, token: Token, body: Refresh | None = None) -> AccessToken:
    """A new access token, until the session has lasted its longest."""
    minutes = body.access_token_expire_minutes if body else None
    return _answer(services.sign_in.refresh(token, minutes))


@router.post(
    "/logout", status_code=204, response_model=None, summary="End every token of this account"
)
def logout(services: House, token: Token, audit: Audit) -> None:
    """Signs the account out everywhere."""
    principal = services.identify(token)
    if principal.user_id is None:
        raise SignInFailed("this token was issued elsewhere; sign out there")
    services.users.void_tokens(principal.user_id)
    audit.signed_out(principal)


@router.get("/me", summary="Who this token belongs to")
def me(services: House, token: Token) -> Me:
    """Name and role of the account."""
    principal = services.identify(token)
    return Me(id=principal.user_id, username=principal.username, role=principal.role)


@router.post("/password", status_code=204, response_model=None, summary="Change one's own password")
async def change_password(
    services: House, request: Request, audit: Audit, body: PasswordChange
) -> None:
    """Needs the present password and no token; ends every token of the account."""
    address = address_of(request)

    def work() -> Any:
        return services.sign_in.change_password(
            body.username, body.current_password, body.new_password, address, body.setup_code
        )

    await _proved(services, work, audit, body.username)
    audit.account(body.username, f"account {body.username}", "password changed by its owner")


@router.post("/setup", status_code=201, summary="Make the first admin account")
async def set_up(services: House, request: Request, audit: Audit, body: SetUp) -> Me:
    """Works once, with the code that was printed where the server was started."""
    address = address_of(request)

    def work() -> User:
        return services.sign_in.set_up(body.setup_code, body.username, body.password, address)

    user = await _proved(services, work, audit, SETUP)
    audit.account(user.username, f"account {user.username}", "first admin account made")
    log.info("the first admin account was made: account %d", user.user_id)
    return Me(id=user.user_id, username=user.username, role=user.role)
