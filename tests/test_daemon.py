"""The daemon: what starts, stops; ready means that a scanner would get an answer."""

from __future__ import annotations

import os
import socket
import stat
import threading
import time
import zoneinfo
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.test_clock import as_zone_file

from pylantir.clock import zone_data_version
from pylantir.config.schema import Config
from pylantir.daemon import Daemon, keep_files_private, open_worklist
from pylantir.dicom import scu
from pylantir.errors import DatabaseUnavailable, StartError

MakeDaemon = Callable[..., Daemon]


class Recorder:
    """A part that notes what happens to it."""

    def __init__(self, name: str, notes: list[str], *, fails: bool = False) -> None:
        self._name, self._notes, self._fails = name, notes, fails

    def start(self) -> None:
        if self._fails:
            raise StartError(f"{self._name} cannot start")
        self._notes.append(f"{self._name} started")

    def stop(self) -> None:
        self._notes.append(f"{self._name} stopped")


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    return {"db_path": str(tmp_path / "site" / "worklist.db"), "ip": "127.0.0.1", "port": 0}


@pytest.fixture
def make_daemon(settings: dict[str, Any]) -> Iterator[MakeDaemon]:
    """Makes daemons with settings of the test's own; stops them afterwards."""
    made: list[Daemon] = []

    def make(*parts: Any, **others: Any) -> Daemon:
        made.append(Daemon(open_worklist(Config(**{**settings, **others})), *parts))
        return made[-1]

    yield make
    for daemon in made:
        daemon.stop()


def refuses(host: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) != 0


def test_it_listens_once_it_has_started_and_no_longer_once_it_has_stopped(
    make_daemon: MakeDaemon,
) -> None:
    daemon = make_daemon()
    daemon.start()
    address = daemon.ae.address

    assert scu.echo(daemon.peer).is_success
    daemon.stop()
    assert refuses(*address)


def test_parts_start_after_the_server_and_all_of_them_stop(make_daemon: MakeDaemon) -> None:
    notes: list[str] = []
    daemon = make_daemon(Recorder("first", notes), Recorder("second", notes))

    daemon.start()
    assert notes == ["first started", "second started"]
    daemon.stop()
    assert sorted(notes[2:]) == ["first stopped", "second stopped"]


def test_a_part_that_cannot_start_ends_those_that_have(make_daemon: MakeDaemon) -> None:
    notes: list[str] = []
    daemon = make_daemon(Recorder("first", notes), Recorder("second", notes, fails=True))

    with pytest.raises(StartError, match="second cannot start"):
        daemon.start()

    assert notes == ["first started", "first stopped"]


def test_no_source_is_asked_before_the_server_has_answered_its_own_echo(
    make_daemon: MakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What sources load and fetch must not be time that the first scanner waits."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    notes: list[str] = []
    daemon = make_daemon(Recorder("source", notes), port=port)
    listen = daemon.ae.start

    def listen_for_a_moment() -> None:
        listen()
        daemon.ae.stop()

    monkeypatch.setattr(daemon.ae, "start", listen_for_a_moment)
    with pytest.raises(StartError, match="does not answer its own C-ECHO"):
        daemon.start()
    assert notes == []


def test_parts_stop_at_the_same_time(make_daemon: MakeDaemon) -> None:
    """Each waits for the other: one after the other they would never end."""
    together = threading.Barrier(2, timeout=10)

    class Slow(Recorder):
        def stop(self) -> None:
            together.wait()

    daemon = make_daemon(Slow("one", []), Slow("other", []))
    daemon.start()

    daemon.stop()

    assert not together.broken


def test_a_part_that_fails_to_stop_holds_up_nothing(make_daemon: MakeDaemon) -> None:
    notes: list[str] = []

    class Broken(Recorder):
        def stop(self) -> None:
            raise StartError("stuck")

    daemon = make_daemon(Broken("broken", notes), Recorder("other", notes))
    daemon.start()
    address = daemon.ae.address

    with pytest.raises(StartError, match="stuck"):
        daemon.stop()

    assert "other stopped" in notes
    assert refuses(*address)


def test_stopping_twice_is_stopping_once(make_daemon: MakeDaemon) -> None:
    notes: list[str] = []
    daemon = make_daemon(Recorder("part", notes))
    daemon.start()

    daemon.stop()
    daemon.stop()

    assert notes == ["part started", "part stopped"]


def test_it_waits_until_it_is_asked_to_stop(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon()
    waiting = threading.Thread(target=daemon.wait)
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()

    daemon.request_stop()

    waiting.join(5)
    assert not waiting.is_alive()


def test_many_associations_end_within_two_seconds(
    make_daemon: MakeDaemon,
) -> None:
    daemon = make_daemon()
    daemon.start()
    scanners = [scu.Scanner(daemon.peer, (scu.VERIFICATION,)) for _ in range(40)]
    half_open = [socket.create_connection(daemon.ae.address) for _ in range(20)]
    try:
        for scanner in scanners:
            assert scanner.accepted
        began = time.monotonic()
        daemon.stop()
        elapsed_s = time.monotonic() - began
        for connection in half_open:
            connection.settimeout(5)
            assert connection.recv(1) == b""
    finally:
        for connection in half_open:
            connection.close()
        for scanner in scanners:
            scanner.close()

    assert elapsed_s < 2


def test_a_taken_port_is_named_with_the_way_out(make_daemon: MakeDaemon) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(StartError, match=rf"port {port} on 127\.0\.0\.1 is taken.*--port"):
            make_daemon(port=port).start()


@pytest.mark.parametrize(
    ("site", "calling", "called"),
    [
        ({}, "MWL_SERVER", "MWL_SERVER"),
        ({"allowed_aet": ["MR1", "MR2"]}, "MR1", "MWL_SERVER"),
        (
            {
                "allowed_aet": ["MR1"],
                "scanners": [{"ae_title": "MR1", "called_ae_titles": ["OLD_NAME"]}],
            },
            "MR1",
            "OLD_NAME",
        ),
    ],
    ids=["open", "listed", "called by another title"],
)
def test_it_echoes_as_a_scanner_that_may_connect(
    make_daemon: MakeDaemon, site: dict[str, Any], calling: str, called: str
) -> None:
    daemon = make_daemon(**site)

    daemon.start()

    assert (daemon.peer.calling_ae_title, daemon.peer.called_ae_title) == (calling, called)


def test_an_address_to_listen_on_is_not_the_one_to_call(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(ip="0.0.0.0")
    daemon.start()

    assert daemon.ae.address[0] == "0.0.0.0"
    assert daemon.peer.host == "127.0.0.1"


def test_a_worklist_that_cannot_be_made_is_named(settings: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "site").write_text("a file where the folder should be")

    with pytest.raises(DatabaseUnavailable, match=r"cannot create the database .*worklist\.db"):
        open_worklist(Config(**settings))


@pytest.mark.skipif(os.name != "posix", reason="POSIX file modes")
def test_what_it_writes_is_private(settings: dict[str, Any], tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        keep_files_private()
        open_worklist(Config(**settings)).close()
    finally:
        os.umask(before)

    for path in (tmp_path / "site", *(tmp_path / "site").iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_the_authority_of_what_people_enter_is_the_site(settings: dict[str, Any]) -> None:
    worklist = open_worklist(Config(**settings, site="792"))

    assert worklist.authority == "792"
    worklist.close()


@pytest.mark.parametrize(
    ("zone", "source"),
    [
        ("America/Edmonton", {"name": "f", "type": "csv", "config": {}}),
        ("UTC", {"name": "c", "type": "calpendo", "config": {}}),
        (
            "UTC",
            {"name": "r", "type": "redcap", "config": {"server_timezone": "America/Edmonton"}},
        ),
    ],
    ids=["site", "calpendo", "redcap"],
)
def test_other_rules_of_a_time_zone_in_the_operating_system_are_said_once_at_start(
    make_daemon: MakeDaemon,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    zone: str,
    source: dict[str, Any],
) -> None:
    as_zone_file(tmp_path, "America/Edmonton", "XST-8", 8 * 3600, "XST")
    zoneinfo.reset_tzpath([str(tmp_path)])
    try:
        with caplog.at_level("INFO"):
            make_daemon(timezone=zone, data_sources=[source]).start()
    finally:
        zoneinfo.reset_tzpath()
    said = [r.getMessage() for r in caplog.records if "America/Edmonton" in r.getMessage()]
    assert len(said) == 1
    assert f"time zones by {zone_data_version()}" in caplog.messages
