"""``pylantir start --demo`` and ``--self-test`` as processes of their own."""

from __future__ import annotations

import json
import re
import shlex
import socket
import sys
from pathlib import Path

import pytest
from tests.cli.starting import found, peer_of, pylantir
from tests.conftest import DaemonProcess, StartDaemon

from pylantir.dicom import scu

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


def accession_of(daemon: DaemonProcess) -> str:
    keys = scu.build_identifier({"ScheduledProcedureStepStatus": "SCHEDULED"})
    return str(scu.find(peer_of(daemon), keys).items[0].AccessionNumber)


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


# --- the self test ---


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
