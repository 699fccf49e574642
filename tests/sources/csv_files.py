"""CSV files that somebody leaves, and a source that reads them."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Any

from tests.bookable import NOW, TODAY, MovableClock

from pylantir.sources import make_source
from pylantir.sources.base import (
    Batch,
    BookingWindow,
    Source,
    SourceSettings,
)
from pylantir.worklist.item import WorklistItem, make_item

LAST_DAY = TODAY + dt.timedelta(days=30)
HEADER = "booking_id,patient_name,patient_id,modality,start_date,start_time"
ROW = "{0},Doe^Jane,P-{0},MR,2026-03-02,09:30"


def leave(folder: Path, text: str | bytes, name: str = "bookings.csv", age_s: float = 60) -> Path:
    """Write a file as something did that many seconds ago."""
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    written = NOW.timestamp() - age_s
    os.utime(path, (written, written))
    return path


def table(*ids: str, row: str = ROW, header: str = HEADER) -> str:
    return "\n".join([header, *(row.format(each) for each in ids)]) + "\n"


def source(folder: Path, field_mapping: dict[str, Any] | None = None, **config: Any) -> Source:
    settings = SourceSettings(
        name="files",
        config={"path": str(folder), **config},
        field_mapping=field_mapping or {},
        clock=MovableClock(),
    )
    return make_source("csv", settings)


def window(now: dt.datetime = NOW) -> BookingWindow:
    return BookingWindow(now, None, TODAY - dt.timedelta(days=1), LAST_DAY)


def fetch(source: Source, later_s: float = 0) -> Batch:
    return source.fetch(window(NOW + dt.timedelta(seconds=later_s)))


def items(source: Source, batch: Batch) -> dict[str, WorklistItem]:
    return {
        each.record_id: make_item(
            source.values_of(each), data_source="files", source_record_id=each.record_id
        )
        for each in batch.records
        if not each.withdrawn
    }


def read(folder: Path, *args: Any, **config: Any) -> dict[str, WorklistItem]:
    made = source(folder, *args, **config)
    return items(made, fetch(made))
