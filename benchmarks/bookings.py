"""Invented bookings, the same for every server: as a CSV, as worklist files, as a 0.4.6 database.

Given the same number and day they are the same byte for byte. However many there are, twenty of
them are for the scanner ``MRC1`` today, so what grows with their number is the search and not the
answer.
"""

from __future__ import annotations

import csv
import datetime as dt
import random
import sqlite3
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

SCANNER = "MRC1"
SERVER = "BENCH"
_FOR_SCANNER = 20
_STATIONS = ((SCANNER, "MR"), ("MRC2", "MR"), ("CTC1", "CT"), ("USC1", "US"))
_FAMILY = "GARCIA NGUYEN OKAFOR KOWALSKI TREMBLAY PATEL ROSSI HANSEN YAMADA COHEN SILVA KIM".split()
_GIVEN = "ANNA BEN CHLOE DAVID EVA FRANK GRACE HUGO INES JONAS KARIN LUCAS MARIA NOAH OLGA".split()
_PROTOCOLS = ("BRAIN 3T", "RESTING STATE", "DIFFUSION 64", "PERFUSION", "SPECTROSCOPY")
_PHYSICIANS = ("WEBER^LENA", "ADAMS^JOHN", "CHEN^WEI", "LEROY^ALICE", "SANTOS^RUI")
_UID_ROOT = "1.2.826.0.1.3680043.8.498.5"


@dataclass(frozen=True, slots=True)
class Booking:
    """One booking, every value as DICOM writes it."""

    study_instance_uid: str
    patient_name: str
    patient_id: str
    patient_birth_date: str
    patient_sex: str
    patient_weight: str
    accession_number: str
    referring_physician: str
    modality: str
    study_description: str
    procedure_id: str
    procedure_description: str
    step_id: str
    step_description: str
    protocol_code: str
    station_aet: str
    location: str
    start_date: str
    start_time: str


def make_bookings(number: int, today: dt.date) -> list[Booking]:
    """Bookings on four scanners within thirty days of today."""
    chance = random.Random(number)
    wanted = min(_FOR_SCANNER, max(1, number // 5))
    return [_booking(chance, n, number, today, wanted) for n in range(number)]


def _booking(
    chance: random.Random, n: int, number: int, today: dt.date, for_scanner: int
) -> Booking:
    station, modality = _STATIONS[0] if n < for_scanner else chance.choice(_STATIONS)
    days = 0 if n < for_scanner else chance.randint(-30, 30)
    if n >= for_scanner and station == SCANNER and days == 0:
        days = 1
    protocol = chance.choice(_PROTOCOLS)
    return Booking(
        study_instance_uid=f"{_UID_ROOT}.{number}.{n + 1}",
        patient_name=f"{chance.choice(_FAMILY)}^{chance.choice(_GIVEN)}",
        patient_id=f"SUB{n + 1:07d}",
        patient_birth_date=f"{chance.randint(1940, 2015)}0{chance.randint(1, 9)}15",
        patient_sex=chance.choice("MF"),
        patient_weight=str(chance.randint(45, 110)),
        accession_number=f"ACC{n + 1:07d}",
        referring_physician=chance.choice(_PHYSICIANS),
        modality=modality,
        study_description=f"STUDY {chance.randint(1, 40):03d}",
        procedure_id=f"RP{n + 1:07d}",
        procedure_description=protocol,
        step_id=f"SPS{n + 1:07d}",
        step_description=protocol,
        protocol_code=protocol.replace(" ", "_"),
        station_aet=station,
        location=f"ROOM {station}",
        start_date=(today + dt.timedelta(days=days)).strftime("%Y%m%d"),
        start_time=f"{chance.randint(7, 19):02d}{chance.choice(('00', '15', '30', '45'))}00",
    )


def write_csv(bookings: Sequence[Booking], path: Path) -> None:
    """The file that ``pylantir import`` reads."""
    names = list(Booking.__dataclass_fields__)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*names, "protocol_scheme"])
        writer.writerows([*(getattr(b, name) for name in names), "LOCAL"] for b in bookings)


def write_worklist_files(bookings: Iterable[Booking], folder: Path) -> None:
    """One file each, and the lock file without which wlmscpfs answers nothing."""
    folder.mkdir(parents=True)
    (folder / "lockfile").touch()
    for number, booking in enumerate(bookings):
        (folder / f"{number:06d}.wl").write_bytes(_part_10(booking))


def _element(tag: int, vr: str, value: str | bytes) -> bytes:
    """One element, explicit VR little endian (PS3.5 7.1.2)."""
    body = value if isinstance(value, bytes) else value.encode("ascii")
    if len(body) % 2:
        body += b"\0" if vr == "UI" else b" "
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    long = vr in ("SQ", "OB")
    return head + struct.pack("<HI" if long else "<H", *((0,) if long else ()), len(body)) + body


def _sequence(tag: int, item: bytes) -> bytes:
    return _element(tag, "SQ", struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item)


def _worklist_item(b: Booking) -> bytes:
    code = (
        _element(0x0008_0100, "SH", b.protocol_code)
        + _element(0x0008_0102, "SH", "LOCAL")
        + _element(0x0008_0104, "LO", b.step_description)
    )
    step = (
        _element(0x0008_0060, "CS", b.modality)
        + _element(0x0040_0001, "AE", b.station_aet)
        + _element(0x0040_0002, "DA", b.start_date)
        + _element(0x0040_0003, "TM", b.start_time)
        + _element(0x0040_0006, "PN", "")
        + _element(0x0040_0007, "LO", b.step_description)
        + _sequence(0x0040_0008, code)
        + _element(0x0040_0009, "SH", b.step_id)
        + _element(0x0040_0010, "SH", "")
        + _element(0x0040_0011, "SH", b.location)
        + _element(0x0040_0020, "CS", "SCHEDULED")
    )
    return (
        _element(0x0008_0050, "SH", b.accession_number)
        + _element(0x0008_0090, "PN", b.referring_physician)
        + _element(0x0008_1030, "LO", b.study_description)
        + _element(0x0010_0010, "PN", b.patient_name)
        + _element(0x0010_0020, "LO", b.patient_id)
        + _element(0x0010_0030, "DA", b.patient_birth_date)
        + _element(0x0010_0040, "CS", b.patient_sex)
        + _element(0x0010_1030, "DS", b.patient_weight)
        + _element(0x0020_000D, "UI", b.study_instance_uid)
        + _element(0x0032_1032, "PN", b.referring_physician)
        + _element(0x0032_1060, "LO", b.procedure_description)
        + _sequence(0x0040_0100, step)
        + _element(0x0040_1001, "SH", b.procedure_id)
        + _element(0x0040_1003, "SH", "ROUTINE")
    )


def _part_10(booking: Booking) -> bytes:
    """A DICOM file (PS3.10 7.1)."""
    meta = (
        _element(0x0002_0001, "OB", b"\0\1")
        + _element(0x0002_0002, "UI", "1.2.276.0.7230010.3.1.0.1")
        + _element(0x0002_0003, "UI", booking.study_instance_uid + ".1")
        + _element(0x0002_0010, "UI", "1.2.840.10008.1.2.1")
        + _element(0x0002_0012, "UI", _UID_ROOT)
    )
    length = _element(0x0002_0000, "UL", struct.pack("<I", len(meta)))
    return b"\0" * 128 + b"DICM" + length + meta + _worklist_item(booking)


_PUBLISHED_COLUMNS: dict[str, Callable[[Booking], str]] = {
    "study_instance_uid": lambda b: b.study_instance_uid,
    "patient_name": lambda b: b.patient_name,
    "patient_id": lambda b: b.patient_id,
    "patient_birth_date": lambda b: b.patient_birth_date,
    "patient_sex": lambda b: b.patient_sex,
    "patient_weight_lb": lambda b: b.patient_weight,
    "accession_number": lambda b: b.accession_number,
    "referring_physician_name": lambda b: b.referring_physician,
    "modality": lambda b: b.modality,
    "study_description": lambda b: b.study_description,
    "scheduled_station_aetitle": lambda b: b.station_aet,
    "scheduled_start_date": lambda b: b.start_date,
    "scheduled_start_time": lambda b: b.start_time,
    "performing_physician": lambda b: b.referring_physician,
    "procedure_description": lambda b: b.procedure_description,
    "protocol_name": lambda b: b.protocol_code,
    "station_name": lambda b: b.location,
    "hisris_coding_designator": lambda b: "LOCAL",
    "performed_procedure_step_status": lambda b: "SCHEDULED",
    "data_source": lambda b: "benchmark",
    "source_record_id": lambda b: b.step_id,
}


def write_published_database(bookings: Iterable[Booking], path: Path) -> None:
    """The table of the published release 0.4.6, as its sync would fill it."""
    columns = ", ".join(f"{name} VARCHAR" for name in _PUBLISHED_COLUMNS)
    places = ", ".join("?" for _ in _PUBLISHED_COLUMNS)
    connection = sqlite3.connect(path)
    try:
        with connection:
            connection.execute(
                f"CREATE TABLE worklist_items (id INTEGER NOT NULL PRIMARY KEY, {columns},"
                " UNIQUE (data_source, source_record_id))"
            )
            connection.executemany(
                f"INSERT INTO worklist_items ({', '.join(_PUBLISHED_COLUMNS)}) VALUES ({places})",
                ([value(b) for value in _PUBLISHED_COLUMNS.values()] for b in bookings),
            )
    finally:
        connection.close()
