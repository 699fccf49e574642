"""Whatever is done to the trail shows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.audit.trails import write

from pylantir.audit.files import TrailFiles
from pylantir.audit.lines import Place
from pylantir.audit.verification import verify

Lines = list[bytes]


def edited(lines: Lines) -> Lines:
    return [line.replace(b"PID-3", b"PID-9") for line in lines]


def edited_last(lines: Lines) -> Lines:
    return [*lines[:-1], lines[-1].replace(b"PID-5", b"PID-9")]


def without_one(lines: Lines) -> Lines:
    return [*lines[:2], *lines[3:]]


def without_the_first(lines: Lines) -> Lines:
    return lines[1:]


def without_the_last(lines: Lines) -> Lines:
    return lines[:-1]


def with_half_of_the_last(lines: Lines) -> Lines:
    return [*lines[:-1], lines[-1][:40]]


def swapped(lines: Lines) -> Lines:
    return [lines[0], lines[2], lines[1], *lines[3:]]


def twice(lines: Lines) -> Lines:
    return [*lines[:2], lines[1], *lines[2:]]


def with_rubbish(lines: Lines) -> Lines:
    return [*lines[:2], b"\xff\x00[[[\n", *lines[2:]]


def with_a_blank_line(lines: Lines) -> Lines:
    return [*lines[:2], b"\n", *lines[2:]]


def nothing(lines: Lines) -> Lines:
    return []


@pytest.mark.parametrize(
    ("tamper", "told"),
    [
        (edited, "event 3, the one before, was edited"),
        (edited_last, "event 5 is not the one of head"),
        (without_one, "event 3 is missing"),
        (without_the_first, "events 1 to 1 are missing at the beginning"),
        (without_the_last, "events 5 to 5 are missing at the end"),
        (with_half_of_the_last, "events 5 to 5 are missing at the end"),
        (swapped, "event 2 stands after event 3"),
        (twice, "event 2 stands after event 2"),
        (with_rubbish, "no event of ours"),
        (with_a_blank_line, "no event of ours"),
        (nothing, "events 1 to 5 are missing at the end"),
    ],
)
def test_tampering_is_told(tmp_path: Path, tamper: Callable[[Lines], Lines], told: str) -> None:
    files = write(tmp_path, 1, 2, 3, 4, 5)
    assert verify(files).is_intact
    (path,) = files.files()
    path.write_bytes(b"".join(tamper(path.read_bytes().splitlines(keepends=True))))

    found = verify(files)

    assert not found.is_intact
    assert told in "\n".join(map(str, found.faults))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    files = write(tmp_path, *range(1, 6), max_bytes=1)
    files.files()[2].unlink()

    assert [str(fault) for fault in verify(files).faults] == [
        "trail-000000000004.jsonl:1: event 3 is missing"
    ]


def test_a_missing_head_is_told(tmp_path: Path) -> None:
    files = write(tmp_path, 1)
    files.head_path.unlink()

    assert "the end of the trail cannot be checked" in str(verify(files).faults[0])


def test_a_trail_written_anew_from_the_start_differs_from_what_was_noted_elsewhere(
    tmp_path: Path,
) -> None:
    noted = verify(write(tmp_path / "true", 1, 2, 3)).last
    forged = write(tmp_path / "forged", 1, 2, 9, 4)

    assert verify(forged).is_intact
    found = verify(forged, noted)
    assert [str(fault) for fault in found.faults] == [
        "trail-000000000001.jsonl:3: event 3 is not the one of the given event"
    ]
    assert verify(write(tmp_path / "true", 4), noted).is_intact
    assert not verify(write(tmp_path / "short", 1), Place(2, "0" * 64)).is_intact


def test_a_head_that_lags_behind_as_after_a_crash_is_no_fault(tmp_path: Path) -> None:
    files = write(tmp_path, 1)
    head = files.head_path.read_bytes()
    write(tmp_path, 2)
    files.head_path.write_bytes(head)

    assert verify(files).is_intact


def test_no_trail_at_all_is_empty(tmp_path: Path) -> None:
    found = verify(TrailFiles(tmp_path))

    assert found.is_intact
    assert (found.events, found.files) == (0, 0)
