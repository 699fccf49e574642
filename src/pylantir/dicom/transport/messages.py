"""What handlers do to the association that they were called for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pynetdicom import evt

if TYPE_CHECKING:
    from pydicom.uid import UID
    from pynetdicom.association import Association
    from pynetdicom.events import Event


def write(association: Association, data: bytes) -> None:
    """Write whole PDUs to the peer; a broken connection ends the association, as always."""
    layer: Any = association.dul
    layer.write(data)


def refuse(association: Association, result: int, source: int, diagnostic: int) -> None:
    """Send A-ASSOCIATE-RJ (PS3.8 Table 9-21) and end the association."""
    accepted: Any = association
    accepted.leave()  # a rejected peer has no slot, however long it stays connected
    association.acse.send_reject(result, source, diagnostic)
    evt.trigger(association, evt.EVT_REJECTED, {})
    association.kill()


def withhold(association: Association, sop_classes: frozenset[UID]) -> None:
    """Let presentation contexts of these SOP classes be rejected; before it is negotiated."""
    negotiation: Any = association.acse
    negotiation.withheld = sop_classes


def name_attributes(association: Association, tags: list[int]) -> None:
    """Put an Attribute Identifier List (0000,1005) into the N-CREATE response that comes next.

    The library has no place for one there, though PS3.7 Annex C wants it beside the status.
    """

    def add(event: Event) -> None:
        association.unbind(evt.EVT_DIMSE_SENT, add)
        event.message.command_set.AttributeIdentifierList = tags
        event.message._set_command_group_length()

    association.bind(evt.EVT_DIMSE_SENT, add)
