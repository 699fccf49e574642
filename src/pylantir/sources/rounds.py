"""What one round of a source did, or would do."""

from __future__ import annotations

from dataclasses import dataclass

from pylantir.sources.base import RejectedRecord
from pylantir.worklist.schedule import Plan
from pylantir.worklist.sources import FROZEN, SyncRun


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What one round did, or would do.

    Parameters
    ----------
    plan : Plan
        Items created, changed, withdrawn, held back.
    rejected : tuple of RejectedRecord
        Records that are no bookings.
    complete : bool
        The batch covered all that it should.
    frozen : bool
        So much would have gone at once that nothing was withdrawn and the cursor stayed.
    fetched : int
        Records in the batch.
    notes : tuple of str
        What a person should know.
    newly_rejected : int
        How many of the rejected were not rejected the round before, or for other reasons.
    unlike_before : bool
        It was complete, or frozen, where the round before was not, or the other way round.
    """

    plan: Plan
    rejected: tuple[RejectedRecord, ...]
    complete: bool
    frozen: bool
    fetched: int
    notes: tuple[str, ...]
    newly_rejected: int = 0
    unlike_before: bool = False

    @property
    def says_something(self) -> bool:
        """Whether anything is different from the round before."""
        plan = self.plan
        return bool(
            plan.created
            or plan.changed
            or plan.withdrawn
            or plan.held_back
            or self.newly_rejected
            or self.unlike_before
        )

    @property
    def summary(self) -> str:
        """One line without any value of a record."""
        plan = self.plan
        words = (
            f"{self.fetched} fetched, {len(plan.created)} created, {len(plan.changed)} changed, "
            f"{plan.unchanged} unchanged, {len(plan.withdrawn)} withdrawn, "
            f"{len(self.rejected)} rejected"
        )
        if plan.held_back:
            words += f", {len(plan.held_back)} held back"
        return words + ("" if self.complete else ", incomplete")


def run_of(name: str, report: SyncReport, started: str, ended: str) -> SyncRun:
    """The row of a round; instants are UTC, ISO 8601."""
    plan = report.plan
    return SyncRun(
        source=name,
        started=started,
        ended=ended,
        complete=report.complete,
        fetched=report.fetched,
        created=len(plan.created),
        updated=len(plan.changed),
        unchanged=plan.unchanged,
        withdrawn=len(plan.withdrawn),
        rejected=len(report.rejected),
        message=FROZEN if report.frozen else "",
    )
