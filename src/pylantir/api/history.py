"""One booking over time: who made and changed it, which scanners were shown it, what they did.

Also what a scanner gets of it, word for word.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset

from pylantir.api.routes.scanners import ExplanationOut
from pylantir.api.services import Services
from pylantir.dicom.datasets import response_identifier
from pylantir.dicom.identifiers import whole_item
from pylantir.dicom.scanners import scanner_for
from pylantir.worklist.history import ChangeKind, ItemHistory
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.step import LinkedStep


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened to a booking.

    Parameters
    ----------
    at : datetime
        Wall-clock time of the site.
    kind : str
        ``created``, ``changed``, ``cancelled``, ``withdrawn``, ``linked``, ``seen``, ``begun`` or
        ``ended``.
    who : str
        Account, source, scanner, or whoever ran a command; empty when nobody knows.
    more : str
        In words; may be empty.
    fields : tuple of str
        Names of what was changed; never a value.
    """

    at: dt.datetime
    kind: str
    who: str
    more: str = ""
    fields: tuple[str, ...] = ()


def happenings(
    services: Services,
    item: WorklistItem,
    history: ItemHistory,
    steps: Sequence[LinkedStep],
    explained: Sequence[ExplanationOut],
) -> list[Happening]:
    """What happened to a booking, the oldest first."""
    wall = services.clock.wall_of
    found = list(_changes(services, item, history, has_steps=bool(steps)))
    # What it was before it changed, and who saw it then, nobody can tell any more.
    unchanged = dt.datetime.fromisoformat(history.updated_at or "9999-01-01T00:00:00+00:00")
    for each in explained:
        seen = [query.at for query in each.queries if query.fits and query.at >= unchanged]
        if seen:
            found.append(Happening(wall(max(seen)), "seen", each.ae_title))
    for linked in steps:
        step, scanner = linked.step, linked.step.performed_station_ae_title
        found.append(Happening(step.started, "begun", scanner))
        if step.ended is not None:
            found.append(Happening(step.ended, "ended", scanner, str(step.status)))
    return sorted(found, key=lambda each: each.at)


def _changes(
    services: Services, item: WorklistItem, history: ItemHistory, *, has_steps: bool
) -> Iterator[Happening]:
    """What people and sources did, as far as it was noted."""

    def instant(text: str) -> dt.datetime:
        return services.clock.wall_of(dt.datetime.fromisoformat(text))

    kinds = {change.kind for change in history.changes}
    if history.created_at and ChangeKind.CREATED not in kinds:
        yield Happening(instant(history.created_at), "created", item.data_source)
    for change in history.changes:
        more = history.withdrawn_reason if change.kind is ChangeKind.WITHDRAWN else ""
        yield Happening(instant(change.at), str(change.kind), change.who, more, change.fields)
    is_noted = bool(kinds - {ChangeKind.CREATED}) or has_steps
    if is_noted or not history.updated_at or history.updated_at == history.created_at:
        return
    # Changed by another program, or before a release that noted who did it.
    if history.withdrawn_reason:
        reason = history.withdrawn_reason
        yield Happening(instant(history.updated_at), "withdrawn", item.data_source, reason)
    else:
        yield Happening(instant(history.updated_at), "changed", "")


def data_set_of(services: Services, item: WorklistItem, ae_title: str) -> Dataset:
    """What a scanner that asks for everything would get of a booking."""
    preferred = scanner_for(services.config, ae_title).character_set
    return response_identifier(item, whole_item(), station=ae_title, preferred=preferred)
