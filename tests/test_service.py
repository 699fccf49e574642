"""What systemd hears: on a real socket, from a real daemon."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.cli.starting import configuration
from tests.conftest import DaemonProcess, start_daemon

from pylantir.service import ServiceManager

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="systemd")


class Listener:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, path: Path) -> None:
        self.address = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._socket.settimeout(60)
        self.heard: list[str] = []

    def until(self, beginning: str) -> str:
        """Listen until a message begins so."""
        while True:
            self.heard.append(self._socket.recv(65536).decode())
            if self.heard[-1].startswith(beginning):
                return self.heard[-1]

    def forget(self) -> list[str]:
        """What has been said and not heard yet."""
        missed = []
        while select.select([self._socket], [], [], 0)[0]:
            missed.append(self._socket.recv(65536).decode())
        return missed

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def listener(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listener]:
    folder = tmp_path_factory.mktemp("n")  # such addresses are short
    with closing(Listener(folder / "notify")) as listening:
        yield listening


def test_it_says_what_it_is_told_to_say(listener: Listener) -> None:
    manager = ServiceManager({"NOTIFY_SOCKET": listener.address, "WATCHDOG_USEC": "30000000"})
    manager.ready()
    manager.status("all\nis well")
    manager.status("all is well")
    manager.alive()
    manager.stopping()
    listener.until("STOPPING=1")
    assert listener.heard == ["READY=1", "STATUS=all is well", "WATCHDOG=1", "STOPPING=1"]
    assert manager.watchdog_s == 30


@pytest.mark.skipif(sys.platform != "linux", reason="abstract names")
def test_abstract_names_are_understood() -> None:
    name = f"pylantir-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}")
        listening.settimeout(30)
        ServiceManager({"NOTIFY_SOCKET": f"@{name}"}).ready()
        assert listening.recv(100) == b"READY=1"


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"WATCHDOG_USEC": "30000000"},
        {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "much"},
        {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "0"},
        {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"},
    ],
)
def test_without_a_watchdog_there_is_none(environ: dict[str, str]) -> None:
    manager = ServiceManager(environ)
    assert manager.watchdog_s is None
    manager.ready()


def test_a_daemon_says_when_it_is_ready_alive_and_about_to_end(
    tmp_path: Path, listener: Listener
) -> None:
    notified = {"NOTIFY_SOCKET": listener.address, "WATCHDOG_USEC": "3000000"}
    daemon = start_daemon(tmp_path, "--config", configuration(tmp_path), environ=notified)
    try:
        listener.until("READY=1")
        assert "WATCHDOG=1" not in listener.heard
        for _ in range(2):
            listener.until("WATCHDOG=1")
        assert any(line.startswith("STATUS=ok: ") for line in listener.heard)
        daemon.process.send_signal(15)
        listener.until("STOPPING=1")
        assert daemon.process.wait(30) == 0
    finally:
        daemon.clean_up()


@pytest.mark.skipif(sys.platform != "linux", reason="a process that is stopped in its tracks")
def test_a_daemon_that_hangs_says_nothing(tmp_path: Path, listener: Listener) -> None:
    notified = {"NOTIFY_SOCKET": listener.address, "WATCHDOG_USEC": "3000000"}
    daemon: DaemonProcess = start_daemon(
        tmp_path, "--config", configuration(tmp_path), environ=notified
    )
    try:
        listener.until("WATCHDOG=1")
        daemon.process.send_signal(signal.SIGSTOP)
        threading.Event().wait(0.5)
        listener.forget()
        threading.Event().wait(3)
        assert listener.forget() == []
    finally:
        daemon.clean_up()
