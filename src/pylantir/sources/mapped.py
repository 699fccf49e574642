"""What a record becomes when it is mapped, and what is said about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pylantir.errors import ValueProblem
from pylantir.sources.extraction import look_up
from pylantir.sources.pairs import Pair


@dataclass(frozen=True, slots=True)
class Note:
    """A value that was left out although its record was kept.

    Parameters
    ----------
    field : str
        The worklist name that stays empty.
    source : str
        The source field that has the value.
    reason : str
        What was expected; never the value.
    """

    field: str
    source: str
    reason: str

    def __str__(self) -> str:
        return f"{self.field} is left empty, {self.source}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Mapped:
    """What a record became.

    Parameters
    ----------
    values : dict
        Name to value, as :func:`~pylantir.worklist.item.make_item` takes them. A name is spelt in
        one way only: the item's field (``scheduled_procedure_step_start_date``), a published name
        that is no field (``protocol_name``, ``patient_weight_lb``), or a DICOM keyword. Empty
        values are absent.
    notes : tuple of Note
        What was left out.
    """

    values: dict[str, Any]
    notes: tuple[Note, ...] = ()


_MAX_LINES = 10


def summarize(notes: Iterable[Note]) -> tuple[str, ...]:
    """Notes of many records as a few lines for :attr:`~pylantir.sources.base.Batch.notes`."""
    counted = Counter(map(str, notes)).most_common()
    lines = [f"{note} ({_times(count)})" for note, count in counted[:_MAX_LINES]]
    if counted[_MAX_LINES:]:
        rest = sum(count for _, count in counted[_MAX_LINES:])
        lines.append(f"other values are left empty ({_times(rest)})")
    return tuple(lines)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


SHOWN = 80
"""Characters of a value that a problem shows."""

_NEEDS_A_VALUE_MAP = ("patient_sex", "status", "pregnancy_status")


@dataclass(slots=True)
class RecordInProgress:
    """A record while it is mapped.

    Parameters
    ----------
    fields : mapping
        The raw record.
    values : dict
        Target to value, those that can be used.
    notes, problems : list
        What was left out, and what rejects the record.
    faulty, left_out : set of str
        The targets that these are about.
    """

    fields: Mapping[str, Any]
    values: dict[str, Any] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    problems: list[ValueProblem] = field(default_factory=list)
    faulty: set[str] = field(default_factory=set)
    left_out: set[str] = field(default_factory=set)

    def reject(self, pair: Pair, reason: str) -> None:
        """The value of a pair rejects the record."""
        self.faulty.add(pair.target)
        self.problems.append(problem_of(pair.target, pair, self.fields, reason))

    def leave_out(self, pair: Pair, reason: str) -> None:
        """The value of a pair cannot be used, and the record can do without."""
        self.left_out.add(pair.target)
        if pair.target in _NEEDS_A_VALUE_MAP:
            reason += "; value_maps says what a code means"
        self.notes.append(Note(pair.target, f"field {pair.source}", reason))


def problem_of(name: str, pair: Pair, fields: Mapping[str, Any], reason: str) -> ValueProblem:
    """What is wrong with the value of a pair, with the beginning of that value."""
    raw = look_up(fields, pair.source)
    shown = "" if raw is None or isinstance(raw, Mapping | list) else str(raw)[:SHOWN]
    return ValueProblem(name, shown, f"{reason} (field {pair.source})")
