"""``/sources`` and ``/rejected``: where bookings come from, and what could not become one."""

from __future__ import annotations

import logging
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field

from pylantir.api.access import House, Reader, Writer
from pylantir.api.audited import Audit
from pylantir.api.bodies import StrictRoute
from pylantir.api.listing import MAX_PAGE
from pylantir.api.services import Services
from pylantir.errors import NotFound
from pylantir.worklist.outbox import Outbox
from pylantir.worklist.sources import SourceState

log = logging.getLogger(__name__)
router = APIRouter(route_class=StrictRoute, tags=["sources"])

SourceName = Annotated[str, Path(max_length=255, description="name of the source")]


class SourceOut(BaseModel):
    """How a source is doing. Instants are UTC."""

    name: str
    type: str | None = Field(description="null when it is no longer configured")
    state: Literal["ok", "failing", "never run", "disabled", "orphan"]
    last_attempt: str | None
    last_success: str | None
    last_full: str | None = Field(description="newest comparison of everything in the window")
    next_run: str | None
    failures: int = Field(description="failed rounds in a row")
    last_error: str | None
    notes: list[str]
    items: dict[str, int] = Field(description="number of its bookings by status")
    rejected: int = Field(description="records that are no bookings")


class Requested(BaseModel):
    """A round was asked for; GET /sources says how it went."""

    source: str
    status: str = "requested"


class Rejected(BaseModel):
    """What could not become a booking, and why."""

    kind: Literal["record", "row"] = Field(description="of a source, or written by another program")
    source: str | None
    record_id: str | None
    item_id: int | None
    reasons: str
    first_seen: str | None
    last_seen: str | None


@router.get("/sources", summary="How the sources are doing")
def list_sources(services: House, _: Reader) -> list[SourceOut]:
    """Every source that is configured or has bookings here."""
    states = {state.name: state for state in services.sources.states()}
    counts = services.sources.item_counts()
    configured = [entry.name for entry in services.config.data_sources]
    others = sorted(set(states) - set(configured))
    rejected: dict[str, int] = {}
    for each in services.sources.rejections():
        rejected[each.source] = rejected.get(each.source, 0) + 1
    shown = [
        _shown(services, name, states.get(name), counts.get(name, {}), rejected.get(name, 0))
        for name in (*configured, *others)
    ]
    troubles = Outbox(services.sources.database).troubles()
    for source in shown:
        source.notes += [troubles[source.name]] if source.name in troubles else []
    return shown


@router.post("/sources/{name}/sync", status_code=202, summary="Let a source fetch now")
def sync(services: House, principal: Writer, name: SourceName) -> Requested:
    """Asks for a round now; answers before it is done."""
    if not any(entry.name == name and entry.enabled for entry in services.config.data_sources):
        raise NotFound(f"no enabled source {name[:80]!r}")
    services.request_sync(name)
    log.info("REST: a round of source %s was asked for by %s", name, principal.name)
    return Requested(source=name)


@router.get("/rejected", summary="What could not become a booking")
def list_rejected(
    services: House,
    principal: Reader,
    audit: Audit,
    response: Response,
    source: Annotated[str | None, Query(max_length=255)] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
    offset: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
) -> list[Rejected]:
    """Records of sources and rows of other programs, each with its reasons."""
    found = rejected_of(services, source)
    response.headers["X-Total-Count"] = str(len(found))
    audit.asked(principal, len(found))
    return found[offset : offset + limit]


def rejected_of(services: Services, source: str | None = None) -> list[Rejected]:
    """Records of sources and rows of other programs that could not become a booking."""
    records = [
        Rejected(
            kind="record",
            source=each.source,
            record_id=each.record_id,
            item_id=None,
            reasons=each.reasons,
            first_seen=each.first_seen,
            last_seen=each.last_seen,
        )
        for each in services.sources.rejections(source)
    ]
    rows = [
        Rejected(
            kind="row",
            source=row.data_source or None,
            record_id=row.source_record_id or None,
            item_id=row.item_id,
            reasons=row.reason,
            first_seen=None,
            last_seen=None,
        )
        for row in services.items.rejected()
        if source is None or row.data_source == source
    ]
    return [*records, *rows]


def _shown(
    services: Services, name: str, state: SourceState | None, counts: dict[str, int], rejected: int
) -> SourceOut:
    known = state or SourceState(name)
    entry = next((e for e in services.config.data_sources if e.name == name), None)
    word: Literal["ok", "failing", "never run", "disabled", "orphan"] = "ok"
    if entry is None:
        word = "orphan"
    elif not entry.enabled:
        word = "disabled"
    elif state is None:
        word = "never run"
    elif state.failures:
        word = "failing"
    return SourceOut(
        name=name,
        type=entry.type if entry else None,
        state=word,
        last_attempt=known.last_attempt or None,
        last_success=known.last_success or None,
        last_full=known.last_full or None,
        next_run=known.next_run or None,
        failures=known.failures,
        last_error=known.last_error or None,
        notes=list(known.notes),
        items=counts,
        rejected=rejected,
    )
