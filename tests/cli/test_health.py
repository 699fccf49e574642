"""``health``: what a monitor gets, with and without a server."""

from __future__ import annotations

import json
import signal
import sys
import threading
from pathlib import Path

import pytest
from tests.cli.conftest import CommandLine
from tests.cli.starting import configuration, pylantir
from tests.conftest import StartDaemon


def test_a_server_that_works_is_ok(tmp_path: Path, daemon_process: StartDaemon) -> None:
    config = configuration(tmp_path, allowed_aet=["MR1"])
    daemon = daemon_process("--config", config)

    code, out, err, _ = pylantir(tmp_path, "health", "--config", config)

    assert (code, err) == (0, ""), out
    first, *others = out.splitlines()
    assert first.startswith("PYLANTIR OK: ")
    assert any(line.startswith("OK        dicom: 127.0.0.1:") for line in others)
    assert f"process {daemon.process.pid} on " in out
    assert "refused" not in daemon.log
    code, out, _, _ = pylantir(tmp_path, "health", "--config", config, "--json")
    assert (code, json.loads(out)["state"]) == (0, "ok")


def test_no_server_is_critical(tmp_path: Path, daemon_process: StartDaemon) -> None:
    config = configuration(tmp_path)
    daemon_process("--config", config).stop()
    code, out, _, _ = pylantir(tmp_path, "health", "--config", config, "--port", "1")
    assert code == 2
    assert out.startswith("PYLANTIR CRITICAL: process: no server serves ")
    assert "OK        database" in out


@pytest.mark.skipif(sys.platform == "win32", reason="a process that is stopped in its tracks")
def test_a_server_that_hangs_is_critical(tmp_path: Path, daemon_process: StartDaemon) -> None:
    config = configuration(tmp_path)
    daemon = daemon_process("--config", config)
    daemon.process.send_signal(signal.SIGSTOP)
    words = ("health", "--config", config, "--timeout", "0.5")
    code, out, _, _ = pylantir(tmp_path, *words)
    assert code == 2
    assert "CRITICAL  dicom: " in out


def test_trouble_with_the_database_is_critical(tmp_path: Path, daemon_process: StartDaemon) -> None:
    config = configuration(tmp_path, backups={"enabled": False})
    daemon = daemon_process("--config", config)
    path = tmp_path / "site" / "worklist.db"
    if sys.platform == "win32":
        pytest.skip("an open file cannot be deleted")
    path.unlink()
    path.mkdir()  # nothing can be put back here
    never = threading.Event()
    for _ in range(600):
        if "worklist.db" in daemon.log and "ERROR" in daemon.log:
            break
        never.wait(0.05)
    code, out, _, _ = pylantir(tmp_path, "health", "--config", config)
    assert code == 2
    assert "CRITICAL  database: " in out


def test_what_cannot_be_told_is_unknown(run: CommandLine) -> None:
    assert run("health", "--config", "nowhere.json") == 3
    assert run.out.startswith("PYLANTIR UNKNOWN: configuration: nowhere.json")
    (run.folder / "pylantir.json").write_text("{")
    assert run("health", "--json") == 3
    assert json.loads(run.out)["state"] == "unknown"
