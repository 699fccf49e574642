"""Reading the trail: which events are meant."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from pylantir.audit.events import Kind
from pylantir.audit.files import TrailFiles, first_place
from pylantir.audit.lines import Record, decoded


@dataclass(frozen=True, slots=True)
class Selection:
    """Which events are meant; what is left out leaves nothing out.

    Parameters
    ----------
    since, until : datetime or None
        From the one, inclusive, to the other, exclusive; aware.
    kinds : collection of Kind
        What happened.
    user : str
        Account, AE title, source or address of somebody who took part; ``*`` and ``?`` are wild
        cards, case does not matter.
    patient : str
        Patient ID that it was about, in the same way.
    after : int
        Number of the event before the first.
    """

    since: dt.datetime | None = None
    until: dt.datetime | None = None
    kinds: Collection[Kind] = ()
    user: str = ""
    patient: str = ""
    after: int = 0

    def takes(self, record: Record) -> bool:
        """Whether an event is meant."""
        values = record.values
        return (
            record.number > self.after
            and (not self.kinds or values["event"] in self.kinds)
            and (self.since is None or record.at >= self.since)
            and (self.until is None or record.at < self.until)
            and (not self.user or _any(self.user, _who(values["actors"])))
            and (not self.patient or _any(self.patient, _patients(values["subjects"])))
        )


def read(trail: TrailFiles, selection: Selection | None = None) -> Iterator[Record]:
    """The events that are meant, in the order of the chain; what is none is passed over.

    Raises
    ------
    OSError
        A file cannot be read.
    """
    meant = selection or Selection()
    files = trail.files()
    for path, following in zip(files, [*files[1:], None], strict=True):
        first = first_place(following) if following else None
        over = first is not None and (
            first[0].number <= meant.after or (meant.since is not None and first[1] < meant.since)
        )
        if over:
            continue
        with path.open("rb") as file:
            for line in file:
                record = record_of(line)
                if record is not None and meant.takes(record):
                    yield record


def record_of(line: bytes) -> Record | None:
    """The event of a line with its line feed; nothing when it is none, or not yet whole."""
    if not line.endswith(b"\n"):
        return None  # somebody is writing it
    try:
        return decoded(line)
    except (ValueError, RecursionError):
        return None


def _who(actors: list[dict[str, str]]) -> Iterator[str]:
    for actor in actors:
        yield from (actor.get("user", ""), actor.get("ae_title", ""), actor.get("address", ""))


def _patients(subjects: list[dict[str, str]]) -> Iterator[str]:
    return (subject["id"] for subject in subjects if subject.get("kind") == "patient")


def _any(pattern: str, values: Iterator[str]) -> bool:
    parts = re.split(r"([*?])", pattern)
    wild = {"*": ".*", "?": "."}
    fits = re.compile(
        "".join(wild.get(part, re.escape(part)) for part in parts), re.IGNORECASE | re.DOTALL
    )
    return any(value and fits.fullmatch(value) for value in values)
