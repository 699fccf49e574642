"""``/performed-steps``: what scanners reported, and which booking it belongs to."""

from __future__ import annotations

import logging
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from pylantir.api.access import House, Reader, Writer
from pylantir.api.audited import Audit
from pylantir.api.bodies import StrictRoute
from pylantir.api.candidates import Candidate, bookings_around, candidates, scanner_of
from pylantir.api.fields import WallTime, WorklistItemOut, rest_item
from pylantir.api.listing import MAX_PAGE
from pylantir.audit.events import Kind
from pylantir.worklist.status import StepStatus
from pylantir.worklist.step import LinkedStep

log = logging.getLogger(__name__)
router = APIRouter(route_class=StrictRoute, prefix="/performed-steps", tags=["performed steps"])

SopInstanceUid = Annotated[
    str, Path(pattern=r"^[0-9.]{1,64}$", description="SOP Instance UID of the step")
]


class Link(BaseModel):
    """How one reference of a step belongs to a booking."""

    position: int
    item_id: int | None
    rule: str = Field(description="how it was linked; empty when it was not")


class Step(BaseModel):
    """A performed procedure step."""

    sop_instance_uid: str
    status: StepStatus
    performed_procedure_step_id: str
    performed_station_ae_title: str
    calling_ae_title: str
    modality: str
    patient_id: str
    patient_name: str
    started: WallTime = Field(description="the scanner's wall clock")
    ended: WallTime | None
    discontinuation_reason: str
    links: list[Link]
    is_unlinked: bool = Field(description="a person should look at it")
    violations: list[str] = Field(description="rules that the scanner broke")


class WholeStep(Step):
    """A performed procedure step with all that the scanner sent."""

    attributes: dict[str, Any] = Field(description="the data set, DICOM JSON (PS3.18 F)")


class ComparedOut(BaseModel):
    """One value of the step beside that of a booking."""

    what: str = Field(description="name of the attribute")
    said: str = Field(description="what the scanner said")
    booked: str
    same: bool | None = Field(description="null when one of them is empty")


class CandidateOut(BaseModel):
    """A booking that a step may belong to."""

    item: WorklistItemOut
    agreement: int = Field(description="what speaks for it, less what contradicts")
    compared: list[ComparedOut]


class NewLink(BaseModel):
    """Which booking a step belongs to."""

    model_config = ConfigDict(extra="forbid")

    item_id: int = Field(ge=1, le=2**63 - 1, strict=True)
    position: int | None = Field(
        None,
        ge=0,
        le=10_000,
        strict=True,
        description="which reference; the first without a booking",
    )


@router.get("", summary="List performed steps")
def list_steps(
    services: House,
    principal: Reader,
    audit: Audit,
    response: Response,
    unlinked: Annotated[bool, Query(description="only those that belong to no booking")] = False,
    status: Annotated[list[StepStatus] | None, Query(description="repeatable")] = None,
    item_id: Annotated[int | None, Query(ge=1, description="only those of this booking")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
    offset: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
) -> list[Step]:
    """Performed steps, the newest first."""
    found = [
        linked
        for linked in services.steps.all(unlinked=unlinked)
        if (not status or linked.step.status in status)
        and (item_id is None or item_id in linked.item_ids)
    ]
    response.headers["X-Total-Count"] = str(len(found))
    audit.asked(principal, len(found))
    return [Step(**_values(linked)) for linked in found[offset : offset + limit]]


@router.get("/{sop_instance_uid}", summary="One performed step")
def get_step(
    services: House, principal: Reader, audit: Audit, sop_instance_uid: SopInstanceUid
) -> WholeStep:
    """One performed step with all that the scanner sent."""
    linked = services.steps.get(sop_instance_uid)
    audit.performed(Kind.READ, principal, linked)
    return _whole(linked)


@router.get("/{sop_instance_uid}/candidates", summary="Bookings that a step may belong to")
def list_candidates(
    services: House, principal: Reader, audit: Audit, sop_instance_uid: SopInstanceUid
) -> list[CandidateOut]:
    """The likeliest first, each value beside what the scanner said; a person chooses."""
    linked = services.steps.get(sop_instance_uid)
    around = bookings_around(services, linked.step)
    found = candidates(linked.step, scanner_of(linked), around)
    audit.performed(Kind.READ, principal, linked)
    for each in found:
        audit.booking(Kind.READ, principal, each.item)
    return [_candidate(each) for each in found]


def _candidate(found: Candidate) -> CandidateOut:
    compared = [
        ComparedOut(what=c.what, said=c.said, booked=c.booked, same=c.is_same)
        for c in found.compared
    ]
    item = WorklistItemOut(**rest_item(found.item))
    return CandidateOut(item=item, agreement=found.agreement, compared=compared)


@router.post("/{sop_instance_uid}/link", summary="Tie a step to a booking")
def link_step(
    services: House,
    principal: Writer,
    audit: Audit,
    sop_instance_uid: SopInstanceUid,
    body: NewLink,
) -> WholeStep:
    """Ties a step that named no booking to one; the booking follows the step."""
    linked = services.steps.link(sop_instance_uid, body.item_id, body.position, by=principal.name)
    audit.performed(Kind.UPDATED, principal, linked)
    log.info("REST: a performed step was linked to item %d by %s", body.item_id, principal.name)
    return _whole(linked)


def _whole(linked: LinkedStep) -> WholeStep:
    return WholeStep(**_values(linked), attributes=dict(linked.step.attributes))


def _values(linked: LinkedStep) -> dict[str, Any]:
    step = linked.step
    same = (
        "sop_instance_uid status performed_procedure_step_id performed_station_ae_title "
        "calling_ae_title modality patient_id patient_name started ended"
    ).split()
    reason = step.discontinuation_reason
    return {name: getattr(step, name) for name in same} | {
        "discontinuation_reason": f"{reason.meaning} ({reason.value}, {reason.scheme})"
        if reason
        else "",
        "links": [
            Link(position=link.position, item_id=link.item_id, rule=link.rule)
            for link in linked.links
        ],
        "is_unlinked": linked.is_unlinked,
        "violations": list(step.violations),
    }
