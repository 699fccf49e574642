"""What waits between the layers of the library, for one thread that never waits for it."""

from __future__ import annotations

from collections import deque
from queue import Empty
from typing import Any


class Line:
    """Stands in for the library's ``queue.Queue``, which makes four locks for nothing here.

    Any thread may put something in; who takes finds something or :class:`queue.Empty`.
    """

    __slots__ = ("put", "queue")

    def __init__(self) -> None:
        self.queue: deque[Any] = deque()
        self.put = self.queue.append

    def get(self, block: bool = False, timeout: float | None = None) -> Any:
        """The first in the line; never waits, whatever is asked for.

        Raises
        ------
        Empty
            Nothing is there.
        """
        try:
            return self.queue.popleft()
        except IndexError:
            raise Empty from None

    def get_nowait(self) -> Any:
        """The first in the line, or :class:`queue.Empty`."""
        return self.get()

    def empty(self) -> bool:
        """Whether nothing is there."""
        return not self.queue

    def qsize(self) -> int:
        """How much is there."""
        return len(self.queue)
