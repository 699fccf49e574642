"""What has changed since somebody looked last: for the page, for programs, for a terminal.

Read from the databases, so that it is told whichever process made the change. It names no person.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, func, select

from pylantir.worklist.database import Database
from pylantir.worklist.journal import QueryJournal
from pylantir.worklist.tables import (
    changes,
    performed_steps,
    step_links,
    sync_runs,
    worklist_items,
)

AT_ONCE = 500
"""Changes of one kind that are told one by one; of more, only how many there are."""

PAUSE_S = 1.0
"""How often who follows the changes looks: another process gives no sign of its own."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Up to where somebody has seen.

    Parameters
    ----------
    version, run, query : int
        Newest version of an item or step, newest round of a source, newest query.
    """

    version: int = 0
    run: int = 0
    query: int = 0

    def __str__(self) -> str:
        return f"{self.version}.{self.run}.{self.query}"


def parse_cursor(shown: str) -> Cursor | None:
    """The cursor that a text stands for, if it is one."""
    parts = shown.split(".")
    if len(parts) != 3 or not all(p.isascii() and p.isdigit() and len(p) < 19 for p in parts):
        return None
    return Cursor(*map(int, parts))


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that happened.

    Parameters
    ----------
    kind : str
        ``item``, ``step``, ``sync``, ``query``, or ``many`` when there is too much to tell.
    data : dict
        What, as plain JSON.
    """

    kind: str
    data: dict[str, Any]


class ChangeFeed:
    """Tells changes.

    Parameters
    ----------
    database : Database
        The worklist.
    journal : QueryJournal
        What scanners asked.
    """

    def __init__(self, database: Database, journal: QueryJournal) -> None:
        self._database = database
        self._journal = journal

    def now(self) -> Cursor:
        """The present end of the changes."""
        newest = self._journal.last()
        with self._database.read() as connection:
            return Cursor(
                int(connection.execute(select(changes.c.version)).scalar_one()),
                int(connection.execute(select(func.max(sync_runs.c.id))).scalar() or 0),
                newest[0].number if newest else 0,
            )

    def since(self, cursor: Cursor) -> tuple[Cursor, list[Change]]:
        """What has happened after a cursor, and the next cursor.

        Raises
        ------
        StoreError
            The database cannot be read.
        """
        found: list[Change] = []
        with self._database.read() as connection:
            version = int(connection.execute(select(changes.c.version)).scalar_one())
            if version != cursor.version:
                found += _items(connection, cursor.version)
                found += _steps(connection, cursor.version)
            runs = _runs(connection, cursor.run)
        run = max([cursor.run, *(each.data["run"] for each in runs)])
        queries = self._journal.last(limit=AT_ONCE, after=cursor.query)
        for each in reversed(queries):
            data = {"ae_title": each.ae_title, "at": each.at.isoformat(), "found": each.found}
            found.append(Change("query", data))
        number = max([cursor.query, *(each.number for each in queries)])
        return replace(cursor, version=version, run=run, query=number), [*runs, *found]


def _items(connection: Connection, after: int) -> list[Change]:
    table = worklist_items
    statement = (
        select(table.c.id, table.c.performed_procedure_step_status, table.c.scheduled_start_date)
        .where(table.c.version > after, table.c.rejected_reason.is_(None))
        .order_by(table.c.version)
        .limit(AT_ONCE + 1)
    )
    rows = connection.execute(statement).all()
    if len(rows) > AT_ONCE:
        return [Change("many", {"what": "item"})]
    return [
        Change("item", {"id": row[0], "status": row[1] or "SCHEDULED", "date": row[2]})
        for row in rows
    ]


def _steps(connection: Connection, after: int) -> list[Change]:
    table = performed_steps
    statement = (
        select(table.c.sop_instance_uid, table.c.status, table.c.calling_ae_title)
        .where(table.c.version > after)
        .order_by(table.c.version)
        .limit(AT_ONCE + 1)
    )
    rows = connection.execute(statement).all()
    if len(rows) > AT_ONCE:
        return [Change("many", {"what": "step"})]
    return [_step(connection, *row) for row in rows]


def _step(connection: Connection, uid: str, status: str, ae_title: str) -> Change:
    linked = select(step_links.c.item_id).where(step_links.c.sop_instance_uid == uid)
    items = [row[0] for row in connection.execute(linked) if row[0] is not None]
    data = {"sop_instance_uid": uid, "status": status, "ae_title": ae_title, "items": items}
    return Change("step", data)


def _runs(connection: Connection, after: int) -> list[Change]:
    table = sync_runs
    statement = select(table).where(table.c.id > after).order_by(table.c.id).limit(AT_ONCE)
    numbers = "fetched created updated unchanged withdrawn rejected".split()
    return [
        Change(
            "sync",
            {"run": row["id"], "source": row["source"], "ended": row["ended"]}
            | {name: row[name] for name in numbers},
        )
        for row in connection.execute(statement).mappings()
    ]
