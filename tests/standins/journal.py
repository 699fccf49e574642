"""What was asked of a stand-in, so that a test can count and look."""

from __future__ import annotations

import datetime as dt
import fnmatch
import re
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

from tests.standins.wire import Request

_KEPT = 50_000
_SECRET_FIELDS = frozenset({"token", "password"})
_SECRET_IN_QUERY = re.compile(r"(^|[&;])(token|password|authorization)=", re.IGNORECASE)


@dataclass
class Entry:
    """One request.

    Attributes
    ----------
    at : datetime
        When it came, by the server's clock (UTC).
    path, query : str
        As sent, percent-encoded.
    routes : tuple of str
        The names the server knows the request by; faults and counts go by them.
    form : dict
        The decoded form; the values of ``token`` and ``password`` are masked.
    secret_in_url : bool
        A token or password stood in the path or in the query string.
    status : int or None
        What was answered; None while, or because, nothing was.
    fault : bool
        A fault had a hand in the answer.
    """

    number: int
    at: dt.datetime
    method: str
    path: str
    query: str
    routes: tuple[str, ...]
    form: dict[str, str]
    headers: dict[str, str]
    account: str | None = None
    secret_in_url: bool = False
    status: int | None = None
    fault: bool = False
    took_s: float | None = None
    sent_bytes: int = 0

    def is_on(self, route: str) -> bool:
        """Whether one of the request's route names fits the pattern."""
        return any(fnmatch.fnmatchcase(name, route) for name in self.routes)

    def as_json(self) -> dict[str, object]:
        """The entry for people and for ``/__control__/journal``."""
        return {**asdict(self), "at": self.at.isoformat()}


@dataclass
class Journal:
    """The requests in the order they came; the oldest go after fifty thousand."""

    _entries: deque[Entry] = field(default_factory=lambda: deque(maxlen=_KEPT))
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _numbers: int = 0

    def open(
        self, request: Request, routes: tuple[str, ...], at: dt.datetime, secrets: Iterable[str]
    ) -> Entry:
        """Note a request as it arrives, before it is answered."""
        form = {k: "***" if k in _SECRET_FIELDS else v for k, v in request.pairs}
        headers = {k: v for k, v in request.headers.items() if k.lower() != "authorization"}
        told = any(secret and secret in request.target for secret in secrets)
        basic = request.basic()
        with self._changed:
            self._numbers += 1
            entry = Entry(
                self._numbers,
                at,
                request.method,
                request.path,
                request.query,
                routes,
                form,
                headers,
                account=basic[0] if basic else None,
                secret_in_url=told or bool(_SECRET_IN_QUERY.search(request.query)),
            )
            self._entries.append(entry)
            self._changed.notify_all()
        return entry

    @property
    def entries(self) -> list[Entry]:
        """All entries, oldest first."""
        with self._changed:
            return list(self._entries)

    def of(self, route: str = "*", since: int = 0) -> list[Entry]:
        """The entries whose route fits the pattern, numbered above `since`."""
        return [e for e in self.entries if e.number > since and e.is_on(route)]

    def count(self, route: str = "*", since: int = 0) -> int:
        """How many requests came for a route."""
        return len(self.of(route, since))

    @property
    def last_number(self) -> int:
        """The number of the newest entry: a mark for `since`."""
        with self._changed:
            return self._numbers

    def secrets_in_urls(self) -> list[Entry]:
        """The requests that wrote a token or password into the URL: there must be none."""
        return [e for e in self.entries if e.secret_in_url]

    def wait_for(
        self, count: int, route: str = "*", timeout_s: float = 5.0, since: int = 0
    ) -> list[Entry]:
        """Wait until `count` requests came for a route, and return them.

        Raises
        ------
        TimeoutError
            Fewer came in `timeout_s` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self.count(route, since) >= count, timeout_s):
                seen = self.count(route, since)
                raise TimeoutError(f"{seen} of {count} requests for {route!r} in {timeout_s} s")
        return self.of(route, since)

    def clear(self) -> None:
        """Forget all entries; numbers go on."""
        with self._changed:
            self._entries.clear()
