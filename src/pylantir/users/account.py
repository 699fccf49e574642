"""An account, and what may stand in one."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pylantir.errors import InvalidAccount, NotAllowed, ValueProblem
from pylantir.users.roles import MAY, Right, Role, parse_role

MAX_USERNAME, MAX_TEXT = 50, 100
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """An account as everybody outside this room sees it.

    Parameters
    ----------
    user_id : int
        Its number.
    username : str
        What its owner signs in with.
    role : Role
        What it may do.
    email, full_name : str or None
        Of its owner.
    is_active : bool
        Whether it may sign in.
    must_change_password : bool
        Its password may not be used any longer.
    created_at, last_login : datetime or None
        Aware, UTC.
    created_by : int or None
        Number of the account that made it.
    token_version : int
        Tokens of an older version are void.
    password_hash : str
        For this room only.
    """

    user_id: int
    username: str
    role: Role
    email: str | None = None
    full_name: str | None = None
    is_active: bool = True
    must_change_password: bool = False
    created_at: dt.datetime | None = None
    last_login: dt.datetime | None = None
    created_by: int | None = None
    token_version: int = 0
    password_hash: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is behind a request, however they proved it.

    Parameters
    ----------
    username : str
        Name of the account, or of the person at the issuer.
    role : Role
        What they may do now.
    user_id : int or None
        Number of the account; nothing when somebody else's issuer vouches for them.
    issuer : str
        Who vouches for them; empty for an account of ours.
    """

    username: str
    role: Role
    user_id: int | None = None
    issuer: str = ""

    @property
    def name(self) -> str:
        """Whom to name in logs and in the audit trail: nobody is taken for a namesake."""
        return f"{self.username} of {self.issuer}" if self.issuer else self.username

    def require(self, right: Right) -> None:
        """Say whether this principal has a right.

        Raises
        ------
        NotAllowed
            It has not.
        """
        if right not in MAY[self.role]:
            raise NotAllowed(f"the role {self.role} may not {right}")


def checked(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of an account in the form in which they are kept; only those that were given.

    Raises
    ------
    InvalidAccount
        With everything that is wrong with them.
    """
    problems: list[ValueProblem] = []
    found: dict[str, Any] = {}
    for name, value in values.items():
        try:
            found[name] = _CHECKS[name](value)
        except ValueError as error:
            problems.append(ValueProblem(name, str(value)[:80], str(error)))
    if problems:
        raise InvalidAccount(problems)
    return found


def _username(value: Any) -> str:
    name = unicodedata.normalize("NFKC", str(value or ""))
    if not 1 <= len(name) <= MAX_USERNAME or not name.isprintable() or " " in name:
        raise ValueError(f"expected 1 to {MAX_USERNAME} printable characters without spaces")
    return name


def _text(value: Any) -> str | None:
    text = unicodedata.normalize("NFC", str(value or "")).strip()
    if len(text) > MAX_TEXT or not text.isprintable():
        raise ValueError(f"expected at most {MAX_TEXT} printable characters")
    return text or None


def _email(value: Any) -> str | None:
    text = _text(value)
    if text is not None and not _EMAIL.fullmatch(text):
        raise ValueError("expected an address such as name@example.org")
    return text


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("expected true or false")
    return value


_CHECKS: dict[str, Any] = {
    "username": _username,
    "email": _email,
    "full_name": _text,
    "role": lambda value: parse_role(str(value)),
    "is_active": _flag,
    "must_change_password": _flag,
}
