"""What a fuzzer calls: bytes from outside, through the code that reads them, to what is made of it.

Each target takes any bytes and returns; it raises when a reader raises anything but what it
promises, or when what it read cannot be used as it is meant to be.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable

from pydicom.dataset import Dataset
from pynetdicom.dsutils import encode
from sqlalchemy import select
from sqlalchemy.dialects import sqlite

from pylantir.cli.exchange import reading_of
from pylantir.dicom.elements import Encoding, MalformedDataSet
from pylantir.dicom.encoder import AnswerEncoder
from pylantir.dicom.identifiers import read_identifier
from pylantir.dicom.mpps_rules import check_create, check_set, missing_at_the_end
from pylantir.dicom.performed import as_data_set, read_attributes, step_of
from pylantir.errors import InvalidQuery
from pylantir.worklist.imports import Importer
from pylantir.worklist.item import WorklistItem, make_item
from pylantir.worklist.narrow import conditions
from pylantir.worklist.tables import worklist_items

ENCODINGS = (
    Encoding(implicit_vr=True, little_endian=True),
    Encoding(implicit_vr=False, little_endian=True),
    Encoding(implicit_vr=False, little_endian=False),
)
"""Chosen by the first byte of an input."""

NOW = dt.datetime(2025, 7, 7, 12, tzinfo=dt.UTC)
_SQLITE = sqlite.dialect()


def _item(record: str, **values: object) -> WorklistItem:
    required = {
        "patient_name": "Doe^Jane",
        "patient_id": "PID-1",
        "modality": "MR",
        "scheduled_procedure_step_start_date": "2025-07-07",
        "scheduled_procedure_step_start_time": "08:30",
    }
    return make_item({**required, **values}, data_source="fuzz", source_record_id=record)


ITEMS = (
    _item("1", scheduled_station_ae_title=["MR1", "MR2"], patient_weight_kg="72.5"),
    _item(
        "2",
        patient_name="Müller^Zoë=山田^太郎",
        pregnancy_status=2,
        requested_procedure_codes=[{"value": "BRAIN", "scheme": "99X", "meaning": "ü"}],
        BodyPartExamined="HEAD",
    ),
)


def _encoded(data: bytes) -> tuple[bytes, Encoding]:
    return data[1:], ENCODINGS[data[0] % len(ENCODINGS)] if data else ENCODINGS[0]


def identifier(data: bytes) -> None:
    """A C-FIND identifier: a query that can be asked and answered, or InvalidQuery."""
    body, encoding = _encoded(data)
    try:
        request = read_identifier(body, encoding)
    except InvalidQuery as error:
        if not error.for_log.isprintable():
            raise AssertionError(f"not for a log: {error.for_log!r}") from error
        return
    query = request.query()
    str(select(worklist_items.c.id).where(*conditions(query)).compile(dialect=_SQLITE))
    encoder = AnswerEncoder(
        request.asked, encoding, station="MR1", character_set=request.character_set
    )
    for item in ITEMS:
        query.matches(item)
        encoder.encode(item)


def performed(data: bytes) -> None:
    """An MPPS data set: a step that can be kept and given back, or MalformedDataSet."""
    body, encoding = _encoded(data)
    try:
        attributes, violations = read_attributes(body, encoding)
    except MalformedDataSet:
        return
    for violation in (*violations, *check_create(attributes), *check_set(attributes)):
        assert str(violation)
    missing_at_the_end(attributes)
    kept = json.dumps(attributes, allow_nan=False, ensure_ascii=False)
    kept.encode()
    assert json.loads(kept) == attributes
    step = step_of(attributes, sop_instance_uid="1.2.3", calling_ae_title="MR1", received=NOW)
    for text in (step.patient_id, step.patient_name, step.modality):
        text.encode()
    ds = as_data_set(step.attributes)
    _send(ds)


def _send(ds: Dataset) -> None:
    assert encode(ds, False, True) is not None


def worklist_file(data: bytes) -> None:
    """A file to import: items, or refusals that can be shown."""
    importer = Importer(ignore_unknown=True)
    importer.take("file", reading_of(data))
    for line in (*importer.refused, *importer.notes):
        assert str(line).replace("\n", "").isprintable()


TARGETS: dict[str, Callable[[bytes], None]] = {
    "identifier": identifier,
    "performed": performed,
    "worklist_file": worklist_file,
}
"""By the name of their corpus."""
