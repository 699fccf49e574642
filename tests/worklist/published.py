"""Databases as the published releases make them, by their own table definitions."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

_COLUMNS_0_2 = """
    id INTEGER NOT NULL,
    study_instance_uid VARCHAR(100),
    patient_name VARCHAR(100),
    patient_id VARCHAR(50),
    patient_birth_date VARCHAR(8),
    patient_sex VARCHAR(1),
    patient_weight_lb VARCHAR(10),
    accession_number VARCHAR(50),
    referring_physician_name VARCHAR(100),
    modality VARCHAR(10),
    study_description VARCHAR(100),
    scheduled_station_aetitle VARCHAR(100),
    scheduled_start_date VARCHAR(8),
    scheduled_start_time VARCHAR(6),
    performing_physician VARCHAR(100),
    procedure_description VARCHAR(200),
    protocol_name VARCHAR(100),
    station_name VARCHAR(100),
    hisris_coding_designator VARCHAR(100),
    performed_procedure_step_status VARCHAR,
"""
_SOURCE = "data_source VARCHAR(255),\n"
_RECORD = "source_record_id VARCHAR(255),\n"
_UNIQUE = ",\n CONSTRAINT uq_worklist_source_record UNIQUE (data_source, source_record_id)"

_KEY = "PRIMARY KEY (id)"


def _table(*parts: str) -> str:
    return f"CREATE TABLE worklist_items ({''.join(parts)})"


SHAPES = {
    "0.2.3": _table(_COLUMNS_0_2, _KEY),
    "0.3.5": _table(_COLUMNS_0_2, _SOURCE, _KEY),
    "0.4.6": _table(_COLUMNS_0_2, _SOURCE, _RECORD, _KEY, _UNIQUE),
    # A table of 0.3 to which somebody added the column that 0.4 looks for.
    "0.4.6 by hand": _table(_COLUMNS_0_2, _SOURCE, _RECORD, _KEY),
}

ROW: dict[str, Any] = {
    "study_instance_uid": "1.2.840.10008.3.1.2.3.4.1",
    "patient_name": "Doe^Jane",
    "patient_id": "P1",
    "patient_birth_date": "19800229",
    "patient_sex": "F",
    "patient_weight_lb": "160",
    "modality": "MR",
    "scheduled_start_date": "2025-07-07",
    "scheduled_start_time": "08:30",
    "protocol_name": "BRAIN",
    "hisris_coding_designator": "99X",
    "performed_procedure_step_status": "SCHEDULED",
}
"""What the published release writes for a booking."""

BARE: dict[str, Any] = {
    **ROW,
    "study_instance_uid": None,
    "patient_id": "P2",
    "patient_birth_date": "1980",
    "patient_sex": "1",
    "patient_weight_lb": "100",
    "modality": None,
    "protocol_name": None,
    "hisris_coding_designator": None,
    "performed_procedure_step_status": "IN_PROGRESS",
}
"""The same with the published defaults for what is unknown."""

BROKEN: dict[str, Any] = {**ROW, "patient_id": "P3", "scheduled_start_date": None}


def build(path: Path, release: str, rows: list[dict[str, Any]]) -> Path:
    """Make a database of a release with these rows."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(SHAPES[release])
        for row in rows:
            marks = ", ".join("?" * len(row))
            connection.execute(
                f"INSERT INTO worklist_items ({', '.join(row)}) VALUES ({marks})",
                tuple(row.values()),
            )
    return path


def dump(path: Path, columns: str = "*") -> list[tuple[Any, ...]]:
    """Every row, by number."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT {columns} FROM worklist_items ORDER BY id").fetchall()


def definition(path: Path) -> list[str]:
    """The statements that make the schema."""
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute("SELECT sql FROM sqlite_master")]
