"""Asking Calpendo: queries and single bookings over HTTP, read-only.

The query grammar is the vendor's: ``AND/…/OR/…/CLOSE``; everything after an ``OR`` belongs to it
until ``CLOSE``, so the resources stand last. A login page served with status 200 is a failure.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn
from urllib.parse import quote

import requests
from requests.auth import HTTPBasicAuth

from pylantir.errors import SourceRefused, SourceUnavailable
from pylantir.sources.connecting import why_insecure, why_unreachable
from pylantir.sources.deadline import Deadline, WatchedAdapter
from pylantir.sources.pacing import RequestBudget
from pylantir.sources.patience import asked_wait_s

CONNECT_TIMEOUT_S = 5.0
REQUEST_TIMEOUT_S = 60.0
MAX_BODY_BYTES = 50_000_000
BURST = 1000
PER_SECOND = 4.0
"""A first import need not wait: Calpendo documents no limit. For long it is 240 a minute."""
BOOKING = "Calpendo.Booking"
RESOURCE = "Calpendo.Resource"

_WORTH_ANOTHER_TRY = (408, 500, 502, 503, 504)
_ASKS_TO_WAIT = (429, 503)


class NotUnderstood(SourceUnavailable):
    """The server does not know what we asked for (HTTP 400 or 404)."""


class NotAllowed(SourceRefused):
    """The account may not see what we asked for (HTTP 403)."""


class ServerFault(SourceUnavailable):
    """The server failed at what we asked (HTTP 500): it is ill, or does not know a property."""


class _AnotherTry(SourceUnavailable):
    """A failure that the next attempt may not see."""

    finally_raised: type[SourceUnavailable] = SourceUnavailable


class _Broke(_AnotherTry):
    finally_raised = ServerFault


class CalpendoClient:
    """Reads bookings; any number of threads may ask at once.

    Parameters
    ----------
    base_url, api_path : str
        Address of the site and root of its API (``/api``, before version 11 ``/webdav``).
    user, password : str
        A local account; SSO accounts cannot use the API.
    verify : bool or str
        Check certificates, or the path of the authority's certificate.
    request_timeout_s : float
        Seconds after which a request is given up, however much of its answer has come.
    account_from : str
        Says in messages where the account comes from.
    """

    def __init__(
        self,
        base_url: str,
        api_path: str,
        user: str,
        password: str,
        verify: bool | str = True,
        *,
        request_timeout_s: float = REQUEST_TIMEOUT_S,
        account_from: str = "CALPENDO_USERNAME and CALPENDO_PASSWORD",
    ) -> None:
        self._root = "/".join(part for part in (base_url.rstrip("/"), api_path.strip("/")) if part)
        # As text, requests would take Latin-1 only.
        self._auth = HTTPBasicAuth(user.encode(), password.encode())
        self._secret = password
        self._verify = verify
        self._timeout_s = request_timeout_s
        self._account_from = account_from
        self._not_before = 0.0
        self._idle: list[requests.Session] = []  # a Session serves one thread at a time
        self._budget = RequestBudget(BURST, PER_SECOND)
        self._closed = threading.Event()
        self._lock = threading.Lock()

    def bookings(
        self,
        first: dt.datetime,
        last: dt.datetime,
        resources: Sequence[str],
        paths: Sequence[str] = (),
        booking_type: str = BOOKING,
    ) -> list[dict[str, Any]]:
        """Bookings that start in [first, last), of these resources, in every status.

        Parameters
        ----------
        first, last : datetime
            Wall clock of the Calpendo server.
        resources : sequence of str
            Names of the resources; all when empty.
        paths : sequence of str
            Properties to return; the server's own choice when empty.
        booking_type : str
            A subtype has properties that other bookings have not.

        Raises
        ------
        SourceUnavailable, SourceRefused
            No answer, or one that is no list of bookings; :class:`NotUnderstood` when the server
            does not know the type, a property, or the way a name is written.
        """
        parts = ["AND", "dateRange.start", "GE", _moment(first), "dateRange.start", "LT"]
        parts += [_moment(last)]
        if resources:
            parts.append("OR")
        for resource in resources:
            parts += ["resource.name", "EQ", resource]
        expression = "/".join(quote(part, safe="") for part in parts)
        query = "?paths=" + quote(",".join(paths), safe=",.") if paths else ""
        return self._biskits(f"q/{quote(booking_type, safe='')}/{expression}{query}")

    def resource_id(self, name: str) -> str | None:
        """The id of a resource; nothing when the site has none of that name.

        Raises
        ------
        SourceUnavailable, SourceRefused
            As :meth:`bookings`.
        """
        found = self._biskits(f"q/{quote(RESOURCE, safe='')}/name/EQ/{quote(name, safe='')}")
        ids = [str(row["id"]) for row in found if row.get("id")]
        return ids[0] if ids else None

    def _biskits(self, path: str) -> list[dict[str, Any]]:
        answer = self._get(path)
        biskits = answer.get("biskits") if isinstance(answer, dict) else None
        if not isinstance(biskits, list) or not all(isinstance(b, dict) for b in biskits):
            said = self._words(answer.get("error")) if isinstance(answer, dict) else ""
            raise SourceUnavailable(
                "Calpendo answered the query with something else than bookings", quoted=said
            )
        return biskits

    def booking(self, booking_id: str, booking_type: str = BOOKING) -> dict[str, Any]:
        """One booking with all that we may see of it; empty when the answer is 404.

        Calpendo documents no body for that answer, so a proxy's 404 looks the same: whoever means
        to act on it asks for something that exists as well.

        Raises
        ------
        SourceUnavailable, SourceRefused
            No answer, or one that is not this booking; :class:`NotAllowed` when it is hidden.
        """
        path = f"b/{quote(booking_type, safe='')}/{quote(booking_id, safe='')}"
        answer = self._get(path, missing_is_empty=True)
        if answer == {}:
            return {}
        if not isinstance(answer, dict) or str(answer.get("id")) != booking_id:
            raise SourceUnavailable("Calpendo answered with something else than the booking")
        return answer

    def close(self) -> None:
        """Close every connection; those in use as soon as they are free."""
        with self._lock:
            self._closed.set()
            idle, self._idle = self._idle, []
        for session in idle:
            session.close()

    def _get(self, path: str, *, missing_is_empty: bool = False) -> Any:
        try:
            return self._try(path, missing_is_empty)
        except _AnotherTry:
            pass
        try:
            return self._try(path, missing_is_empty)
        except _AnotherTry as error:
            raise error.finally_raised(str(error)) from None

    def _try(self, path: str, missing_is_empty: bool) -> Any:
        waiting = self._not_before - time.monotonic()
        if waiting > 0:
            raise SourceUnavailable(f"Calpendo asked us to wait, {waiting:.0f} s from now")
        if self._closed.wait(self._budget.reserve()):
            raise SourceUnavailable("stopped")
        with Deadline(self._timeout_s) as deadline, self._session() as session:
            try:
                body = self._answer(session, path, missing_is_empty)
            except requests.RequestException as error:
                self._fail(error, deadline)
            except OSError as error:  # requests looks for the file before it connects
                raise SourceUnavailable(
                    f"ca_bundle cannot be used: {type(error).__name__}, {self._verify}"
                ) from None
            if deadline.expired:
                raise self._too_late()
            return _json(body)

    def _answer(self, session: requests.Session, path: str, missing_is_empty: bool) -> bytes:
        with session.get(
            f"{self._root}/{path}",
            auth=self._auth,
            headers={"Accept": "application/json"},
            timeout=(min(CONNECT_TIMEOUT_S, self._timeout_s), self._timeout_s),
            allow_redirects=False,
            verify=self._verify,
            stream=True,
        ) as response:
            if response.status_code == 404 and missing_is_empty:
                return b"{}"
            self._refuse_bad_status(response)
            return _body(response)

    def _fail(self, error: requests.RequestException, deadline: Deadline) -> NoReturn:
        # The texts of requests hold the address, and with it names of resources: only the cause.
        if deadline.expired or isinstance(error, requests.exceptions.ReadTimeout):
            raise self._too_late() from None
        if isinstance(error, requests.exceptions.SSLError):
            raise SourceUnavailable(why_insecure(error, "Calpendo", "base_url")) from None
        if isinstance(error, requests.exceptions.ContentDecodingError):
            raise _AnotherTry("Calpendo's answer cannot be unpacked: it is damaged") from None
        if isinstance(error, requests.exceptions.ChunkedEncodingError):
            raise _AnotherTry("Calpendo's answer was cut off") from None
        if isinstance(error, requests.exceptions.ConnectTimeout):
            raise SourceUnavailable("Calpendo cannot be reached: no connection in time") from None
        why = why_unreachable(error, "Calpendo", "base_url")
        raise _AnotherTry(f"Calpendo cannot be reached: {why}") from None

    def _too_late(self) -> SourceUnavailable:
        return SourceUnavailable(f"Calpendo did not answer within {self._timeout_s:g} s")

    @contextlib.contextmanager
    def _session(self) -> Iterator[requests.Session]:
        with self._lock:
            session = self._idle.pop() if self._idle else None
        if session is None:
            session = requests.Session()
            for scheme in ("http://", "https://"):
                session.mount(scheme, WatchedAdapter())
        try:
            yield session
        except BaseException:
            session.close()  # the rest of a spoilt answer would be the beginning of the next
            raise
        finally:
            with self._lock:
                closed = self._closed.is_set()
                if not closed:
                    self._idle.append(session)
            if closed:
                session.close()

    def _refuse_bad_status(self, response: requests.Response) -> None:
        code = response.status_code
        if code == 401:
            raise SourceRefused(
                f"Calpendo refused the account (HTTP 401); check {self._account_from}, and that "
                "it is a local account, not one of the single sign-on"
            )
        if code == 403:
            raise NotAllowed(
                f"Calpendo does not let the account of {self._account_from} see this (HTTP 403); "
                "give it the right to read bookings"
            )
        if 300 <= code < 400:
            raise SourceRefused(
                f"Calpendo sent us to another page (HTTP {code}), as to a login page; "
                "check base_url and the account"
            )
        wait_s = asked_wait_s(response.headers.get("Retry-After", ""), dt.datetime.now(dt.UTC))
        if code in _ASKS_TO_WAIT and wait_s:
            self._not_before = time.monotonic() + wait_s
            raise SourceUnavailable(
                f"Calpendo asked us to come back later (HTTP {code})", retry_after_s=wait_s
            )
        if code in _WORTH_ANOTHER_TRY:
            kind = _Broke if code == 500 else _AnotherTry
            raise kind(f"Calpendo answered HTTP {code}")
        if code == 429:
            raise SourceUnavailable("Calpendo asked us to come back later (HTTP 429)")
        if code in (400, 404):
            raise NotUnderstood(f"Calpendo answered HTTP {code}; check base_url and api_path")
        if code != 200:
            raise SourceUnavailable(f"Calpendo answered HTTP {code}; check base_url and api_path")

    def _words(self, said: Any) -> str:
        return said[:200].replace(self._secret, "***") if isinstance(said, str) else ""


def _body(response: requests.Response) -> bytes:
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if "html" in kind or "xml" in kind:
        raise SourceUnavailable(
            f"Calpendo answered with {kind} instead of JSON, as a login or maintenance page does; "
            "check api_path"
        )
    body = bytearray()
    for chunk in response.iter_content(65536):
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise SourceUnavailable(f"Calpendo answered with more than {MAX_BODY_BYTES} bytes")
    return bytes(body)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body, parse_constant=_no_number, object_pairs_hook=_object)
    except (ValueError, RecursionError):
        raise _AnotherTry("Calpendo's answer is not JSON, or was cut off") from None


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("an object has a key twice")
    return made


def _moment(wall: dt.datetime) -> str:
    return f"{wall:%Y%m%d-%H%M}"
