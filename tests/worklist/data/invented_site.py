"""The invented site whose life the published releases write down, see ``build_published.py``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

REDCAP_FIELDS = """record_id study_id family_id youth_dob_y demo_sex neuro_pcp mri_instance
mri_date mri_time scan_weight scan_station scan_protocol scan_coding scan_birth scan_sex""".split()

FIELD_MAPPING = {
    "scan_weight": "patient_weight_lb",
    "scan_station": "scheduled_station_aetitle",
    "scan_protocol": "protocol_name",
    "scan_coding": "hisris_coding_designator",
    "scan_birth": "patient_birth_date",
    "scan_sex": "patient_sex",
}
STATION_ONLY = {"scan_station": "scheduled_station_aetitle"}


def baseline(record_id: str, **values: str) -> dict[str, str]:
    """The row of a record that no instrument repeats."""
    return {"record_id": record_id, "redcap_repeat_instrument": "", **values}


def visit(record_id: str, instance: str, day: str, at: str, **values: str) -> dict[str, str]:
    """The row of one MRI visit."""
    return {
        "record_id": record_id,
        "redcap_repeat_instrument": "mri",
        "redcap_repeat_instance": instance,
        "mri_instance": instance,
        "mri_date": day,
        "mri_time": at,
        **values,
    }


REDCAP_ROWS = [
    baseline(
        "1", study_id="CPIP-1001", family_id="F-12", youth_dob_y="2012", demo_sex="1"
    ),
    visit(
        "1", "1", "2026-03-02", "09:30",
        scan_weight="150", scan_station="MR1", scan_protocol="BRAIN_3T", scan_coding="CPIP",
        scan_birth="2012", scan_sex="1",
    ),
    visit("1", "2", "2026-03-09", "13:05"),
    baseline("2", study_id="CPIP-1002", family_id="F-13", youth_dob_y="2011", demo_sex="2"),
    visit(
        "2", "1", "2026-03-02", "10:45",
        scan_weight="", scan_station="", scan_birth="2011-05-17", scan_sex="F",
    ),
    baseline("3", study_id="CPIP-1003", family_id="F-14", youth_dob_y="2010", demo_sex="1"),
    visit("3", "1", "2026-03-03", "08:00:00", scan_weight="88.5", scan_sex="M"),
    baseline("4", study_id="CPIP-1004", family_id="F-15", youth_dob_y="2012", demo_sex="1"),
    visit("4", "1", "2026-03-04", "09:30", scan_station="MR1"),
    baseline("5", study_id="CPIP-1005", family_id="F-16", youth_dob_y="2013", demo_sex="2"),
    visit("5", "1", "2026-03-05", "09:30", scan_station="MR2"),
]  # fmt: skip


@dataclass(frozen=True)
class Phase:
    """A time in a site's life: which REDCap records it sees, mapped how, until what is so."""

    records: str
    mapping: Mapping[str, str]
    sync_interval_s: int
    settled: str


PHASES = {
    # This release writes other values in the second round than in the first.
    "0.2.3": (
        Phase("123", FIELD_MAPPING, 2, "patient_id LIKE 'sub_1002%' AND patient_sex = 'F'"),
        Phase(
            "4",
            STATION_ONLY,
            2,
            "patient_id LIKE 'sub_1004%' AND scheduled_station_aetitle = 'MR1'",
        ),
        Phase("5", STATION_ONLY, 3600, "patient_id LIKE 'sub_1005%'"),
    ),
    # One round only: these put a scanned item back to SCHEDULED in the next.
    "0.3.5": (Phase("12345", FIELD_MAPPING, 3600, "patient_id = 'CAL-0042'"),),
    "0.4.6": (Phase("12345", FIELD_MAPPING, 3600, "patient_id = 'CAL-0042'"),),
}

BOOKINGS: dict[int, dict[str, Any]] = {
    4711: {
        "id": 4711,
        "biskitType": "MRIScan",
        "title": "CAL-0042",
        "status": "Approved",
        "formattedName": "[2026-03-02 14:00:00.0, 2026-03-02 15:30:00.0]",
        "properties": {
            "title": "CAL-0042",
            "project": {"formattedName": "Réseau (PI Côté)"},
            "resource": {"formattedName": "3T Diagnostic"},
        },
    },
    4712: {
        "id": 4712,
        "biskitType": "Calpendo.Booking",
        "title": "Phantom QA",
        "status": "Cancelled",
        "formattedName": "[2026-03-02 07:00:00.0, 2026-03-02 07:30:00.0]",
        "properties": {
            "title": "Phantom QA",
            "project": {"formattedName": "Quality"},
            "resource": {"formattedName": "3T Diagnostic"},
        },
    },
}

REST_ITEMS: list[dict[str, Any]] = [
    # The weight is left to the release, which books everybody at 100.
    {
        "patient_name": "MÜLLER^JÖRG",
        "patient_id": "REST-1",
        "patient_birth_date": "19751224",
        "patient_sex": "M",
        "modality": "MR",
        "scheduled_start_date": "2026-03-02",
        "scheduled_start_time": "11:00",
        "study_description": "Épilepsie",
    },
    {
        "patient_name": "Yamada^Tarou=山田^太郎=やまだ^たろう",
        "patient_id": "REST-2",
        "patient_birth_date": "1980",
        "patient_sex": "1",
        "patient_weight_lb": "150",
        "accession_number": "A0001",
        "modality": "MR",
        "scheduled_station_aetitle": "MR1",
        "scheduled_start_date": "20260302",
        "scheduled_start_time": "113000",
    },
    {
        "patient_name": "GARÇON^NOËL",
        "patient_id": "REST-3",
        "patient_weight_lb": "150 lbs",
        "modality": "MR",
        "scheduled_start_date": "2026-03-02",
        "scheduled_start_time": "12:00",
        "performed_procedure_step_status": "IN_PROGRESS",
    },
    {
        "patient_name": "DONE^DORA",
        "patient_id": "REST-4",
        "study_instance_uid": "1.2.826.0.1.3680043.8.498.11",
        "modality": "MR",
        "scheduled_start_date": "2025-12-01",
        "scheduled_start_time": "08:15",
        "performed_procedure_step_status": "COMPLETED",
    },
    {
        "patient_name": "STOPPED^STEVE",
        "patient_id": "REST-5",
        "modality": "MR",
        "scheduled_start_date": "2025-12-01",
        "scheduled_start_time": "09:15",
        "performed_procedure_step_status": "DISCONTINUED",
    },
    # A form sent with nothing filled in.
    {
        "patient_name": "",
        "patient_id": "",
        "study_instance_uid": "",
        "patient_birth_date": "",
        "patient_sex": "",
        "patient_weight_lb": "",
        "accession_number": "",
        "referring_physician_name": "",
        "modality": "",
        "study_description": "",
        "scheduled_station_aetitle": "",
        "scheduled_start_date": "",
        "scheduled_start_time": "",
        "performing_physician": "",
        "procedure_description": "",
        "protocol_name": "",
        "station_name": "",
    },
    # Nothing but what the release insists on.
    {"patient_name": "ONLY^NAME", "patient_id": "REST-7"},
    # Nobody can serve this one: no such day.
    {
        "patient_name": "WRONG^DAY",
        "patient_id": "REST-8",
        "modality": "MR",
        "scheduled_start_date": "2026-02-30",
        "scheduled_start_time": "9h30",
    },
    # Booked again under the same study; later releases keep who asked for it.
    {
        "patient_name": "DONE^DORA",
        "patient_id": "REST-4",
        "study_instance_uid": "1.2.826.0.1.3680043.8.498.11",
        "modality": "MR",
        "scheduled_start_date": "2026-03-06",
        "scheduled_start_time": "08:15",
        "data_source": "frontdesk",
        "source_record_id": "F-77",
    },
]

OWN_SCRIPT = """
from pylantir.db_setup import Session
from pylantir.models import WorklistItem
from pylantir.populate_db import populate_data
populate_data()
session = Session()
session.add(WorklistItem(
    patient_name="HAND^MADE", patient_id="OWN-1", patient_birth_date="1990-01-31",
    patient_sex="O", modality="MR", scheduled_start_date="2026-03-02",
    scheduled_start_time="093000", protocol_name="SPINE_3T", hisris_coding_designator="LOCAL",
    procedure_description="MRI SPINE", performing_physician="DOC^JOHNSON",
))
bare = WorklistItem(patient_id="OWN-2")
session.add(bare)
session.commit()
bare.performed_procedure_step_status = bare.patient_weight_lb = None
session.commit()
session.close()
"""
"""The examples of the release, and the rows of a site's own script: without a UID."""

REPORTED = (
    ("sub_1001_ses_1", ("IN PROGRESS", "COMPLETED")),
    ("sub_1002_ses_1", ("IN PROGRESS",)),
    ("007", ("IN PROGRESS", "DISCONTINUED")),
)
"""What the scanner reports: the beginning of a patient id, and the statuses it sends."""

USERS = (
    {"username": "technologist", "password": "scan-and-go", "role": "write"},
    {"username": "viewer", "password": "only-looking", "role": "read"},
)
