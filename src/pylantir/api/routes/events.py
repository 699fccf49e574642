"""``/events``: what changes, as it changes (server-sent events)."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse

from pylantir.api.access import House, Reader, Token
from pylantir.api.services import Services
from pylantir.errors import PylantirError
from pylantir.worklist.feed import PAUSE_S, Change, ChangeFeed, Cursor, parse_cursor

router = APIRouter(tags=["events"])

MAX_STREAMS = 50
BEAT_S = 15.0
"""After so long without a change a comment is sent: a proxy keeps the connection, and a token that
has ended meanwhile ends the stream."""


class Streams:
    """Counts the open streams of one application."""

    def __init__(self) -> None:
        self._number = 0
        self._lock = threading.Lock()

    def enter(self) -> None:
        """One more; refused when there are too many.

        Raises
        ------
        HTTPException
            503.
        """
        with self._lock:
            if self._number >= MAX_STREAMS:
                raise HTTPException(503, f"{MAX_STREAMS} streams are open already")
            self._number += 1

    def leave(self) -> None:
        """One less."""
        with self._lock:
            self._number -= 1


@router.get(
    "/events",
    summary="What changes, as it changes",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "a stream of events: item, step, sync, query, many",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        }
    },
)
async def events(
    request: Request,
    services: House,
    _: Reader,
    token: Token,
    last_event_id: Annotated[str, Header(description="where an earlier stream ended")] = "",
) -> StreamingResponse:
    """A stream of server-sent events. It names no person: read what changed with the other routes.

    After a pause the client says with ``Last-Event-ID`` what it has seen, as browsers do by
    themselves, and misses nothing.
    """
    feed = ChangeFeed(services.items.database, services.journal)
    cursor = parse_cursor(last_event_id)
    if cursor is None:
        cursor = await run_in_threadpool(feed.now)
    streams: Streams = request.app.state.streams
    streams.enter()
    try:
        lines = _lines(services, feed, cursor, token)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(_counted(lines, streams), 200, headers, "text/event-stream")
    except BaseException:
        streams.leave()
        raise


async def _counted(lines: AsyncIterator[str], streams: Streams) -> AsyncIterator[str]:
    try:
        async for line in lines:
            yield line
    finally:
        streams.leave()


async def _lines(
    services: Services, feed: ChangeFeed, cursor: Cursor, token: str
) -> AsyncIterator[str]:
    yield f"retry: 2000\nid: {cursor}\nevent: hello\ndata: {{}}\n\n"
    loop = asyncio.get_running_loop()
    beat = loop.time() + BEAT_S
    while not services.closing.is_set():
        try:
            after, found = await run_in_threadpool(feed.since, cursor)
            if loop.time() >= beat:
                await run_in_threadpool(services.identify, token)
        except PylantirError:
            return  # the client comes again, and is told why it cannot
        if found:
            yield "".join(_event(each, after) for each in found)
            cursor = after
        if found or loop.time() >= beat:
            beat = loop.time() + BEAT_S
            yield ": \n\n"
        await services.closing.wait(PAUSE_S)


def _event(change: Change, after: Cursor) -> str:
    return f"id: {after}\nevent: {change.kind}\ndata: {json.dumps(change.data)}\n\n"
