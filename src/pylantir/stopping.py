"""How a process that serves hears that it shall end."""

from __future__ import annotations

import signal
from queue import Empty, SimpleQueue
from types import FrameType

_WAKE_S = 0.5
"""On Windows a main thread that waits without end never sees Ctrl-C."""


class StopRequest:
    """Asked for by a signal or by another thread; the main thread waits for it.

    No :class:`threading.Event`: a signal is handled in the main thread, between any two steps of
    what that is doing. Just when it is about to wait, or wakes up, it holds the event's lock, and a
    handler that sets the event then waits for that lock for ever. A simple queue may be put into
    at any moment.
    """

    def __init__(self) -> None:
        self._asked: SimpleQueue[None] = SimpleQueue()

    def ask(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        """Ask for the end; may be called from a signal handler, and more than once."""
        self._asked.put(None)

    def ask_on_signals(self) -> None:
        """Let SIGINT, SIGTERM and on Windows Ctrl-Break ask for it."""
        for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), self.ask)

    def wait(self) -> None:
        """Block until somebody has asked."""
        while not self.wait_for(_WAKE_S):
            pass

    def wait_for(self, longest_s: float) -> bool:
        """Block for so many seconds at most; returns whether somebody has asked."""
        try:
            self._asked.get(timeout=longest_s)
        except Empty:
            return False
        self._asked.put(None)  # it has been asked for once and for all
        return True
