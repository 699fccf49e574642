"""The three roles and what each may do. The names are those of the published release."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What an account is for."""

    ADMIN = "admin"
    WRITE = "write"
    READ = "read"


class Right(StrEnum):
    """What a request needs."""

    READ_WORKLIST = "read the worklist"
    WRITE_WORKLIST = "change the worklist"
    MANAGE_USERS = "manage accounts"


MAY: dict[Role, frozenset[Right]] = {
    Role.READ: frozenset({Right.READ_WORKLIST}),
    Role.WRITE: frozenset({Right.READ_WORKLIST, Right.WRITE_WORKLIST}),
    Role.ADMIN: frozenset(Right),
}
"""The whole of authorization: a role, and the rights it has."""


def parse_role(shown: str) -> Role:
    """The role of that name.

    Raises
    ------
    ValueError
        There is none.
    """
    try:
        return Role(shown.strip().lower())
    except ValueError:
        raise ValueError(f"expected one of {', '.join(Role)}") from None
