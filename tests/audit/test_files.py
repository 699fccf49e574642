"""The files of the trail: appended, rotated, removed when too old, repaired after a crash."""

from __future__ import annotations

import datetime as dt
import errno
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import time_machine
from tests.audit.trails import created, kinds, lines, write
from tests.conftest import clean_environment

from pylantir.audit.files import TrailFiles
from pylantir.audit.verification import verify

posix_only = pytest.mark.skipif(os.name != "posix", reason="POSIX has file modes")


def test_each_line_holds_the_hash_of_the_one_before(tmp_path: Path) -> None:
    files = write(tmp_path / "audit", 1, 2, 3)

    (path,) = files.files()
    raw = path.read_bytes().splitlines()
    hashes = ["0" * 64, *(hashlib.sha256(line).hexdigest() for line in raw)]
    assert [line["previous"] for line in lines(files)] == hashes[:-1]
    assert [line["n"] for line in lines(files)] == [1, 2, 3]
    assert files.head() == (3, hashes[-1])


@posix_only
def test_folder_and_files_are_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        files = write(tmp_path / "site" / "audit", 1)
    finally:
        os.umask(before)

    assert files.folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in files.folder.iterdir()} == {0o600}


def test_the_chain_goes_on_after_a_restart(tmp_path: Path) -> None:
    write(tmp_path, 1, 2)
    files = write(tmp_path, 3)

    assert [line["n"] for line in lines(files)] == [1, 2, 3]
    assert verify(files).is_intact


def test_the_chain_goes_over_files(tmp_path: Path) -> None:
    files = write(tmp_path, *range(1, 8), max_bytes=800)

    assert len(files.files()) > 2
    assert all(path.stat().st_size < 1600 for path in files.files())
    found = verify(files)
    assert found.is_intact
    assert (found.events, found.files) == (7, len(files.files()))


APPEND = """
import sys
from pathlib import Path
from pylantir.audit import events
from pylantir.audit.files import TrailFiles
files = TrailFiles(Path(sys.argv[1]), max_bytes=5_000)
who = events.Actor("process " + sys.argv[2])
for number in range(40):
    files.append([events.configured(who, "x", str(number))] * 2, sync=number % 7 == 0)
files.sync()
"""


def test_several_processes_append_to_one_chain(tmp_path: Path) -> None:
    running = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", APPEND, str(tmp_path / "audit"), str(number)],
            env=clean_environment(tmp_path),
        )
        for number in range(3)
    ]
    assert [process.wait(60) for process in running] == [0, 0, 0]

    files = TrailFiles(tmp_path / "audit")
    found = verify(files)
    assert found.is_intact
    assert found.events == 240
    assert {line["actors"][0]["user"] for line in lines(files)} == {
        "process 0",
        "process 1",
        "process 2",
    }


def test_half_a_line_left_by_a_power_cut_is_set_aside_and_told(tmp_path: Path) -> None:
    files = write(tmp_path, 1, 2)
    (path,) = files.files()
    with path.open("ab") as file:
        file.write(b'{"n":3,"prev')

    before = verify(files)
    assert before.is_intact
    assert "power cut" in before.alerts[0]

    files = write(tmp_path, 3)
    assert kinds(files) == ["created", "created", "audit-damaged", "created"]
    assert verify(files).is_intact


def test_a_file_that_was_just_begun_when_the_power_went_is_gone_on_with(tmp_path: Path) -> None:
    write(tmp_path, 1, 2)
    (tmp_path / "trail-000000000003.jsonl").write_bytes(b'{"n"')

    files = write(tmp_path, 3)

    assert kinds(files) == ["created", "created", "audit-damaged", "created"]
    assert verify(files).is_intact


def test_a_running_process_notices_that_the_end_was_cut_off(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = write(tmp_path, 1, 2, 3)
    (path,) = files.files()
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:1]))

    files.append([created(4)], sync=True)
    files.append([created(5)], sync=True)

    assert kinds(files) == ["created", "audit-damaged", "created", "created"]
    assert lines(files)[1]["outcome"] == 12
    assert caplog.text.count("expected line 3 at the end, found 1") == 1
    assert [str(fault) for fault in verify(files).faults] == [
        "trail-000000000004.jsonl:1: events 2 to 3 are missing"
    ]


def test_a_running_process_notices_that_the_lines_of_another_one_were_cut_off(
    tmp_path: Path,
) -> None:
    """Though the file is as long as it left it: the mark of the end says more."""
    files = write(tmp_path, 1)
    os.utime(files.head_path, ns=(0, 0))  # clocks of file systems are slow
    files.append([created(2)], sync=False)
    (path,) = files.files()
    own = path.read_bytes()
    write(tmp_path, 3)
    path.write_bytes(own)

    files.append([created(4)], sync=True)

    assert kinds(files) == ["created", "created", "audit-damaged", "created"]


def test_a_trail_that_vanished_is_told_of_once(tmp_path: Path) -> None:
    files = write(tmp_path, 1, 2, 3)
    for path in files.files():
        path.unlink()

    write(tmp_path, 4)
    write(tmp_path, 5)

    assert kinds(files) == ["audit-damaged", "created", "created"]
    assert not verify(files).is_intact


def test_an_end_that_was_cut_off_together_with_its_mark_is_told_by_the_next_event(
    tmp_path: Path,
) -> None:
    files = write(tmp_path, 1, 2, 3)
    (path,) = files.files()
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:1]))
    files.head_path.unlink()

    files = write(tmp_path, 4)

    assert kinds(files) == ["created", "audit-damaged", "created"]
    assert "the file head was removed" in verify(files).alerts[0]


def test_a_file_of_rubbish_is_left_alone_and_told_of_once(tmp_path: Path) -> None:
    write(tmp_path, 1)
    rubbish = tmp_path / "trail-000000000009.jsonl"
    rubbish.write_bytes(b"rubbish\n")

    write(tmp_path, 2)
    files = write(tmp_path, 3)

    assert rubbish.read_bytes() == b"rubbish\n"
    assert [path.name[-8:-6] for path in files.files()] == ["01", "09", "10"]
    rubbish.unlink()
    assert kinds(files) == ["created", "audit-damaged", "created", "created"]


def test_old_files_are_removed_and_the_chain_says_so(tmp_path: Path) -> None:
    with time_machine.travel(dt.datetime(2026, 1, 1, tzinfo=dt.UTC), tick=False) as moment:
        files = TrailFiles(tmp_path, max_bytes=1, retention_days=30)
        for number in range(6):
            files.append([created(number)], sync=True)
            moment.shift(dt.timedelta(days=10))

    assert "audit-removed" in kinds(files)
    assert lines(files)[0]["n"] == 2
    found = verify(files)
    assert found.faults == []
    assert found.first == 2
    assert "files older than 30 days removed" in found.alerts[0]


def test_a_removal_that_the_chain_does_not_tell_is_a_fault(tmp_path: Path) -> None:
    files = write(tmp_path, *range(1, 6), max_bytes=1)
    files.files()[0].unlink()

    assert "events 1 to 1 are missing at the beginning" in str(verify(files).faults[0])


def test_a_quiet_site_begins_a_new_file_once_a_month(tmp_path: Path) -> None:
    with time_machine.travel(dt.datetime(2026, 1, 1, tzinfo=dt.UTC), tick=False) as moment:
        files = write(tmp_path, 1)
        moment.shift(dt.timedelta(days=31))
        files.append([created(2)], sync=True)
        assert len(files.files()) == 1
        moment.shift(dt.timedelta(days=1))
        files.append([created(3)], sync=True)

    assert len(files.files()) == 2
    assert verify(files).is_intact


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on the size of files")
def test_what_does_not_fit_on_the_disk_leaves_no_trace(tmp_path: Path) -> None:
    import resource
    import signal

    files = write(tmp_path, 1)
    (path,) = files.files()
    size = path.stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, limits[1]))
        with pytest.raises(OSError, match="large") as caught:
            files.append([created(2)], sync=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)

    assert caught.value.errno == errno.EFBIG
    assert path.stat().st_size == size
    files.append([created(3)], sync=True)
    assert kinds(files) == ["created", "created"]
    assert verify(files).is_intact


KILLED = """
import sys, time
from pathlib import Path
from pylantir.audit import events
from pylantir.audit.files import TrailFiles
from pylantir.audit.trail import AuditTrail
trail = AuditTrail(TrailFiles(Path(sys.argv[1]), max_bytes=20_000))
trail.start()
number = 0
while True:
    trail.record(events.configured(events.Actor("x"), "y", str(number)))
    number += 1
    if number == 500:
        while not any(path.stat().st_size for path in Path(sys.argv[1]).glob("trail-*")):
            time.sleep(0.01)  # the other thread writes
        print(number, flush=True)
        sys.stdin.readline()
    if number == 1000:
        print(number, flush=True)
        sys.stdin.readline()
"""


def test_kill_minus_nine_at_any_moment_leaves_an_intact_chain(tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", KILLED, str(folder)],
            env=clean_environment(tmp_path),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdout.readline()
        process.stdin.write("\n")
        process.stdin.flush()
        process.stdout.readline()
        process.kill()
        process.communicate()

        found = verify(TrailFiles(folder))
        assert found.faults == []
    files = TrailFiles(folder)
    files.append([created()], sync=True)
    assert verify(files).is_intact
    assert verify(files).events > 4


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0, reason="only root gives files away"
)
def test_what_an_administrator_makes_belongs_to_the_service(tmp_path: Path) -> None:
    service = 12345
    site = tmp_path / "site"
    site.mkdir()
    os.chown(site, service, service)

    files = write(site / "audit", 1, 2, max_bytes=1)

    made = [files.folder, *files.folder.iterdir()]
    assert {path.stat().st_uid for path in made} == {service}
    assert len(made) == 5
