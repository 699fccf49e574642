"""Passwords: what may be one, how it is kept, how it is checked.

Kept as argon2id (19 MiB, two passes, one lane). Hashes of the published release (bcrypt) are
understood, and replaced when their owner signs in. Nothing here knows who it is about.
"""

from __future__ import annotations

import re
import secrets
import unicodedata
from functools import cache
from importlib.resources import files

import argon2
import bcrypt

from pylantir.errors import InvalidAccount, ValueProblem

MIN_CHARACTERS, MAX_CHARACTERS = 12, 128
MEMORY_KIB, PASSES, LANES = 19 * 1024, 2, 1
PUBLISHED_DEFAULT = "admin123"
"""What the published release gives its first account, and says in its README."""

_BCRYPT_BYTES = 72
"""bcrypt looks at no more; the published release cut the rest off in silence."""

_BCRYPT_ROUNDS = 12
_FEWEST_DIFFERENT = 5
_FRAMING = re.compile(r"^[\W\d_]+|[\W\d_]+$")

_hasher = argon2.PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)


def require_usable(password: str, username: str = "") -> None:
    """Refuse a password that is too short, too long, or among those that everybody tries.

    There are no rules of composition: a sentence is a good password.

    Parameters
    ----------
    password : str
        12 to 128 characters.
    username : str
        May not be in it.

    Raises
    ------
    InvalidAccount
        Says what was expected, without the password.
    """
    reason = why_not(password, username)
    if reason:
        raise InvalidAccount([ValueProblem("password", "", reason)])


def why_not(password: str, username: str = "") -> str:
    """Why a password cannot be used; empty when it can."""
    password = _normal(password)
    if not MIN_CHARACTERS <= len(password) <= MAX_CHARACTERS:
        return f"expected {MIN_CHARACTERS} to {MAX_CHARACTERS} characters"
    if len(set(password)) < _FEWEST_DIFFERENT:
        return f"expected at least {_FEWEST_DIFFERENT} different characters"
    lowered = password.lower()
    if len(username) > 2 and username.lower() in lowered:
        return "expected a password without the username in it"
    if _is_common(lowered):
        return "this is one of the passwords that everybody tries; expected a less common one"
    return ""


def _is_common(lowered: str) -> bool:
    core = _FRAMING.sub("", lowered)
    half = lowered[: len(lowered) // 2]
    known = _common()
    repeated = half * 2 == lowered and half in known
    return lowered in known or core in known or repeated or not core


@cache
def _common() -> frozenset[str]:
    text = files(__package__).joinpath("common_passwords.txt").read_text(encoding="utf-8")
    return frozenset(line for line in text.splitlines() if not line.startswith("#"))


def hashed(password: str) -> str:
    """What is kept of a password: an argon2id hash with its parameters and salt."""
    return _hasher.hash(_normal(password))


def unusable_hash() -> str:
    """A hash that no password has, for accounts that sign in elsewhere."""
    return hashed(secrets.token_urlsafe(32))


def is_published(stored: str) -> bool:
    """Whether a hash is one of the published release."""
    return stored.startswith(("$2a$", "$2b$", "$2y$"))


def matches(password: str, stored: str) -> bool:
    """Whether a password is the one that a stored hash was made of."""
    if len(password) > 4 * MAX_CHARACTERS:
        password = password[: 4 * MAX_CHARACTERS] + "\0"  # no password of anybody
    try:
        if is_published(stored):
            return bcrypt.checkpw(_bcrypt_bytes(password), stored.encode())
        return _hasher.verify(stored, _normal(password))
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError, ValueError):
        return False


def needs_rehash(stored: str) -> bool:
    """Whether a hash is older or weaker than what is made today."""
    return is_published(stored) or _hasher.check_needs_rehash(stored)


class EqualTime:
    """Checks passwords in a time that does not tell whether the account exists.

    Parameters
    ----------
    published_left : bool
        Some account still has a hash of the published release, which takes longer: then every
        check pays for both kinds.
    """

    def __init__(self, *, published_left: bool) -> None:
        self._published_left = published_left
        self._decoy = unusable_hash()
        self._published_decoy = _published_decoy() if published_left else ""

    def matches(self, password: str, stored: str | None) -> bool:
        """Whether the password is that of the hash; never when there is no hash."""
        found = False
        for decoy in filter(None, (self._decoy, self._published_decoy)):
            if stored is not None and is_published(stored) == is_published(decoy):
                found = matches(password, stored)
            else:
                matches(password, decoy)
        return found


def _published_decoy() -> str:
    salt = bcrypt.gensalt(_BCRYPT_ROUNDS)
    return bcrypt.hashpw(secrets.token_hex(16).encode(), salt).decode()


def _bcrypt_bytes(password: str) -> bytes:
    return password.encode("utf-8", "replace")[:_BCRYPT_BYTES]


def _normal(password: str) -> str:
    """The same characters, however the keyboard composed them."""
    return unicodedata.normalize("NFKC", password)
