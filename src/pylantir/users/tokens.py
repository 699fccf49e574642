"""Access tokens: JSON Web Tokens (RFC 7519) signed with a key of this installation.

One algorithm. A token names its account and the version of the account's tokens; what the account
may do is read from the database each time, never from the token.
"""

from __future__ import annotations

import datetime as dt
import os
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path

import jwt

from pylantir.clock import Now, utc_now
from pylantir.errors import SignInFailed, StartError
from pylantir.users.account import User

ALGORITHM = "HS256"
ISSUER, AUDIENCE = "pylantir", "pylantir-api"
KEY_BYTES = 32
_NO_TOKEN = (jwt.PyJWTError, ValueError, TypeError, OverflowError, OSError, RecursionError)
"""What reading something that is no token ends in."""

_REQUIRED = ["exp", "iat", "nbf", "iss", "aud", "jti", "sub", "uid", "ver", "auth_time"]


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token and how long it lives.

    Parameters
    ----------
    text : str
        For the ``Authorization`` header; a secret.
    expires_in_s : int
        Seconds.
    """

    text: str
    expires_in_s: int

    def __repr__(self) -> str:
        return "IssuedToken(***)"


@dataclass(frozen=True, slots=True)
class Claims:
    """What a valid token says."""

    username: str
    user_id: int
    token_version: int
    signed_in_at: dt.datetime


class Tokens:
    """Issues and reads tokens.

    Parameters
    ----------
    key : bytes
        256 random bits, see :func:`signing_key`.
    now : Now
        The clock.
    """

    def __init__(self, key: bytes, now: Now = utc_now) -> None:
        self._key = key
        self._now = now

    def issue(
        self, user: User, life: dt.timedelta, signed_in_at: dt.datetime | None = None
    ) -> IssuedToken:
        """A token for an account that has just proved who it is, or did so at `signed_in_at`."""
        now = self._now()
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": user.username,
            "uid": user.user_id,
            "ver": user.token_version,
            "iat": now,
            "nbf": now,
            "exp": now + life,
            "jti": secrets.token_urlsafe(16),
            "auth_time": int((signed_in_at or now).timestamp()),
        }
        encoded = jwt.encode(claims, self._key, algorithm=ALGORITHM)
        return IssuedToken(encoded, int(life.total_seconds()))

    def read(self, text: str) -> Claims:
        """What a token says.

        Raises
        ------
        SignInFailed
            Not one of ours, changed, too old, or not complete.
        """
        try:
            # Its times are compared below, with the same clock that issued it.
            options = {"require": _REQUIRED, "verify_exp": False, "verify_nbf": False}
            options["verify_iat"] = False
            found = jwt.decode(
                text,
                self._key,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                options=options,  # type: ignore[arg-type]
            )
            now = self._now().timestamp()
            if not int(found["nbf"]) <= now < int(found["exp"]):
                raise SignInFailed("this token has expired")
            signed_in_at = dt.datetime.fromtimestamp(int(found["auth_time"]), dt.UTC)
            return Claims(str(found["sub"]), int(found["uid"]), int(found["ver"]), signed_in_at)
        except _NO_TOKEN as error:
            raise SignInFailed("this token is not valid") from error


def signing_key(path: Path) -> bytes:
    """The key of this installation; made at the first start, readable by its own account only.

    Raises
    ------
    StartError
        It cannot be made or read, or is no key.
    """
    try:
        if not path.exists():
            _write_key(path)
        if sys.platform != "win32" and path.stat().st_mode & 0o077:
            path.chmod(0o600)
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except OSError as error:
        raise StartError(f"cannot use the token key {path}: {error.strerror}") from error
    except ValueError:
        key = b""
    if len(key) < KEY_BYTES:
        raise StartError(
            f"{path} is no token key; delete it and start again: a new one is made, and everybody "
            "signs in anew"
        )
    return key


def _write_key(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return  # another process was faster
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_bytes(KEY_BYTES).hex() + "\n")
