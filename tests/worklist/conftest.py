"""A worklist database of its own for each test."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.worklist.bookings import NOW

from pylantir.worklist.database import Database
from pylantir.worklist.schema import prepare
from pylantir.worklist.steps import StepStore
from pylantir.worklist.store import ItemStore

Foreign = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture(scope="session")
def empty_worklist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that :func:`prepare` has just made; copied, because that is quicker."""
    path = tmp_path_factory.mktemp("empty") / "worklist.db"
    database = Database(str(path))
    prepare(database, now=NOW)
    database.close()
    return path


@pytest.fixture
def db_path(tmp_path: Path, empty_worklist: Path) -> Path:
    """Path of a prepared, empty database."""
    path = tmp_path / "worklist.db"
    shutil.copy(empty_worklist, path)
    return path


@pytest.fixture
def database(db_path: Path) -> Iterator[Database]:
    """A prepared, empty database."""
    opened = Database(str(db_path))
    yield opened
    opened.close()


@pytest.fixture
def items(database: Database) -> ItemStore:
    """The store of items."""
    return ItemStore(database, authority="https://redcap.example", now=lambda: NOW)


@pytest.fixture
def steps(database: Database) -> StepStore:
    """The store of performed steps, in the same database as `items`."""
    return StepStore(database, now=lambda: NOW)


@pytest.fixture
def foreign(db_path: Path) -> Foreign:
    """Plain SQL of another program, committed at once, in the same database."""

    def run(statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(db_path)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    return run
