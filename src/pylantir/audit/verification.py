"""Whether the trail is as it was written: nothing edited, removed, put in or cut off."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pylantir.audit.events import Kind
from pylantir.audit.files import TrailFiles
from pylantir.audit.lines import START, Place, Record, decoded, digest_of

_MAX_FAULTS = 100
"""More are not told: a trail that is all wrong is wrong in one way."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is not as it was written.

    Parameters
    ----------
    file : str
        Name of the file.
    line : int
        Line in the file, from 1; nought for the file as a whole.
    what : str
        What is wrong.
    """

    file: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}" if self.line else f"{self.file}: {self.what}"


@dataclass(slots=True)
class Verification:
    """What a check of the whole trail found.

    Parameters
    ----------
    events, files : int
        How many were read.
    first : int
        Number of the first event; more than 1 when old files were removed.
    last : Place
        Number and hash of the last event: worth writing down somewhere else.
    faults : list of Fault
        What is wrong.
    alerts : list of str
        Gaps, damage and removals that the trail itself tells of.
    """

    events: int = 0
    files: int = 0
    first: int = 0
    last: Place = START
    faults: list[Fault] = field(default_factory=list)
    alerts: list[str] = field(default_factory=list)

    @property
    def is_intact(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


def verify(trail: TrailFiles, known: Place | None = None) -> Verification:
    """Read the whole trail and check every link of the chain.

    Parameters
    ----------
    trail : TrailFiles
        What to check.
    known : Place, optional
        Number and hash of an event that somebody wrote down elsewhere.

    Raises
    ------
    OSError
        A file cannot be read.
    """
    with trail.locked():  # what is appended meanwhile is not looked at
        head = trail.head()
        has_head = trail.head_path.exists()
        sizes = [(path, path.stat().st_size) for path in trail.files()]
    check = _Check(head, known)
    for path, size in sizes:
        check.file(path, size)
    check.finish(trail.head_path.name, has_head)
    return check.outcome


class _Check:
    """The walk along the chain."""

    def __init__(self, head: Place, known: Place | None) -> None:
        self.outcome = Verification()
        self._marks = [("head", head), *([("the given event", known)] if known else [])]
        self._head = head
        self._removed: dict[int, str] = {}
        self._begins_after = START
        self._seen: set[int] = set()

    def file(self, path: Path, size: int) -> None:
        self.outcome.files += 1
        for number, line in _lines(path, size):
            if not line.endswith(b"\n"):
                self._unfinished(path.name, number)
                continue
            self._line(path.name, number, line[:-1])

    def _line(self, name: str, number: int, line: bytes) -> None:
        place, digest = self.outcome.last, digest_of(line)
        try:
            record = decoded(line)
        except (ValueError, RecursionError):
            self._fault(name, number, "no event of ours: edited or damaged")
            self.outcome.last = Place(place.number + 1, digest)
            return
        if self.outcome.events == 0:
            self.outcome.first = record.number
            self._begins_after = Place(record.number - 1, record.previous)
        elif record.number != place.number + 1:
            self._fault(name, number, _missing(place.number, record.number))
        elif record.previous != place.digest:
            self._fault(name, number, f"event {place.number}, the one before, was edited")
        self._note(record)
        self.outcome.events += 1
        self.outcome.last = Place(record.number, digest)
        for what, mark in self._marks:
            if mark.number == record.number:
                self._seen.add(mark.number)
                if mark.digest != digest:
                    self._fault(name, number, f"event {record.number} is not the one of {what}")

    def _note(self, record: Record) -> None:
        kind = record.values["event"]
        if kind not in (Kind.AUDIT_REMOVED, Kind.AUDIT_DAMAGED, Kind.AUDIT_STOPPED):
            return
        self.outcome.alerts.append(
            f"event {record.number}, {record.values['at']}: {record.values.get('reason', kind)}"
        )
        if kind == Kind.AUDIT_REMOVED:
            for subject in record.values["subjects"]:
                details = subject.get("details", {})
                through, digest = details.get("RemovedThrough"), details.get("LastHash")
                if isinstance(through, str) and through.isdigit() and isinstance(digest, str):
                    self._removed[int(through)] = digest

    def _unfinished(self, name: str, number: int) -> None:
        """Half a line at the very end is a power cut, unless it was whole before."""
        if self._head.number > self.outcome.last.number:
            return  # told at the end: events are missing
        self.outcome.alerts.append(
            f"{name}:{number}: an unfinished line, as a power cut leaves it; "
            "the next event sets it aside"
        )

    def finish(self, head_name: str, has_head: bool) -> None:
        outcome = self.outcome
        begins = self._begins_after
        if outcome.events and begins != START and self._removed.get(begins.number) != begins.digest:
            self._fault(head_name, 0, f"events 1 to {begins.number} are missing at the beginning")
        if outcome.events and not has_head:
            self._fault(head_name, 0, "is missing: the end of the trail cannot be checked")
        for what, mark in self._marks:
            if mark.number > outcome.last.number:
                words = f"events {outcome.last.number + 1} to {mark.number} are missing at the end"
                self._fault(head_name, 0, f"{words}, by {what}")
            elif mark != START and mark.number not in self._seen and mark.number > begins.number:
                self._fault(head_name, 0, f"event {mark.number} of {what} is missing")

    def _fault(self, file: str, line: int, what: str) -> None:
        if len(self.outcome.faults) < _MAX_FAULTS:
            self.outcome.faults.append(Fault(file, line, what))


def _missing(before: int, number: int) -> str:
    if number <= before:
        return f"event {number} stands after event {before}: put in or moved"
    if number == before + 2:
        return f"event {before + 1} is missing"
    return f"events {before + 1} to {number - 1} are missing"


def _lines(path: Path, size: int) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        number = 0
        while size > 0 and (line := file.readline(size)):
            size -= len(line)
            number += 1
            yield number, line
