"""``explain`` and ``watch`` from the command line."""

from __future__ import annotations

import datetime as dt
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import CommandLine
from tests.cli.starting import configuration, pylantir
from tests.conftest import STOP_SIGNALS, StartDaemon, clean_environment, command

from pylantir.worklist.item import make_item
from pylantir.worklist.query import WorklistQuery


def book(run: CommandLine, **values: object) -> None:
    usual = {
        "patient_name": "Doe^Jane",
        "patient_id": "sub_001",
        "modality": "MR",
        "scheduled_start_date": "2026-11-23",
        "scheduled_start_time": "09:30",
    }
    worklist = run.worklist()
    try:
        item = make_item({**usual, **values}, data_source="manual", source_record_id="1")
        worklist.items.add(item)
    finally:
        worklist.close()


def test_explain_says_it_key_by_key(run: CommandLine) -> None:
    run.configure(scanners=[{"ae_title": "PRISMA_1", "modalities": ["CT"]}])
    book(run)

    assert run("explain", "1", "--ae", "PRISMA_1") == 0
    assert "PRISMA_1: not shown: scanner profile: modalities wants CT, it has MR" in run.out
    assert "change the item, or modalities" in run.out


def test_explain_takes_every_known_scanner(run: CommandLine) -> None:
    run.configure(scanners=[{"ae_title": "PRISMA_1"}, {"ae_title": "SKYRA_2"}])
    book(run)

    found = run.json("explain", "1")

    assert [each["ae_title"] for each in found] == ["PRISMA_1", "SKYRA_2"]
    assert "has not asked yet" in found[0]["summary"]


def test_explain_without_any_scanner_asks_for_one(run: CommandLine) -> None:
    book(run)

    assert run("explain", "1") == 2
    assert "--ae TITLE" in run.err


def test_explain_of_nothing_says_so(run: CommandLine) -> None:
    book(run)

    assert run("explain", "77", "--ae", "X") == 1


def test_the_port_to_enter_is_the_one_on_which_the_server_listens(
    daemon_process: StartDaemon, tmp_path: Path
) -> None:
    """Which is not that of the configuration when it was started with another one."""
    config = configuration(tmp_path, port=4711, scanners=[{"ae_title": "PRISMA_1"}])
    code, _, err, _ = pylantir(tmp_path, "add", "--config", config, "--phantom")
    assert code == 0, err
    daemon = daemon_process("--config", config)

    def port_to_enter() -> int:
        _, out, err, _ = pylantir(tmp_path, "explain", "1", "--config", config)
        found = re.search(r"has not asked yet; .* port (\d+)", out)
        assert found is not None, out + err
        return int(found[1])

    assert port_to_enter() == daemon.port != 4711
    daemon.process.kill()
    daemon.process.wait(20)
    assert port_to_enter() == 4711, "what a killed server said holds no longer"


def test_the_moment_of_a_query_is_that_of_the_site_and_an_instant_in_json(
    run: CommandLine,
) -> None:
    """The workstation may stand in another time zone than the one that is configured."""
    run.configure(timezone="Pacific/Kiritimati")
    book(run)
    asked = dt.datetime(2026, 11, 21, 14, 0, 47, tzinfo=dt.UTC)
    worklist = run.worklist()
    try:
        worklist.journal.start()
        worklist.journal.note(asked, "MR2", "10.0.0.5", WorklistQuery(), 0)
        worklist.journal.stop()
    finally:
        worklist.close()

    assert run("explain", "1", "--ae", "MR2") == 0
    assert "asked 2026-11-22 04:00:47" in run.out
    (query,) = run.json("explain", "1", "--ae", "MR2")[0]["queries"]
    assert query["at"] == "2026-11-21T14:00:47+00:00"


def test_watch_tells_what_there_is(run: CommandLine) -> None:
    book(run)

    assert run("watch", "--once", "--json") == 0
    assert [json.loads(line) for line in run.out.splitlines()] == [
        {"kind": "item", "id": 1, "status": "SCHEDULED", "date": "2026-11-23"}
    ]
    assert run("watch", "--once") == 0
    assert "item 1: SCHEDULED, 2026-11-23" in run.out
    assert "Doe" not in run.out


def test_a_query_of_a_scanner_is_seen_as_it_happens(
    daemon_process: StartDaemon, tmp_path: Path
) -> None:
    """The daemon, a scanner and somebody who watches: three processes."""
    folder = tmp_path / "demo"
    daemon = daemon_process("--demo-dir", str(folder))
    how: dict[str, Any] = {"env": clean_environment(tmp_path), "cwd": tmp_path, "text": True}
    watching = subprocess.Popen(
        command("watch", "--demo-dir", str(folder)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **how,
    )
    assert watching.stderr is not None
    assert watching.stdout is not None
    assert "watching" in watching.stderr.readline()
    asked = subprocess.run(
        command("test-client", "--port", str(daemon.port), "--callingAEtitle", "PRISMA_1"),
        capture_output=True,
        check=False,
        **how,
    )
    assert asked.returncode == 0, asked.stderr
    for line in watching.stdout:
        if "PRISMA_1 asked and was shown" in line:
            break
    else:
        pytest.fail("nothing was seen")
    watching.send_signal(STOP_SIGNALS[0])
    watching.communicate(timeout=30)
    assert watching.returncode == 0
    explained = subprocess.run(
        command("explain", "1", "--ae", "PRISMA_1", "--demo-dir", str(folder)),
        capture_output=True,
        check=False,
        **how,
    )
    assert "PRISMA_1: " in explained.stdout
