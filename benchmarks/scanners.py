"""Many scanners at once, each connecting, associating, asking and releasing over and over."""

from __future__ import annotations

import selectors
import socket
import struct
import time
from collections import Counter
from dataclasses import dataclass, field

from benchmarks.requests import RELEASE, associate
from benchmarks.wire import PENDING_MARKS, SUCCESS_MARK

_ASSOCIATE = associate()
_ACCEPTED, _RELEASED = 2, 6
_RETRY_S = 0.01
_DRAIN_S = 10.0


@dataclass(slots=True)
class Crowd:
    """What a number of scanners got done."""

    cycles: int = 0
    lasted_s: float = 0.0
    troubles: Counter[str] = field(default_factory=Counter)

    @property
    def cycles_per_s(self) -> float:
        """Whole rounds of connect, associate, find, release."""
        return self.cycles / self.lasted_s if self.lasted_s else 0.0


@dataclass(slots=True)
class _Round:
    """One scanner's present round."""

    socket: socket.socket
    waits_for: str = "connection"
    received: bytearray = field(default_factory=bytearray)


def crowd(port: int, scanners: int, request: bytes, expected: int, for_s: float) -> Crowd:
    """Let scanners ask for a while.

    Parameters
    ----------
    port : int
        The server's.
    scanners : int
        How many at the same time.
    request : bytes
        A C-FIND.
    expected : int
        Items that belong to its answer; any other number is a trouble.
    for_s : float
        How long, in seconds; rounds that have begun are waited for.
    """
    done = Crowd()
    began = last = time.perf_counter()
    end = began + for_s
    with selectors.DefaultSelector() as waiting:
        for _ in range(scanners):
            _begin(waiting, port)
        while waiting.get_map() and time.perf_counter() < end + _DRAIN_S:
            for key, _ in waiting.select(0.5):
                trouble = _go_on(waiting, key.data, request, expected)
                if trouble is None:
                    continue
                waiting.unregister(key.data.socket)
                key.data.socket.close()
                last = time.perf_counter()
                if trouble:
                    done.troubles[trouble] += 1
                    time.sleep(_RETRY_S)
                else:
                    done.cycles += 1
                if last < end:
                    _begin(waiting, port)
        for key in list(waiting.get_map().values()):
            done.troubles["no end"] += 1
            key.data.socket.close()
    done.lasted_s = last - began
    return done


def _begin(waiting: selectors.BaseSelector, port: int) -> None:
    connecting = socket.socket()
    connecting.setblocking(False)
    connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connecting.connect_ex(("127.0.0.1", port))
    waiting.register(connecting, selectors.EVENT_WRITE, _Round(connecting))


def _go_on(
    waiting: selectors.BaseSelector, present: _Round, request: bytes, expected: int
) -> str | None:
    """The next step of a round; says at its end what went wrong, nothing for nothing."""
    try:
        if present.waits_for == "connection":
            waiting.modify(present.socket, selectors.EVENT_READ, present)
            _send(present, _ASSOCIATE, "acceptance")
            return None
        got = present.socket.recv(1 << 16)
    except OSError as error:
        return type(error).__name__
    if not got:
        return f"hung up before {present.waits_for}"
    present.received += got
    if present.waits_for == "answer":
        if SUCCESS_MARK not in present.received[-300:]:
            return None
        if sum(present.received.count(mark) for mark in PENDING_MARKS) != expected:
            return "wrong number of items"
        _send(present, RELEASE, "release")
        return None
    if len(present.received) < 6:
        return None
    kind, length = struct.unpack_from(">BxI", present.received)
    if len(present.received) < 6 + length:
        return None
    if present.waits_for == "release":
        return "" if kind == _RELEASED else f"PDU {kind} for a release"
    if kind != _ACCEPTED:
        return "refused"
    _send(present, request, "answer")
    return None


def _send(present: _Round, data: bytes, then: str) -> None:
    present.received.clear()
    present.waits_for = then
    present.socket.sendall(data)
