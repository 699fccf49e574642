"""Servers with a worklist of their own, each on a port of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.dicom.serving import Server
from tests.worklist.bookings import NOW

from pylantir.worklist.database import Database
from pylantir.worklist.schema import prepare

MakeServer = Callable[..., Server]


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty worklist; copied, because that is quicker than to prepare one."""
    path = tmp_path_factory.mktemp("prepared") / "worklist.db"
    database = Database(str(path))
    prepare(database, now=NOW)
    database.close()
    return path


@pytest.fixture(scope="module")
def running(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests of a file."""
    path = tmp_path_factory.mktemp("server") / "worklist.db"
    shutil.copy(prepared, path)
    server = Server(path).start()
    yield server
    server.stop()


@pytest.fixture
def server(running: Server) -> Server:
    """A server with default settings and an empty worklist."""
    running.empty()
    return running


@pytest.fixture
def make_server(prepared: Path, tmp_path: Path) -> Iterator[MakeServer]:
    """Start a server with settings of the test's own, or another one on the same database."""
    path = tmp_path / "worklist.db"
    shutil.copy(prepared, path)
    made: list[Server] = []

    def make(**settings: object) -> Server:
        made.append(Server(path, **settings).start())
        return made[-1]

    yield make
    for server in made:
        server.stop()
