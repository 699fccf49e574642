"""What holds for every request: an id, limits, security headers, and no traceback.

The outermost layer, plain ASGI: a body that is too large or too slow is refused before anything
else looks at it.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from collections.abc import Callable, Mapping
from functools import partial

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pylantir.api.methods import STREAMS
from pylantir.api.problems import DEFECT, log_defect, problem

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 64 * 1024
MAX_REQUEST_S = 10.0
_REQUEST_ID = re.compile(rb"[A-Za-z0-9_-]{8,64}")
_TOO_SLOW = "this took too long; whether it was done cannot be told, so look before you repeat it"

_SLOW_BODY = "the body did not come in time; nothing was done"
_TWO_LENGTHS = "expected either Content-Length or Transfer-Encoding (RFC 9112 section 6.3)"
_FULL = "too many connections at the moment"

HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""On every response, unless the route has said something else."""

_STRICT_TRANSPORT = ("strict-transport-security", "max-age=31536000")


class BodyTooLarge(HTTPException):
    """More bytes than a request may have; FastAPI lets only this kind out of reading a body."""

    def __init__(self) -> None:
        super().__init__(413, f"expected at most {MAX_BODY_BYTES} bytes")


class Guard:
    """ASGI middleware; the outermost.

    Parameters
    ----------
    app : ASGI application
        What is guarded.
    is_tls : bool
        Whether clients reach it over TLS.
    cors : CORSMiddleware, optional
        Lets browsers of other origins read what the guard itself answers, too.
    """

    is_full: Callable[[], bool] = staticmethod(lambda: False)
    """Whether there are more connections than the server has room for; set by the server."""

    def __init__(
        self, app: ASGIApp, *, is_tls: bool = False, cors: CORSMiddleware | None = None
    ) -> None:
        self._app = app
        self._cors = cors
        headers = [*HEADERS.items(), *([_STRICT_TRANSPORT] if is_tls else [])]
        self._headers = [(name.encode(), value.encode()) for name, value in headers]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        exchange = _Exchange(scope, receive, send, self._headers, self._cors)
        if self.is_full():
            await exchange.refuse(503, _FULL, {"Connection": "close", "Retry-After": "5"})
            return
        if exchange.has_two_lengths:
            await exchange.refuse(400, _TWO_LENGTHS, {"Connection": "close"})
            return
        if exchange.announced_bytes > MAX_BODY_BYTES:
            await exchange.refuse(413, f"expected at most {MAX_BODY_BYTES} bytes")
            return
        await self._run(exchange, scope)

    async def _run(self, exchange: _Exchange, scope: Scope) -> None:
        limit = None if scope["path"] in STREAMS else MAX_REQUEST_S
        if scope["method"] == "HEAD" and limit is not None:
            scope = {**scope, "method": "GET"}  # the server leaves the body out
        try:
            async with asyncio.timeout(limit):
                await self._app(scope, exchange.receive, exchange.send)
        except BodyTooLarge as error:
            await exchange.refuse(413, error.detail)
        except TimeoutError:
            log.warning("REST request %s took longer than %d s", exchange.request_id, MAX_REQUEST_S)
            if exchange.waits_for_body:
                await exchange.refuse(408, _SLOW_BODY, {"Connection": "close"})
            else:
                await exchange.refuse(504, _TOO_SLOW)
        except Exception as error:  # noqa: BLE001 - the outermost door
            if not exchange.has_ended:  # else the application has said so already
                log_defect(exchange.request_id, error)
            await exchange.refuse(500, DEFECT)


class _Exchange:
    """One request and its response."""

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        headers: list[tuple[bytes, bytes]],
        cors: CORSMiddleware | None,
    ) -> None:
        given = dict(scope["headers"])
        shown = given.get(b"x-request-id", b"")
        known = _REQUEST_ID.fullmatch(shown) is not None
        self.request_id = shown.decode() if known else secrets.token_hex(8)
        # A proxy in front of us may see another end of such a request than we do.
        self.has_two_lengths = b"content-length" in given and b"transfer-encoding" in given
        length = given.get(b"content-length", b"0")
        self.announced_bytes = int(length) if length.isdigit() else 0
        scope.setdefault("state", {})["request_id"] = self.request_id
        self._receive = receive
        self._send = send
        self._cors = cors if b"origin" in given else None
        self._asked = scope
        self._added = [*headers, (b"x-request-id", self.request_id.encode())]
        self._received_bytes = 0
        self._has_started = False
        self._is_whole = False
        self._is_waiting = False
        self.has_ended = False

    @property
    def waits_for_body(self) -> bool:
        """Whether the rest of the body is waited for, also when that was given up."""
        return self._is_waiting and not self._is_whole

    async def receive(self) -> Message:
        self._is_waiting = True
        message = await self._receive()
        self._is_waiting = False
        self._is_whole = self._is_whole or not message.get("more_body", False)
        self._received_bytes += len(message.get("body", b""))
        if self._received_bytes > MAX_BODY_BYTES:
            raise BodyTooLarge
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._has_started = True
            present = {name.lower() for name, _ in message["headers"]}
            missing = [pair for pair in self._added if pair[0] not in present]
            message = {**message, "headers": [*message["headers"], *missing]}
        await self._send(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self.has_ended = True

    async def refuse(
        self, status: int, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer with a problem, if no other answer has begun."""
        if self._has_started:
            return
        response = problem(self.request_id, status, detail, headers=headers)
        send: Send = self.send
        if self._cors is not None:
            asked = Headers(scope=self._asked)
            send = partial(self._cors.send, send=self.send, request_headers=asked)
        await response({"type": "http"}, _nothing, send)


async def _nothing() -> Message:
    return {"type": "http.disconnect"}
