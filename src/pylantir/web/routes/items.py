"""One booking: look at it, enter, correct, cancel, and say why a scanner does not show it."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.responses import RedirectResponse, Response

from pylantir.api.access import House
from pylantir.api.audited import Audit
from pylantir.api.fields import ItemValues
from pylantir.api.formats import etag
from pylantir.api.history import happenings
from pylantir.api.routes import worklist
from pylantir.api.routes.scanners import explain_item
from pylantir.dicom.explain import scanners
from pylantir.errors import InvalidItem
from pylantir.web import bookings
from pylantir.web.board import done_by
from pylantir.web.detail import data_set_for, values_of
from pylantir.web.rendering import renderer_of
from pylantir.web.session import PATH, Form, Reader, Visitor, Writer
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.status import MOVES, SCHEDULED_STATUSES, ItemStatus

router = APIRouter(prefix="/items")

ItemId = Annotated[int, Path(ge=1, le=2**63 - 1)]


@router.get("/new")
def show_new(request: Request, services: House, visitor: Writer) -> Response:
    """The form of a new booking: a walk-in, or a phantom."""
    now = services.clock.local_now()
    values = bookings.for_somebody(now, is_phantom="phantom" in request.query_params)
    return _form(request, services, visitor, values)


@router.post("/new")
def create(
    request: Request, services: House, visitor: Writer, audit: Audit, form: Form
) -> Response:
    """Keeps a new booking."""
    values = dict.fromkeys(bookings.FIELDS, "") | bookings.typed(form)
    try:
        given = {name: value for name, value in values.items() if value}
        made = worklist.create_item(services, visitor.looks, audit, ItemValues(**given))
    except InvalidItem as error:
        return _form(request, services, visitor, values, 422, problems=bookings.problems_in(error))
    number = made.headers["Location"].rpartition("/")[2]
    return _to(int(number), "created")


@router.get("/{item_id}")
def show(
    request: Request, services: House, visitor: Reader, audit: Audit, item_id: ItemId
) -> Response:
    """Everything about a booking."""
    item = services.items.get(item_id)
    explained = explain_item(services, visitor.looks, audit, item_id, "")
    steps = services.steps.all(item_id=item_id)
    history = services.items.history(item_id)
    titles = [each.ae_title for each in explained]
    chosen = request.query_params.get("ae", "")
    if chosen not in titles:
        own = [title for title in titles if title in item.scheduled_station_ae_title]
        chosen = (own or titles or [""])[0]
    is_sources = any(e.name == item.data_source for e in services.config.data_sources)
    return renderer_of(request)(
        request,
        visitor,
        "item.html",
        item=item,
        version=etag(item),
        done=done_by(steps),
        values=values_of(item, partial(services.origin_of, item.data_source)),
        history=history,
        happened=happenings(services, item, history, steps, explained),
        explained=explained,
        scanner=next((each for each in explained if each.ae_title == chosen), None),
        chosen=chosen,
        lines=data_set_for(services, item, chosen),
        moves=[move for move in ItemStatus if move in MOVES[item.status]],
        may_cancel=item.status in SCHEDULED_STATUSES,
        is_sources=is_sources,
        done_word=request.query_params.get("done", ""),
    )


@router.get("/{item_id}/edit")
def show_edit(
    request: Request, services: House, visitor: Writer, audit: Audit, item_id: ItemId
) -> Response:
    """The form of a booking."""
    worklist.get_item(services, visitor.looks, audit, item_id)
    item = services.items.get(item_id)
    return _form(request, services, visitor, bookings.shown(item), item=item, version=etag(item))


@router.post("/{item_id}/edit")
def edit(
    request: Request,
    services: House,
    visitor: Writer,
    audit: Audit,
    item_id: ItemId,
    form: Form,
) -> Response:
    """Keeps a correction, if nobody else has changed the booking since the form was shown."""
    item = services.items.get(item_id)
    version = form.get("version") or etag(item)
    try:
        values = ItemValues(**bookings.changed(form, item))
        worklist.change(services, visitor.looks, audit, item_id, values, version)
    except InvalidItem as error:
        return _form(
            request,
            services,
            visitor,
            {**bookings.shown(item), **bookings.typed(form)},
            422,
            item=item,
            version=version,
            problems=bookings.problems_in(error),
        )
    return _to(item_id, "changed")


@router.post("/{item_id}/status")
def move(services: House, visitor: Writer, audit: Audit, item_id: ItemId, form: Form) -> Response:
    """Moves the status by hand, such as where a scanner sends no MPPS."""
    values = ItemValues(performed_procedure_step_status=form.get("status", ""))
    worklist.change(services, visitor.looks, audit, item_id, values, form.get("version"))
    return _to(item_id, "moved")


@router.post("/{item_id}/cancel")
def cancel(services: House, visitor: Writer, audit: Audit, item_id: ItemId, form: Form) -> Response:
    """Takes a booking off the list."""
    worklist.delete(services, visitor.looks, audit, item_id, form.get("version"))
    return _to(item_id, "cancelled")


def _to(item_id: int, done: str) -> Response:
    return RedirectResponse(f"{PATH}/items/{item_id}?done={done}", 303)


def _form(
    request: Request,
    services: House,
    visitor: Visitor,
    values: dict[str, str],
    status: int = 200,
    /,
    *,
    item: WorklistItem | None = None,
    version: str = "",
    problems: dict[str, str] | None = None,
) -> Response:
    more: dict[str, Any] = {
        "item": item,
        "version": version,
        "values": values,
        "problems": problems or {},
        "scanners": scanners(services.config, services.journal),
        "is_sources": item is not None
        and any(entry.name == item.data_source for entry in services.config.data_sources),
    }
    return renderer_of(request)(request, visitor, "item_form.html", status, **more)
