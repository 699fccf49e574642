"""A trail in a folder of the test's own, and events to write into it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pylantir.audit import events
from pylantir.audit.events import Actor, AuditEvent, Kind
from pylantir.audit.files import TrailFiles

WHO = Actor("anna", "", "10.0.0.7", "", True)


@dataclass(frozen=True)
class Item:
    """As much of a worklist item as the trail wants to know."""

    patient_id: str
    study_instance_uid: str
    accession_number: str = ""
    item_id: int | None = None


def created(number: int = 1, **values: Any) -> AuditEvent:
    """A booking of an invented person is created."""
    return events.booking(Kind.CREATED, WHO, Item(f"PID-{number}", f"2.25.{number}"), **values)


def write(folder: Path, *numbers: int, **settings: Any) -> TrailFiles:
    """One append for each number, each of them on the disk."""
    files = TrailFiles(folder, **settings)
    for number in numbers:
        files.append([created(number)], sync=True)
    return files


def lines(files: TrailFiles) -> list[dict[str, Any]]:
    """Every line, as any JSON parser reads it."""
    return [
        json.loads(line)
        for path in files.files()
        for line in path.read_text(encoding="ascii").splitlines()
    ]


def kinds(files: TrailFiles) -> list[str]:
    """What happened, in the order of the chain."""
    return [line["event"] for line in lines(files)]
