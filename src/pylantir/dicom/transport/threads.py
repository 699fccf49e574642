"""Threads that wait for the next association: to start one takes longer than to answer it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

_IDLE = "dicom-idle"

Work = Callable[[], None]
_Task = tuple[Work, str]


class Threads:
    """Runs each piece of work in a thread of its own.

    Parameters
    ----------
    idle : int
        So many threads are kept that have nothing to do.
    idle_s : float
        So long each of them waits for something, in seconds.
    """

    def __init__(self, idle: int = 16, idle_s: float = 1.0) -> None:
        self._most_idle, self._idle_s = idle, idle_s
        self._idle: list[SimpleQueue[_Task | None]] = []
        """Where those that wait look for a task; the last one waits for the shortest time."""
        self._choosing = threading.Lock()

    def run(self, work: Work, name: str) -> None:
        """Begin; returns at once.

        Raises
        ------
        RuntimeError
            No more threads.
        """
        with self._choosing:
            waiting = self._idle.pop() if self._idle else None
        if waiting is not None:
            waiting.put((work, name))
            return
        tasks: SimpleQueue[_Task | None] = SimpleQueue()
        tasks.put((work, name))
        threading.Thread(target=self._live, args=(tasks,), name=name, daemon=True).start()

    def stop(self) -> None:
        """No thread waits any longer; those that work end with their work."""
        with self._choosing:
            self._most_idle = 0
            idle, self._idle = self._idle, []
        for tasks in idle:
            tasks.put(None)

    def _live(self, tasks: SimpleQueue[_Task | None]) -> None:
        """One thread's life."""
        thread = threading.current_thread()
        task = tasks.get()
        while task is not None:
            work, thread.name = task
            work()
            del work, task  # an association does not live on in who waits for another
            thread.name = _IDLE
            task = self._next(tasks)

    def _next(self, tasks: SimpleQueue[_Task | None]) -> _Task | None:
        with self._choosing:
            if len(self._idle) >= self._most_idle:
                return None
            self._idle.append(tasks)
        try:
            return tasks.get(timeout=self._idle_s)
        except Empty:
            with self._choosing:
                if tasks in self._idle:
                    self._idle.remove(tasks)
                    return None
            return tasks.get()  # chosen just now: its task is on its way
