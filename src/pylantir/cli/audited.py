"""What people look at and change by commands, as events of the audit trail."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pylantir.audit.events import Kind
    from pylantir.audit.trail import AuditTrail
    from pylantir.config.schema import Config
    from pylantir.daemon import Worklist
    from pylantir.worklist.item import WorklistItem
    from pylantir.worklist.step import LinkedStep

_FILTERS = ("date", "status", "patient", "station", "modality", "accession", "limit", "output")
_CHOICES = ("all", "steps", "unlinked", "rejected")


def who() -> str:
    """Whoever runs the command, for the history of what it changes."""
    from pylantir.audit import events

    return f"{events.operator().user} (command line)"


def created(worklist: Worklist, items: Sequence[WorklistItem]) -> None:
    """Bookings that a person added or read from files."""
    from pylantir.audit.events import Kind

    _changed(worklist, Kind.CREATED, items)


def updated(worklist: Worklist, items: Sequence[WorklistItem]) -> None:
    """Bookings that a person changed."""
    from pylantir.audit.events import Kind

    _changed(worklist, Kind.UPDATED, items)


def cancelled(worklist: Worklist, item: WorklistItem) -> None:
    """A booking that a person cancelled."""
    from pylantir.audit.events import Kind

    _changed(worklist, Kind.DELETED, [item], "cancelled")


def read(worklist: Worklist, item: WorklistItem, args: argparse.Namespace) -> None:
    """A booking that a person was shown."""
    from pylantir.audit.events import Kind

    _changed(worklist, Kind.READ, [item], str(args.command))


def linked(worklist: Worklist, step: LinkedStep, item: WorklistItem) -> None:
    """A performed step that a person tied to a booking."""
    from pylantir.audit import events

    worklist.audit.record(
        events.performed(
            events.Kind.UPDATED,
            events.operator(),
            step.step.sop_instance_uid,
            [(item.study_instance_uid, item.accession_number)],
            patient_id=item.patient_id,
            details={"Service": "link", "Items": str(item.item_id)},
        )
    )


def trail_for(config: Config) -> AuditTrail:
    """The trail of a configuration, for commands that do not open its worklist."""
    from pylantir.audit.opening import open_trail
    from pylantir.worklist.database import database_url, file_of

    return open_trail(config.audit, file_of(database_url(config.db_path)), config.site or "")


def configured(trail: AuditTrail, what: str, reason: str) -> None:
    """Something that matters for security, such as an account, which a person changed."""
    from pylantir.audit import events

    trail.record(events.configured(events.operator(), what, reason))


def looked(worklist: Worklist, args: argparse.Namespace, found: int) -> None:
    """Bookings, steps or rows that a person was shown."""
    from pylantir.audit import events

    worklist.audit.record(events.asked(events.operator(), _words(args), found))


def _changed(
    worklist: Worklist, kind: Kind, items: Sequence[WorklistItem], reason: str = ""
) -> None:
    from pylantir.audit import events

    who = events.operator()
    worklist.audit.record_all(
        events.booking(kind, who, item, details={"Source": item.data_source}, reason=reason)
        for item in items
    )


def _words(args: argparse.Namespace) -> str:
    """The command with its filters, as somebody could type it."""
    words = [str(args.command)]
    for name in _FILTERS:
        value = getattr(args, name, None)
        values = value if isinstance(value, list) else [value]
        words += [f"--{name} {one}" for one in values if one not in (None, "-")]
    words += [f"--{name}" for name in _CHOICES if getattr(args, name, False)]
    return " ".join(words)
