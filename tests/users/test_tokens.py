"""Tokens: ours, whole, of now; nothing else."""

from __future__ import annotations

import base64
import datetime as dt
import json
import sys
from pathlib import Path
from typing import Any

import jwt
import pytest
from tests.users.conftest import Clock

from pylantir.errors import SignInFailed, StartError
from pylantir.users.account import User
from pylantir.users.roles import Role
from pylantir.users.tokens import Tokens, signing_key

KEY = b"k" * 32
USER = User(user_id=7, username="rivera", role=Role.READ, token_version=3)
HALF_AN_HOUR = dt.timedelta(minutes=30)


def test_a_token_says_whose_it_is_and_not_what_they_may(clock: Clock) -> None:
    tokens = Tokens(KEY, clock)
    issued = tokens.issue(USER, HALF_AN_HOUR)

    claims = tokens.read(issued.text)

    assert (claims.username, claims.user_id, claims.token_version) == ("rivera", 7, 3)
    assert issued.expires_in_s == 1800
    assert "role" not in jwt.decode(issued.text, options={"verify_signature": False})
    assert issued.text not in repr(issued)


def test_every_token_is_another(clock: Clock) -> None:
    tokens = Tokens(KEY, clock)

    assert tokens.issue(USER, HALF_AN_HOUR).text != tokens.issue(USER, HALF_AN_HOUR).text


def test_it_lives_as_long_as_it_says(clock: Clock) -> None:
    tokens = Tokens(KEY, clock)
    text = tokens.issue(USER, HALF_AN_HOUR).text
    clock.move(1799)
    tokens.read(text)
    clock.move(1)

    with pytest.raises(SignInFailed):
        tokens.read(text)


def test_it_is_not_valid_before_it_was_issued(clock: Clock) -> None:
    tokens = Tokens(KEY, clock)
    text = tokens.issue(USER, HALF_AN_HOUR).text
    clock.move(-60)

    with pytest.raises(SignInFailed):
        tokens.read(text)


def claims(clock: Clock, **others: Any) -> dict[str, Any]:
    text = Tokens(KEY, clock).issue(USER, HALF_AN_HOUR).text
    found = jwt.decode(text, options={"verify_signature": False})
    return {name: value for name, value in {**found, **others}.items() if value is not None}


@pytest.mark.parametrize(
    "missing", ["exp", "iat", "nbf", "iss", "aud", "jti", "sub", "uid", "ver", "auth_time"]
)
def test_a_token_without_a_claim_is_none(clock: Clock, missing: str) -> None:
    forged = jwt.encode(claims(clock, **{missing: None}), KEY, algorithm="HS256")

    with pytest.raises(SignInFailed):
        Tokens(KEY, clock).read(forged)


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "somebody"},
        {"aud": "another-api"},
        {"uid": "seven"},
        {"exp": "soon"},
        {"auth_time": 10**18},
    ],
)
def test_a_claim_of_another_value_makes_it_none(clock: Clock, changed: dict[str, Any]) -> None:
    forged = jwt.encode(claims(clock, **changed), KEY, algorithm="HS256")

    with pytest.raises(SignInFailed):
        Tokens(KEY, clock).read(forged)


@pytest.mark.parametrize("key", [b"your-secret-key-change-in-production", b"another key" * 4])
def test_the_key_of_the_published_release_opens_nothing(clock: Clock, key: bytes) -> None:
    forged = jwt.encode(claims(clock), key, algorithm="HS256")

    with pytest.raises(SignInFailed):
        Tokens(KEY, clock).read(forged)


@pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning")
@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_another_algorithm_is_refused_even_with_the_right_key(clock: Clock, algorithm: str) -> None:
    forged = jwt.encode(claims(clock), KEY, algorithm=algorithm)

    with pytest.raises(SignInFailed):
        Tokens(KEY, clock).read(forged)


def test_an_unsigned_token_is_refused(clock: Clock) -> None:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    forged = f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims(clock))}."

    with pytest.raises(SignInFailed):
        Tokens(KEY, clock).read(forged)


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "é", "." * 5000])
def test_what_is_no_token_is_refused(clock: Clock, text: str) -> None:
    with pytest.raises(SignInFailed):
        Tokens(KEY, clock).read(text)


def test_the_key_is_made_once_random_and_private(tmp_path: Path) -> None:
    path = tmp_path / "site" / "users.key"

    key = signing_key(path)

    assert len(key) == 32
    assert signing_key(path) == key
    assert signing_key(tmp_path / "other.key") != key
    if sys.platform != "win32":
        assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_a_key_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "users.key"
    signing_key(path)
    path.chmod(0o644)

    signing_key(path)

    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", ["", "abcd", "not hexadecimal at all", "é"])
def test_a_file_that_is_no_key_is_not_used(tmp_path: Path, content: str) -> None:
    path = tmp_path / "users.key"
    path.write_text(content, encoding="utf-8")

    with pytest.raises(StartError, match="delete it"):
        signing_key(path)
