"""The fault script: which request goes wrong, and how."""

from __future__ import annotations

import random
import threading
from dataclasses import asdict, dataclass, field, fields, replace
from fnmatch import fnmatchcase

from tests.standins.wire import HTML, JSON, Reply, login_page, page

GZIP_GARBAGE = b"\x1f\x8b\x08\x00" + b"this is no deflate stream" * 4


@dataclass
class Fault:
    """One way for requests to go wrong.

    With nothing but `status` the real answer is replaced by a page of the web server; without
    `status`, `body`, `html` or `redirect` the request is carried out and its answer tampered with.

    Attributes
    ----------
    route : str
        Pattern (``fnmatch``) for the route names of a request; ``*`` is every request.
    nth : int, optional
        Begin with the n-th matching request (1 is the next); alone it means that one only.
    times : int, optional
        Fire at most so often.
    rate : float
        Share of the matching requests that are hit, 0 to 1 (seeded, so repeatable).
    status, body, content_type, headers
        What is answered instead; a body that is text is sent as UTF-8.
    keep_body : bool
        Send the true body with the false status.
    prefix : str
        Text before the true body, such as a PHP warning.
    html : str
        A page in place of the answer: ``login``, ``maintenance`` or ``ban``; status 200 unless
        `status` says otherwise.
    redirect : str
        302 to this place; ``/login`` serves a login page.
    retry_after : str
        Value of a ``Retry-After`` header; the status becomes 429 unless given.
    latency_s : float
        Answer late. Ends at once when the server stops or the script is cleared.
    hang : bool
        Accept, read the request, never answer.
    cut : str
        ``close`` or ``reset`` the connection: before the answer, or after `truncate_after`.
    truncate_after : int, optional
        Bytes of the body that are sent although all are announced; then the connection ends.
    length_error : int
        Announce so many bytes too many (or, negative, too few).
    chunked : bool
        Send in chunks; with `truncate_after`, the last chunk never comes.
    drip_s : float
        Seconds between one byte of the body and the next.
    gzip_garbage : bool
        ``Content-Encoding: gzip``, but the body is none.
    performed : bool, optional
        Whether the request takes effect although the answer is lost or replaced
        ("time-out after success"). By default only when its true answer is needed.
    """

    route: str = "*"
    nth: int | None = None
    times: int | None = None
    rate: float = 1.0
    status: int | None = None
    body: str | bytes | None = None
    content_type: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    keep_body: bool = False
    prefix: str = ""
    html: str = ""
    redirect: str = ""
    retry_after: str = ""
    latency_s: float = 0.0
    hang: bool = False
    cut: str = ""
    truncate_after: int | None = None
    length_error: int = 0
    chunked: bool = False
    drip_s: float = 0.0
    gzip_garbage: bool = False
    performed: bool | None = None
    seen: int = field(default=0, init=False)
    fired: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Refuse what would silently do nothing."""
        if self.cut not in {"", "close", "reset"}:
            raise ValueError(f"cut is {self.cut!r}: expected 'close' or 'reset'")
        if self.html not in {"", *_PAGES}:
            raise ValueError(f"html is {self.html!r}: expected one of {', '.join(_PAGES)}")

    @property
    def silent(self) -> bool:
        """Whether no byte of an answer is ever sent."""
        return self.hang or (bool(self.cut) and self.truncate_after is None)

    @property
    def replaces(self) -> bool:
        """Whether the true answer is not needed."""
        if self.keep_body:
            return False
        stated = self.status is not None or self.body is not None or bool(self.retry_after)
        return self.silent or stated or bool(self.html) or bool(self.redirect)

    @property
    def performs(self) -> bool:
        """Whether the request takes effect."""
        return not self.replaces if self.performed is None else self.performed

    def reply(self, true_answer: Reply | None) -> Reply:
        """What is answered: a reply of its own, or the true one with other trimmings."""
        if true_answer is None or self.replaces:
            reply = self._own()
        else:
            reply = replace(true_answer, headers=dict(true_answer.headers))
            reply.status = self.status or reply.status
        if self.prefix:
            reply.body = self.prefix.encode() + reply.body
        if self.gzip_garbage:
            reply.body = GZIP_GARBAGE
            reply.headers["Content-Encoding"] = "gzip"
        reply.content_type = self.content_type or reply.content_type
        reply.headers.update(self.headers)
        return reply

    def _own(self) -> Reply:
        if self.redirect:
            return Reply(self.status or 302, b"", HTML, {"Location": self.redirect})
        if self.html:
            shown = _PAGES[self.html]()
            return replace(shown, status=self.status or shown.status)
        if self.retry_after:
            late = page("429 Too Many Requests", "Slow down.", self.status or 429)
            return replace(late, headers={"Retry-After": self.retry_after})
        if self.body is not None:
            body = self.body.encode() if isinstance(self.body, str) else self.body
            return Reply(self.status or 200, body, JSON)
        status = self.status or 500
        return page(f"{status} Error", "The server could not answer the request.", status)

    def as_json(self) -> dict[str, object]:
        """The fault for people: what was set, and how often it fired."""
        plain = {f.name: f.default for f in fields(self) if f.init}
        told: dict[str, object] = {"route": self.route}
        for name, value in asdict(self).items():
            if name not in plain or (value != plain[name] and value != {}):
                told[name] = repr(value) if isinstance(value, bytes) else value
        return told


class FaultScript:
    """The faults of one server, in the order they were added; the first that fires wins."""

    def __init__(self, seed: int = 0) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._random = random.Random(seed)
        self._released = threading.Event()

    def add(self, fault: Fault) -> Fault:
        """Put a fault at the end of the script and hand it back (it counts `fired`)."""
        with self._lock:
            self._faults.append(fault)
        return fault

    def remove(self, fault: Fault) -> None:
        """Take one fault out of the script."""
        with self._lock:
            self._faults.remove(fault)

    def clear(self) -> None:
        """Empty the script and let go of every request that a fault holds."""
        with self._lock:
            self._faults.clear()
            released, self._released = self._released, threading.Event()
        released.set()

    def listed(self) -> list[Fault]:
        """The faults of the script."""
        with self._lock:
            return list(self._faults)

    def pick(self, routes: tuple[str, ...]) -> tuple[Fault | None, threading.Event]:
        """The fault that hits a request, and the event that ends its waiting."""
        with self._lock:
            hit = None
            for fault in self._faults:
                if not any(fnmatchcase(name, fault.route) for name in routes):
                    continue
                fault.seen += 1
                if hit is None and self._fires(fault):
                    fault.fired += 1
                    hit = fault
            return hit, self._released

    def _fires(self, fault: Fault) -> bool:
        limit = fault.times if fault.times is not None else (1 if fault.nth else None)
        if fault.seen < (fault.nth or 1) or (limit is not None and fault.fired >= limit):
            return False
        return fault.rate >= 1.0 or self._random.random() < fault.rate


def _maintenance() -> Reply:
    return page("Offline", "The system is offline for maintenance. We will be back soon.")


def _ban() -> Reply:
    return page("Access denied", "IP address banned due to suspected abuse")


_PAGES = {"login": login_page, "maintenance": _maintenance, "ban": _ban}
