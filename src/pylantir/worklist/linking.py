"""Linking performed steps to scheduled ones (PS3.4 F.7.2.1.2 and its notes, IHE RAD-6).

The rules are tried in order; each one links only when exactly one item satisfies it. Never a
guess: what no rule links is kept as unscheduled and shown to people.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from pylantir.worklist.item import WorklistItem
from pylantir.worklist.lookup import items_of_order, items_of_patient_on, items_of_studies
from pylantir.worklist.query import fold_name
from pylantir.worklist.status import SCHEDULED_STATUSES
from pylantir.worklist.step import PerformedProcedureStep, ScheduledStepReference

BY_HAND = "by hand"


@dataclass(frozen=True, slots=True)
class _Case:
    """What a rule looks at."""

    connection: Connection
    step: PerformedProcedureStep
    reference: ScheduledStepReference

    def is_step(self, item: WorklistItem) -> bool:
        """Same Scheduled Procedure Step ID, or the scanner named none."""
        named = self.reference.scheduled_procedure_step_id
        return not named or named == item.scheduled_procedure_step_id


def _by_study(case: _Case) -> list[WorklistItem]:
    """Study Instance UID and Scheduled Procedure Step ID."""
    found = items_of_studies(case.connection, [case.reference.study_instance_uid])
    return [item for item in found if case.is_step(item)]


def _by_order(case: _Case) -> list[WorklistItem]:
    """Accession Number, Requested Procedure ID and Scheduled Procedure Step ID, all three."""
    reference = case.reference
    if not (
        reference.accession_number
        and reference.requested_procedure_id
        and reference.scheduled_procedure_step_id
    ):
        return []
    found = items_of_order(
        case.connection, reference.accession_number, reference.requested_procedure_id
    )
    return [item for item in found if case.is_step(item)]


def _by_referenced_study(case: _Case) -> list[WorklistItem]:
    """Group case: the scanner made a new study and lists the scheduled ones (note 2)."""
    found = items_of_studies(case.connection, case.reference.referenced_study_uids)
    return [item for item in found if case.is_step(item)]


def _by_patient_and_day(case: _Case) -> list[WorklistItem]:
    """The patient's only booking of the day on this scanner, when nothing contradicts it."""
    step = case.step
    if not step.patient_id:
        return []
    found = items_of_patient_on(case.connection, step.patient_id, step.started.date())
    return [item for item in found if _is_of_scanner(step, item) and not _contradicts(case, item)]


def _is_of_scanner(step: PerformedProcedureStep, item: WorklistItem) -> bool:
    scanners = {step.performed_station_ae_title, step.calling_ae_title}
    return bool(scanners & set(item.scheduled_station_ae_title))


def _contradicts(case: _Case, item: WorklistItem) -> bool:
    """Whether anything the scanner said belongs to another booking."""
    reference, step = case.reference, case.step
    said_and_booked = (
        (reference.accession_number, item.accession_number),
        (reference.requested_procedure_id, item.requested_procedure_id),
        (reference.scheduled_procedure_step_id, item.scheduled_procedure_step_id),
        (step.modality, item.modality),
        (fold_name(step.patient_name), fold_name(item.patient_name)),
    )
    if any(said and said != booked for said, booked in said_and_booked):
        return True
    studies = (reference.study_instance_uid, *reference.referenced_study_uids)
    others = items_of_studies(case.connection, studies)
    return bool(others) or item.status not in SCHEDULED_STATUSES


RULES: tuple[tuple[str, Callable[[_Case], list[WorklistItem]]], ...] = (
    ("study and step", _by_study),
    ("order and step", _by_order),
    ("referenced study", _by_referenced_study),
    ("patient, scanner and day", _by_patient_and_day),
)


def find_item(
    connection: Connection, step: PerformedProcedureStep, reference: ScheduledStepReference
) -> tuple[WorklistItem | None, str]:
    """The item that a reference of a step means, and the rule that says so.

    Returns
    -------
    (WorklistItem or None, str)
        Nothing and an empty rule when no rule finds exactly one item.
    """
    case = _Case(connection, step, reference)
    for name, rule in RULES:
        found = rule(case)
        if len(found) == 1:
            return found[0], name
        if found:
            break  # several: a weaker rule must not choose among them
    return None, ""
