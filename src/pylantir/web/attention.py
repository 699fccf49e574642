"""What needs a person: each thing with its value and the way out; gone by itself once mended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from pylantir.api.routes.sources import Rejected
from pylantir.web.board import Board, Row
from pylantir.web.vitals import Light
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.step import LinkedStep


class Kind(StrEnum):
    """What is wrong, the most pressing first."""

    CHECK = "check"
    SOURCE = "source"
    LATE = "late"
    UNLINKED = "unlinked"
    LEFT = "left running"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that needs a person; the fields of its kind are filled."""

    kind: Kind
    light: Light | None = None
    row: Row | None = None
    step: LinkedStep | None = None
    item: WorklistItem | None = None
    rejected: Rejected | None = None


def needs_of(
    board: Board,
    lights: Sequence[Light],
    unlinked: Sequence[LinkedStep],
    left: Sequence[WorklistItem],
    rejected: Sequence[Rejected],
) -> list[Need]:
    """Everything that needs a person.

    Parameters
    ----------
    board : Board
        The present day.
    lights : sequence of Light
        How everything is.
    unlinked : sequence of LinkedStep
        Steps that belong to no booking, of any day.
    left : sequence of WorklistItem
        Bookings of earlier days that are still IN PROGRESS.
    rejected : sequence of Rejected
        What could not become a booking.
    """
    bad = [light for light in lights if light.state == "bad"]
    late = sorted(board.late, key=lambda row: row.late, reverse=True)
    return [
        *(Need(Kind.CHECK, light=light) for light in bad if light.kind != "source"),
        *(Need(Kind.SOURCE, light=light) for light in bad if light.kind == "source"),
        *(Need(Kind.LATE, row=row) for row in late),
        *(Need(Kind.UNLINKED, step=step) for step in unlinked),
        *(Need(Kind.LEFT, item=item) for item in left),
        *(Need(Kind.REJECTED, rejected=each) for each in rejected),
    ]


def counted(needs: Sequence[Need]) -> dict[Kind, int]:
    """How many there are of each kind: what may be told to anybody."""
    found = Counter(need.kind for need in needs)
    return {kind: found[kind] for kind in Kind if found[kind]}
