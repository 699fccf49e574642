"""What scanners ask for and report, as events of the audit trail."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pylantir.audit import events
from pylantir.audit.events import Actor, Kind, Outcome, Role
from pylantir.audit.trail import AuditTrail
from pylantir.errors import PylantirError
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.step import LinkedStep
from pylantir.worklist.store import ItemStore

if TYPE_CHECKING:
    from pynetdicom.association import Association
    from pynetdicom.events import Event

log = logging.getLogger(__name__)


@dataclass(slots=True)
class QueryOutcome:
    """How a query went, filled in while it is answered.

    Parameters
    ----------
    found : int
        Items in the answer so far.
    outcome, reason : int, str
        See :class:`~pylantir.audit.events.AuditEvent`.
    """

    found: int = 0
    outcome: int = Outcome.SUCCESS
    reason: str = "the scanner has gone"

    def answered(self, found: int, reason: str = "") -> None:
        """The scanner has its answer."""
        self.found, self.reason = found, reason

    def failed(self, reason: str, outcome: int = Outcome.SERIOUS) -> None:
        """The scanner gets a failure instead."""
        self.outcome, self.reason = outcome, reason


class DicomAudit:
    """Hands over what happens on associations; nothing here waits or fails.

    Parameters
    ----------
    trail : AuditTrail
        Where the events go.
    items : ItemStore
        Tells whose bookings a performed step is linked to.
    """

    def __init__(self, trail: AuditTrail, items: ItemStore) -> None:
        self._trail = trail
        self._items = items

    @contextlib.contextmanager
    def query(self, event: Event, identifier: bytes) -> Iterator[QueryOutcome]:
        """Record a query when the block is over, however it ends."""
        how = QueryOutcome()
        try:
            yield how
        finally:
            requestor, called = event.assoc.requestor, event.assoc.acceptor
            self._trail.record(
                events.query(
                    requestor.ae_title.strip(),
                    called.ae_title.strip(),
                    requestor.address or "",
                    identifier,
                    transfer_syntax=str(event.context.transfer_syntax),
                    found=how.found,
                    outcome=how.outcome,
                    reason=how.reason,
                )
            )

    def performed(self, kind: Kind, event: Event, name: str, linked: LinkedStep) -> None:
        """Record what a scanner did to a step: one event for each patient that it concerns."""
        if not self._trail.is_kept:
            return
        step = linked.step
        items = self._linked_items(linked)
        details = {"Service": name, "Status": step.status.value}
        if items:
            details["Items"] = ", ".join(str(item.item_id) for item in items)
        else:
            details["Items"] = "none"
        whose: dict[str, list[tuple[str, str]]] = {}
        for item in items:
            study = (item.study_instance_uid, item.accession_number)
            whose.setdefault(item.patient_id, []).append(study)
        if not whose:
            studies = [(r.study_instance_uid, r.accession_number) for r in step.references]
            whose[step.patient_id] = [study for study in studies if study[0]]
        for patient_id, studies in whose.items():
            self._trail.record(
                events.performed(
                    kind,
                    _scanner(event.assoc),
                    step.sop_instance_uid,
                    studies,
                    patient_id=patient_id,
                    details=details,
                )
            )

    def not_performed(self, event: Event, name: str, reason: str, outcome: int) -> None:
        """Record a request about a step that was refused or failed."""
        request: Any = event.request
        given = getattr(request, "AffectedSOPInstanceUID", None)
        given = given or getattr(request, "RequestedSOPInstanceUID", None)
        kind = {"N-CREATE": Kind.CREATED, "N-SET": Kind.UPDATED}.get(name, Kind.READ)
        self._trail.record(
            events.performed(
                kind,
                _scanner(event.assoc),
                str(given or ""),
                (),
                details={"Service": name},
                reason=reason,
                outcome=outcome,
            )
        )

    def refused(self, association: Association, calling: str, called: str, reason: str) -> None:
        """Record an association that was not let in."""
        self._trail.record(
            events.refused(calling, called, association.requestor.address or "", reason)
        )

    def turned_away(self, calling: str, called: str, address: str, reason: str) -> None:
        """Record a connection that never became an association."""
        self._trail.record(events.refused(calling, called, address, reason))

    def _linked_items(self, linked: LinkedStep) -> list[WorklistItem]:
        """The bookings; what is stored is stored, even when they cannot be read right now."""
        known = {item.item_id: item for item in linked.items}
        found = []
        for number in linked.item_ids:
            try:
                found.append(known.get(number) or self._items.get(number))
            except PylantirError as error:
                log.debug("audit trail: item %d: %s", number, error.for_log)
        return found


def _scanner(association: Association) -> Actor:
    requestor = association.requestor
    title = requestor.ae_title.strip()
    return Actor(title, title, requestor.address or "", Role.SOURCE, True)
