"""``pylantir start`` as a process of its own: what it says, whom it answers, how it ends."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import signal
import socket
import stat
import struct
from pathlib import Path

import pytest
from tests.cli.starting import NOT_FOR_LONG_S, configuration, found, peer_of, pylantir
from tests.conftest import STOP_SIGNALS, StartDaemon, start_daemon
from tests.waiting import eventually

from pylantir.dicom import scu
from pylantir.errors import PeerError

A_ABORT = 7


# --- what it says and whom it answers ---


def test_it_says_where_it_listens_and_answers_scanners(
    tmp_path: Path, daemon_process: StartDaemon
) -> None:
    config = configuration(tmp_path, allowed_aet=["MR1"])
    code, *_ = pylantir(tmp_path, "add", "--config", config, "--phantom", "--station", "MR1")
    assert code == 0

    daemon = daemon_process("--config", config, "--log-file", "pylantir.log")

    said = "\n".join(daemon.banner)
    ready = f"Pylantir is ready: AE title MWL_SERVER, 127.0.0.1 port {daemon.port}"
    assert daemon.banner[0] == ready
    assert "site/worklist.db" in said.replace(os.sep, "/")
    assert config in said
    assert re.search(r"may connect +MR1$", said, re.MULTILINE)
    assert f"findscu -W -aet MR1 -aec MWL_SERVER 127.0.0.1 {daemon.port} -k" in said
    assert scu.echo(peer_of(daemon)).is_success
    assert found(daemon, ScheduledStationAETitle="MR1") == ["PHANTOM^QA"]
    with pytest.raises(PeerError, match="calling AE title"):
        scu.echo(peer_of(daemon, "STRANGER"))
    assert "C-FIND from MR1: 1 items" in daemon.log
    assert "EVERY AE title" not in daemon.log
    assert "PHANTOM" not in daemon.log
    assert (tmp_path / "pylantir.log").read_text(encoding="utf-8") == daemon.log


@pytest.mark.skipif(os.name != "posix", reason="POSIX file modes")
def test_all_its_files_are_private(tmp_path: Path, daemon_process: StartDaemon) -> None:
    daemon_process("--config", configuration(tmp_path), "--log-file", "logs/pylantir.log")

    written = [*(tmp_path / "site").iterdir(), *(tmp_path / "logs").iterdir()]
    assert {path.name for path in written} >= {"worklist.db", "pylantir.log"}
    for path in (*written, tmp_path / "site"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_an_empty_allowed_aet_is_said_loudly(tmp_path: Path, daemon_process: StartDaemon) -> None:
    config = configuration(tmp_path)

    daemon = daemon_process("--config", config, "-q")

    assert re.search(rf"WARNING EVERY AE title .*allowed_aet.*{re.escape(config)}", daemon.log)
    assert "EVERY AE title" in "\n".join(daemon.banner)
    assert " INFO " not in daemon.log


def test_a_source_of_an_unknown_type_is_named_and_keeps_neither_scanners_nor_others_waiting(
    tmp_path: Path, daemon_process: StartDaemon
) -> None:
    desk = {"path": "bookings.csv", "settle_s": 0}
    config = configuration(
        tmp_path,
        allowed_aet=["MR1"],
        data_sources=[
            {"name": "odd", "type": "recap"},
            {"name": "desk", "type": "csv", "config": desk},
        ],
    )
    (tmp_path / "bookings.csv").write_text(
        "booking_id,patient_name,patient_id,modality,scheduled_start_date,scheduled_start_time\n"
        f"1,Doe^Jane,P-1,MR,{dt.date.today()},10:00\n",
        encoding="utf-8",
    )

    daemon = daemon_process("--config", config)

    eventually(lambda: "source desk: 1 fetched, 1 created" in daemon.log)
    eventually(lambda: "source odd: type: expected one of calpendo, csv, redcap" in daemon.log)
    assert found(daemon, Modality="MR") == ["Doe^Jane"]


NOT_FOR_THE_FIRST_ANSWER = """
    alembic argon2 dotenv fastapi jinja2 pandas psutil redcap rich uvicorn sqlalchemy.orm
    pylantir.api pylantir.audit.syslog pylantir.audit.verification pylantir.cli.selftest
    pylantir.demo pylantir.dicom.conformance pylantir.metrics pylantir.polling pylantir.sources.base
    pylantir.sync pylantir.users pylantir.web pylantir.worklist.imports
""".split()
"""What takes time to load and only other sites, other commands or the day of an upgrade need."""


def test_what_the_first_answer_does_not_need_is_not_loaded_for_it(tmp_path: Path) -> None:
    """Scanners wait while a server starts again: what is loaded here, they wait for."""
    config = configuration(tmp_path)
    tells = {"PYTHONPROFILEIMPORTTIME": "1"}
    daemon = start_daemon(tmp_path, "--config", config, environ=tells)
    try:
        daemon.wait_until_ready()
        assert found(daemon) == []
        loaded = set(re.findall(r"^import time: .*\| +(\S+)$", daemon.log, re.MULTILINE))
    finally:
        daemon.clean_up()

    assert "pylantir.daemon" in loaded
    assert sorted(loaded.intersection(NOT_FOR_THE_FIRST_ANSWER)) == []


# --- how it ends ---


def associate(port: int) -> socket.socket:
    """A scanner that has associated and then keeps silent."""

    def item(kind: int, content: bytes) -> bytes:
        return struct.pack(">BxH", kind, len(content)) + content

    context = item(0x30, b"1.2.840.10008.1.1") + item(0x40, b"1.2.840.10008.1.2")
    user = item(0x51, struct.pack(">I", 16384)) + item(0x52, b"2.25.1")
    request = (
        struct.pack(">Hxx16s16s32x", 1, b"MWL_SERVER".ljust(16), b"IDLE".ljust(16))
        + item(0x10, b"1.2.840.10008.3.1.1.1")
        + item(0x20, bytes([1, 0, 0, 0]) + context)
        + item(0x50, user)
    )
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    connection.sendall(struct.pack(">BxI", 1, len(request)) + request)
    assert connection.recv(4096)[0] == 2, "A-ASSOCIATE-AC"
    return connection


def the_rest(connection: socket.socket) -> bytes:
    received = b""
    with connection:
        while part := connection.recv(4096):
            received += part
    return received


@pytest.mark.parametrize("by", STOP_SIGNALS, ids=lambda s: signal.Signals(s).name)
def test_one_signal_ends_it_with_scanners_connected(
    tmp_path: Path, daemon_process: StartDaemon, by: int
) -> None:
    daemon = daemon_process("--config", configuration(tmp_path))
    idle = [associate(daemon.port) for _ in range(5)]
    half_open = [socket.create_connection(("127.0.0.1", daemon.port), 20) for _ in range(3)]

    code, elapsed_s = daemon.stop(by)

    assert code == 0
    assert elapsed_s < NOT_FOR_LONG_S
    assert [the_rest(connection)[0] for connection in idle] == [A_ABORT] * 5
    for connection in half_open:
        connection.close()
    assert "Traceback" not in daemon.log
    assert daemon.log.rstrip().endswith("stopped")
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", daemon.port)) != 0


def test_a_restart_in_the_middle_of_a_scan_loses_nothing(
    tmp_path: Path, daemon_process: StartDaemon
) -> None:
    config = configuration(tmp_path, allowed_aet=["MR1"])
    pylantir(tmp_path, "add", "--config", config, "--phantom", "--accession", "A1")
    daemon = daemon_process("--config", config)
    keys = scu.build_identifier({"AccessionNumber": "A1"})
    [item] = scu.find(peer_of(daemon), keys).items
    now = dt.datetime(2025, 7, 7, 9, 30)
    step = scu.step_attributes(item, station_ae_title="MR1", started=now)
    begun = scu.create_step(peer_of(daemon), step)
    assert begun.status.is_success

    daemon.process.kill()
    daemon.process.wait(20)
    again = daemon_process("--config", config)
    ending = scu.final_attributes("COMPLETED", now, protocol_name="TEST")
    ended = scu.set_step(peer_of(again), begun.sop_instance_uid, ending)

    assert ended.status.is_success, ended.status.words
    _, out, _, _ = pylantir(tmp_path, "query-db", "--config", config, "--json")
    [booking] = json.loads(out)
    assert booking["performed_procedure_step_status"] == "COMPLETED"
