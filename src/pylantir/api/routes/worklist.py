"""``/worklist``: what is scheduled."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from pylantir.api.access import House, Reader, Writer
from pylantir.api.audited import Audit, field_names
from pylantir.api.bodies import StrictRoute
from pylantir.api.fields import ItemValues, WorklistItemOut, changes_in, encoded, flat
from pylantir.api.formats import (
    CSV,
    DICOM_JSON,
    JSON,
    Accept,
    IfMatch,
    IfNoneMatch,
    as_text,
    etag,
    names,
    require_unchanged,
    wanted,
)
from pylantir.api.listing import Listed, query_of
from pylantir.api.pages import Page, Pages
from pylantir.api.services import Services
from pylantir.audit.events import Kind
from pylantir.errors import Conflict, InvalidItem, NotFound, ValueProblem
from pylantir.worklist import identity
from pylantir.worklist.item import WorklistItem, change_item, make_item
from pylantir.worklist.plain import changed_names
from pylantir.worklist.status import ItemStatus

log = logging.getLogger(__name__)
router = APIRouter(route_class=StrictRoute, prefix="/worklist", tags=["worklist"])

SOURCE = "api"
"""Source of items that a client makes, unless it names another."""

_ATTEMPTS = 3
"""A change without If-Match is tried again when somebody else was faster."""

ItemId = Annotated[int, Path(ge=1, le=2**63 - 1, description="number of the item")]

_LIST = {"type": "array", "items": {"$ref": "#/components/schemas/WorklistItem"}}
_FORMATS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "the items that match",
        "headers": {
            "X-Total-Count": {"description": "how many match", "schema": {"type": "integer"}},
            "Link": {"description": "next and previous page", "schema": {"type": "string"}},
        },
        "content": {
            JSON: {"schema": _LIST},
            DICOM_JSON: {"schema": {"type": "array", "items": {"type": "object"}}},
            CSV: {"schema": {"type": "string"}},
        },
    }
}  # fmt: skip
_ITEM: dict[int | str, dict[str, Any]] = {
    200: {
        "model": WorklistItemOut,
        "headers": {"ETag": {"description": "version of the item", "schema": {"type": "string"}}},
    }
}


@router.get("", summary="List bookings", responses=_FORMATS, response_model=None)
def list_items(
    request: Request,
    services: House,
    principal: Reader,
    audit: Audit,
    asked: Listed,
    accept: Accept = JSON,
) -> Response:
    """The bookings that match, as JSON, DICOM JSON or CSV."""
    media = wanted(accept)
    pages: Pages = request.app.state.pages
    query = query_of(asked, services.clock.today())
    page = pages.page(query, asked.sort, asked.offset, asked.limit)
    audit.asked(principal, page.total)
    headers = {"X-Total-Count": str(page.total), "Vary": "Accept"}
    link = _links(request, page, asked.offset, asked.limit)
    if link:
        headers["Link"] = link
    if media == JSON:
        return Response(pages.as_json(page.items), 200, headers, JSON)
    if media == CSV:
        headers["Content-Disposition"] = 'attachment; filename="worklist.csv"'
    return Response(as_text(page.items, media), 200, headers, media)


def _links(request: Request, page: Page, offset: int, limit: int) -> str:
    """Where the pages before and after are (RFC 8288)."""
    found = []
    if offset + limit < page.total:
        found.append((offset + limit, "next"))
    if offset > 0:
        found.append((max(0, offset - limit), "prev"))
    path = request.url.path
    return ", ".join(
        f"<{path}?{request.url.include_query_params(offset=at).query}>; rel={name}"
        for at, name in found
    )


@router.get("/{item_id}", summary="One booking", responses=_ITEM, response_model=None)
def get_item(
    services: House,
    principal: Reader,
    audit: Audit,
    item_id: ItemId,
    accept: Accept = JSON,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """One booking, with the ETag that a change can name."""
    media = wanted(accept)
    item = services.items.get(item_id)
    if if_none_match is not None and names(if_none_match, item):
        return Response(None, 304, {"ETag": etag(item)})
    audit.booking(Kind.READ, principal, item)
    return _answer(item, media)


@router.post("", summary="Book somebody", responses=_ITEM, response_model=None)
def create_item(services: House, principal: Writer, audit: Audit, body: ItemValues) -> Response:
    """A new booking; today and now when no start is given, MR when no modality is."""
    values = flat(body.given())
    values.pop("id", None)
    source = str(values.pop("data_source", None) or SOURCE)
    record = str(values.pop("source_record_id", None) or identity.new_record())
    _refuse_other_owner(services, source)
    _require_record(record)
    _fill_start(services, values)
    values["modality"] = values.get("modality") or "MR"
    item = make_item(
        values,
        data_source=source,
        source_record_id=record,
        authority=services.items.authority,
    )
    added = services.items.add(item, by=principal.name)
    audit.booking(Kind.CREATED, principal, added)
    log.info("REST: item %s made by %s", added.item_id, principal.name)
    answer = _answer(added, JSON)
    answer.headers["Location"] = f"/worklist/{added.item_id}"
    return answer


def _refuse_other_owner(services: Services, source: str) -> None:
    """What a source keeps up to date would withdraw a booking that it does not know."""
    problem = ""
    if len(source) > 255 or not source.isprintable():
        problem = "expected a name of at most 255 printable characters"
    elif any(entry.name == source for entry in services.config.data_sources):
        problem = "this source keeps its own bookings; leave data_source out or name another"
    if problem:
        raise InvalidItem([ValueProblem("data_source", source[:80], problem)])


def _require_record(record: str) -> None:
    if len(record) > 255 or not record.isprintable():
        reason = "expected at most 255 printable characters"
        raise InvalidItem([ValueProblem("source_record_id", record[:80], reason)])


_START_DATES = ("scheduled_start_date", "scheduled_procedure_step_start_date")
_START_TIMES = ("scheduled_start_time", "scheduled_procedure_step_start_time")


def _fill_start(services: Services, values: dict[str, Any]) -> None:
    """A booking without a start is somebody who stands in the door, as with ``pylantir add``."""
    now = services.clock.local_now()
    spelt = {name.lower().replace("-", "_") for name, value in values.items() if value}
    if not spelt & {*_START_DATES, "scheduledprocedurestepstartdate", "start_date"}:
        values["scheduled_start_date"] = now.date()
    if not spelt & {*_START_TIMES, "scheduledprocedurestepstarttime", "start_time"}:
        values["scheduled_start_time"] = now.time().replace(second=0, microsecond=0)


@router.put("/{item_id}", summary="Change a booking", responses=_ITEM, response_model=None)
@router.patch("/{item_id}", summary="Change a booking", responses=_ITEM, response_model=None)
def change(
    services: House,
    principal: Writer,
    audit: Audit,
    item_id: ItemId,
    body: ItemValues,
    if_match: IfMatch = None,
) -> Response:
    """Changes the fields that are named and leaves the others, with PUT as with PATCH."""
    given = body.given()
    before, changed = _replaced(services, item_id, if_match, _with(given), principal.name)
    if changed is before:
        audit.booking(Kind.READ, principal, changed)
    else:
        fields = field_names(changed_names(before, changed))
        audit.booking(Kind.UPDATED, principal, changed, fields)
        log.info("REST: item %d changed by %s", item_id, principal.name)
    answer = _answer(changed, JSON)
    if any(entry.name == changed.data_source for entry in services.config.data_sources):
        answer.headers["X-Pylantir-Note"] = (
            "this booking belongs to a source, which may change it again"
        )
    return answer


def _replaced(
    services: Services,
    item_id: int,
    if_match: str | None,
    change: Callable[[WorklistItem], WorklistItem],
    by: str,
) -> tuple[WorklistItem, WorklistItem]:
    """An item before and after a change that nobody else's change came in between of."""
    for attempt in range(_ATTEMPTS):
        item = services.items.get(item_id)
        require_unchanged(if_match, item)
        wanted = change(item)
        if wanted is item:
            return item, item
        try:
            return item, services.items.replace(wanted, by=by)
        except Conflict:
            if attempt == _ATTEMPTS - 1 or services.items.get(item_id).version == item.version:
                raise
    raise AssertionError("the last attempt returns or raises")


def _with(values: dict[str, Any]) -> Callable[[WorklistItem], WorklistItem]:
    def change(item: WorklistItem) -> WorklistItem:
        changes = changes_in(values, item)
        return change_item(item, changes) if changes else item

    return change


def _cancelled(item: WorklistItem) -> WorklistItem:
    if item.status is ItemStatus.CANCELLED:
        raise NotFound(f"item {item.item_id} is cancelled already")
    return replace(item, status=ItemStatus.CANCELLED)


@router.delete("/{item_id}", summary="Cancel a booking")
def delete(
    services: House,
    principal: Writer,
    audit: Audit,
    item_id: ItemId,
    if_match: IfMatch = None,
) -> dict[str, str]:
    """Takes a booking that no scanner has begun off the list; it stays as CANCELLED."""
    item = _replaced(services, item_id, if_match, _cancelled, principal.name)[1]
    audit.booking(Kind.DELETED, principal, item)
    log.info("REST: item %d cancelled by %s", item_id, principal.name)
    return {"message": f"Worklist item {item_id} deleted successfully"}


def _answer(item: WorklistItem, media: str) -> Response:
    headers = {"ETag": etag(item), "Vary": "Accept"}
    body = encoded(item) if media == JSON else as_text([item], media)
    return Response(body, 200, headers, media)
