"""``test-client`` over TLS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.authority import Authority
from tests.cli.conftest import CommandLine
from tests.dicom.serving import Server
from tests.worklist.bookings import NOW

from pylantir.worklist.database import Database
from pylantir.worklist.schema import prepare


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    made: list[Server] = []

    def make(**settings: Any) -> Server:
        database = Database(str(tmp_path / "served.db"))
        prepare(database, now=NOW)
        database.close()
        made.append(Server(tmp_path / "served.db", **settings).start())
        return made[-1]

    yield make
    for server in made:
        server.stop()


def test_the_command_line_speaks_tls(
    make_server: Callable[..., Server], authority: Authority, run: CommandLine
) -> None:
    server = make_server(
        tls={
            "certificate": authority.issue("127.0.0.1", file="server.pem"),
            "port": 0,
            "ca": authority.path,
            "mutual": True,
        }
    )
    server.book("1")
    address = server.ae.tls_address
    assert address is not None
    words = ["test-client", "--ip", "127.0.0.1", "--port", str(address[1]), "--tls"]
    trusted = [*words, "--tls-ca", authority.path]

    assert run(*trusted, "--tls-certificate", authority.issue("mr1.example")) == 0
    assert "1 item" in run.out
    assert run(*trusted) == 1
    assert "certificate" in run.out
    assert run(*words) == 1
    assert "its certificate not trusted" in run.out
    assert run(*words, "--tls-ca", "none.pem") == 2
    assert "cannot read none.pem" in run.err
    plain = [word for word in words if word != "--tls"]
    assert run(*plain) == 1
