"""What people and programs do over REST, as events of the audit trail."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from fastapi import Depends, Request

from pylantir.api.access import address_of
from pylantir.api.services import services_of
from pylantir.audit import events
from pylantir.audit.events import Actor, AuditEvent, Kind
from pylantir.users.account import Principal
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.step import LinkedStep


class RestAudit:
    """Hands over what one request does; nothing here waits or fails.

    Parameters
    ----------
    request : Request
        The request.
    """

    def __init__(self, request: Request) -> None:
        self._trail = services_of(request).audit
        self._address = address_of(request)
        self._request = request

    def signed_in(self, username: str, failed: str = "") -> None:
        """Somebody proved who they are with a password, or did not."""
        self._record(events.authentication(Kind.LOGIN, username, self._address, failed=failed))

    def signed_out(self, principal: Principal) -> None:
        """Somebody ended their tokens."""
        self._record(events.authentication(Kind.LOGOUT, principal.name, self._address))

    def account(self, username: str, what: str, reason: str) -> None:
        """An account was made, changed or deleted."""
        self._record(events.configured(self._actor(username), what, reason))

    def asked(self, principal: Principal, found: int) -> None:
        """A list was looked at: what was asked for, and how much was found."""
        words = f"{self._request.url.path}?{self._request.url.query}"
        self._record(events.asked(self._actor(principal.name), words, found))

    def booking(
        self,
        kind: Kind,
        principal: Principal,
        item: WorklistItem,
        details: Mapping[str, str] | None = None,
    ) -> None:
        """A booking was read, made, changed or cancelled."""
        who = self._actor(principal.name)
        self._record(events.booking(kind, who, item, details=details))

    def performed(self, kind: Kind, principal: Principal, linked: LinkedStep) -> None:
        """A performed step was read or linked."""
        step = linked.step
        studies = [(r.study_instance_uid, r.accession_number) for r in step.references]
        self._record(
            events.performed(
                kind,
                self._actor(principal.name),
                step.sop_instance_uid,
                [study for study in studies if study[0]],
                patient_id=step.patient_id,
                details={"Items": ", ".join(map(str, linked.item_ids)) or "none"},
            )
        )

    def _actor(self, username: str) -> Actor:
        return Actor(username, "", self._address, "", True)

    def _record(self, event: AuditEvent) -> None:
        self._trail.record(event)


async def _audit(request: Request) -> RestAudit:
    return RestAudit(request)


Audit = Annotated[RestAudit, Depends(_audit)]
"""The audit trail, for a route."""


def field_names(values: Iterable[Any]) -> dict[str, str]:
    """Names of the fields that changed, for an event: names, never values."""
    return {"Fields": ", ".join(sorted(map(str, values)))}
