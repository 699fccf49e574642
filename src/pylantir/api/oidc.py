"""Tokens of the site's own issuer, such as Keycloak (OpenID Connect, RFC 9068).

Its public keys are fetched when they are needed and kept for a while. Only signatures with a key
pair are taken, so that nobody signs with what is public. Roles come from one configured claim.
"""

from __future__ import annotations

import hmac
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import jwt
import requests

from pylantir.errors import NotAllowed, SignInFailed
from pylantir.sources.deadline import Deadline, WatchedAdapter
from pylantir.users.account import Principal
from pylantir.users.roles import Role

if TYPE_CHECKING:
    from pylantir.config.api import OidcSettings

log = logging.getLogger(__name__)

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
KEPT_S = 600.0
"""How long keys are used before they are fetched again."""

USED_AT_MOST_S = 24 * 3600.0
"""How long they are used while the issuer cannot be reached."""

PAUSE_S = 10.0
"""A key that nobody knows, or an outage, asks the issuer no more often than this."""

_TIMEOUT_S = (2.0, 3.0)
_WHOLE_S = 6.0
"""A document that trickles in is given up."""

_WAIT_S = 4.0
_MOST_WAITING = 8
"""Requests that wait for keys at the same time: an issuer that hangs must not take all threads."""

_MAX_BYTES = 256 * 1024
_PART_BYTES = 16 * 1024
_LEEWAY_S = 30
_DISCOVERY = "/.well-known/openid-configuration"
_NO_TOKEN = (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError)
"""What reading something that is no token ends in."""

_UNUSABLE = (
    requests.RequestException,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    RecursionError,
)
"""What an address that is down, or no issuer, ends in."""

_NOT_FOR_ACCESS = ("ID", "Refresh", "Offline")


class Issuer:
    """Tells who a token of the issuer belongs to.

    Parameters
    ----------
    settings : OidcSettings
        Whose tokens are taken, for whom, and where their roles are.
    clock : callable
        Seconds that never go backwards.
    """

    def __init__(self, settings: OidcSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched: float | None = None
        self._tried: float | None = None
        self._fetching = threading.Lock()
        self._waiting = threading.BoundedSemaphore(_MOST_WAITING)
        self._is_failing = False

    def issued(self, token: str) -> bool:
        """Whether a token says that it is the issuer's; nothing is believed yet."""
        try:
            unverified = jwt.decode(token, options={"verify_signature": False})
        except _NO_TOKEN:
            return False
        return bool(unverified.get("iss") == self._settings.issuer)

    def identify(self, token: str) -> Principal:
        """Who a token belongs to, and what they may do.

        Raises
        ------
        SignInFailed
            Not valid, or the issuer's keys cannot be had.
        NotAllowed
            Valid, but without any of our roles.
        """
        claims = self._claims(token, self._settings.audience)
        if claims.get("typ") in _NOT_FOR_ACCESS:
            raise SignInFailed("this is no access token")
        shown = str(claims.get(self._settings.username_claim) or claims["sub"])[:50]
        username = "".join(c if c.isprintable() else "?" for c in shown)
        role = self._role(claims)
        if role is None:
            raise NotAllowed(
                f"this account has none of the roles that {self._settings.roles_claim} may give"
            )
        return Principal(username, role, issuer=self._settings.issuer)

    def subject(self, token: str) -> str:
        """Whom an access token is about, in the issuer's own words.

        Raises
        ------
        SignInFailed
            See :meth:`identify`.
        """
        return str(self._claims(token, self._settings.audience)["sub"])

    def check_id_token(self, token: str, client_id: str, nonce: str) -> str:
        """The subject of an ID token (OpenID Connect Core 3.1.3.7).

        Raises
        ------
        SignInFailed
            Not for this client, not of this sign-in, or not valid.
        """
        claims = self._claims(token, client_id)
        given = claims.get("nonce")
        if not isinstance(given, str) or not hmac.compare_digest(given.encode(), nonce.encode()):
            raise SignInFailed("this token belongs to another sign-in")
        if claims.get("azp", client_id) != client_id or claims.get("typ", "ID") != "ID":
            raise SignInFailed("this token is for somebody else")
        return str(claims["sub"])

    def discovered(self) -> Mapping[str, Any]:
        """What the issuer says of itself (OpenID Connect Discovery 4).

        Raises
        ------
        RequestException, ValueError, KeyError, TypeError
            It cannot be reached, or says something else.
        """
        found: Mapping[str, Any] = json_at(self._settings.issuer.rstrip("/") + _DISCOVERY)
        if found["issuer"] != self._settings.issuer:
            raise ValueError("the issuer calls itself by another name")
        return found

    def _claims(self, token: str, audience: str) -> Mapping[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in ALGORITHMS:
                raise SignInFailed("this token is not signed in a way that is taken here")
            claims: Mapping[str, Any] = jwt.decode(
                token,
                self._key(str(header.get("kid", ""))),
                algorithms=ALGORITHMS,
                audience=audience,
                issuer=self._settings.issuer,
                leeway=_LEEWAY_S,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
        except _NO_TOKEN as error:
            raise SignInFailed("this token is not valid") from error
        return claims

    def _role(self, claims: Mapping[str, Any]) -> Role | None:
        found: Any = claims
        for part in self._settings.roles_claim.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        named = [found] if isinstance(found, str) else found if isinstance(found, list) else []
        names = self._settings.role_names
        return next((role for role in (Role.ADMIN, Role.WRITE, Role.READ)
                     if getattr(names, role) in named), None)  # fmt: skip

    def _key(self, kid: str) -> jwt.PyJWK:
        known, age_s = self._known(kid)
        if known is not None and age_s <= KEPT_S:
            return known
        self._wait_for_keys(kid)
        known, age_s = self._known(kid)
        if age_s > USED_AT_MOST_S:
            raise SignInFailed("the issuer cannot be reached, so its tokens cannot be checked")
        if known is None:
            raise SignInFailed("this token is not valid")
        return known

    def _known(self, kid: str) -> tuple[jwt.PyJWK | None, float]:
        """A key, and how old the keys are in seconds."""
        keys, fetched = self._keys, self._fetched
        age_s = float("inf") if fetched is None else self._clock() - fetched
        return keys.get(kid), age_s

    def _wait_for_keys(self, kid: str) -> None:
        """Fetch the keys, or wait for whoever does; nobody waits for long."""
        if self._is_too_early() or not self._waiting.acquire(blocking=False):
            return
        try:
            if self._fetching.acquire(timeout=_WAIT_S):
                try:
                    if kid not in self._keys or self._known(kid)[1] > KEPT_S:
                        self._fetch()
                finally:
                    self._fetching.release()
        finally:
            self._waiting.release()

    def _is_too_early(self) -> bool:
        return self._tried is not None and self._clock() - self._tried < PAUSE_S

    def _fetch(self) -> None:
        if self._is_too_early():
            return
        now = self._clock()
        try:
            keys = _usable(json_at(self._jwks_uri()))
        except _UNUSABLE as error:
            if not self._is_failing:
                log.warning("OpenID Connect: no keys from the issuer: %s", type(error).__name__)
            self._is_failing = True
            return
        finally:
            self._tried = self._clock()  # until now whoever came waited for this very answer
        if self._is_failing:
            log.info("OpenID Connect: the issuer answers again")
        self._keys, self._fetched, self._is_failing = keys, now, False

    def _jwks_uri(self) -> str:
        configured: str | None = self._settings.jwks_uri
        if configured:
            return configured
        return str(self.discovered()["jwks_uri"])


def json_at(
    address: str, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
) -> Any:
    """A small JSON document: no redirect, nothing else of ours sent along, small and in time.

    Raises
    ------
    SignInFailed
        The issuer refuses the form.
    RequestException, ValueError, RecursionError
        It cannot be reached, or says something else.
    """
    with Deadline(_WHOLE_S), requests.Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, WatchedAdapter())
        session.auth = lambda request: request  # nor what a .netrc has for that host
        answer = session.request(
            "GET" if form is None else "POST",
            address,
            data=form,
            headers=headers,
            timeout=_TIMEOUT_S,
            allow_redirects=False,
            stream=True,
        )
        if form is not None and answer.status_code in (400, 401, 403):
            raise SignInFailed("the issuer does not accept this sign-in any more")
        if answer.status_code != 200:
            raise ValueError(f"status {answer.status_code}")
        body = b""
        for part in answer.iter_content(_PART_BYTES):
            body += part
            if len(body) > _MAX_BYTES:
                raise ValueError("too large")
        return json.loads(body)


def _usable(document: Any) -> dict[str, jwt.PyJWK]:
    """The keys of a key set (RFC 7517) that check signatures and are no secrets."""
    found: dict[str, jwt.PyJWK] = {}
    for each in document["keys"]:
        if not isinstance(each, Mapping) or each.get("use", "sig") != "sig":
            continue
        if each.get("kty") not in ("RSA", "EC", "OKP"):
            continue
        try:
            found[str(each.get("kid", ""))] = jwt.PyJWK(dict(each))
        except (jwt.PyJWTError, ValueError, TypeError):
            continue  # of a kind that this release does not know; the others are good
    return found
