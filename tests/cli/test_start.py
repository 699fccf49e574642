"""``pylantir start`` as a process of its own: what it says, whom it answers, how it ends."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shlex
import signal
import socket
import stat
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import (
    STOP_SIGNALS,
    DaemonProcess,
    StartDaemon,
    clean_environment,
    command,
    start_daemon,
)
from tests.waiting import eventually

from pylantir.dicom import scu
from pylantir.errors import PeerError

A_ABORT = 7

NOT_FOR_LONG_S = 30.0
"""So that nothing hangs, on a machine that has much else to do; speed is measured elsewhere."""


def configuration(folder: Path, **settings: Any) -> str:
    """Path of a configuration for this machine only, with a worklist in the same folder."""
    path = folder / "site.json"
    values = {"db_path": str(folder / "site" / "worklist.db"), "ip": "127.0.0.1", **settings}
    path.write_text(json.dumps(values), encoding="utf-8")
    return str(path)


def pylantir(folder: Path, *words: str) -> tuple[int, str, str, float]:
    """Run a command to its end; returns exit code, standard output, standard error, seconds."""
    began = time.monotonic()
    ran = subprocess.run(
        command(*words),
        cwd=folder,
        env=clean_environment(folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    return ran.returncode, ran.stdout, ran.stderr, time.monotonic() - began


def fails_closed(folder: Path, *words: str) -> str:
    """What ``start`` says when it refuses to start: quickly, with 2, without a traceback."""
    code, out, err, elapsed_s = pylantir(folder, "start", *words)
    assert code == 2, err
    assert out == ""
    assert "Traceback" not in err
    assert elapsed_s < NOT_FOR_LONG_S
    return err


def peer_of(daemon: DaemonProcess, calling: str = "MR1") -> scu.Peer:
    return scu.Peer("127.0.0.1", daemon.port, calling_ae_title=calling)


def found(daemon: DaemonProcess, **keys: str) -> list[str]:
    result = scu.find(peer_of(daemon), scu.build_identifier(keys))
    assert result.status.is_success, result.status.words
    return [str(item.PatientName) for item in result.items]


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


# --- how it ends ---


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


# --- it fails closed ---


def test_a_second_server_on_the_port_says_so(tmp_path: Path, daemon_process: StartDaemon) -> None:
    daemon = daemon_process("--config", configuration(tmp_path))
    (tmp_path / "other").mkdir()
    config = configuration(tmp_path / "other", port=daemon.port)

    told = fails_closed(tmp_path, "--config", config)

    assert f"port {daemon.port} on 127.0.0.1 is taken" in told
    assert "--port" in told
    assert scu.echo(peer_of(daemon)).is_success, "the first one goes on"


def test_a_second_server_on_the_database_says_so(
    tmp_path: Path, daemon_process: StartDaemon
) -> None:
    config = configuration(tmp_path)
    daemon = daemon_process("--config", config)

    told = fails_closed(tmp_path, "--config", config, "--port", "0")
    code, _, err, _ = pylantir(tmp_path, "add", "--config", config, "--phantom")

    assert f"is served by another pylantir (process {daemon.process.pid} on " in told
    assert "db_path" in told
    assert code == 0, f"a command beside the server is fine: {err}"
    daemon.process.kill()
    daemon.process.wait(20)
    daemon_process("--config", config)


def test_a_missing_configuration_is_named_with_both_ways_out(tmp_path: Path) -> None:
    told = fails_closed(tmp_path)

    assert str(tmp_path) in told
    assert "pylantir init" in told
    assert "pylantir start --demo" in told


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    told = fails_closed(tmp_path, "--pylantir_config", "nowhere.json")

    assert "nowhere.json" in told
    assert "pylantir init" in told


def test_bad_json_names_file_line_and_column(tmp_path: Path) -> None:
    (tmp_path / "site.json").write_text('{"db_path": "w.db",\n "port": }')

    told = fails_closed(tmp_path, "--config", "site.json")

    assert "site.json: line 2 column 10" in told


WRONG: tuple[tuple[dict[str, Any], tuple[str, ...]], ...] = (
    (
        {"alowed_aet": ["MR1"], "port": "4242"},
        ("alowed_aet: unknown key", "'allowed_aet'", "port: expected", '"4242"', "site.json"),
    ),
    (
        {"data_sources": [{"name": "a", "type": "csv", "sync_interval": "60s"}]},
        ('data_sources[0].sync_interval: expected seconds > 0, got "60s"',),
    ),
    ({"db_path": "/path/to/worklist.db"}, ("db_path", "placeholder")),
    ({"db_path": "site.json/worklist.db"}, ("cannot create the database", "site.json", "db_path")),
    ({"db_path": "site.json"}, ("the database site.json", "not a database")),
    ({"ip": "203.0.113.7"}, ("203.0.113.7", "--ip")),
)


@pytest.mark.parametrize(("settings", "named"), WRONG, ids=[next(iter(s)) for s, _ in WRONG])
def test_what_cannot_be_used_is_named(
    tmp_path: Path, settings: dict[str, Any], named: tuple[str, ...]
) -> None:
    told = fails_closed(tmp_path, "--config", configuration(tmp_path, **settings))

    for part in named:
        assert part in told


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


def test_no_secret_stands_in_a_message(tmp_path: Path) -> None:
    config = configuration(
        tmp_path,
        db_path="nosuchdb://worklist:s3cr3t@db.example/worklist",
        data_sources=[{"name": "a", "type": "redcap", "config": {"api_token": "S3CR3T"}}],
    )

    told = fails_closed(tmp_path, "--config", config)
    configuration(tmp_path, token="S3CR3T", data_sources=[{"type": "a", "api_token": "S3CR3T"}])
    told_too = fails_closed(tmp_path, "--config", "site.json")

    assert "nosuchdb://" in told
    assert "s3cr3t" not in told.lower()
    assert "token: unknown key" in told_too
    assert "data_sources[0].api_token: unknown key" in told_too
    assert "S3CR3T" not in told_too


def test_a_log_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    config = configuration(tmp_path)

    told = fails_closed(tmp_path, "--config", config, "--log-file", f"{config}/pylantir.log")

    assert "cannot write the log file" in told
    assert "--log-file" in told


# --- the demonstration ---


def test_the_demonstration_needs_nothing_and_says_what_to_try(
    tmp_path: Path, daemon_process: StartDaemon
) -> None:
    daemon = daemon_process("--demo")

    said = "\n".join(daemon.banner)
    assert "demonstration" in said
    assert len(found(daemon, Modality="MR")) == 9, "neither ended nor cancelled"
    tries = [shlex.split(line) for line in daemon.banner if line.startswith("  pylantir")]
    assert [words[1] for words in tries] == ["test-client", "query-db"]
    for words in tries:
        code, out, err, _ = pylantir(tmp_path, *words[1:])
        assert code == 0, err
        assert "sub_005_ses_1" in out
    code, _ = daemon.stop()
    assert code == 0


def test_the_hints_of_the_demonstration_repeat_its_folder(
    tmp_path: Path, daemon_process: StartDaemon
) -> None:
    daemon = daemon_process("--demo-dir", "my demo", "--AEtitle", "MY_DEMO")

    hint = next(line for line in daemon.banner if "query-db" in line)
    code, out, err, _ = pylantir(tmp_path, *shlex.split(hint)[1:], "--csv")
    assert code == 0, err
    assert len(out.splitlines()) == 13
    assert (tmp_path / "my demo" / "worklist.db").is_file()
    assert "AE title MY_DEMO" in daemon.banner[0]


def test_no_participant_stands_in_the_log(tmp_path: Path, daemon_process: StartDaemon) -> None:
    daemon = daemon_process("--demo", "--log-file", "pylantir.log")
    port = ["--port", str(daemon.port)]
    for words in (
        ("test-client", "--name", "Yam*"),
        ("test-client", "NoSuchKeyword=Yamada"),
        ("test-mpps", "--accession", accession_of(daemon), "--full"),
    ):
        pylantir(tmp_path, *words, *port)
    daemon.stop()

    log = (tmp_path / "pylantir.log").read_text(encoding="utf-8")
    assert "N-SET from" in log
    _, out, _, _ = pylantir(tmp_path, "query-db", "--demo", "--json")
    for item in json.loads(out):
        names = re.split(r"[\^= ]", item["patient_name"])
        for planted in (*names, item["patient_id"], item["accession_number"]):
            assert len(planted) < 3 or planted not in log


def accession_of(daemon: DaemonProcess) -> str:
    keys = scu.build_identifier({"ScheduledProcedureStepStatus": "SCHEDULED"})
    return str(scu.find(peer_of(daemon), keys).items[0].AccessionNumber)


def test_a_configuration_beside_the_demonstration_is_refused(tmp_path: Path) -> None:
    told = fails_closed(tmp_path, "--demo", "--config", configuration(tmp_path))

    assert "--config" in told
    assert "leave out" in told


def test_the_self_test_says_ok_six_times_and_leaves_nothing_behind(tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())

    code, out, err, _ = pylantir(tmp_path, "start", "--demo", "--self-test")

    assert code == 0, err
    assert [line.split()[0] for line in out.splitlines()] == ["OK"] * 6
    assert "COMPLETED" in out.splitlines()[-1]
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.skipif(sys.platform == "win32", reason="needs a port that is taken for everybody")
def test_a_self_test_that_fails_says_which_step(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        code, out, _, _ = pylantir(tmp_path, "start", "--self-test", "--port", port)

    assert code == 1
    assert out.splitlines()[1].startswith("FAIL  start")
    assert port in out


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
