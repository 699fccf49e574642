"""Bookings as a table or as JSON, made and read as an import reads them."""

from __future__ import annotations

import csv
import io
from typing import Any

from hypothesis import HealthCheck, settings

from pylantir.worklist.imports import Importer
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.textfiles import parse_json, read_csv, read_json

MANY = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

ROW = {
    "patient_name": "Doe^Jane",
    "patient_id": "P1",
    "modality": "MR",
    "start_date": "2026-03-02",
    "start_time": "09:00",
}


def csv_of(*rows: dict[str, str], separator: str = ",") -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, fieldnames=list(rows[0]), delimiter=separator)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def from_csv(data: bytes, **options: Any) -> Importer:
    importer = Importer(**options)
    reading = read_csv(data, ignore_unknown=importer.ignore_unknown)
    importer.take("bookings.csv", reading)
    return importer


def from_json(data: bytes | str, **options: Any) -> Importer:
    importer = Importer(**options)
    raw = data if isinstance(data, bytes) else data.encode()
    importer.take("bookings.json", read_json(parse_json(raw)))
    return importer


def only(importer: Importer) -> WorklistItem:
    assert [str(refusal) for refusal in importer.refused] == []
    (item,) = importer.items
    return item


def reasons(importer: Importer) -> list[str]:
    assert importer.items == []
    return [str(refusal) for refusal in importer.refused]
