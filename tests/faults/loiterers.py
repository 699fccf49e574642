"""Connections that want nothing: silent, trickling, stalled half-way through their request."""

from __future__ import annotations

import contextlib
import selectors
import socket
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass

from tests.faults.pdus import associate_rq

REQUEST = associate_rq(calling=b"STRANGER").encode()
_TRICKLE_S = 0.2
_AWAY_S = 0.5

SILENT, TRICKLING, STALLED = "silent", "trickling", "stalled half-way"


@dataclass(eq=False)
class _Loiterer:
    kind: str
    socket: socket.socket
    since: float
    sent: int = 0


class Loiterers:
    """Opens connections from several addresses and keeps them as long as the server does.

    Parameters
    ----------
    port : int
        The server's.
    each : int
        Connections of each kind.
    again : bool
        Who is thrown out comes back half a second later.
    """

    def __init__(self, port: int, each: int, *, again: bool = False) -> None:
        self._port, self._again = port, again
        self._stop = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._coming_back: deque[tuple[float, str]] = deque()
        self._here: list[_Loiterer] = []
        self.connections = 0
        self.stays_s: list[float] = []
        """How long each that was thrown out had been there."""
        for number in range(each):
            for kind in (SILENT, TRICKLING, STALLED):
                self._come(kind, number)
        self._thread = threading.Thread(target=self._loiter, daemon=True)
        self._thread.start()

    @property
    def left(self) -> int:
        """How many are still connected."""
        return len(self._here)

    def no_more(self) -> None:
        """Who is thrown out from now on stays away."""
        self._again = False
        self._coming_back.clear()

    def close(self) -> None:
        """Go home."""
        self._stop.set()
        self._thread.join()
        for loiterer in self._here:
            loiterer.socket.close()

    def _come(self, kind: str, number: int) -> None:
        # Half of them are behind the scanner's own address.
        host = f"127.0.0.{1 + number % 2}" if sys.platform == "linux" else "127.0.0.1"
        try:
            connection = socket.create_connection(("127.0.0.1", self._port), 10, (host, 0))
        except OSError:
            return
        loiterer = _Loiterer(kind, connection, time.monotonic())
        with contextlib.suppress(OSError):
            if kind == STALLED:
                connection.sendall(REQUEST[: len(REQUEST) // 2])
        connection.setblocking(False)
        self.connections += 1
        self._here.append(loiterer)
        self._selector.register(connection, selectors.EVENT_READ, loiterer)

    def _loiter(self) -> None:
        next_byte = time.monotonic()
        while not self._stop.is_set():
            for key, _ in self._selector.select(_TRICKLE_S):
                self._listen(key.data)
            if time.monotonic() >= next_byte:
                next_byte = time.monotonic() + _TRICKLE_S
                for loiterer in self._here:
                    self._trickle(loiterer)
            while self._coming_back and self._coming_back[0][0] <= time.monotonic():
                self._come(self._coming_back.popleft()[1], self.connections)

    def _trickle(self, loiterer: _Loiterer) -> None:
        if loiterer.kind == TRICKLING:
            with contextlib.suppress(OSError):  # _listen will see it
                loiterer.socket.send(REQUEST[loiterer.sent : loiterer.sent + 1])
                loiterer.sent += 1

    def _listen(self, loiterer: _Loiterer) -> None:
        with contextlib.suppress(BlockingIOError):
            try:
                if loiterer.socket.recv(4096):
                    return
            except ConnectionError:
                pass
            self._selector.unregister(loiterer.socket)
            loiterer.socket.close()
            self._here.remove(loiterer)
            self.stays_s.append(time.monotonic() - loiterer.since)
            if self._again:
                self._coming_back.append((time.monotonic() + _AWAY_S, loiterer.kind))
