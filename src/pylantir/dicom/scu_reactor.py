"""Keeps pynetdicom's reactor from taking a response that a request is waiting for.

An association that requests has a thread of its own, the reactor, which takes messages from the
same queue as the request that waits for its response. A request therefore stops the reactor at a
checkpoint and waits until it says that it stands. But the library's reactor says so before it
stands, and goes on saying so for a moment after it was let go: a request made at once after
another is sent while the reactor runs, which then swallows the first response. A fast server loses
an item of its answer that way, or the whole answer.

Here the two words, stopped and standing, change under one lock.
"""

from __future__ import annotations

import threading
from typing import Any


class Checkpoint:
    """Stands for the event at which the library stops its reactor.

    Parameters
    ----------
    association : Association
        Whose ``_is_paused`` says that the reactor stands.
    """

    def __init__(self, association: Any) -> None:
        self._association = association
        self._changed = threading.Condition()
        self._is_open = True

    def set(self) -> None:
        """Let the reactor go; from now on it does not stand."""
        with self._changed:
            self._is_open = True
            self._association._is_paused = False
            self._changed.notify_all()

    def clear(self) -> None:
        """Stop the reactor the next time that it comes here."""
        with self._changed:
            self._is_open = False

    def is_set(self) -> bool:
        """Whether the reactor may go on."""
        return self._is_open

    def wait(self) -> None:
        """Stand here until let go; called by the reactor."""
        with self._changed:
            while not self._is_open:
                self._association._is_paused = True
                self._changed.wait()
            self._association._is_paused = False


def keep_in_step(association: Any) -> None:
    """Give an association that has not begun yet a checkpoint that holds."""
    association._reactor_checkpoint = Checkpoint(association)
