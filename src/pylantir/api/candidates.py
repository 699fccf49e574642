"""Which booking a scan belongs to: candidates, with what speaks for and against each.

A person chooses, over REST or on the page; nothing is linked by what is found here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from pylantir.api.listing import ListParameters, query_of
from pylantir.api.services import Services
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.query import fold_name
from pylantir.worklist.status import ItemStatus
from pylantir.worklist.step import LinkedStep, PerformedProcedureStep

MOST = 12
_NEAR_DAYS, _MONTH_DAYS = 1, 31
_NEAR = dt.timedelta(hours=2)
_WEIGHT = {"PatientID": 3, "PatientName": 3, "AccessionNumber": 3}
"""Who it is counts for more than where and when: many share a scanner and a morning."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One value of the scan beside that of the booking.

    Parameters
    ----------
    what : str
        Name of the attribute.
    said, booked : str
        What the scanner said, and what is booked.
    is_same : bool or None
        Whether they agree; nothing when one of them is empty.
    """

    what: str
    said: str
    booked: str
    is_same: bool | None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A booking that a scan may belong to."""

    item: WorklistItem
    compared: tuple[Compared, ...]

    @property
    def agreement(self) -> int:
        """How much speaks for it; what contradicts counts against it."""
        told = [each for each in self.compared if each.is_same is not None]
        return sum(_WEIGHT.get(each.what, 1) * (2 if each.is_same else -3) for each in told)


def scanner_of(linked: LinkedStep) -> str:
    """AE title of the scanner that performed a step."""
    return linked.step.performed_station_ae_title or linked.step.calling_ae_title


def bookings_around(services: Services, step: PerformedProcedureStep) -> list[WorklistItem]:
    """Bookings of the days around a scan, and others of its patient in the month around it."""
    today, day = services.clock.today(), step.started.date()

    def between(days: int, patient_id: str | None = None) -> list[WorklistItem]:
        around = dt.timedelta(days=days)
        asked = ListParameters(
            status=["any"],
            date_from=(day - around).isoformat(),
            date_to=(day + around).isoformat(),
            patient_id=patient_id,
        )
        return services.items.find(query_of(asked, today))

    near = between(_NEAR_DAYS)
    if not step.patient_id:
        return near
    known = {item.item_id for item in near}
    same = between(_MONTH_DAYS, step.patient_id)
    return near + [item for item in same if item.item_id not in known]


def candidates(
    step: PerformedProcedureStep, scanner: str, items: Iterable[WorklistItem]
) -> list[Candidate]:
    """Bookings that a scan may belong to, the likeliest first.

    Parameters
    ----------
    step : PerformedProcedureStep
        The scan.
    scanner : str
        AE title of its scanner, see :func:`scanner_of`.
    items : iterable of WorklistItem
        Bookings to choose from.
    """
    found = [compare(step, scanner, item) for item in items]
    found.sort(
        key=lambda each: (
            -each.agreement,
            each.item.status is ItemStatus.CANCELLED,
            abs(each.item.start - step.started),
        )
    )
    return found[:MOST]


def compare(step: PerformedProcedureStep, scanner: str, item: WorklistItem) -> Candidate:
    """A scan beside a booking."""
    reference = step.references[0] if step.references else None
    stations = "\\".join(item.scheduled_station_ae_title)
    names = (fold_name(step.patient_name), fold_name(item.patient_name))
    is_near = abs(item.start - step.started) <= _NEAR
    return Candidate(
        item,
        (
            _compared("PatientID", step.patient_id, item.patient_id),
            _compared("PatientName", step.patient_name, item.patient_name, names[0] == names[1]),
            _compared(
                "AccessionNumber",
                reference.accession_number if reference else "",
                item.accession_number,
            ),
            _compared("Modality", step.modality, item.modality),
            _compared(
                "ScheduledStationAETitle",
                scanner,
                stations,
                scanner in item.scheduled_station_ae_title,
            ),
            Compared("start", _moment(step.started), _moment(item.start), is_near),
        ),
    )


def _compared(what: str, said: str, booked: str, is_same: bool | None = None) -> Compared:
    if not said or not booked:
        return Compared(what, said, booked, None)
    return Compared(what, said, booked, said == booked if is_same is None else is_same)


def _moment(at: dt.datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"
