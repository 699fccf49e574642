"""How often a server may be asked: some servers ban an address for asking too often.

REDCap bans an address beyond 600 requests a minute (its default), and only an administrator lifts
the ban. All sources of this process that ask one host share one budget.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

BURST = 60
PER_SECOND = 2.0
"""At most ``BURST + 60 * PER_SECOND`` requests in any minute: 180."""


class RequestBudget:
    """Lets a few requests through at once, then one after the other.

    Parameters
    ----------
    burst : int
        Requests that need not wait after a pause.
    per_second : float
        Requests per second in the long run.
    monotonic : callable
        Seconds that never go back.
    """

    def __init__(
        self,
        burst: int = BURST,
        per_second: float = PER_SECOND,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._slack_s = (burst - 1) / per_second
        self._step_s = 1 / per_second
        self._monotonic = monotonic
        self._next = float("-inf")
        self._lock = threading.Lock()

    def reserve(self) -> float:
        """Take the next place in the queue; returns the seconds to wait before asking."""
        with self._lock:
            now = self._monotonic()
            place = max(self._next, now - self._slack_s)
            self._next = place + self._step_s
            return max(0.0, place - now)


_budgets: dict[str, RequestBudget] = {}
_lock = threading.Lock()


def budget_of(host: str) -> RequestBudget:
    """The one budget for a host, made when it is first asked for."""
    with _lock:
        return _budgets.setdefault(host.lower(), RequestBudget())
