"""The numbers for Prometheus: only when asked for, only here, and nobody's data."""

from __future__ import annotations

import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.worklist.bookings import booking

from pylantir.config.schema import Config
from pylantir.daemon import Daemon, open_worklist
from pylantir.dicom import scu
from pylantir.errors import StartError
from pylantir.metrics import MetricsServer


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    config = Config(
        db_path=str(tmp_path / "worklist.db"),
        ip="127.0.0.1",
        port=0,
        metrics={"enabled": True, "port": 0},
    )
    made = Daemon(open_worklist(config))
    made.start()
    yield made
    made.stop()


def served(daemon: Daemon) -> MetricsServer:
    assert daemon.metrics is not None
    return daemon.metrics


def get(daemon: Daemon, path: str) -> tuple[int, str]:
    host, port = served(daemon).address
    try:
        with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_it_is_off_and_here_only_unless_asked_for() -> None:
    settings = Config(db_path="worklist.db").metrics
    assert (settings.enabled, settings.host) == (False, "127.0.0.1")


def test_answers_to_scanners_are_counted_and_our_own_are_not(daemon: Daemon) -> None:
    daemon.worklist.items.put([booking("1"), booking("2", status="CANCELLED")])
    scu.echo(daemon.peer)
    for _ in range(2):
        found = scu.find(daemon.peer, scu.build_identifier({"Modality": "MR"}))
    assert len(found.items) == 1
    finds = 'pylantir_answers_total{service="C-FIND",status="0x0000"} 2'
    lines: list[str] = []
    pause = threading.Event()
    while finds not in lines:  # counted when the scanner has its answer already
        code, text = get(daemon, "/metrics")
        assert code == 200
        lines = text.splitlines()
        pause.wait(0.02)
    assert 'pylantir_answers_total{service="C-ECHO",status="0x0000"} 1' in lines
    assert 'pylantir_items{status="SCHEDULED"} 1' in lines
    assert 'pylantir_items{status="CANCELLED"} 1' in lines
    assert "# TYPE pylantir_answers_total counter" in lines
    assert all(line.startswith(("#", "pylantir_", "process_")) for line in lines)


def test_nobody_is_named(daemon: Daemon) -> None:
    planted = booking("SECRETRECORD", patient_name="Planted^Name", accession_number="PLANTED1")
    daemon.worklist.items.put([planted])
    scu.find(daemon.peer, scu.build_identifier({"PatientName": "Planted*"}))
    for path in ("/metrics", "/health"):
        _, text = get(daemon, path)
        assert "planted" not in text.lower()
        assert "SECRETRECORD" not in text
        assert planted.study_instance_uid not in text


def test_health_is_there_too(daemon: Daemon) -> None:
    code, text = get(daemon, "/health")
    assert (code, json.loads(text)["state"]) in [(200, "ok"), (200, "warning")]
    daemon.worklist.database.file.close_because("for a test")  # type: ignore[union-attr]
    daemon.pulse.prove()
    code, text = get(daemon, "/health")
    assert code == 503
    assert "for a test" in text
    assert get(daemon, "/metrics")[0] == 200
    daemon.worklist.database.reopen()


def test_other_pages_do_not_exist(daemon: Daemon) -> None:
    assert get(daemon, "/")[0] == 404
    assert get(daemon, "/metrics/../etc")[0] == 404
    assert get(daemon, "/metrics?x=1")[0] == 200


def test_a_taken_port_is_named_with_the_way_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        metrics = {"enabled": True, "port": port}
        path = str(tmp_path / "w.db")
        config = Config(db_path=path, ip="127.0.0.1", port=0, metrics=metrics)
        daemon = Daemon(open_worklist(config))
        with pytest.raises(StartError, match=rf"metrics on 127.0.0.1 port {port}.*metrics.port"):
            daemon.start()
