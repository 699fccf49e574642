"""The outbox: what scanners did, on its way back to the sources that want to know.

A report is written in the transaction that keeps the performed step, so that none is lost, and
stays until its source has it. Only the newest report of a step for a record is sent: sending it
twice, or after a later one, says nothing else.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import ColumnElement, Connection, RowMapping, func, select

from pylantir.worklist.database import Database
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.step import PerformedProcedureStep
from pylantir.worklist.tables import outbox

FIRST_PAUSE_S = 60.0
LONGEST_PAUSE_S = 3600.0


@dataclass(frozen=True, slots=True)
class PerformedReport:
    """What a scanner did with one booking.

    Parameters
    ----------
    record_id : str
        The source's key of the booking.
    status : str
        ``IN PROGRESS``, ``COMPLETED`` or ``DISCONTINUED``.
    started, ended : str
        The scanner's wall clock, ``YYYY-MM-DD HH:MM:SS``; empty while it runs.
    operator : str
        Operators' Name of the first series; may be empty.
    series_count : int
        How many series were made.
    station : str
        AE title of the scanner.
    """

    record_id: str
    status: str
    started: str
    ended: str
    operator: str
    series_count: int
    station: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A report that its source does not have yet.

    Parameters
    ----------
    number : int
        Of its row.
    report : PerformedReport
        What is to be sent.
    attempts : int
        How often that was tried.
    last_error : str
        Why the last attempt failed.
    payload : str
        As it is stored: a newer report of the same step may take its place while it is sent.
    """

    number: int
    report: PerformedReport
    attempts: int
    last_error: str
    payload: str


def enqueue(
    connection: Connection, step: PerformedProcedureStep, item: WorklistItem, stamp: str
) -> None:
    """Put a report into the outbox, over an older one of the same step that still waits."""
    same = (
        (outbox.c.source == item.data_source)
        & (outbox.c.record_id == item.source_record_id)
        & (outbox.c.sop_instance_uid == step.sop_instance_uid)
        & outbox.c.sent_at.is_(None)
    )
    payload = json.dumps(asdict(_report(step, item)), ensure_ascii=False)
    values = {"payload": payload, "attempts": 0, "next_attempt": stamp, "last_error": ""}
    if connection.execute(outbox.update().where(same).values(values)).rowcount == 0:
        connection.execute(
            outbox.insert().values(
                source=item.data_source,
                record_id=item.source_record_id,
                sop_instance_uid=step.sop_instance_uid,
                created_at=stamp,
                **values,
            )
        )


def _report(step: PerformedProcedureStep, item: WorklistItem) -> PerformedReport:
    series = step.attributes.get("00400340", {}).get("Value") or []
    operators = [_name(one.get("00081070", {})) for one in series]
    return PerformedReport(
        record_id=item.source_record_id,
        status="SCHEDULED" if step.released else step.status.value,
        started=step.started.isoformat(" ", "seconds"),
        ended=step.ended.isoformat(" ", "seconds") if step.ended else "",
        operator=next((name for name in operators if name), ""),
        series_count=len(series),
        station=step.performed_station_ae_title,
    )


def _name(element: dict[str, object]) -> str:
    values = element.get("Value")
    first = values[0] if isinstance(values, list) and values else None
    return str(first.get("Alphabetic", "")) if isinstance(first, dict) else ""


class Outbox:
    """Reports on their way."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def due(self, source: str, now: dt.datetime, limit: int = 100) -> list[Waiting]:
        """Reports for a source that should be sent now, oldest first."""
        statement = (
            select(outbox)
            .where(
                outbox.c.source == source,
                outbox.c.sent_at.is_(None),
                outbox.c.next_attempt <= _stamp(now),
            )
            .order_by(outbox.c.id)
            .limit(limit)
        )
        with self.database.read() as connection:
            return [_waiting(row) for row in connection.execute(statement).mappings()]

    def waiting(self) -> dict[str, int]:
        """For each source: how many reports it does not have yet."""
        statement = (
            select(outbox.c.source, func.count())
            .where(outbox.c.sent_at.is_(None))
            .group_by(outbox.c.source)
        )
        with self.database.read() as connection:
            return {str(row[0]): int(row[1]) for row in connection.execute(statement)}

    def troubles(self) -> dict[str, str]:
        """For each source that would not take reports: how many wait, and what it said."""
        statement = (
            select(outbox.c.source, func.count(), func.max(outbox.c.last_error))
            .where(outbox.c.sent_at.is_(None), outbox.c.attempts > 0)
            .group_by(outbox.c.source)
        )
        with self.database.read() as connection:
            return {
                str(source): f"reports of performed steps not taken, {number} wait: {error}"
                for source, number, error in connection.execute(statement)
            }

    def note_sent(self, sent: Sequence[Waiting], now: dt.datetime) -> None:
        """The source has these; what took the place of one meanwhile still waits."""
        with self.database.write() as connection:
            for each in sent:
                connection.execute(outbox.update().where(*_still(each)).values(sent_at=_stamp(now)))

    def note_failed(self, failed: Sequence[Waiting], error: str, now: dt.datetime) -> None:
        """The source would not take these: later again, with growing pauses."""
        with self.database.write() as connection:
            for each in failed:
                pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(each.attempts, 16))
                connection.execute(
                    outbox.update()
                    .where(*_still(each))
                    .values(
                        attempts=each.attempts + 1,
                        last_error=error,
                        next_attempt=_stamp(now + dt.timedelta(seconds=pause)),
                    )
                )


def _still(each: Waiting) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """The row, as long as it holds the same report."""
    return outbox.c.id == each.number, outbox.c.payload == each.payload


def _waiting(row: RowMapping) -> Waiting:
    payload = str(row["payload"])
    report = PerformedReport(**json.loads(payload))
    return Waiting(row["id"], report, row["attempts"], row["last_error"], payload)


def _stamp(now: dt.datetime) -> str:
    return now.isoformat(timespec="milliseconds")
