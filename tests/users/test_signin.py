"""Signing in, from a password to a token and back."""

from __future__ import annotations

import datetime as dt

import pytest
from tests.users.conftest import OTHER, PASSWORD, Clock, sign_in_for

from pylantir.errors import (
    Conflict,
    InvalidAccount,
    NotAllowed,
    PasswordChangeRequired,
    SignInFailed,
    TooManyAttempts,
)
from pylantir.users.account import Principal
from pylantir.users.roles import MAY, Right, Role
from pylantir.users.signin import SignIn
from pylantir.users.store import UserStore

HERE = "192.0.2.1"


@pytest.fixture
def sign_in(users: UserStore, clock: Clock) -> SignIn:
    users.create({"username": "boss", "role": "admin"}, PASSWORD)
    users.create({"username": "rivera", "role": "write"}, OTHER)
    return sign_in_for(users, clock)


def test_the_right_password_gives_a_token_that_says_who_it_is(sign_in: SignIn) -> None:
    user, issued = sign_in.login("rivera", OTHER, HERE)

    assert user.username == "rivera"
    assert sign_in.principal(issued.text) == Principal("rivera", Role.WRITE, user.user_id)
    assert sign_in.users.get(user.user_id).last_login is not None


@pytest.mark.parametrize(
    ("username", "password"), [("rivera", PASSWORD), ("nobody", OTHER), ("Rivera", OTHER), ("", "")]
)
def test_a_refusal_does_not_say_what_was_wrong(
    sign_in: SignIn, username: str, password: str
) -> None:
    with pytest.raises(SignInFailed, match=r"^invalid username or password$"):
        sign_in.login(username, password, HERE)


def test_a_disabled_account_is_refused_like_a_wrong_password(sign_in: SignIn) -> None:
    user = sign_in.users.named("rivera")
    assert user is not None
    sign_in.users.change(user.user_id, {"is_active": False})

    with pytest.raises(SignInFailed, match=r"^invalid username or password$"):
        sign_in.login("rivera", OTHER, HERE)


@pytest.mark.parametrize(
    "change", [{"role": "read"}, {"is_active": False}, {"password": PASSWORD}, {"logout": True}]
)
def test_a_token_ends_with_role_activity_password_and_logout(
    sign_in: SignIn, change: dict[str, object]
) -> None:
    user, issued = sign_in.login("rivera", OTHER, HERE)
    if "logout" in change:
        sign_in.users.void_tokens(user.user_id)
    elif "password" in change:
        sign_in.users.change(user.user_id, {}, password=PASSWORD)
    else:
        sign_in.users.change(user.user_id, change)

    with pytest.raises(SignInFailed):
        sign_in.principal(issued.text)


def test_a_token_of_a_deleted_account_is_none_of_the_next_of_that_name(
    sign_in: SignIn, clock: Clock
) -> None:
    user, issued = sign_in.login("rivera", OTHER, HERE)
    sign_in.users.delete(user.user_id)
    clock.move(2)
    sign_in.users.create({"username": "rivera", "role": "admin"}, OTHER)

    with pytest.raises(SignInFailed):
        sign_in.principal(issued.text)


@pytest.mark.parametrize(
    ("asked", "given_s"), [(None, 1800), (5, 300), (60, 3600), (120, 7200), (100_000, 7200)]
)
def test_a_client_may_ask_for_another_life_within_limits(
    sign_in: SignIn, asked: int | None, given_s: int
) -> None:
    _, issued = sign_in.login("rivera", OTHER, HERE, asked)

    assert issued.expires_in_s == given_s


def test_a_session_is_renewed_until_it_is_too_old(sign_in: SignIn, clock: Clock) -> None:
    _, issued = sign_in.login("rivera", OTHER, HERE)
    for _ in range(28):
        clock.move(25 * 60)
        issued = sign_in.refresh(issued.text)

    assert issued.expires_in_s == 20 * 60, "it ends with the session, 12 hours after the password"
    clock.move(20 * 60 - 0.5)
    with pytest.raises(SignInFailed, match="sign in again"):
        sign_in.refresh(issued.text)


def test_wrong_passwords_make_the_next_attempt_wait(sign_in: SignIn) -> None:
    for _ in range(5):
        with pytest.raises(SignInFailed):
            sign_in.login("rivera", "wrong", HERE)

    with pytest.raises(TooManyAttempts):
        sign_in.login("rivera", OTHER, HERE)
    sign_in.login("rivera", OTHER, "198.51.100.9")
    sign_in.login("boss", PASSWORD, HERE)


def test_an_outsider_cannot_lock_out_who_signs_in_from_a_known_place(
    sign_in: SignIn, clock: Clock
) -> None:
    sign_in.login("rivera", OTHER, HERE)
    for number in range(45):
        with pytest.raises((SignInFailed, TooManyAttempts)):
            sign_in.login("rivera", "wrong", f"203.0.113.{number}")

    with pytest.raises(TooManyAttempts):
        sign_in.login("rivera", OTHER, "198.51.100.9")
    sign_in.login("rivera", OTHER, HERE)
    sign_in.login("rivera", OTHER, "127.0.0.1")


def test_a_published_hash_is_replaced_when_its_owner_signs_in(
    published: UserStore, clock: Clock
) -> None:
    sign_in = sign_in_for(published, clock)

    sign_in.login("technologist", "scan-and-go", HERE)

    user = published.named("technologist")
    assert user is not None
    assert user.password_hash.startswith("$argon2id$")
    sign_in.login("technologist", "scan-and-go", HERE)


def test_the_published_password_opens_nothing(published: UserStore, clock: Clock) -> None:
    sign_in = sign_in_for(published, clock)

    with pytest.raises(PasswordChangeRequired):
        sign_in.login("admin", "admin123", HERE)


def test_whoever_knows_the_published_password_cannot_take_the_account(
    published: UserStore, clock: Clock
) -> None:
    """It stands in a README: a stranger on the network knows it as well as the site does."""
    sign_in = sign_in_for(published, clock)

    for code in ("", "AAAAA-AAAAA-AAAAA-AAAAA"):
        with pytest.raises(PasswordChangeRequired):
            sign_in.change_password("admin", "admin123", PASSWORD, HERE, code)
    assert sign_in.setup_code is not None
    sign_in.change_password("admin", "admin123", PASSWORD, HERE, sign_in.setup_code.text)

    sign_in.login("admin", PASSWORD, HERE)
    assert published.has_admin()


def test_the_set_up_code_gives_the_published_admin_a_password(
    published: UserStore, clock: Clock
) -> None:
    sign_in = sign_in_for(published, clock)
    assert sign_in.setup_code is not None

    user = sign_in.set_up(sign_in.setup_code.text.lower(), "admin", PASSWORD, HERE)

    assert user.user_id == 1
    sign_in.login("admin", PASSWORD, HERE)


def test_the_set_up_code_works_once(users: UserStore, clock: Clock) -> None:
    sign_in = sign_in_for(users, clock)
    assert sign_in.setup_code is not None
    code = sign_in.setup_code.text

    assert sign_in.set_up(code, "boss", PASSWORD, HERE).role is Role.ADMIN
    with pytest.raises(SignInFailed):
        sign_in.set_up(code, "intruder", PASSWORD, HERE)


def test_a_password_that_cannot_be_used_leaves_the_code_as_it_was(
    users: UserStore, clock: Clock
) -> None:
    sign_in = sign_in_for(users, clock)
    assert sign_in.setup_code is not None

    with pytest.raises(InvalidAccount):
        sign_in.set_up(sign_in.setup_code.text, "boss", "short", HERE)
    sign_in.set_up(sign_in.setup_code.text, "boss", PASSWORD, HERE)


def test_the_code_is_useless_once_somebody_has_made_an_admin_on_the_machine(
    users: UserStore, clock: Clock
) -> None:
    sign_in = sign_in_for(users, clock)
    assert sign_in.setup_code is not None
    users.create({"username": "boss", "role": "admin"}, PASSWORD)

    with pytest.raises(Conflict):
        sign_in.set_up(sign_in.setup_code.text, "intruder", OTHER, HERE)


def test_codes_are_tried_a_few_times_only(users: UserStore, clock: Clock) -> None:
    sign_in = sign_in_for(users, clock)
    for _ in range(5):
        with pytest.raises(SignInFailed):
            sign_in.set_up("wrong", "boss", PASSWORD, HERE)

    with pytest.raises(TooManyAttempts):
        sign_in.set_up("wrong", "boss", PASSWORD, HERE)


def test_there_is_no_code_when_there_is_an_admin(sign_in: SignIn) -> None:
    assert sign_in.setup_code is None


def test_a_changed_password_is_the_only_one(sign_in: SignIn, clock: Clock) -> None:
    _, issued = sign_in.login("rivera", OTHER, HERE)
    clock.move(1)

    sign_in.change_password("rivera", OTHER, "a third quiet sentence", HERE)

    with pytest.raises(SignInFailed):
        sign_in.principal(issued.text)
    with pytest.raises(SignInFailed):
        sign_in.login("rivera", OTHER, HERE)
    sign_in.login("rivera", "a third quiet sentence", HERE)


def test_a_password_that_an_admin_wants_changed_opens_nothing_but_the_change(
    sign_in: SignIn,
) -> None:
    user = sign_in.users.create({"username": "temp", "must_change_password": True}, PASSWORD)

    with pytest.raises(PasswordChangeRequired):
        sign_in.login("temp", PASSWORD, HERE)
    sign_in.change_password("temp", PASSWORD, OTHER, HERE)
    assert sign_in.login("temp", OTHER, HERE)[0].user_id == user.user_id


def test_rights_follow_from_the_role() -> None:
    allowed = {(role, right) for role in Role for right in Right if right in MAY[role]}

    assert allowed == {
        (Role.READ, Right.READ_WORKLIST),
        (Role.WRITE, Right.READ_WORKLIST),
        (Role.WRITE, Right.WRITE_WORKLIST),
        (Role.ADMIN, Right.READ_WORKLIST),
        (Role.ADMIN, Right.WRITE_WORKLIST),
        (Role.ADMIN, Right.MANAGE_USERS),
    }
    with pytest.raises(NotAllowed, match="read may not change the worklist"):
        Principal("rivera", Role.READ).require(Right.WRITE_WORKLIST)


def test_tokens_end_with_their_time(sign_in: SignIn, clock: Clock) -> None:
    _, issued = sign_in.login("rivera", OTHER, HERE, 1)
    clock.moment += dt.timedelta(seconds=61)

    with pytest.raises(SignInFailed):
        sign_in.principal(issued.text)
