"""A scanner on a plain socket. What it does while the clock runs is receive, nothing else."""

from __future__ import annotations

import socket
import struct
import time
from dataclasses import dataclass
from types import TracebackType

from benchmarks.answers import WrongAnswer, messages
from benchmarks.requests import RELEASE, associate

_ASSOCIATE = associate()
_ACCEPTED = 2
_LONGEST_S = 300.0
_TAIL = 300
_STATUS = struct.pack("<HHI", 0, 0x0900, 2)
_END = struct.pack("<HHIH", 0, 0x0800, 2, 0x0101) + _STATUS
"""No data set follows, and a status: so ends the response that ends a C-FIND."""

PENDING_MARKS = (_STATUS + b"\x00\xff", _STATUS + b"\x01\xff")
SUCCESS_MARK = _END + b"\0\0"


@dataclass(slots=True)
class Reply:
    """What came back, and when, in seconds since the request.

    Parameters
    ----------
    first_s : float
        The first complete pending response.
    last_s : float
        The final response.
    data : memoryview
        All of it; valid until the next request.
    """

    first_s: float
    last_s: float
    data: memoryview

    @property
    def pending(self) -> int:
        """How many items it says."""
        data = bytes(self.data)
        return sum(data.count(mark) for mark in PENDING_MARKS)

    @property
    def is_success(self) -> bool:
        """Whether it ends with status 0000."""
        return SUCCESS_MARK in bytes(self.data[-_TAIL:])


class Scanner:
    """One association; a context manager that releases it.

    Raises
    ------
    WrongAnswer
        The server refuses.
    OSError
        It cannot be reached.
    """

    def __init__(self, port: int) -> None:
        self._received = bytearray(1 << 20)
        self._filled = 0
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=_LONGEST_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(_ASSOCIATE)
        answer = self._pdu()
        if answer[0] != _ACCEPTED:
            self._socket.close()
            raise WrongAnswer(f"association refused, PDU {answer[0]}")

    def __enter__(self) -> Scanner:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self.release()
        finally:
            self._socket.close()

    def release(self) -> None:
        """A-RELEASE; returns when the server has agreed."""
        self._filled = 0
        self._socket.sendall(RELEASE)
        self._pdu()

    def find(self, request: bytes) -> Reply:
        """C-FIND: everything up to the final response."""
        self._filled = 0
        began = time.perf_counter()
        self._socket.sendall(request)
        first = 0.0
        while True:
            self._receive()
            if not first and next(messages(self._view()), None) is not None:
                first = time.perf_counter() - began
            end = self._received.rfind(_END, max(0, self._filled - _TAIL), self._filled)
            if end >= 0 and end + len(_END) + 2 <= self._filled:
                return Reply(first, time.perf_counter() - began, self._view())

    def ask(self, request: bytes) -> float:
        """A request with one response; returns how long it took, in seconds.

        Raises
        ------
        WrongAnswer
            The response is not success.
        """
        self._filled = 0
        began = time.perf_counter()
        self._socket.sendall(request)
        while True:
            self._receive()
            response = next(messages(self._view()), None)
            if response is not None:
                if response.status:
                    raise WrongAnswer(f"status {response.status:04X}")
                return time.perf_counter() - began

    def _pdu(self) -> bytes:
        while self._filled < 6 or self._filled < 6 + int.from_bytes(self._received[2:6], "big"):
            self._receive()
        return bytes(self._view())

    def _view(self) -> memoryview:
        return memoryview(self._received)[: self._filled]

    def _receive(self) -> None:
        if len(self._received) - self._filled < 1 << 18:
            grown = bytearray(2 * len(self._received))  # a view of the old one may still be held
            grown[: self._filled] = self._view()
            self._received = grown
        got = self._socket.recv_into(memoryview(self._received)[self._filled :])
        if not got:
            raise WrongAnswer("the server hung up")
        self._filled += got
