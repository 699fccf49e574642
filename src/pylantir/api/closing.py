"""The end of the server, for threads and for what waits on the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading


class Closing:
    """Set once, by whoever stops the server; wakes streams that wait for the next change."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def set(self) -> None:
        """The server ends now."""
        with self._lock:
            self._event.set()
            for loop, event in self._waiting:
                loop.call_soon_threadsafe(event.set)

    def is_set(self) -> bool:
        """Whether it ends."""
        return self._event.is_set()

    async def wait(self, seconds: float) -> None:
        """Return when the server ends, or after some seconds."""
        waiting = asyncio.get_running_loop(), asyncio.Event()
        with self._lock:
            if self._event.is_set():
                return
            self._waiting.add(waiting)
        try:
            with contextlib.suppress(TimeoutError):  # the usual end of a pause
                await asyncio.wait_for(waiting[1].wait(), seconds)
        finally:
            with self._lock:
                self._waiting.discard(waiting)
