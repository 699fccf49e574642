"""What keeps an open page fresh, and the files that go with it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Path, Request
from starlette.responses import Response, StreamingResponse

from pylantir.api.access import House
from pylantir.api.routes import events
from pylantir.web.rendering import STATIC, static_file
from pylantir.web.session import Anybody

router = APIRouter()


@router.get("/events")
async def stream(
    request: Request,
    services: House,
    visitor: Anybody,
    last_event_id: Annotated[str, Header()] = "",
) -> StreamingResponse:
    """The API's stream of changes, for whoever is signed in to the page."""
    principal = visitor.looks
    return await events.events(request, services, principal, visitor.token, last_event_id)


@router.get("/static/{name}")
async def static(name: Annotated[str, Path(pattern=f"^({'|'.join(STATIC)})$")]) -> Response:
    """A file of the page; its address changes with its content."""
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(static_file(name), headers=headers, media_type=STATIC[name])
