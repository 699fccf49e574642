"""What is remembered about sources: cursor, health, runs, rejected records."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, select

from pylantir.clock import SiteClock
from pylantir.worklist.applying import withdraw_scheduled
from pylantir.worklist.database import Database
from pylantir.worklist.schedule import in_parts
from pylantir.worklist.tables import (
    rejected_records,
    source_states,
    sync_runs,
    worklist_items,
)

FROZEN = (
    "more than a quarter of the scheduled bookings would vanish at once, so nothing was withdrawn; "
    "look at the source, then: pylantir sync --source NAME --accept-withdrawals"
)
"""Note of a source whose withdrawals wait for a person."""

_KEPT_RUNS = 500


@dataclass(frozen=True, slots=True)
class SourceState:
    """How a source is doing. Instants are UTC, ISO 8601; empty for never.

    Parameters
    ----------
    name : str
        Of the source.
    cursor : str
        Where the next fetch continues; empty before the first batch was applied.
    last_attempt, last_success, last_full, next_run : str
        Instants.
    last_error : str
        Why the last attempt failed; empty when it did not.
    failures : int
        Failed attempts in a row.
    notes : tuple of str
        What the newest batch wants a person to know.
    """

    name: str
    cursor: str = ""
    last_attempt: str = ""
    last_success: str = ""
    last_full: str = ""
    last_error: str = ""
    failures: int = 0
    next_run: str = ""
    notes: tuple[str, ...] = ()

    @property
    def is_frozen(self) -> bool:
        """Whether its withdrawals wait for a person."""
        return FROZEN in self.notes


@dataclass(frozen=True, slots=True)
class SyncRun:
    """One run of a source, in numbers."""

    source: str
    started: str
    ended: str
    complete: bool
    fetched: int
    created: int
    updated: int
    unchanged: int
    withdrawn: int
    rejected: int
    message: str = ""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A record that is no booking, with its reasons; for people only, it may hold their data."""

    source: str
    record_id: str
    reasons: str
    first_seen: str = ""
    last_seen: str = ""


class SourceStore:
    """What is remembered about sources, in the same database as the items."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def state(self, name: str) -> SourceState:
        """The state of a source; an empty one when it has never run."""
        with self.database.read() as connection:
            return state_of(connection, name)

    def save(self, state: SourceState) -> None:
        """Keep the state of a source."""
        with self.database.write() as connection:
            save_state(connection, state)

    def note_failure(self, name: str, error: str, now: dt.datetime, next_run: dt.datetime) -> None:
        """Remember that a round failed, and when the next one is due."""
        with self.database.write() as connection:
            present = state_of(connection, name)
            save_state(
                connection,
                replace(
                    present,
                    last_attempt=now.isoformat(timespec="milliseconds"),
                    last_error=error,
                    failures=present.failures + 1,
                    next_run=next_run.isoformat(timespec="milliseconds"),
                ),
            )

    def states(self) -> list[SourceState]:
        """Every source that has ever run."""
        statement = select(source_states).order_by(source_states.c.name)
        with self.database.read() as connection:
            return [_state(row) for row in connection.execute(statement).mappings()]

    def runs(self, name: str, limit: int = 20) -> list[SyncRun]:
        """The newest runs of a source, newest first."""
        statement = (
            select(sync_runs)
            .where(sync_runs.c.source == name)
            .order_by(sync_runs.c.id.desc())
            .limit(limit)
        )
        with self.database.read() as connection:
            rows = connection.execute(statement).mappings().all()
        return [_run(row) for row in rows]

    def rejections(self, name: str | None = None) -> list[Rejection]:
        """Records that are no bookings, of one source or of all."""
        statement = select(rejected_records).order_by(
            rejected_records.c.source, rejected_records.c.record_id
        )
        if name is not None:
            statement = statement.where(rejected_records.c.source == name)
        with self.database.read() as connection:
            return [Rejection(**row) for row in connection.execute(statement).mappings()]

    def item_counts(self) -> dict[str, dict[str, int]]:
        """For each source that owns items: status to number of items."""
        table = worklist_items
        status = table.c.performed_procedure_step_status
        statement = select(table.c.data_source, status, func.count()).group_by(
            table.c.data_source, status
        )
        counts: dict[str, dict[str, int]] = {}
        with self.database.read() as connection:
            for source, name, number in connection.execute(statement):
                counts.setdefault(source or "", {})[name or "SCHEDULED"] = number
        return counts

    def held_back_counts(self, since: dt.date) -> dict[str, int]:
        """For each source: bookings since that day that it changed after their scan had begun."""
        table = worklist_items
        statement = (
            select(table.c.data_source, func.count())
            .where(table.c.held_back.is_not(None), table.c.scheduled_start_date >= str(since))
            .group_by(table.c.data_source)
        )
        with self.database.read() as connection:
            return {str(row[0]): int(row[1]) for row in connection.execute(statement)}

    def forget(self, name: str) -> int:
        """Drop what is remembered about a source that was renamed or removed.

        Its scheduled items are cancelled, because nobody keeps them up to date any more; what a
        scanner has begun stays.

        Returns
        -------
        int
            How many items were cancelled.
        """
        with self.database.write() as connection:
            cancelled = withdraw_scheduled(connection, name, "its source was forgotten")
            connection.execute(delete(source_states).where(source_states.c.name == name))
            connection.execute(delete(sync_runs).where(sync_runs.c.source == name))
            connection.execute(delete(rejected_records).where(rejected_records.c.source == name))
        return cancelled


def state_of(connection: Connection, name: str) -> SourceState:
    """The state of a source, inside a transaction."""
    statement = select(source_states).where(source_states.c.name == name)
    row = connection.execute(statement).mappings().first()
    return _state(row) if row is not None else SourceState(name)


def save_state(connection: Connection, state: SourceState) -> None:
    """Keep the state of a source, inside a write transaction."""
    values: dict[str, Any] = asdict(state) | {"notes": json.dumps(state.notes)}
    updated = connection.execute(
        source_states.update().where(source_states.c.name == state.name).values(values)
    )
    if updated.rowcount == 0:
        connection.execute(source_states.insert().values(values))


def _state(row: RowMapping) -> SourceState:
    texts = ("cursor", "last_attempt", "last_success", "last_full", "last_error", "next_run")
    values: dict[str, Any] = {name: row[name] or "" for name in texts}
    notes = tuple(json.loads(row["notes"])) if row["notes"] else ()
    return SourceState(row["name"], failures=row["failures"], notes=notes, **values)


def _run(row: RowMapping) -> SyncRun:
    values: dict[str, Any] = {name: row[name] for name in SyncRun.__dataclass_fields__}
    return SyncRun(**values | {"complete": bool(row["complete"])})


def note_run(connection: Connection, run: SyncRun) -> None:
    """Keep a run and let go of the oldest ones, inside a write transaction."""
    connection.execute(sync_runs.insert().values(asdict(run) | {"complete": int(run.complete)}))
    newest = (
        select(sync_runs.c.id)
        .where(sync_runs.c.source == run.source)
        .order_by(sync_runs.c.id.desc())
        .limit(1)
        .offset(_KEPT_RUNS)
    )
    oldest = connection.execute(newest).scalar()
    if oldest is not None:
        connection.execute(
            delete(sync_runs).where(sync_runs.c.source == run.source, sync_runs.c.id <= oldest)
        )


def note_rejections(
    connection: Connection,
    source: str,
    rejected: Mapping[str, str],
    readable: Iterable[str],
    stamp: str,
) -> int:
    """Keep what a batch rejected; what has become readable is struck off the list.

    Parameters
    ----------
    rejected : mapping
        Record id to reasons.
    readable : iterable of str
        Record ids that are bookings, or withdrawn, now.

    Returns
    -------
    int
        How many were not rejected before, or for other reasons.
    """
    table = rejected_records
    statement = select(table.c.record_id, table.c.reasons).where(table.c.source == source)
    present: dict[str, str] = {row.record_id: row.reasons for row in connection.execute(statement)}
    of_source = table.c.source == source
    for some in in_parts(sorted(present.keys() & set(readable))):
        connection.execute(delete(table).where(of_source, table.c.record_id.in_(some)))
    new = {key: reasons for key, reasons in rejected.items() if present.get(key) != reasons}
    for record_id in new.keys() & present.keys():
        values = {"reasons": new[record_id], "last_seen": stamp}
        same = of_source & (table.c.record_id == record_id)
        connection.execute(table.update().where(same).values(values))
    first = {"source": source, "first_seen": stamp, "last_seen": stamp}
    rows = [
        first | {"record_id": key, "reasons": reasons}
        for key, reasons in new.items()
        if key not in present
    ]
    if rows:
        connection.execute(table.insert(), rows)
    return len(new)


def is_compared(state: SourceState, clock: SiteClock) -> bool:
    """Whether everything in the window was compared today, by the days of the site."""
    if not state.last_full:
        return False
    return clock.wall_of(dt.datetime.fromisoformat(state.last_full)).date() == clock.today()


def reasons_text(reasons: Sequence[object]) -> str:
    """Reasons as one text for people."""
    return "; ".join(map(str, reasons))
