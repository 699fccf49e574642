"""What REDCap's server sends back: read within limits, and refused unless an API would say it.

A page, a redirect, a bad status, a body without end, one that comes a byte at a time, and JSON
that says two things at once all end here, before PyCap sees them.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable
from typing import Any

import requests
from urllib3.exceptions import HTTPError, ReadTimeoutError

from pylantir.errors import SourceRefused, SourceUnavailable
from pylantir.sources.patience import asked_wait_s

MAX_BODY_BYTES = 50_000_000

_PIECE_BYTES = 65_536
_SHOWN = 200
_MEMORY = "ran out of server memory"
_PASSING = (408, 429, 500, 502, 503, 504)


class Passing(SourceUnavailable):
    """A failure that the next attempt may not see."""


class TooMuch(SourceUnavailable):
    """The answer is more than we take, or than the server can make: ask for less."""


class NotAllowed(SourceRefused):
    """REDCap says in its own words that the token may not do that."""


class NotUnderstood(SourceUnavailable):
    """REDCap says in its own words that it does not know what we ask for."""


class Answer(requests.Response):
    """An answer that has been read and checked."""

    said: Any = None

    def json(self, **_: Any) -> Any:
        """What the body says; read once, kept once."""
        return self.said


def checked(response: requests.Response, scrub: Callable[[str], str]) -> Answer:
    """The answer of an API.

    Parameters
    ----------
    response : Response
        Not yet read.
    scrub : callable
        Takes secrets out of a text.

    Raises
    ------
    SourceRefused
        A redirect, or a status that speaks of rights.
    SourceUnavailable
        Anything else that is not JSON with status 200.
    """
    code = response.status_code
    if 300 <= code < 400:
        raise SourceRefused(f"REDCap sent us to another page (HTTP {code}), as to a login page")
    body = _body(response)
    if code != 200:
        now = dt.datetime.now(dt.UTC)
        wait_s = asked_wait_s(response.headers.get("Retry-After", ""), now)
        _refuse(code, error_text(body, scrub), wait_s)
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if body.lstrip()[:1] == b"<" or "json" not in kind:
        raise SourceUnavailable(
            f"REDCap answered with a page instead of data ({kind or 'no content type'})"
        )
    said = strict_json(body)
    if isinstance(said, dict) and "error" in said:
        _refuse(400, error_text(body, scrub))
    answer = Answer()
    vars(answer).update(vars(response))
    answer.said, answer._content = said, b""
    return answer


def _body(response: requests.Response) -> bytes:
    body = bytearray()
    try:
        while piece := response.raw.read1(_PIECE_BYTES, decode_content=True):
            body += piece
            if len(body) > MAX_BODY_BYTES:
                raise TooMuch(f"REDCap answered with more than {MAX_BODY_BYTES} bytes")
    except ReadTimeoutError:
        raise SourceUnavailable("REDCap did not finish its answer in time") from None
    except HTTPError as error:
        raise Passing(f"REDCap's answer was cut off or damaged ({_name(error)})") from None
    return bytes(body)


def strict_json(body: bytes) -> Any:
    """What a body says.

    Raises
    ------
    SourceUnavailable
        It is no JSON, holds a number that is none, or says one name twice.
    """
    try:
        return json.loads(body, parse_constant=_no_number, object_pairs_hook=_unique)
    except ValueError as error:
        reason = str(error) if isinstance(error, _Ambiguous) else "not JSON"
        raise SourceUnavailable(f"REDCap's answer cannot be used: {reason}") from None


class _Ambiguous(ValueError):
    """JSON that parsers read in different ways."""


def _no_number(name: str) -> Any:
    raise _Ambiguous(f"{name} is no value")


def _unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    listed = list(pairs)
    names = dict(listed)
    if len(names) != len(listed):
        raise _Ambiguous("a column comes twice in a row")
    return names


_HINTS = {
    404: "check the address of the API (REDCAP_API_URL, or credentials), it must end with /api/",
    407: "the proxy wants a password",
}


def _refuse(code: int, words: str, wait_s: float = 0.0) -> None:
    """Raise what a status other than 200 means, in REDCap's words where it has any."""
    if _MEMORY in words:
        raise TooMuch(f"REDCap answered HTTP {code}", quoted=words)
    if code in (401, 403):
        if words:
            raise NotAllowed(f"REDCap refused (HTTP {code})", quoted=words)
        raise SourceRefused(
            f"REDCap refused with a page (HTTP {code}): perhaps a firewall, or this address is "
            "banned for asking too often; ask the REDCap administrator"
        )
    if code in (400, 501) and words:
        raise NotUnderstood(f"REDCap answered HTTP {code}", quoted=words)
    message = f"REDCap answered HTTP {code}"
    if not words and code in _HINTS:
        message += f": {_HINTS[code]}"
    if code in _PASSING:
        raise Passing(message, quoted=words, retry_after_s=wait_s)
    raise SourceUnavailable(message, quoted=words, retry_after_s=wait_s)


def error_text(body: bytes, scrub: Callable[[str], str]) -> str:
    """What REDCap says is wrong, without secrets and values; nothing for a page."""
    try:
        said = json.loads(body)
    except ValueError:
        return ""
    text = str(said.get("error", "")) if isinstance(said, dict) else ""
    # An import error quotes record, field, value and reason: the value is a person's.
    if text.startswith('"'):
        quoted = [part.strip().strip('"') for part in text.split(",")[:2]]
        text = f"field {quoted[-1]} was not taken"
    return scrub(text)[:_SHOWN]


def _name(error: BaseException) -> str:
    return type(error).__name__
