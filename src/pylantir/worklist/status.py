"""The status of a scheduled procedure step and how it may move (PS3.3 C.4.10, PS3.4 F.7.2).

The scanner owns progress: once a performed step is linked, the status follows from the steps
(:func:`progress`). Before that, people and sources move it along :data:`MOVES`.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class ItemStatus(StrEnum):
    """Status of a worklist item. The values are those of the published REST API and database."""

    SCHEDULED = "SCHEDULED"
    ARRIVED = "ARRIVED"
    READY = "READY"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    DISCONTINUED = "DISCONTINUED"
    CANCELLED = "CANCELLED"

    @property
    def dicom(self) -> str:
        """Scheduled Procedure Step Status as a scanner sees it (defined terms of C.4.10)."""
        return _DICOM_TERMS.get(self, self.value)


class StepStatus(StrEnum):
    """Performed Procedure Step Status (PS3.3 C.4.14)."""

    IN_PROGRESS = "IN PROGRESS"
    COMPLETED = "COMPLETED"
    DISCONTINUED = "DISCONTINUED"


_DICOM_TERMS = {ItemStatus.IN_PROGRESS: "STARTED", ItemStatus.CANCELLED: "CANCELED"}

_SPELLINGS = {
    **{status.value: status for status in ItemStatus},
    "IN PROGRESS": ItemStatus.IN_PROGRESS,
    "IN-PROGRESS": ItemStatus.IN_PROGRESS,
    "STARTED": ItemStatus.IN_PROGRESS,
    "CANCELED": ItemStatus.CANCELLED,
    "DISCONTINUE": ItemStatus.DISCONTINUED,
}

SCHEDULED_STATUSES = (ItemStatus.SCHEDULED, ItemStatus.ARRIVED, ItemStatus.READY)
"""Not begun: the source may still move, change or withdraw the item."""

HIDDEN_BY_DEFAULT = (ItemStatus.COMPLETED, ItemStatus.DISCONTINUED, ItemStatus.CANCELLED)
"""Not shown to a scanner unless the query names a status."""

MOVES: dict[ItemStatus, frozenset[ItemStatus]] = {
    # A centre whose scanner sends no MPPS closes its items by hand: all roads lead out.
    **{status: frozenset(set(ItemStatus) - {status}) for status in SCHEDULED_STATUSES},
    ItemStatus.IN_PROGRESS: frozenset(
        {ItemStatus.COMPLETED, ItemStatus.DISCONTINUED, ItemStatus.SCHEDULED}
    ),
    ItemStatus.COMPLETED: frozenset({ItemStatus.IN_PROGRESS}),
    ItemStatus.DISCONTINUED: frozenset({ItemStatus.IN_PROGRESS, ItemStatus.SCHEDULED}),
    ItemStatus.CANCELLED: frozenset({ItemStatus.SCHEDULED, ItemStatus.IN_PROGRESS}),
}
"""From a status to those it may move to: by a person, a source, or a scanner's report."""


def parse_status(value: object) -> ItemStatus:
    """A status in any of the spellings in use.

    Raises
    ------
    ValueError
        No such status.
    """
    if isinstance(value, ItemStatus):
        return value
    shown = str(value or "SCHEDULED").strip().upper()
    try:
        return _SPELLINGS[shown]
    except KeyError:
        expected = ", ".join(status.value for status in ItemStatus)
        raise ValueError(f"expected one of {expected}") from None


def progress(steps: Iterable[tuple[StepStatus, bool]]) -> ItemStatus:
    """Status of an item that follows from the performed steps linked to it.

    Parameters
    ----------
    steps : iterable of (status, released)
        `released` steps were discontinued because the wrong worklist entry was selected
        (110514, DCM) and do not count for this item.

    Returns
    -------
    ItemStatus
        IN_PROGRESS while any step runs, else COMPLETED when any was completed, else
        DISCONTINUED; SCHEDULED when no step counts.
    """
    counted = {status for status, released in steps if not released}
    for step_status, item_status in (
        (StepStatus.IN_PROGRESS, ItemStatus.IN_PROGRESS),
        (StepStatus.COMPLETED, ItemStatus.COMPLETED),
        (StepStatus.DISCONTINUED, ItemStatus.DISCONTINUED),
    ):
        if step_status in counted:
            return item_status
    return ItemStatus.SCHEDULED
