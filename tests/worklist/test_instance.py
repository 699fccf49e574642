"""Two servers on one database: the second one is told, and a killed one never blocks."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pylantir.errors import StartError
from pylantir.worklist.instance import InstanceLock, is_served, lock_path, told

HOLD = """
import sys
from pathlib import Path
from pylantir.worklist.instance import InstanceLock
InstanceLock(Path(sys.argv[1])).acquire()
print("held", flush=True)
sys.stdin.readline()
"""


def test_the_second_one_is_told_who_the_first_one_is(tmp_path: Path) -> None:
    path = tmp_path / "worklist.db"
    first, second = InstanceLock(path), InstanceLock(path)
    first.acquire()
    with pytest.raises(
        StartError, match=rf"worklist\.db is served by another.*process {os.getpid()}"
    ):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def test_another_process_holds_it_until_it_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "worklist.db"
    assert not is_served(path)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        assert is_served(path)
        with pytest.raises(StartError, match=f"process {other.pid} on "):
            InstanceLock(path).acquire()
        other.kill()
    assert not is_served(path)
    mine = InstanceLock(path)
    mine.acquire()
    mine.release()


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_a_link_is_the_same_database(tmp_path: Path) -> None:
    (tmp_path / "worklist.db").touch()
    (tmp_path / "link.db").symlink_to(tmp_path / "worklist.db")
    mine = InstanceLock(tmp_path / "worklist.db")
    mine.acquire()
    with pytest.raises(StartError, match="served by another"):
        InstanceLock(tmp_path / "link.db").acquire()
    mine.release()


def test_what_it_says_is_read_and_forgotten_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "worklist.db"
    mine = InstanceLock(path)
    mine.acquire()
    mine.say({"state": "critical", "why": "ä" * 5000})
    mine.say({"state": "ok"})
    assert told(path)["state"] == "ok"
    assert told(path)["pid"] == os.getpid()
    mine.release()
    mine.say({"state": "late"})
    assert told(path) == {}


@pytest.mark.skipif(os.name != "posix", reason="POSIX file modes")
def test_it_is_private(tmp_path: Path) -> None:
    mine = InstanceLock(tmp_path / "worklist.db")
    mine.acquire()
    assert stat.S_IMODE(lock_path(tmp_path / "worklist.db").stat().st_mode) == 0o600
    mine.release()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"cannot write .*gone"):
        InstanceLock(tmp_path / "gone" / "worklist.db").acquire()
