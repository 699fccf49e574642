"""The pulse: alive is who has answered, not who says so."""

from __future__ import annotations

import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pylantir import pulse as pulse_module
from pylantir.config.schema import Config
from pylantir.daemon import Daemon, open_worklist
from pylantir.dicom.scu_association import Peer
from pylantir.health import State
from pylantir.pulse import Pulse
from pylantir.service import ServiceManager
from pylantir.worklist.instance import told


class Manager(ServiceManager):
    """Notes what a service manager would hear."""

    def __init__(self, watchdog_s: float | None = None) -> None:
        super().__init__({})
        self.patience_s = watchdog_s
        self.heard: list[str] = []

    @property
    def watchdog_s(self) -> float | None:
        return self.patience_s

    def _say(self, message: str) -> None:
        self.heard.append(message)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    config = Config(
        db_path=str(tmp_path / "worklist.db"),
        ip="127.0.0.1",
        port=0,
        backups={"enabled": False},
    )
    made = Daemon(open_worklist(config, to_serve=True))
    made.start()
    yield made
    made.stop()


def pulse_of(daemon: Daemon, manager: Manager, **changes: Any) -> Pulse:
    given: dict[str, Any] = {"peer": lambda: daemon.own_peer, "watch": None, **changes}
    return Pulse(daemon.worklist, given["peer"], given["watch"], manager)


def states(pulse: Pulse) -> dict[str, State]:
    return {check.name: check.state for check in pulse.health().checks}


def test_who_answers_is_alive(daemon: Daemon) -> None:
    manager = Manager()
    pulse = pulse_of(daemon, manager)
    assert pulse.prove()
    assert manager.heard == ["WATCHDOG=1"]
    assert states(pulse)["dicom"] is State.OK
    assert states(pulse)["database"] is State.OK


def test_who_does_not_answer_is_not(daemon: Daemon) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    manager = Manager()
    pulse = pulse_of(daemon, manager, peer=lambda: Peer("127.0.0.1", port))
    assert not pulse.prove()
    assert manager.heard == []
    assert pulse.health().state is State.CRITICAL


def test_who_is_too_busy_for_one_more_is_alive(tmp_path: Path) -> None:
    config = Config(db_path=str(tmp_path / "w.db"), ip="127.0.0.1", port=0, allowed_aet=["MR1"])
    daemon = Daemon(open_worklist(config))
    daemon.start()
    manager = Manager()
    stranger = Peer("127.0.0.1", daemon.ae.address[1], calling_ae_title="REJECTED")
    pulse = pulse_of(daemon, manager, peer=lambda: stranger)
    assert pulse.prove(), "it said no, which is an answer"
    assert states(pulse)["dicom"] is State.WARNING
    daemon.stop()


def test_a_database_in_trouble_is_told_and_does_not_end_the_process(
    daemon: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = Manager()
    pulse = pulse_of(daemon, manager)
    with closing(sqlite3.connect(tmp_path / "worklist.db", isolation_level=None)) as other:
        other.execute("ALTER TABLE worklist_items RENAME TO gone")
        assert pulse.prove()
        other.execute("ALTER TABLE gone RENAME TO worklist_items")
    assert manager.heard == ["WATCHDOG=1"]
    assert states(pulse)["database"] is State.CRITICAL
    assert pulse.prove()


def test_no_proof_for_too_long_is_critical(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    pulse = pulse_of(daemon, Manager())
    pulse.prove()
    assert "proof" not in states(pulse)
    monkeypatch.setattr(pulse, "_proved_at", time.monotonic() - pulse_module.LATE_S - 1)
    assert states(pulse)["proof"] is State.CRITICAL


@pytest.mark.parametrize(("patience_s", "every_s"), [(None, 10), (60, 10), (6, 2)])
def test_it_proves_often_enough(daemon: Daemon, patience_s: float | None, every_s: float) -> None:
    assert pulse_of(daemon, Manager(patience_s)).prove_every_s == every_s


def test_others_can_read_how_it_is(daemon: Daemon, tmp_path: Path) -> None:
    never = threading.Event()
    said: dict[str, Any] = {}
    for _ in range(600):
        said = told(tmp_path / "worklist.db")
        if "dicom" in str(said.get("checks")):
            break
        never.wait(0.05)
    assert said["state"] in ("ok", "warning")
    assert said["port"] == daemon.ae.address[1]
    assert abs(said["at"] - time.time()) < 60


def test_an_alarm_is_logged_once_and_its_end(
    daemon: Daemon, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    peers = [Peer("127.0.0.1", port)]
    pulse = pulse_of(daemon, Manager(), peer=lambda: peers[0])
    for _ in range(2):
        pulse.prove()
        pulse.say()
    peers[0] = daemon.own_peer
    pulse.prove()
    pulse.say()
    said = [record.message for record in caplog.records if record.name == pulse_module.__name__]
    assert len(said) == 2
    assert said[0].startswith("health is critical: dicom: nothing listens on")
    assert said[1] == "health is no longer critical"


def test_an_audit_trail_that_cannot_be_written_is_told(daemon: Daemon) -> None:
    pulse = pulse_of(daemon, Manager())
    assert states(pulse)["audit"] is State.OK
    daemon.worklist.audit.problem = "the disk is full"

    (check,) = [check for check in pulse.health().checks if check.name == "audit"]
    assert (check.state, check.message) == (State.WARNING, "the disk is full")
