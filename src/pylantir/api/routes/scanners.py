"""``/scanners`` and ``/worklist/{id}/explain``: what scanners asked, and what they see."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from pylantir.api.access import House, Reader
from pylantir.api.audited import Audit
from pylantir.api.bodies import StrictRoute
from pylantir.api.fields import WallTime
from pylantir.api.services import Services
from pylantir.audit.events import Kind
from pylantir.dicom.explain import Explanation, explain, scanners
from pylantir.errors import NotFound
from pylantir.worklist.instance import as_served
from pylantir.worklist.item import WorklistItem

router = APIRouter(route_class=StrictRoute, tags=["scanners"])

ItemId = Annotated[int, Path(ge=1, le=2**63 - 1, description="number of the item")]


class ScannerOut(BaseModel):
    """A scanner that is configured, or has asked."""

    ae_title: str
    last_query: dt.datetime | None = Field(description="UTC")
    address: str | None = Field(description="where it asked from")
    found: int | None = Field(description="how many items it was shown")
    last_step: WallTime | None = Field(description="start of its newest scan, its wall clock")


class FindingOut(BaseModel):
    """One reason that a booking is shown or not."""

    what: str = Field(description="key, setting or state that was looked at")
    asked: str
    has: str
    fits: bool | None = Field(description="null when it cannot be told")
    remedy: str = Field(description="what would make it fit")


class QueryOut(BaseModel):
    """What the scanner asked."""

    at: dt.datetime
    asked: list[str]
    found: int
    fits: bool | None = Field(description="whether the booking would be in the answer now")


class ExplanationOut(BaseModel):
    """Why a booking is, or is not, on a scanner's list."""

    ae_title: str
    shown: bool | None = Field(description="null when it cannot be told")
    summary: str
    findings: list[FindingOut]
    queries: list[QueryOut] = Field(description="the newest first")


@router.get("/scanners", summary="What scanners asked and did last")
def list_scanners(services: House, _: Reader) -> list[ScannerOut]:
    """Scanners that are configured or have asked, each with its newest query and scan."""
    asked = {each.ae_title: each for each in services.journal.last_of_each()}
    steps = services.steps.newest_of_each()
    titles = dict.fromkeys((*scanners(services.config), *asked, *steps))
    return [
        ScannerOut(
            ae_title=title,
            last_query=asked[title].at if title in asked else None,
            address=asked[title].address if title in asked else None,
            found=asked[title].found if title in asked else None,
            last_step=steps.get(title),
        )
        for title in titles
        if title
    ]


@router.get("/worklist/{item_id}/explain", summary="Why a scanner does not show a booking")
def explain_item(
    services: House,
    principal: Reader,
    audit: Audit,
    item_id: ItemId,
    ae: Annotated[
        str, Query(max_length=16, description="calling AE title; every known scanner when absent")
    ] = "",
) -> list[ExplanationOut]:
    """Key by key: what the scanner asked last, what the booking has, and what would change it."""
    item = served_item(services, item_id)
    titles = [ae] if ae else scanners(services.config, services.journal)
    audit.booking(Kind.READ, principal, item)
    today = services.clock.today()
    config = as_served(services.config)
    return [
        _shown(explain(config, services.items, services.journal, item, title, today))
        for title in titles
    ]


def served_item(services: Services, item_id: int) -> WorklistItem:
    """A booking; of a row that cannot be one, the reason.

    Raises
    ------
    NotFound
        There is no such booking.
    """
    try:
        return services.items.get(item_id)
    except NotFound:
        for row in services.items.rejected():
            if row.item_id == item_id:
                raise NotFound(f"row {item_id} cannot be shown: {row.reason}") from None
        raise


def _shown(found: Explanation) -> ExplanationOut:
    return ExplanationOut(
        ae_title=found.ae_title,
        shown=found.shown,
        summary=found.summary,
        findings=[
            FindingOut(
                what=each.what, asked=each.asked, has=each.has, fits=each.fits, remedy=each.remedy
            )
            for each in found.findings
        ],
        queries=[
            QueryOut(at=each.at, asked=list(each.asked), found=each.found, fits=each.fits)
            for each in found.queries
        ],
    )
