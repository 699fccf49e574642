"""Sources, scanners and rejected records: is everything running, and what has to be mended."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from pylantir.api.access import House
from pylantir.api.audited import Audit
from pylantir.api.routes.scanners import list_scanners
from pylantir.api.routes.sources import SourceName, list_sources, rejected_of, sync
from pylantir.web.day import Looks
from pylantir.web.rendering import renderer_of
from pylantir.web.session import PATH, Form, Reader, Writer
from pylantir.web.vitals import Vitals
from pylantir.worklist.instance import as_served

router = APIRouter()


@router.get("/health")
def show(request: Request, services: House, visitor: Reader) -> Response:
    """How sources, scanners and the server are doing."""
    vitals: Vitals = request.app.state.vitals
    values = {
        "sources": list_sources(services, visitor.looks),
        "scanners": list_scanners(services, visitor.looks),
        "checks": vitals.checks(),
        "address": (services.config.ae_title, as_served(services.config).port),
        "allowed": services.config.allowed_aet,
        "done_word": request.query_params.get("done", ""),
    }
    return renderer_of(request)(request, visitor, "health.html", **values)


@router.post("/sources/{name}/sync")
def fetch(services: House, visitor: Writer, name: SourceName, form: Form) -> Response:
    """Lets a source fetch now."""
    sync(services, visitor.looks, name)
    return RedirectResponse(f"{PATH}/health?done=sync", 303)


@router.get("/rejected")
def show_rejected(request: Request, services: House, visitor: Reader, audit: Audit) -> Response:
    """What could not become a booking, why, and where to correct it."""
    found = rejected_of(services)
    looks: Looks = request.app.state.looks
    looks.note(request, audit, visitor.looks, services.items.settled(), len(found))
    fields = {entry.name: entry for entry in services.config.data_sources}
    values = {"rejected": found, "sources": fields}
    return renderer_of(request)(request, visitor, "rejected.html", **values)
