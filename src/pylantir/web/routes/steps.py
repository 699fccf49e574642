"""What scanners did, and which booking a scan without one belongs to."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import RedirectResponse, Response

from pylantir.api.access import House
from pylantir.api.audited import Audit
from pylantir.api.candidates import bookings_around, candidates, compare, scanner_of
from pylantir.api.routes.steps import NewLink, get_step, link_step
from pylantir.errors import InvalidItem, ValueProblem
from pylantir.web.rendering import renderer_of
from pylantir.web.session import PATH, Form, Reader, Writer

router = APIRouter(prefix="/steps")

Uid = Annotated[str, Path(pattern=r"^[0-9.]{1,64}$")]
_DAYS = 7


@router.get("")
def show_all(request: Request, services: House, visitor: Reader, audit: Audit) -> Response:
    """Scans of the last days, and every one without a booking."""
    since = services.clock.today() - dt.timedelta(days=_DAYS)
    recent = services.steps.all(first_day=since)
    loose = services.steps.all(unlinked=True)
    audit.asked(visitor.looks, len(recent) + len(loose))
    values = {"recent": recent, "loose": loose, "days": _DAYS, "scanner_of": scanner_of}
    return renderer_of(request)(request, visitor, "steps.html", **values)


@router.get("/{uid}")
def show(request: Request, services: House, visitor: Reader, audit: Audit, uid: Uid) -> Response:
    """A scan with the bookings that it may belong to; with one chosen, both beside each other."""
    whole = get_step(services, visitor.looks, audit, uid)
    linked = services.steps.get(uid)
    scanner = scanner_of(linked)
    shown = request.query_params.get("item", "")
    chosen = None
    if shown.isascii() and shown.isdigit() and len(shown) < 19:
        chosen = compare(linked.step, scanner, services.items.get(int(shown)))
    values = {
        "whole": whole,
        "linked": linked,
        "scanner": scanner,
        "chosen": chosen,
        "found": candidates(linked.step, scanner, bookings_around(services, linked.step)),
        "done_word": request.query_params.get("done", ""),
    }
    return renderer_of(request)(request, visitor, "step.html", **values)


@router.post("/{uid}/link")
def link(services: House, visitor: Writer, audit: Audit, uid: Uid, form: Form) -> Response:
    """Ties a scan to a booking, after both identities were confirmed."""
    shown = form.get("item", "")
    if not (shown.isascii() and shown.isdigit() and len(shown) < 19):
        raise InvalidItem([ValueProblem("item", shown[:20], "expected the number of a booking")])
    linked = services.steps.get(uid)
    position = None if linked.is_unlinked else 0
    body = NewLink(item_id=int(shown), position=position)
    link_step(services, visitor.looks, audit, uid, body)
    return RedirectResponse(f"{PATH}/items/{int(shown)}?done=linked", 303)
