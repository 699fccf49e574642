"""Projects to serve: the sample of the documentation, and seeded ones of any size and shape."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator

from tests.standins.clock import VirtualClock
from tests.standins.redcap import RedcapStandIn
from tests.standins.redcap_data import Event, Field, Project, RowKey, Rows, Values

SHAPES = ("longitudinal", "classic", "repeating", "events", "arms")
_SEX = (("1", "Male"), ("2", "Female"))
_RACE = (("1", "First Nations"), ("2", "White"), ("-9", "Not told"))
_STATUS = (("1", "In progress"), ("2", "Completed"), ("3", "Discontinued"))
MISSING = "UNK, Unknown | NI, No information"


def mri_fields(record_id: str = "record_id") -> list[Field]:
    """The dictionary of an MRI study, with the field names that configurations use."""
    enrolment = [
        Field(record_id, "enrolment", "Record ID"),
        Field("study_id", "enrolment", "Study ID", identifier=True),
        Field("family_id", "enrolment", "Family ID"),
        Field("demo_sex", "enrolment", "Sex", "radio", _SEX),
        Field("youth_dob_y", "enrolment", "Year of birth"),
        Field("neuro_pcp", "enrolment", "Neuro clinic", "yesno"),
        Field("race", "enrolment", "Race", "checkbox", _RACE),
    ]
    mri = [
        Field("mri_instance", "mri", "Session"),
        Field("mri_date", "mri", "MRI date", validation="date_ymd"),
        Field("mri_time", "mri", "MRI time", validation="time"),
        Field("mri_wt_lbs", "mri", "Weight (lb)", validation="number"),
        Field("mri_pps_status", "mri", "Scan status", "dropdown", _STATUS),
        Field("mri_done_at", "mri", "Scan ended", validation="datetime_ymd"),
    ]
    if record_id == "study_id":  # the study id may itself be the record id
        del enrolment[1]
    return enrolment + mri


def empty_project(
    shape: str = "longitudinal", name: str = "mri", record_id: str = "record_id"
) -> Project:
    """A project without records; `shape` is one of `SHAPES`.

    ``longitudinal`` repeats the form ``mri`` in event ``t1_arm_1``, ``repeating`` repeats it in a
    classic project, ``events`` repeats the whole event, ``arms`` has T1 in two arms, ``classic``
    has one row per record.
    """
    if shape not in SHAPES:
        raise ValueError(f"shape is {shape!r}: expected one of {', '.join(SHAPES)}")
    project = Project(name, mri_fields(record_id), "MRI study", missing_data_codes=MISSING)
    if shape == "repeating":
        project.repeating = {("", "mri")}
    if shape in {"classic", "repeating"}:
        return project
    project.events = [
        Event("Screening", ("enrolment",)),
        Event("Baseline", ("enrolment",)),
        Event("T1", ("mri",)),
    ]
    project.repeating = {("t1_arm_1", "" if shape == "events" else "mri")}
    if shape == "arms":
        project.arms = {1: "Patients", 2: "Controls"}
        project.events += [Event("Baseline", ("enrolment",), 2), Event("T1", ("mri",), 2)]
        project.repeating.add(("t1_arm_2", "mri"))
    return project


def sample_project(name: str = "mri") -> Project:
    """Three participants of a longitudinal study, one date unknown, one baseline in two events."""
    project = empty_project("longitudinal", name)
    base, t1 = RowKey("baseline_arm_1"), "t1_arm_1"
    people = [
        ("1", {"study_id": "CPIP-0001", "family_id": "FAM-011", "demo_sex": "1"}, "2012"),
        ("2", {"study_id": "CPIP-0002", "family_id": "FAM-011", "demo_sex": "2"}, "2014"),
        ("3", {"study_id": "CPIP-0003", "demo_sex": "1"}, "2011"),
    ]
    for record, values, born in people:
        project.put(record, {**values, "youth_dob_y": born}, base)
    project.put("2", {"neuro_pcp": "1"}, base)
    project.put("3", {"family_id": "FAM-033"}, RowKey("screening_arm_1"))
    scans = [
        ("1", 1, "2026-03-02", "09:30"),
        ("1", 2, "2026-03-09", "14:00"),
        ("2", 1, "UNK", ""),
        ("3", 1, "2026-03-04", "10:00"),
    ]
    for record, number, day, time in scans:
        values = {"mri_instance": str(number), "mri_date": day, "mri_time": time}
        project.put(record, values, RowKey(t1, "mri", number))
    return project


def generate(
    records: int,
    shape: str = "longitudinal",
    *,
    name: str = "mri",
    record_id: str = "record_id",
    seed: int = 0,
    first_day: dt.date | None = None,
    days: int = 30,
    sessions: int = 2,
    dags: int = 0,
    clock: VirtualClock | None = None,
) -> Project:
    """A project of any size: a baseline row and `sessions` scans for each record.

    Parameters
    ----------
    records : int
        10 to 40 000; three rows each where scans repeat.
    seed : int
        The same seed makes the same project.
    first_day, days
        The scans are spread over this many days, from today (server time) on.
    dags : int
        Number of data access groups; record ids then look like ``1452-7``.
    clock : VirtualClock, optional
        The server's, when it is not the real time; it says when today is.
    """
    clock = clock or VirtualClock()
    project = empty_project(shape, name, record_id)
    project.move_to(clock)
    chance = random.Random(seed)
    first = first_day or clock.wall().date()
    created = clock.now() - dt.timedelta(days=400)
    for number in range(1, records + 1):
        group = (number - 1) % dags if dags else 0
        record = f"{1452 + group}-{number}" if dags else str(number)
        arm = 2 if shape == "arms" and number % 2 == 0 else 1
        rows: Rows = {_base_key(project, arm): _person(number, chance, project)}
        for session in range(1, (1 if shape == "classic" else sessions) + 1):
            day = first + dt.timedelta(days=chance.randrange(days))
            scan = {
                "mri_instance": str(session),
                "mri_date": day.isoformat(),
                "mri_time": f"{chance.randrange(7, 20):02d}:{chance.randrange(0, 60, 15):02d}",
                "mri_wt_lbs": str(chance.randrange(60, 240)),
            }
            rows.setdefault(scan_key(project, session, arm), {}).update(scan)
        project.load(record, rows, created + dt.timedelta(minutes=number))
        if dags:
            project.dags[record] = f"site_{group + 1}"
    return project


def scan_key(project: Project, session: int, arm: int = 1) -> RowKey:
    """Where the n-th scan of a record stands in a project of these shapes."""
    event = f"t1_arm_{arm}" if project.longitudinal else ""
    if (event, "mri") in project.repeating:
        return RowKey(event, "mri", session)
    return RowKey(event, "", session if (event, "") in project.repeating else 0)


def _base_key(project: Project, arm: int) -> RowKey:
    return RowKey(f"baseline_arm_{arm}" if project.longitudinal else "")


def _person(number: int, chance: random.Random, project: Project) -> Values:
    person = {
        "study_id": f"CPIP-{number:04d}",
        "family_id": f"FAM-{(number + 1) // 2:03d}",
        "demo_sex": chance.choice("12"),
        "youth_dob_y": str(chance.randrange(2006, 2020)),
        f"race___{chance.choice('12')}": "1",
    }
    if chance.random() < 0.1:
        person["neuro_pcp"] = "1"
    if project.record_id_field == "study_id":
        del person["study_id"]
    return person


def live_day(server: RedcapStandIn, project: str = "") -> Iterator[str]:
    """A day in a coordinator's life: each step changes the project and says so, for ever."""
    target = server.project(project)
    while True:
        today = server.clock.wall().date().isoformat()
        first, second = target.next_record(), str(int(target.next_record()) + 1)
        for record, time in ((first, "09:30"), (second, "11:00")):
            number = int(record)
            base = _person(number, random.Random(number), target)
            with server.lock:
                target.put(record, base, _base_key(target, 1))
                scan = {"mri_instance": "1", "mri_date": today, "mri_time": time}
                target.put(record, scan, scan_key(target, 1))
            yield f"record {record} ({base['study_id']}) is enrolled and booked for {today} {time}"
        _edit(server, target, first, {"mri_time": "10:15"})
        yield f"record {first} moves to 10:15"
        _edit(server, target, second, {"mri_wt_lbs": "151"})
        yield f"record {second} has been weighed: 151 lb"
        _edit(server, target, second, {"mri_date": "", "mri_time": ""})
        yield f"record {second} has lost its date: off the worklist"
        _edit(server, target, second, {"mri_date": today, "mri_time": "15:45"})
        yield f"record {second} is booked again, for 15:45"
        for record in (first, second):
            server.delete_record(record, target.name)
            yield f"record {record} is deleted"


def _edit(server: RedcapStandIn, project: Project, record: str, values: Values) -> None:
    with server.lock:
        project.put(record, values, scan_key(project, 1))
