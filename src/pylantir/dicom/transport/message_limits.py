"""What an association may send, and how much memory that may take."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

SHORT_BYTES = 16_384
_SPACE_BYTES = 8 * 2**20
"""Messages up to the first length are always taken; what is longer shares the second."""


class Space:
    """Memory for long messages, shared by all associations; short ones need none of it.

    Parameters
    ----------
    size_bytes : int
        All of it.
    """

    def __init__(self, size_bytes: int) -> None:
        self._left = size_bytes
        self._counting = threading.Lock()

    def take(self, size_bytes: int) -> bool:
        """Take some; whether there was enough."""
        with self._counting:
            if size_bytes > self._left:
                return False
            self._left -= size_bytes
            return True

    def give_back(self, size_bytes: int) -> None:
        """Give some back."""
        with self._counting:
            self._left += size_bytes


@dataclass(frozen=True, slots=True)
class MessageLimits:
    """What an association may send.

    Parameters
    ----------
    message_bytes : int
        Longest DIMSE message, command and data set.
    message_s : float
        From its first to its last byte, in seconds; also for the peer to take an answer.
    idle_s : float
        Longest silence between messages, in seconds.
    space : Space
        For long messages of all associations.
    """

    message_bytes: int = 1_048_576
    message_s: float = 30.0
    idle_s: float = 600.0
    space: Space = field(default_factory=lambda: Space(_SPACE_BYTES))
