"""Who asks, and whether they may: the dependencies that stand in front of every route."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from pylantir.api.services import Services, services_of
from pylantir.errors import SignInFailed
from pylantir.users.account import Principal
from pylantir.users.roles import Right

_bearer = HTTPBearer(
    auto_error=False, description="an access token of POST /auth/login, or of the site's issuer"
)


async def _house(request: Request) -> Services:
    return services_of(request)


# Dependencies that wait for nothing are coroutines: each other one costs a change of threads.
House = Annotated[Services, Depends(_house)]
"""What a route works with."""

Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


async def token_of(credentials: Credentials) -> str:
    """The access token of a request.

    Raises
    ------
    SignInFailed
        There is none.
    """
    if credentials is None or not credentials.credentials:
        raise SignInFailed("this needs an access token: Authorization: Bearer ...")
    return credentials.credentials


Token = Annotated[str, Depends(token_of)]


def may(right: Right) -> Callable[[Services, str], Principal]:
    """A dependency that lets only those pass who have a right."""

    def check(services: House, token: Token) -> Principal:
        principal = services.identify(token)
        principal.require(right)
        return principal

    check.__annotations__ = {"services": House, "token": Token, "return": Principal}
    return check


Reader = Annotated[Principal, Depends(may(Right.READ_WORKLIST))]
Writer = Annotated[Principal, Depends(may(Right.WRITE_WORKLIST))]
Admin = Annotated[Principal, Depends(may(Right.MANAGE_USERS))]


def address_of(request: Request) -> str:
    """Where a request comes from; the proxy's word counts when the site trusts it."""
    return request.client.host if request.client is not None else ""
