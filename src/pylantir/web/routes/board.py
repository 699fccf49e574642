"""The day: who is next, is everything running, what needs a person, what has been done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from pylantir.api.access import House
from pylantir.api.audited import Audit
from pylantir.api.formats import CSV, as_text
from pylantir.api.listing import query_of
from pylantir.api.pages import Pages
from pylantir.api.routes.sources import Rejected, rejected_of
from pylantir.api.services import Services
from pylantir.dicom.explain import scanners, seen_lately
from pylantir.errors import InvalidQuery
from pylantir.web.attention import Need, counted, needs_of
from pylantir.web.board import Board
from pylantir.web.day import (
    Asked,
    Looks,
    asked_in,
    board_on,
    left_running,
    parameters_of,
    rows_found,
)
from pylantir.web.rendering import renderer_of
from pylantir.web.session import Anybody, Reader
from pylantir.web.timeline import picture_of
from pylantir.web.vitals import Light, Vitals
from pylantir.worklist.instance import as_served
from pylantir.worklist.status import ItemStatus

router = APIRouter()


@router.get("/")
def show(request: Request, services: House, visitor: Anybody, audit: Audit) -> Response:
    """The day, or what anybody may know of it."""
    render = renderer_of(request)
    vitals: Vitals = request.app.state.vitals
    lights = vitals.lights(visitor.principal)
    if visitor.principal is None:
        return render(request, visitor, "outside.html", **_outside(services, lights))
    try:
        asked, problem = asked_in(request, services), ""
        query_of(parameters_of(asked), services.clock.today())
    except InvalidQuery as error:
        asked, problem = Asked(services.clock.today(), {}, False), str(error)
    if visitor.is_kiosk:  # nobody has signed in: the present day and nothing else
        station = {name: value for name, value in asked.filters.items() if name == "station"}
        asked = Asked(services.clock.today(), station, False)
    is_wall = "kiosk" in request.query_params
    shown = _inside(request, services, asked, lights, is_wall=is_wall)
    looks: Looks = request.app.state.looks
    revision = services.items.settled()
    looks.note(request, audit, visitor.principal, revision, shown["total"])
    return render(request, visitor, "board.html", 422 if problem else 200, problem=problem, **shown)


def _inside(
    request: Request, services: Services, asked: Asked, lights: list[Light], *, is_wall: bool
) -> dict[str, Any]:
    pages: Pages = request.app.state.pages
    board = board_on(services, asked.day)
    rows, total = rows_found(services, pages, board, asked)
    present = board if board.is_today else board_on(services, services.clock.today())
    waiting = [row.item for row in rows if row.is_waiting]
    seen = seen_lately(services.config, services.items, services.journal, waiting, services.clock)
    station = asked.filters.get("station", "")
    return {
        "coming": [row for row in board.next_up if not station or row.lane in (station, "")],
        "seen": seen,
        "board": board,
        "asked": asked,
        "rows": rows,
        "total": total,
        "query": request.url.query,
        "picture": picture_of(board.without_cancelled if is_wall else board),
        "lights": lights,
        "needs": _needs(services, present, lights, rejected_of(services)),
        "statuses": list(ItemStatus),
        "scanners": scanners(services.config, services.journal),
        "address": (services.config.ae_title, as_served(services.config).port),
        "has_sources": any(entry.enabled for entry in services.config.data_sources),
    }


def _needs(
    services: Services, today: Board, lights: Sequence[Light], rejected: Sequence[Rejected]
) -> list[Need]:
    unlinked = services.steps.all(unlinked=True)
    return needs_of(today, lights, unlinked, left_running(services, today.day), rejected)


def _outside(services: Services, lights: list[Light]) -> dict[str, Any]:
    """Numbers and health: nothing of a person."""
    board = board_on(services, services.clock.today())
    needs = _needs(services, board, lights, rejected_of(services))
    return {"lights": lights, "counts": board.counts, "needs": counted(needs)}


@router.get("/worklist.csv")
def as_csv(request: Request, services: House, visitor: Reader, audit: Audit) -> Response:
    """The list as it is shown, for a spreadsheet."""
    asked = asked_in(request, services)
    found = services.items.find(query_of(parameters_of(asked), services.clock.today()))
    audit.asked(visitor.looks, len(found))
    name = f"worklist-{asked.day.isoformat()}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(as_text(found, CSV), 200, headers, CSV)
