"""One line in the log for what happens a thousand times a minute."""

from __future__ import annotations

import time
from collections.abc import Callable

_EVERY_S = 60.0
_KEPT = 256


class Complaints:
    """Says a thing the first time, and then at most once a minute how often it was.

    Parameters
    ----------
    now : callable
        Seconds that only grow.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    def say(self, write: Callable[..., None], subject: str, words: str) -> None:
        """Write "subject: words", or count it.

        Parameters
        ----------
        write : callable
            Method of a logger.
        subject, words : str
            Who, and what about them; told apart by both.
        """
        now, key = self._now(), (subject, words)
        last, since = self._said.pop(key, (-_EVERY_S, 0))
        if now - last < _EVERY_S:
            self._said[key] = last, since + 1
            return
        more = f" ({since} more in the last minutes)" if since else ""
        write("%s: %s%s", subject, words, more)
        self._said[key] = now, 0
        while len(self._said) > _KEPT:
            self._said.pop(next(iter(self._said)))
