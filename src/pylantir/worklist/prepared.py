"""Statements that a scanner waits for: SQLAlchemy puts them into words, the driver runs them.

Through all of SQLAlchemy a statement of one row takes some forty calls of Python functions, ten
times as long as SQLite needs. A performed step takes fifteen of them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql import Delete, Insert, Select, Update

_Statement = Select[Any] | Insert | Update | Delete


@dataclass(frozen=True, slots=True)
class _Words:
    """The SQL, the names of its parameters in their order, and what it gives them itself."""

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
        What to run. Values of an INSERT or UPDATE that are no parameters of it are what it sets.
    """

    def __init__(self, statement: _Statement) -> None:
        self._statement = statement
        self._words: dict[tuple[str, ...], _Words] = {}

    def rows(self, connection: Connection, **values: Any) -> list[tuple[Any, ...]]:
        """Its rows, as the database has their values.

        Raises
        ------
        sqlite3.Error, SQLAlchemyError
            It cannot be run.
        KeyError
            A parameter has no value.
        """
        driver = connection.connection.driver_connection
        if not isinstance(driver, sqlite3.Connection) or connection.engine.echo:
            result = connection.execute(self._statement, values)
            return [tuple(row) for row in result] if result.returns_rows else []
        words = self._words_for(tuple(values))
        bound = [values[name] if name in values else words.given[name] for name in words.names]
        return driver.execute(words.sql, bound).fetchall()

    def _words_for(self, given: tuple[str, ...]) -> _Words:
        words = self._words.get(given)
        if words is None:
            words = self._words[given] = _put_into_words(self._statement, given)
        return words

    def first(self, connection: Connection, **values: Any) -> tuple[Any, ...] | None:
        """Its first row, if there is one."""
        rows = self.rows(connection, **values)
        return rows[0] if rows else None


def _put_into_words(statement: _Statement, given: tuple[str, ...]) -> _Words:
    compiled = statement.compile(dialect=sqlite.dialect(), column_keys=[*given] or None)
    own = {name: bound.value for name, bound in compiled.binds.items() if not bound.required}
    return _Words(str(compiled), tuple(compiled.positiontup or ()), own)
