"""Sessions of people who signed in at the site's issuer: kept in memory, and gone with a restart.

Their browser holds a random word, never a token of the issuer. When an access token has run out
it is renewed, so that whoever loses a role or an account there loses it here within minutes.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from pylantir.errors import IssuerUnreachable, NotAllowed, SignInFailed
from pylantir.users.account import Principal
from pylantir.web.openid import Grant, OpenId

PREFIX = "guest."
"""How their sessions begin: no token of ours does."""

MOST = 1000
_EARLIER_S = 10.0
"""A token is renewed that long before it runs out."""

_PAUSE_S = 10.0
"""An issuer that did not answer is asked no more often than this for one session."""


@dataclass(slots=True)
class _Session:
    principal: Principal
    grant: Grant = field(repr=False)
    fresh_until: float
    ends: float
    tried_again_at: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


class Guests:
    """Whoever signed in at the issuer.

    Parameters
    ----------
    client : OpenId
        Where tokens are renewed.
    life_s : float
        After that long they sign in anew, in seconds.
    clock : callable
        Seconds that never go backwards.
    """

    def __init__(
        self, client: OpenId, life_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self.life_s = life_s
        self._clock = clock
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self._lock = threading.Lock()

    def enter(self, principal: Principal, grant: Grant) -> str:
        """Begin a session; what the browser keeps of it."""
        word = PREFIX + secrets.token_urlsafe(32)
        now = self._clock()
        session = _Session(principal, grant, now + grant.life_s - _EARLIER_S, now + self.life_s)
        with self._lock:
            self._sessions[word] = session
            for old in [w for w, each in self._sessions.items() if each.ends <= now]:
                del self._sessions[old]
            while len(self._sessions) > MOST:
                self._sessions.popitem(last=False)
        return word

    def identify(self, word: str) -> tuple[Principal, str]:
        """Who it is, and their present access token; a secret.

        Raises
        ------
        SignInFailed
            The session is over, or the issuer cannot be asked whether it is.
        """
        with self._lock:
            session = self._sessions.get(word)
        if session is None:
            raise SignInFailed("sign in first")
        with session.lock:
            now = self._clock()
            try:
                if now >= session.ends:
                    raise SignInFailed("sign in first")
                if now >= session.fresh_until:
                    self._renew(session, now)
            except IssuerUnreachable:
                raise
            except (SignInFailed, NotAllowed) as error:
                self.leave(word)
                raise SignInFailed("sign in first") from error
            return session.principal, session.grant.access_token

    def _renew(self, session: _Session, now: float) -> None:
        if now < session.tried_again_at:
            raise IssuerUnreachable("the issuer cannot be reached")
        session.tried_again_at = now + _PAUSE_S
        session.grant = self._client.renew(session.grant)
        session.principal = self._client.issuer.identify(session.grant.access_token)
        session.fresh_until = now + session.grant.life_s - _EARLIER_S
        session.tried_again_at = 0.0

    def leave(self, word: str) -> Grant | None:
        """End a session; what the issuer gave for it, if it was one."""
        with self._lock:
            session = self._sessions.pop(word, None)
        return session.grant if session is not None else None
