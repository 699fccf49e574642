"""Lines of the trail: an event as JSON, and the hash that ties each line to the one before.

A line's hash is the SHA-256 of its bytes without the line feed, so that ``sha256sum`` can check
it; the first line of all names sixty-four zeros.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
from typing import Any, NamedTuple

from pylantir.audit.events import AuditEvent, Subject

ORIGIN = "0" * 64
"""What stands for the line before the first."""


class Place(NamedTuple):
    """A place in the chain: number and hash of a line; nought and :data:`ORIGIN` before all."""

    number: int
    digest: str


START = Place(0, ORIGIN)


class Record(NamedTuple):
    """One line as it was read.

    Parameters
    ----------
    number : int
        Its place, from 1.
    previous : str
        Hash of the line before.
    values : dict
        The event.
    """

    number: int
    previous: str
    values: dict[str, Any]

    @property
    def at(self) -> dt.datetime:
        """When it happened, aware, in UTC."""
        return dt.datetime.fromisoformat(self.values["at"])


def digest_of(line: bytes) -> str:
    """Hash of a line without its line feed."""
    return hashlib.sha256(line).hexdigest()


def encoded(event: AuditEvent, before: Place) -> tuple[bytes, Place]:
    """The line of an event, with its line feed, and its own place."""
    values = {"n": before.number + 1, "previous": before.digest, **plain(event)}
    line = json.dumps(values, ensure_ascii=True, separators=(",", ":")).encode("ascii")
    return line + b"\n", Place(before.number + 1, digest_of(line))


def decoded(line: bytes) -> Record:
    """The record of a line.

    Raises
    ------
    ValueError
        It is none of ours.
    """
    values = json.loads(line)
    if not isinstance(values, dict):
        raise ValueError("expected an object")
    number, previous = values.pop("n", None), values.pop("previous", None)
    if not isinstance(number, int) or not isinstance(previous, str):
        raise ValueError("expected a number and the hash of the line before")
    for name, kind in (("at", str), ("event", str), ("actors", list), ("subjects", list)):
        if not isinstance(values.get(name), kind):
            raise ValueError(f"expected {name}")
    dt.datetime.fromisoformat(values["at"])
    return Record(number, previous, values)


def plain(event: AuditEvent) -> dict[str, Any]:
    """An event as JSON has it; what is empty is left out."""
    values: dict[str, Any] = {
        "at": event.at.isoformat(timespec="microseconds"),
        "event": str(event.kind),
        "outcome": event.outcome,
    }
    if event.reason:
        values["reason"] = event.reason
    values["actors"] = [_without_empty(actor._asdict()) for actor in event.actors]
    values["subjects"] = [_plain_subject(subject) for subject in event.subjects]
    return values


def _plain_subject(subject: Subject) -> dict[str, Any]:
    values = {**subject._asdict(), "details": dict(subject.details)}
    if subject.query is not None:
        values["query"] = base64.b64encode(subject.query).decode("ascii")
    return _without_empty(values)


def _without_empty(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}
