"""``tests/query_db.py`` and ``tests/mpps_tester.py``, which older instructions call."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import REPOSITORY, StartDaemon, clean_environment

LAUNCHERS = ("query_db.py", "mpps_tester.py")


def launch(folder: Path, name: str, *words: str) -> tuple[int, str, str]:
    ran = subprocess.run(
        [sys.executable, str(REPOSITORY / "tests" / name), *words],
        cwd=folder,
        env=clean_environment(folder),
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    return ran.returncode, ran.stdout, ran.stderr


def test_the_published_walk_through_ends_in_a_completed_booking(
    tmp_path: Path, daemon_process: StartDaemon
) -> None:
    daemon = daemon_process("--demo", "--AEtitle", "MWL_SERVER")
    server = ("--AEtitle", "MWL_SERVER", "--ip", "127.0.0.1", "--port", str(daemon.port))
    scanner = (*server, "--callingAEtitle", "MWL_TESTER")

    code, table, err = launch(tmp_path, "query_db.py", "--demo", "--status", "SCHEDULED")
    assert code == 0, err
    study = table.splitlines()[1].split()[-1]
    begin = ("--mpps_action", "create", "--study_uid", study)
    code, out, err = launch(tmp_path, "mpps_tester.py", *scanner, *begin)
    assert code == 0, out + err
    step = re.search(r"SOP Instance UID: ([0-9.]+)", out)
    assert step is not None
    assert status_of(tmp_path, study) == "IN_PROGRESS"
    end = ("--mpps_action", "set", "--mpps_status", "COMPLETED", "--study_uid", study)
    code, out, err = launch(tmp_path, "mpps_tester.py", *scanner, *end, "--sop_uid", step[1])
    assert code == 0, out + err
    assert status_of(tmp_path, study) == "COMPLETED"


def status_of(folder: Path, study: str) -> str:
    _, table, _ = launch(folder, "query_db.py", "--demo")
    [row] = [line.split() for line in table.splitlines() if line.endswith(study)]
    return row[3]


@pytest.mark.parametrize("name", LAUNCHERS)
def test_a_mistake_is_no_success(tmp_path: Path, name: str) -> None:
    code, out, err = launch(tmp_path, name, "--no-such-option")

    assert (code, out) == (2, "")
    assert "--no-such-option" in err


def test_pytest_does_not_take_them_for_tests(request: pytest.FixtureRequest) -> None:
    patterns = request.config.getini("python_files")
    files = [REPOSITORY / "tests" / name for name in LAUNCHERS]

    assert [file.name for file in files for glob in patterns if file.match(glob)] == []
