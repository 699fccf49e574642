"""PerformedProcedureStep: what a scanner did, and how its status may move (PS3.4 F.7.2)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pylantir.worklist.item import WorklistItem
from pylantir.worklist.status import StepStatus
from pylantir.worklist.values import Code

TRANSITIONS: dict[StepStatus, frozenset[StepStatus]] = {
    StepStatus.IN_PROGRESS: frozenset(StepStatus),
    StepStatus.COMPLETED: frozenset(),
    StepStatus.DISCONTINUED: frozenset(),
}
"""By N-SET; the last two are final for the SCU (Table F.7.2-2)."""

WRONG_ENTRY_SELECTED = ("110514", "DCM")
"""Discontinuation reason "Incorrect worklist entry selected" (CID 9301)."""


@dataclass(frozen=True, slots=True)
class ScheduledStepReference:
    """One item of the Scheduled Step Attributes Sequence: which booking was performed.

    Parameters
    ----------
    study_instance_uid, accession_number, requested_procedure_id, scheduled_procedure_step_id : str
        As the scanner sent them; empty when it knows none.
    referenced_study_uids : tuple of str
        Scheduled studies, in a group case where the scanner made a study of its own.
    """

    study_instance_uid: str = ""
    accession_number: str = ""
    requested_procedure_id: str = ""
    scheduled_procedure_step_id: str = ""
    referenced_study_uids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StepProgress:
    """What the status of an item follows from.

    Parameters
    ----------
    status, started, discontinuation_reason
        See :class:`PerformedProcedureStep`.
    """

    status: StepStatus
    started: dt.datetime
    discontinuation_reason: Code | None = None

    @property
    def released(self) -> bool:
        """Whether it was begun on the wrong worklist entry and does not count for it."""
        reason = self.discontinuation_reason
        return (
            self.status is StepStatus.DISCONTINUED
            and reason is not None
            and (reason.value, reason.scheme) == WRONG_ENTRY_SELECTED
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformedProcedureStep:
    """One Modality Performed Procedure Step (PS3.3 B.17).

    Parameters
    ----------
    sop_instance_uid : str
        Its identity.
    status : StepStatus
        IN PROGRESS, COMPLETED or DISCONTINUED.
    started, ended : datetime, datetime or None
        The scanner's wall clock.
    discontinuation_reason : Code or None
        First item of the Discontinuation Reason Code Sequence.
    references : tuple of ScheduledStepReference
        The bookings it says it performed; one empty reference when unscheduled.
    attributes : mapping
        The whole data set as DICOM JSON (PS3.18 Annex F).
    violations : tuple of str
        Rules of the standard that the scanner broke and we let pass.
    """

    sop_instance_uid: str
    status: StepStatus
    performed_procedure_step_id: str
    performed_station_ae_title: str
    calling_ae_title: str
    modality: str
    patient_id: str
    patient_name: str
    started: dt.datetime
    ended: dt.datetime | None = None
    discontinuation_reason: Code | None = None
    references: tuple[ScheduledStepReference, ...] = ()
    attributes: Mapping[str, Any] = field(hash=False)
    violations: tuple[str, ...] = ()
    version: int = 0

    @property
    def is_final(self) -> bool:
        """Whether the scanner may no longer change it."""
        return not TRANSITIONS[self.status]

    @property
    def released(self) -> bool:
        """Whether it was begun on the wrong worklist entry and does not count for it."""
        return StepProgress(self.status, self.started, self.discontinuation_reason).released


@dataclass(frozen=True, slots=True)
class StepLink:
    """How one reference of a step was linked.

    Parameters
    ----------
    position : int
        Place in the Scheduled Step Attributes Sequence, from 0.
    item_id : int or None
        The worklist item; nothing when the reference could not be linked.
    rule : str
        Name of the rule that linked it, see :mod:`pylantir.worklist.linking`.
    """

    position: int
    item_id: int | None
    rule: str


@dataclass(frozen=True, slots=True)
class LinkedStep:
    """A performed step and what it is linked to.

    Parameters
    ----------
    step : PerformedProcedureStep
        What the scanner did.
    links : tuple of StepLink
        One for each of its references.
    items : tuple of WorklistItem
        Linked items as far as they were read in the same transaction, as they were before it.

    Attributes
    ----------
    item_ids : tuple of int
        Numbers of the linked items.
    """

    step: PerformedProcedureStep
    links: tuple[StepLink, ...]
    items: tuple[WorklistItem, ...] = field(default=(), compare=False, repr=False)
    item_ids: tuple[int, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        numbers = tuple([link.item_id for link in self.links if link.item_id is not None])
        object.__setattr__(self, "item_ids", numbers)

    @property
    def is_unlinked(self) -> bool:
        """Whether a person should look at it: some reference has no item."""
        return not self.links or any(link.item_id is None for link in self.links)
