"""Events are handed over by many threads and never waited for."""

from __future__ import annotations

import errno
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from tests.audit.trails import created, kinds, lines

from pylantir.audit import events, trail
from pylantir.audit.events import AuditEvent
from pylantir.audit.files import TrailFiles
from pylantir.audit.lines import Place
from pylantir.audit.trail import AuditTrail
from pylantir.audit.verification import verify


class FullDisk(TrailFiles):
    """A disk that takes nothing until somebody makes room."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.has_room = threading.Event()
        self.tried = threading.Event()

    def append(self, events: Sequence[AuditEvent], *, sync: bool) -> Place:
        if not self.has_room.is_set():
            self.tried.set()
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().append(events, sync=sync)


@pytest.fixture
def started() -> Iterator[Callable[[AuditTrail], AuditTrail]]:
    trails: list[AuditTrail] = []

    def start(made: AuditTrail) -> AuditTrail:
        trails.append(made)
        made.start()
        return made

    yield start
    for made in trails:
        made.stop()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_command_that_runs_and_ends_writes_at_once(tmp_path: Path) -> None:
    audit = AuditTrail(TrailFiles(tmp_path))

    audit.record(created())

    assert kinds(TrailFiles(tmp_path)) == ["created"]
    assert TrailFiles(tmp_path).head().number == 1


def test_without_files_nothing_is_kept_and_nothing_fails() -> None:
    audit = AuditTrail(None)
    audit.start()
    audit.record(created())
    audit.record_all([created()])
    audit.stop()

    assert not audit.is_kept


def test_everything_is_on_the_disk_after_the_stop(
    tmp_path: Path, started: Callable[[AuditTrail], AuditTrail]
) -> None:
    audit = started(AuditTrail(TrailFiles(tmp_path)))

    def hand_over() -> None:
        for number in range(250):
            audit.record(created(number))

    threads = [threading.Thread(target=hand_over) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    audit.stop()

    files = TrailFiles(tmp_path)
    assert len(lines(files)) == 1000
    assert files.head().number == 1000
    assert verify(files).is_intact


def test_an_event_is_in_the_file_soon_without_a_stop(
    tmp_path: Path, started: Callable[[AuditTrail], AuditTrail]
) -> None:
    audit = started(AuditTrail(TrailFiles(tmp_path)))

    audit.record(created())

    files = TrailFiles(tmp_path)
    wait_for(lambda: files.head().number == 1)
    assert kinds(files) == ["created"]


def test_a_full_disk_is_said_once_and_loses_nothing_that_there_is_room_for(
    tmp_path: Path,
    started: Callable[[AuditTrail], AuditTrail],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trail, "RETRY_S", 0.01)
    disk = FullDisk(tmp_path)
    audit = started(AuditTrail(disk))
    audit.record(created(1))
    assert disk.tried.wait(30)
    wait_for(lambda: bool(audit.problem))
    audit.record(created(2))
    assert "No space left" in audit.problem

    disk.has_room.set()
    wait_for(lambda: len(lines(disk)) == 2)
    wait_for(lambda: not audit.problem)

    assert caplog.text.count("cannot be written") == 1
    assert caplog.text.count("is written again") == 1
    assert verify(disk).is_intact


def test_what_there_was_no_room_for_is_a_gap_in_the_chain(
    tmp_path: Path,
    started: Callable[[AuditTrail], AuditTrail],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trail, "RETRY_S", 0.01)
    disk = FullDisk(tmp_path)
    audit = started(AuditTrail(disk, capacity=5))
    audit.record(created())
    assert disk.tried.wait(30)
    wait_for(lambda: bool(audit.problem))
    for number in range(5_000):
        audit.record(created(number))

    disk.has_room.set()
    wait_for(lambda: "audit-stopped" in kinds(disk))
    audit.stop()

    written = lines(disk)
    (gap,) = (line for line in written if line["event"] == "audit-stopped")
    details = gap["subjects"][0]["details"]
    assert int(details["Number"]) + len(written) - 1 == 5_001
    assert details["From"] <= details["Until"]
    assert gap["outcome"] == 12
    found = verify(disk)
    assert found.is_intact
    assert "events are missing" in found.alerts[0]


def test_a_stop_does_not_wait_for_a_full_disk(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    disk = FullDisk(tmp_path)
    audit = AuditTrail(disk)
    audit.start()
    audit.record(created())
    audit.record(created())
    audit.stop()

    assert "2 events could not be written before the end" in caplog.text


def test_a_command_on_a_full_disk_goes_on_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    audit = AuditTrail(FullDisk(tmp_path))
    audit.record(created())

    assert "No space left" in audit.problem
    assert caplog.text.count("cannot be written") == 1


def test_a_large_sync_waits_for_room_and_loses_nothing(
    tmp_path: Path, started: Callable[[AuditTrail], AuditTrail]
) -> None:
    audit = started(AuditTrail(TrailFiles(tmp_path), capacity=10))
    audit.record_all(created(number) for number in range(2_000))
    audit.stop()

    assert len(lines(TrailFiles(tmp_path))) == 2_000


def test_a_flood_of_refusals_is_counted(tmp_path: Path) -> None:
    audit = AuditTrail(TrailFiles(tmp_path))
    audit.start()
    for _ in range(500):
        audit.record(events.refused("EVIL", "MWL_SERVER", "10.0.0.66", "not recognised"))
        audit.record(events.refused("LOST", "MWL_SERVER", "10.0.0.9", "not recognised"))
    audit.stop()

    written = lines(TrailFiles(tmp_path))
    assert len(written) == 22
    assert [line["reason"] for line in written[-2:]] == [
        "not recognised; and 490 more like this within 60 s"
    ] * 2
    assert {line["actors"][1]["user"] for line in written[-2:]} == {"EVIL", "LOST"}


def test_many_queries_alike_are_all_kept(tmp_path: Path) -> None:
    audit = AuditTrail(TrailFiles(tmp_path))
    audit.start()
    for number in range(200):
        audit.record(
            events.query("MR1", "MWL", "10.0.0.5", b"", transfer_syntax="1.2", found=number)
        )
    audit.stop()

    assert len(lines(TrailFiles(tmp_path))) == 200


def test_a_folder_that_cannot_be_made_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError, match="audit"):
        AuditTrail(TrailFiles(tmp_path / "file" / "audit")).start()


def test_the_log_never_names_a_patient(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    audit = AuditTrail(FullDisk(tmp_path))
    audit.start()
    audit.record(created(77))
    audit.stop()

    assert "PID-77" not in caplog.text


def test_a_disk_that_is_full_at_the_start_does_not_keep_the_daemon_from_serving(
    tmp_path: Path,
    started: Callable[[AuditTrail], AuditTrail],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trail, "RETRY_S", 0.01)

    class NoRoomForAFolder(FullDisk):
        def make_folder(self) -> None:
            if not self.has_room.is_set():
                raise OSError(errno.ENOSPC, "No space left on device")
            super().make_folder()

    disk = NoRoomForAFolder(tmp_path / "audit")
    audit = started(AuditTrail(disk))
    assert "No space left" in audit.problem
    audit.record(created())
    disk.has_room.set()

    wait_for(lambda: kinds(disk) == ["created"])
