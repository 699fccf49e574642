"""What may be a password, how it is kept, how it is checked."""

from __future__ import annotations

import pytest

from pylantir.errors import InvalidAccount
from pylantir.users import passwords
from pylantir.users.passwords import EqualTime

GOOD = "a quiet sentence about nothing"
OF_BCRYPT = "$2b$12$oyVJhMySHNHXsK/GtiV2cOjtuJSlZ3GdQmMWvfDlRAvjuy3kzk5UO"  # admin123


@pytest.mark.parametrize(
    "password",
    ["", "elevencharx", "x" * 129, "aaaaaaaaaaaa", "abababababab"],
    ids=["empty", "11", "129", "one character", "two characters"],
)
def test_a_password_of_another_length_or_without_variety_is_refused(password: str) -> None:
    with pytest.raises(InvalidAccount) as caught:
        passwords.require_usable(password)

    assert password == "" or password not in str(caught.value)


@pytest.mark.parametrize(
    "password",
    [
        "123456789012",
        "1234567890qwerty",
        "Password1234!",
        "administrator2026",
        "2026PYLANTIR!!!",
        "passwordpassword",
        "98765432101234567",
    ],
)
def test_what_everybody_tries_is_refused(password: str) -> None:
    assert "expected" in passwords.why_not(password)


@pytest.mark.parametrize(
    "password", [GOOD, "x1y2z3x1y2z3", "длинное предложение", "correcthorsebattery"]
)
def test_a_sentence_needs_no_digits_and_no_capitals(password: str) -> None:
    assert passwords.why_not(password, "admin") == ""


def test_the_username_is_no_part_of_the_password() -> None:
    assert "username" in passwords.why_not("my name is Rivera-Weber", "rivera-weber")


def test_it_is_kept_as_argon2id_with_the_parameters_of_the_checklist() -> None:
    stored = passwords.hashed(GOOD)

    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert GOOD not in stored
    assert stored != passwords.hashed(GOOD), "no salt"


def test_only_the_password_itself_matches() -> None:
    stored = passwords.hashed(GOOD)

    assert passwords.matches(GOOD, stored)
    assert not passwords.matches(GOOD + " ", stored)
    assert not passwords.matches("", stored)
    assert not passwords.matches("x" * 10_000_000, stored)


def test_how_a_keyboard_composes_an_accent_does_not_matter() -> None:
    assert passwords.matches("cafe\u0301 et croissants", passwords.hashed("café et croissants"))


def test_hashes_of_the_published_release_are_understood_and_due_for_replacement() -> None:
    assert passwords.matches("admin123", OF_BCRYPT)
    assert not passwords.matches("admin124", OF_BCRYPT)
    assert passwords.needs_rehash(OF_BCRYPT)
    assert not passwords.needs_rehash(passwords.hashed(GOOD))


def test_bcrypt_looks_at_72_bytes_as_it_did_in_the_published_release() -> None:
    import bcrypt

    stored = bcrypt.hashpw(b"y" * 72, bcrypt.gensalt(4)).decode()

    assert passwords.matches("y" * 90, stored)


@pytest.mark.parametrize("stored", ["", "nonsense", "$argon2id$v=19$", "$2b$12$short", "plain"])
def test_a_damaged_hash_matches_nothing(stored: str) -> None:
    assert not passwords.matches(GOOD, stored)


def test_an_account_that_does_not_exist_costs_as_many_hashes_as_one_that_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Counted, not timed: what is equal on every machine is the work."""
    checked: list[str] = []
    real = passwords.matches

    def counting(password: str, stored: str) -> bool:
        checked.append("bcrypt" if passwords.is_published(stored) else "argon2id")
        return real(password, stored)

    monkeypatch.setattr(passwords, "matches", counting)
    work = {}
    equal = EqualTime(published_left=True)
    for name, stored in (("none", None), ("new", passwords.hashed(GOOD)), ("old", OF_BCRYPT)):
        checked.clear()
        equal.matches("something else", stored)
        work[name] = list(checked)

    assert work["none"] == work["new"] == work["old"] == ["argon2id", "bcrypt"]


def test_equal_time_still_tells_right_from_wrong() -> None:
    equal = EqualTime(published_left=True)

    assert equal.matches(GOOD, passwords.hashed(GOOD))
    assert equal.matches("admin123", OF_BCRYPT)
    assert not equal.matches(GOOD, OF_BCRYPT)
    assert not equal.matches(GOOD, None)
