"""``/worklist/{id}/history`` and ``/worklist/{id}/data-sets``: a booking over time, and as sent."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from pylantir.api.access import House, Reader
from pylantir.api.audited import Audit
from pylantir.api.bodies import StrictRoute
from pylantir.api.fields import WallTime
from pylantir.api.history import data_set_of, happenings
from pylantir.api.routes.scanners import ItemId, explain_item, served_item
from pylantir.dicom.worklist_files import data_set_as_json

router = APIRouter(route_class=StrictRoute, prefix="/worklist", tags=["worklist"])


class HappeningOut(BaseModel):
    """Something that happened to a booking."""

    at: WallTime = Field(description="wall-clock time of the site")
    kind: str = Field(
        description="created, changed, cancelled, withdrawn, linked, seen, begun or ended"
    )
    who: str = Field(
        description="account, source, scanner, or whoever ran a command; empty when unknown"
    )
    fields: list[str] = Field(description="names of what was changed; values are not kept")
    detail: str


class HistoryOut(BaseModel):
    """A booking over time."""

    events: list[HappeningOut] = Field(description="the oldest first")
    held_back: list[str] = Field(
        description="names of what its source changed after a scanner had begun"
    )


class DataSetOut(BaseModel):
    """What a scanner gets of a booking."""

    ae_title: str
    shown: bool | None = Field(description="whether its newest query shows it; null when unknown")
    data_set: dict[str, Any] = Field(
        description="the identifier of the response when every key is asked for, DICOM JSON "
        "(PS3.18 F); a scanner gets those of these attributes that it asks for"
    )


@router.get("/{item_id}/history", summary="Who made and changed a booking, who saw and scanned it")
def item_history(services: House, principal: Reader, audit: Audit, item_id: ItemId) -> HistoryOut:
    """What is remembered of a booking: people, sources and scanners, each with the moment."""
    item = served_item(services, item_id)
    history = services.items.history(item_id)
    explained = explain_item(services, principal, audit, item_id, "")
    steps = services.steps.all(item_id=item_id)
    return HistoryOut(
        events=[
            HappeningOut(
                at=each.at,
                kind=each.kind,
                who=each.who,
                fields=list(each.fields),
                detail=each.more,
            )
            for each in happenings(services, item, history, steps, explained)
        ],
        held_back=sorted(history.held_back),
    )


@router.get("/{item_id}/data-sets", summary="What each scanner gets of a booking")
def item_data_sets(
    services: House,
    principal: Reader,
    audit: Audit,
    item_id: ItemId,
    ae: Annotated[
        str, Query(max_length=16, description="AE title; every known scanner when absent")
    ] = "",
) -> list[DataSetOut]:
    """The exact data set, with the character set and the station of each scanner."""
    item = served_item(services, item_id)
    return [
        DataSetOut(
            ae_title=each.ae_title,
            shown=each.shown,
            data_set=data_set_as_json(data_set_of(services, item, each.ae_title)),
        )
        for each in explain_item(services, principal, audit, item_id, ae)
    ]
