"""The demonstration: a believable day of MRI bookings around today, and a source that moves them.

Everybody in it is invented. The same day gives the same bookings, so that a second start finds
what the first one left.
"""

from __future__ import annotations

import datetime as dt
import itertools
import logging
import random
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pylantir.errors import PylantirError
from pylantir.worklist.item import WorklistItem, change_item, make_item
from pylantir.worklist.status import ItemStatus, StepStatus
from pylantir.worklist.step import PerformedProcedureStep
from pylantir.worklist.step_rows import references_in

if TYPE_CHECKING:
    from pylantir.config.load import LoadedConfig
    from pylantir.daemon import Worklist

log = logging.getLogger(__name__)

SOURCE = "demo"
CHANGE_EVERY_S = 60.0
_STOP_S = 1.0

_STATIONS = (
    ("PRISMA_1", "PRISMA 3T", "MR ROOM 1"),
    ("SKYRA_2", "SKYRA 3T", "MR ROOM 2"),
    ("MAGNUS_3", "MAGNUS 7T", "MR ROOM 3"),
)
_PROTOCOLS = (
    ("BRAIN_MRI_3T", "MRI brain 3T"),
    ("FMRI_REST", "Resting state fMRI"),
    ("DTI_64", "Diffusion 64 directions"),
    ("ASL_PCASL", "Perfusion pCASL"),
)
_PEOPLE = (
    ("Tremblay^Zoé", "1987-04-12", "F", "62"),
    ("Müller-Lüdenscheidt^Anne-Sophie", "1993-05-06", "F", "71.5"),
    ("Nguyen^Minh Anh", "2001-11-30", "F", ""),
    ("Okafor^Chidi", "1979-08-21", "M", "88"),
    ("Yamada^Tarou=山田^太郎=やまだ^たろう", "1968-02-17", "M", "69"),
    ("García^José^Luis^Dr", "1981-02-14", "M", "81.5"),
    ("Kowalski^Łukasz", "1995-09-03", "M", ""),
    ("O'Connor^Sinéad", "2012-06-25", "F", "38"),
    ("Wang^XiaoDong=王^小东", "1990-01-09", "M", "74"),
    ("Ivanova^Olga", "1958-12-01", "F", "66"),
    ("Hansen^Søren", "1984-07-19", "M", "92"),
    ("Silva^João^Pedro", "2009-03-28", "M", "51"),
)


def demo_config(folder: str | None, flags: Mapping[str, Any]) -> LoadedConfig:
    """The configuration of the demonstration: SQLite in a folder of its own, this machine only."""
    from pylantir.config.load import LoadedConfig, data_folder
    from pylantir.config.schema import Config

    place = Path(folder).expanduser() if folder else data_folder() / "demo"
    settings = {"ip": "127.0.0.1", "site": "demo", **flags, "db_path": str(place / "worklist.db")}
    origins = dict.fromkeys(settings, "the demonstration") | dict.fromkeys(flags, "command line")
    return LoadedConfig(Config(**settings), None, origins, (), {})


def demo_items(today: dt.date) -> list[WorklistItem]:
    """The day's bookings as they are before anybody has scanned.

    Parameters
    ----------
    today : date
        The day; it also seeds what varies.
    """
    rng = random.Random(today.toordinal())  # noqa: S311 - for show, not for secrets
    people = list(_PEOPLE)
    rng.shuffle(people)
    return [_booking(today, number, person, rng) for number, person in enumerate(people)]


def _booking(
    today: dt.date, number: int, person: tuple[str, str, str, str], rng: random.Random
) -> WorklistItem:
    name, birth, sex, weight = person
    station, station_name, room = _STATIONS[number % len(_STATIONS)]
    code, meaning = rng.choice(_PROTOCOLS)
    start = dt.datetime.combine(today, dt.time(8)) + dt.timedelta(
        minutes=60 * (number // len(_STATIONS)) * 2 + 15 * rng.randrange(3)
    )
    return make_item(
        {
            "patient_name": name,
            "patient_id": f"sub_{number + 1:03d}_ses_1",
            "patient_birth_date": birth,
            "patient_sex": sex,
            "patient_weight_kg": weight,
            "accession_number": f"D{today:%y%m%d}{number + 1:03d}",
            "modality": "MR",
            "scheduled_station_ae_title": station,
            "scheduled_station_name": station_name,
            "scheduled_procedure_step_location": room,
            "scheduled_procedure_step_start_date": start.date(),
            "scheduled_procedure_step_start_time": start.time(),
            "scheduled_procedure_step_description": meaning,
            "scheduled_protocol_codes": [{"value": code, "scheme": "99DEMO", "meaning": meaning}],
            "requested_procedure_description": meaning,
            "study_description": "Pylantir demonstration",
            "referring_physician_name": "Rivera^Lucía",
            "scheduled_performing_physician_name": "Weber^Lena",
            "requested_procedure_priority": "ROUTINE",
        },
        data_source=SOURCE,
        source_record_id=f"{today.isoformat()}/{number + 1}",
        authority="demo",
    )


def fill(worklist: Worklist) -> None:
    """Put the day into the worklist, with one booking in each state.

    A day that is there already stays as people and scanners have left it.
    """
    today = worklist.clock.today()
    present = {item.source_record_id for item in _of_today(worklist, today)}
    new = [item for item in demo_items(today) if item.source_record_id not in present]
    worklist.items.put(new)
    if len(new) < len(_PEOPLE):
        return
    items = _of_today(worklist, today)
    _perform(worklist, items[0], StepStatus.COMPLETED)
    _perform(worklist, items[1], StepStatus.DISCONTINUED)
    _perform(worklist, items[2], StepStatus.IN_PROGRESS)
    worklist.items.set_status(items[3].item_id or 0, ItemStatus.READY)
    worklist.items.set_status(items[4].item_id or 0, ItemStatus.ARRIVED)
    worklist.items.set_status(items[-1].item_id or 0, ItemStatus.CANCELLED)


def _of_today(worklist: Worklist, today: dt.date) -> list[WorklistItem]:
    from pylantir.worklist.query import WorklistQuery

    found = worklist.items.find(WorklistQuery(first_day=today, last_day=today))
    return [item for item in found if item.data_source == SOURCE]


def _number(item: WorklistItem) -> int:
    """Number of a booking within its day, from 1."""
    return int(item.source_record_id.rpartition("/")[2])


def _perform(worklist: Worklist, item: WorklistItem, status: StepStatus) -> None:
    from pylantir.worklist.identity import new_uid

    attributes: dict[str, Any] = {
        "00400270": {
            "vr": "SQ",
            "Value": [
                {
                    "0020000D": {"vr": "UI", "Value": [item.study_instance_uid]},
                    "00400009": {"vr": "SH", "Value": [item.scheduled_procedure_step_id]},
                }
            ],
        }
    }
    step = PerformedProcedureStep(
        sop_instance_uid=new_uid(),
        status=StepStatus.IN_PROGRESS,
        performed_procedure_step_id=item.scheduled_procedure_step_id,
        performed_station_ae_title=item.scheduled_station_ae_title[0],
        calling_ae_title=item.scheduled_station_ae_title[0],
        modality=item.modality,
        patient_id=item.patient_id,
        patient_name=item.patient_name,
        started=item.start,
        references=references_in(attributes),
        attributes=attributes,
    )
    worklist.steps.create(step)
    if status is not StepStatus.IN_PROGRESS:
        ended = item.start + dt.timedelta(minutes=52)
        worklist.steps.update(
            step.sop_instance_uid, lambda present: replace(present, status=status, ended=ended)
        )


class DemoSource:
    """Adds, moves and cancels a booking each minute, so that there is something to watch.

    Parameters
    ----------
    worklist : Worklist
        The demonstration's.
    every_s : float, optional
        Seconds between two changes; :data:`CHANGE_EVERY_S` when absent.
    """

    def __init__(self, worklist: Worklist, every_s: float | None = None) -> None:
        self._worklist = worklist
        self._every_s = CHANGE_EVERY_S if every_s is None else every_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="demo", daemon=True)

    def start(self) -> None:
        """Fill the worklist and begin to change it."""
        fill(self._worklist)
        self._thread.start()

    def stop(self) -> None:
        """End; returns when the last change is done."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_S)  # another process may hold the database

    def _run(self) -> None:
        changes: Iterator[Any] = itertools.cycle((self.add, self.move, self.cancel))
        while not self._stopping.wait(self._every_s):
            try:
                fill(self._worklist)  # midnight may have passed
                next(changes)()
            except PylantirError as error:
                log.warning("demonstration: %s", error.for_log)

    def add(self) -> None:
        """Add a booking for this evening."""
        today = self._worklist.clock.today()
        number = max(map(_number, _of_today(self._worklist, today)), default=0)
        rng = random.Random(number)  # noqa: S311 - for show, not for secrets
        item = _booking(today, number, rng.choice(_PEOPLE), rng)
        late = {
            "scheduled_procedure_step_start_date": today,
            "scheduled_procedure_step_start_time": dt.time(16 + number % 6, number % 4 * 15),
        }
        self._worklist.items.put([change_item(item, late)])
        log.info("demonstration: a booking was added")

    def move(self) -> None:
        """Move the booking that was added last by an hour."""
        item = self._last_scheduled()
        if item is not None:
            later = min(item.scheduled_procedure_step_start_time.hour + 1, 23)
            start = item.scheduled_procedure_step_start_time.replace(hour=later)
            changed = change_item(item, {"scheduled_procedure_step_start_time": start})
            self._worklist.items.replace(changed)
            log.info("demonstration: item %s was moved", item.item_id)

    def cancel(self) -> None:
        """Cancel the booking that was added last."""
        item = self._last_scheduled()
        if item is not None:
            self._worklist.items.set_status(item.item_id or 0, ItemStatus.CANCELLED)
            log.info("demonstration: item %s was cancelled", item.item_id)

    def _last_scheduled(self) -> WorklistItem | None:
        """A booking that the demonstration added itself: the day's own twelve stay."""
        today = self._worklist.clock.today()
        added = [
            item
            for item in _of_today(self._worklist, today)
            if item.status is ItemStatus.SCHEDULED and _number(item) > len(_PEOPLE)
        ]
        return added[-1] if added else None
