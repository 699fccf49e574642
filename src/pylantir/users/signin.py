"""Signing in: from a name and a password to a token, and from a token to who it is."""

from __future__ import annotations

import datetime as dt
import hmac
import logging
import secrets
from dataclasses import dataclass

from pylantir.clock import Now, utc_now
from pylantir.errors import PasswordChangeRequired, SignInFailed
from pylantir.users.account import Principal, User
from pylantir.users.passwords import (
    PUBLISHED_DEFAULT,
    EqualTime,
    hashed,
    is_published,
    needs_rehash,
)
from pylantir.users.store import UserStore
from pylantir.users.throttle import Throttle, is_this_machine, neighbourhood
from pylantir.users.tokens import IssuedToken, Tokens

log = logging.getLogger(__name__)

_WRONG = "invalid username or password"
_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_CODE_GROUPS, _CODE_GROUP = 4, 5
SETUP = "the set-up code"


@dataclass(frozen=True, slots=True)
class Lives:
    """How long tokens live, in minutes.

    Parameters
    ----------
    usual : int
        When nobody asks for something else.
    longest : int
        However long is asked for.
    session : int
        After that long a token cannot be renewed without a password.
    """

    usual: int = 30
    longest: int = 120
    session: int = 720


class SetupCode:
    """A code that makes the first admin account, once; shown where the server was started."""

    def __init__(self) -> None:
        groups = (
            "".join(secrets.choice(_ALPHABET) for _ in range(_CODE_GROUP))
            for _ in range(_CODE_GROUPS)
        )
        self.text = "-".join(groups)
        self._is_open = True

    def is_right(self, shown: str) -> bool:
        """Whether this is the code, and it has not been used up."""
        typed = "".join(c for c in shown.upper() if c.isalnum())[:80]
        expected = self.text.replace("-", "")
        return hmac.compare_digest(typed.encode(), expected.encode()) and self._is_open

    def use_up(self) -> None:
        """From now on it opens nothing."""
        self._is_open = False


class SignIn:
    """The one place where somebody proves who they are with a password.

    Parameters
    ----------
    users : UserStore
        The accounts.
    tokens : Tokens
        What is issued.
    throttle : Throttle
        Who has to wait.
    lives : Lives
        How long tokens live.
    now : Now
        The clock.
    """

    def __init__(
        self,
        users: UserStore,
        tokens: Tokens,
        throttle: Throttle | None = None,
        lives: Lives | None = None,
        now: Now = utc_now,
    ) -> None:
        self.users = users
        self.setup_code = None if users.has_admin() else SetupCode()
        self._tokens = tokens
        self._throttle = throttle or Throttle()
        self._lives = lives or Lives()
        self._now = now
        published_left = any(is_published(user.password_hash) for user in users.all())
        self._equal_time = EqualTime(published_left=published_left)

    def login(
        self, username: str, password: str, address: str, minutes: int | None = None
    ) -> tuple[User, IssuedToken]:
        """Issue a token for a name and a password.

        Parameters
        ----------
        username, password : str
            As typed.
        address : str
            Where they come from.
        minutes : int, optional
            Life of the token; more than the longest counts as the longest.

        Raises
        ------
        TooManyAttempts
            It is too early for the next attempt.
        SignInFailed
            Wrong; never says what.
        PasswordChangeRequired
            Right, but the password has to be changed first.
        """
        user = self._prove(username, password, address)
        if user.must_change_password or password == PUBLISHED_DEFAULT:
            raise PasswordChangeRequired(
                "this password has to be changed before it can be used: "
                "POST /auth/password, or pylantir admin-password on the server"
            )
        return user, self._tokens.issue(user, self._life(minutes))

    def change_password(
        self, username: str, password: str, new: str, address: str, setup_code: str = ""
    ) -> User:
        """Change the password of whoever knows it; ends every token of the account.

        The password of the published README is known to everybody, so that it proves nothing: it
        takes the set-up code as well.

        Raises
        ------
        TooManyAttempts, SignInFailed
            As :meth:`login`.
        PasswordChangeRequired
            The password is the published one and the set-up code is missing or wrong.
        InvalidAccount
            The new password cannot be used.
        """
        user = self._prove(username, password, address)
        if password == PUBLISHED_DEFAULT and not self._is_setup_code(setup_code):
            raise PasswordChangeRequired(
                "the published password proves nothing: give the set-up code that the server "
                "printed at its start too, or use pylantir admin-password on the server"
            )
        changed = self.users.change(user.user_id, {}, password=new)
        if self.setup_code is not None and self.users.has_admin():
            self.setup_code.use_up()
        return changed

    def set_up(self, code: str, username: str, password: str, address: str) -> User:
        """Make the first admin account with the one-time code.

        Raises
        ------
        TooManyAttempts, SignInFailed
            The code is wrong, used up, or there is none because there is an admin.
        InvalidAccount, Conflict
            As :meth:`UserStore.create_first_admin`.
        """
        self._throttle.begin(SETUP, address, is_known=True)
        if self.setup_code is None or not self._is_setup_code(code):
            raise SignInFailed("the set-up code is wrong, or has been used")
        self._throttle.succeeded(SETUP, address, is_known=True)
        user = self.users.create_first_admin({"username": username}, password)
        self.setup_code.use_up()
        return user

    def refresh(self, text: str, minutes: int | None = None) -> IssuedToken:
        """A new token for a valid one, until the session is too old.

        Raises
        ------
        SignInFailed
            The token is not valid any more, or the session has lasted its longest.
        """
        user, signed_in_at = self._user_of(text)
        left = signed_in_at + dt.timedelta(minutes=self._lives.session) - self._now()
        life = min(self._life(minutes), left)
        if life < dt.timedelta(seconds=1):
            raise SignInFailed("this session has lasted its longest; sign in again")
        return self._tokens.issue(user, life, signed_in_at)

    def principal(self, text: str) -> Principal:
        """Who a token belongs to, and what they may do now.

        Raises
        ------
        SignInFailed
            The token is not valid, or its account no longer is.
        """
        user, _ = self._user_of(text)
        return Principal(user.username, user.role, user.user_id)

    def _prove(self, username: str, password: str, address: str) -> User:
        place = neighbourhood(address)
        is_known = is_this_machine(address) or self.users.is_known_address(username, place)
        self._throttle.begin(username, address, is_known=is_known)
        user = self.users.named(username)
        stored = user.password_hash if user is not None else None
        if not self._equal_time.matches(password, stored) or user is None or not user.is_active:
            raise SignInFailed(_WRONG)
        self._throttle.succeeded(username, address, is_known=is_known)
        new_hash = hashed(password) if needs_rehash(user.password_hash) else ""
        self.users.note_sign_in(user, place, new_hash=new_hash)
        return user

    def _user_of(self, text: str) -> tuple[User, dt.datetime]:
        claims = self._tokens.read(text)
        user = self.users.named(claims.username)
        if (
            user is None
            or not user.is_active
            or user.must_change_password
            or (user.user_id, user.token_version) != (claims.user_id, claims.token_version)
        ):
            raise SignInFailed("this token is not valid any more")
        return user, claims.signed_in_at

    def _is_setup_code(self, shown: str) -> bool:
        return self.setup_code is not None and self.setup_code.is_right(shown)

    def _life(self, minutes: int | None) -> dt.timedelta:
        wanted = self._lives.usual if minutes is None else minutes
        return dt.timedelta(minutes=min(wanted, self._lives.longest))
