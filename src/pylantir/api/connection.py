"""One HTTP connection: nobody keeps one by being silent or slow.

uvicorn waits without end for the rest of a request head, and for a peer that does not read. This
is the only module that touches its protocol class; checked with uvicorn 0.34 to 0.54.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from pylantir.api.guard import HEADERS
from pylantir.api.problems import problem

HEAD_S = 10.0
"""From the first byte, or from the end of the last answer, to a whole request head."""

UNREAD_S = 10.0
"""How long a peer may leave an answer unread."""


class Connection(H11Protocol):
    """A connection with a deadline whenever it is the peer's turn."""

    _head: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        opened: socket.socket = transport.get_extra_info("socket")
        # Head and body are two sends: without this a client waits 40 ms for the second.
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.access_log = False  # its lines hold what is asked for, names included
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._cancel_head()
        self._cancel_unread()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_answering:
            self._cancel_head()
        elif self._head is None:
            self._expect_head()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._cancel_head()
        if not self._is_answering:  # else a pipelined request has begun already
            self._expect_head()

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP at all is answered in the same shape as everything else."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.abort()  # in the middle of an answer nothing else can be said
            return
        request_id = secrets.token_hex(8)
        refusal = problem(request_id, 400, "this is no HTTP request")
        headers = [*HEADERS.items(), ("x-request-id", request_id), ("connection", "close")]
        head = h11.Response(
            status_code=400,
            reason=b"Bad Request",
            headers=[*refusal.raw_headers, *((n.encode(), v.encode()) for n, v in headers)],
        )
        for event in (head, h11.Data(data=bytes(refusal.body)), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event))
        self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(UNREAD_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._cancel_unread()

    @property
    def _is_answering(self) -> bool:
        cycle: Any = self.cycle
        return cycle is not None and not cycle.response_complete

    def _expect_head(self) -> None:
        self._head = self.loop.call_later(HEAD_S, self._too_slow)

    def _too_slow(self) -> None:
        if not self._is_answering:
            self.transport.abort()

    def _cancel_head(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _cancel_unread(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
