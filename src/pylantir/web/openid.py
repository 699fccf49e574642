"""Signing in at the site's own issuer: OpenID Connect, authorization code with PKCE.

OpenID Connect Core 3.1, RFC 7636 (PKCE, S256), RFC 9207 (issuer in the answer). What belongs to
one sign-in travels in a cookie of that browser, so that nobody's sign-in ends in another browser.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import logging
import re
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import requests

from pylantir.api.oidc import Issuer, json_at
from pylantir.config.api import OidcSettings, is_safe_address
from pylantir.errors import IssuerUnreachable, SignInFailed, StartError
from pylantir.users.account import Principal

log = logging.getLogger(__name__)

_SCOPE = "openid profile"
_KEPT_S = 600.0
_AT_A_TIME = 4
_WAIT_S = 3.0
_WORD = re.compile(r"[a-z_]{1,40}")
_UNUSABLE = (requests.RequestException, ValueError, KeyError, TypeError, RecursionError)
_UNREACHABLE = "the issuer cannot be reached"


@dataclass(frozen=True, slots=True)
class Started:
    """One sign-in that is under way; all of it is secret.

    Parameters
    ----------
    state, nonce, verifier : str
        What binds answer, token and code to this sign-in.
    back : str
        Path to which the person goes afterwards.
    """

    state: str
    nonce: str
    verifier: str
    back: str

    @classmethod
    def new(cls, back: str) -> Started:
        """A sign-in that nobody can guess."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        return cls(state, nonce, verifier, back)

    @classmethod
    def read(cls, kept: str) -> Started:
        """From the cookie.

        Raises
        ------
        SignInFailed
            There is none, or it is none of ours.
        """
        try:
            values = json.loads(base64.urlsafe_b64decode(kept.encode()))
            state, nonce, verifier, back = (str(value) for value in values)
        except (ValueError, TypeError, binascii.Error):
            raise SignInFailed("this sign-in is too old: begin again") from None
        return cls(state, nonce, verifier, back)

    def kept(self) -> str:
        """For the cookie."""
        values = [self.state, self.nonce, self.verifier, self.back]
        return base64.urlsafe_b64encode(json.dumps(values).encode()).decode()


@dataclass(frozen=True, slots=True, repr=False)
class Grant:
    """What the issuer gave for a code or for an older grant; all of it is secret.

    Parameters
    ----------
    access_token, refresh_token, id_token : str
        Tokens; the last two may be empty.
    life_s : float
        How long the access token lives, in seconds.
    subject : str
        Whom it is about, in the issuer's own words.
    """

    access_token: str
    refresh_token: str
    id_token: str
    life_s: float
    subject: str


class OpenId:
    """The page as a client of the site's issuer.

    Parameters
    ----------
    settings : OidcSettings
        With ``client_id``.

    Raises
    ------
    StartError
        The file with the client's secret cannot be read.
    """

    def __init__(self, settings: OidcSettings) -> None:
        self._settings = settings
        self._client_id = settings.client_id or ""
        self._secret = _secret_in(settings.client_secret_file)
        self.issuer = Issuer(settings)
        self._known: tuple[float, Mapping[str, Any]] | None = None
        self._places = threading.BoundedSemaphore(_AT_A_TIME)

    @property
    def name(self) -> str:
        """What people call the issuer: its host."""
        return urlsplit(self._settings.issuer).hostname or self._settings.issuer

    def redirect_uri(self, shown: str, path: str) -> str:
        """Where the issuer sends people back to, from the address that their browser asked."""
        return (self._settings.page_url or shown).rstrip("/") + path

    def address(self, started: Started, redirect_uri: str) -> str:
        """Where one signs in (OpenID Connect Core 3.1.2.1).

        Raises
        ------
        SignInFailed
            The issuer cannot be reached.
        """
        digest = hashlib.sha256(started.verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": redirect_uri,
            "scope": _SCOPE,
            "state": started.state,
            "nonce": started.nonce,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        return _with_query(self._endpoint("authorization_endpoint"), query)

    def finish(
        self, started: Started, answer: Mapping[str, str], redirect_uri: str
    ) -> tuple[Grant, Principal]:
        """Who has signed in, from what the issuer had the browser bring back.

        Raises
        ------
        SignInFailed
            They have not, or not here.
        NotAllowed
            They have, but hold none of our roles.
        """
        if not hmac.compare_digest(answer.get("state", "").encode(), started.state.encode()):
            raise SignInFailed("this sign-in was not begun here: begin again")
        if answer.get("iss", self._settings.issuer) != self._settings.issuer:
            raise SignInFailed("this answer is of another issuer")
        if "code" not in answer:
            said = answer.get("error", "")
            raise SignInFailed(said if _WORD.fullmatch(said) else "the issuer gave no code")
        grant = self._grant(
            grant_type="authorization_code",
            code=answer["code"],
            redirect_uri=redirect_uri,
            code_verifier=started.verifier,
        )
        subject = self.issuer.check_id_token(grant.id_token, self._client_id, started.nonce)
        if grant.subject != subject:
            raise SignInFailed("these tokens are about two people")
        return grant, self.issuer.identify(grant.access_token)

    def renew(self, grant: Grant) -> Grant:
        """A newer grant (OpenID Connect Core 12).

        Raises
        ------
        IssuerUnreachable
            It may be tried again.
        SignInFailed
            The session at the issuer is over.
        """
        if not grant.refresh_token:
            raise SignInFailed("the session at the issuer is over")
        newer = self._grant(grant_type="refresh_token", refresh_token=grant.refresh_token)
        if newer.subject != grant.subject:
            raise SignInFailed("the newer token is about somebody else")
        return replace(
            newer,
            refresh_token=newer.refresh_token or grant.refresh_token,
            id_token=newer.id_token or grant.id_token,
        )

    def sign_out_address(self, grant: Grant, back: str) -> str | None:
        """Where one signs out at the issuer as well (RP-Initiated Logout 2), if it says where."""
        try:
            address = self._endpoint("end_session_endpoint")
        except SignInFailed:
            return None
        query = {
            "client_id": self._client_id,
            "id_token_hint": grant.id_token,
            "post_logout_redirect_uri": back,
        }
        return _with_query(address, {name: value for name, value in query.items() if value})

    def _endpoint(self, name: str) -> str:
        now = time.monotonic()
        if self._known is None or now - self._known[0] > _KEPT_S:
            try:
                with self._place():
                    self._known = (now, self.issuer.discovered())
            except _UNUSABLE as error:
                log.warning("OpenID Connect: nothing from the issuer: %s", type(error).__name__)
                raise IssuerUnreachable(_UNREACHABLE) from error
        address = self._known[1].get(name)
        if not isinstance(address, str) or not is_safe_address(address):
            raise SignInFailed(f"the issuer names no {name} with https://")
        return address

    def _grant(self, **fields: str) -> Grant:
        address = self._endpoint("token_endpoint")
        try:
            with self._place():
                found = self._post(address, fields)
            access, life_s = str(found["access_token"]), float(found.get("expires_in", 60))
        except _UNUSABLE as error:
            log.warning("OpenID Connect: no token from the issuer: %s", type(error).__name__)
            raise IssuerUnreachable(_UNREACHABLE) from error
        refresh, id_token = found.get("refresh_token", ""), found.get("id_token", "")
        return Grant(access, str(refresh), str(id_token), life_s, self.issuer.subject(access))

    def _post(self, address: str, fields: dict[str, str]) -> Mapping[str, Any]:
        headers = {"Accept": "application/json"}
        if self._secret:  # RFC 6749 2.3.1
            pair = f"{quote(self._client_id, safe='')}:{quote(self._secret, safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            fields = {**fields, "client_id": self._client_id}
        found: Mapping[str, Any] = json_at(address, fields, headers)
        return found

    @contextmanager
    def _place(self) -> Iterator[None]:
        """One of few: an issuer that hangs must not take the page down with it."""
        if not self._places.acquire(timeout=_WAIT_S):
            raise IssuerUnreachable("too many people sign in at the same time: try again")
        try:
            yield
        finally:
            self._places.release()


def _with_query(address: str, query: Mapping[str, str]) -> str:
    return f"{address}{'&' if urlsplit(address).query else '?'}{urlencode(query)}"


def _secret_in(path: str | None) -> str:
    if path is None:
        return ""
    try:
        return Path(path).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StartError(f"api.oidc.client_secret_file {path} cannot be read: {error}") from error
