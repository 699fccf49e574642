"""Statements that a scanner waits for: SQLAlchemy puts them into words, the driver runs them.

Through all of SQLAlchemy a statement of one row takes some forty calls of Python functions, ten
times as long as SQLite needs. A performed step takes fifteen of them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql import Delete, Insert, Select, Update

_Statement = Select[Any] | Insert | Update | Delete


@dataclass(frozen=True, slots=True)
class _Words:
    sql: str
    names: tuple[str, ...]
    given: Mapping[str, Any]


class Prepared:
    """A statement with bound parameters, all of them texts or numbers, without lists of values.

    It runs in the transaction that the connection is in. On other databases than SQLite, and where
    statements are shown (``db_echo``), it takes the way of all others.

    Parameters
    ----------
    statement : Select, Insert, Update or Delete
        What to run.
    columns : iterable of str
        What an INSERT or UPDATE sets, where it does not say.
    """

    def __init__(self, statement: _Statement, columns: Iterable[str] = ()) -> None:
        self._statement = statement
        compiled = statement.compile(dialect=sqlite.dialect(), column_keys=[*columns] or None)
        names = tuple(compiled.positiontup or ())
        self._words = _Words(str(compiled), names, dict(compiled.params))

    def rows(self, connection: Connection, **values: Any) -> list[tuple[Any, ...]]:
        """Its rows, as the database has their values.

        Raises
        ------
        sqlite3.Error, SQLAlchemyError
            It cannot be run.
        """
        driver = connection.connection.driver_connection
        if not isinstance(driver, sqlite3.Connection) or connection.engine.echo:
            result = connection.execute(self._statement, values)
            return [tuple(row) for row in result] if result.returns_rows else []
        given = self._words.given
        bound = [values[name] if name in values else given[name] for name in self._words.names]
        return driver.execute(self._words.sql, bound).fetchall()

    def first(self, connection: Connection, **values: Any) -> tuple[Any, ...] | None:
        """Its first row, if there is one."""
        rows = self.rows(connection, **values)
        return rows[0] if rows else None
