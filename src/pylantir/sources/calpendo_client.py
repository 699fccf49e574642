"""Asking Calpendo: queries and single bookings over HTTP, read-only.

The query grammar is the vendor's: ``AND/…/OR/…/CLOSE``; everything after an ``OR`` belongs to it
until ``CLOSE``, so the resources stand last. A login page served with status 200 is a failure.
"""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import requests

from pylantir.errors import SourceRefused, SourceUnavailable

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 60.0
MAX_BODY_BYTES = 50_000_000

_REFUSED = (401, 403)
_WORTH_ANOTHER_TRY = (408, 429, 500, 502, 503, 504)


class CalpendoClient:
    """Reads bookings.

    Parameters
    ----------
    base_url, api_path : str
        Address of the site and root of its API (``/api``, before version 11 ``/webdav``).
    user, password : str
        A local account; SSO accounts cannot use the API.
    verify : bool or str
        Check certificates, or the path of the authority's certificate.
    """

    def __init__(
        self, base_url: str, api_path: str, user: str, password: str, verify: bool | str = True
    ) -> None:
        self._root = base_url.rstrip("/") + "/" + api_path.strip("/")
        self._auth = (user, password)
        self._verify = verify
        self._local = threading.local()  # a Session is not made for several threads
        self._sessions: list[requests.Session] = []

    def bookings(
        self,
        first: dt.datetime,
        last: dt.datetime,
        resources: Sequence[str],
        paths: Sequence[str] = (),
    ) -> list[dict[str, Any]]:
        """Bookings that start in [first, last), of these resources.

        Parameters
        ----------
        first, last : datetime
            Wall clock of the Calpendo server.
        resources : sequence of str
            Names of the resources.
        paths : sequence of str
            Properties to return; the server's own choice when empty.

        Raises
        ------
        SourceUnavailable, SourceRefused
            No answer, or one that is no list of bookings.
        """
        parts = ["AND", "dateRange.start", "GE", _moment(first), "dateRange.start", "LT"]
        parts += [_moment(last), "OR"]
        for resource in resources:
            parts += ["resource.name", "EQ", resource]
        expression = "/".join(quote(part, safe="") for part in parts)
        query = "?paths=" + quote(",".join(paths), safe=",.") if paths else ""
        answer = self._get(f"q/Calpendo.Booking/{expression}{query}")
        biskits = answer.get("biskits") if isinstance(answer, dict) else None
        if not isinstance(biskits, list) or not all(isinstance(b, dict) for b in biskits):
            raise SourceUnavailable("Calpendo answered the query with something else than bookings")
        return biskits

    def booking(self, booking_id: str, booking_type: str = "Calpendo.Booking") -> dict[str, Any]:
        """One booking with all that we may see of it; empty when it does not exist.

        Raises
        ------
        SourceUnavailable, SourceRefused
            No answer, or one that is no booking.
        """
        path = f"b/{quote(booking_type, safe='')}/{quote(booking_id, safe='')}"
        answer = self._get(path, missing_is_empty=True)
        if not isinstance(answer, dict) or (answer and "id" not in answer):
            raise SourceUnavailable("Calpendo answered with something else than a booking")
        return answer

    def close(self) -> None:
        """Close every connection."""
        for session in self._sessions:
            session.close()

    def _get(self, path: str, *, missing_is_empty: bool = False) -> Any:
        try:
            return self._try(path, missing_is_empty)
        except _AnotherTry:
            pass
        try:
            return self._try(path, missing_is_empty)
        except _AnotherTry as error:
            raise SourceUnavailable(str(error)) from error

    def _try(self, path: str, missing_is_empty: bool) -> Any:
        try:
            response = self._session().get(
                f"{self._root}/{path}",
                auth=self._auth,
                headers={"Accept": "application/json"},
                timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
                allow_redirects=False,
                verify=self._verify,
                stream=True,
            )
            with response:
                if response.status_code == 404 and missing_is_empty:
                    return {}
                _refuse_bad_status(response)
                return _json(response)
        except requests.exceptions.SSLError as error:
            raise SourceUnavailable(
                f"Calpendo's certificate is not trusted: {_cause(error)}; set ca_bundle"
            ) from error
        except requests.RequestException as error:
            raise _AnotherTry(f"Calpendo cannot be reached: {_cause(error)}") from error

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            self._local.session = session
            self._sessions.append(session)
        return session


class _AnotherTry(SourceUnavailable):
    """A failure that the next attempt may not see."""


def _refuse_bad_status(response: requests.Response) -> None:
    code = response.status_code
    if code in _REFUSED:
        raise SourceRefused(
            f"Calpendo refused the account (HTTP {code}); check CALPENDO_USERNAME and "
            "CALPENDO_PASSWORD, and that the account is a local one with API access"
        )
    if 300 <= code < 400:
        raise SourceRefused(f"Calpendo sent us to another page (HTTP {code}), as to a login page")
    if code in _WORTH_ANOTHER_TRY:
        raise _AnotherTry(f"Calpendo answered HTTP {code}")
    if code != 200:
        raise SourceUnavailable(f"Calpendo answered HTTP {code}; check base_url and api_path")


def _json(response: requests.Response) -> Any:
    kind = response.headers.get("Content-Type", "")
    if "json" not in kind.lower():
        raise SourceUnavailable(
            f"Calpendo answered with {kind.partition(';')[0] or 'no content type'} instead of "
            "JSON, as a login or maintenance page does; check api_path"
        )
    body = bytearray()
    for chunk in response.iter_content(65536):
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise SourceUnavailable(f"Calpendo answered with more than {MAX_BODY_BYTES} bytes")
    expected = response.headers.get("Content-Length", "")
    encoded = response.headers.get("Content-Encoding")
    if expected.isdigit() and not encoded and int(expected) != len(body):
        raise _AnotherTry("Calpendo's answer was cut off")
    try:
        return json.loads(body)
    except ValueError as error:
        raise _AnotherTry("Calpendo's answer is not JSON") from error


def _moment(wall: dt.datetime) -> str:
    return f"{wall:%Y%m%d-%H%M}"


def _cause(error: Exception) -> str:
    """What went wrong, without the address that requests puts into every message."""
    inner: Any = error
    while getattr(inner, "args", None) and isinstance(inner.args[0], Exception):
        inner = inner.args[0]
    reason = getattr(inner, "reason", None)
    return type(reason if isinstance(reason, Exception) else inner).__name__
