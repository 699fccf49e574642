"""The benchmarks measure what they say, and do not count a wrong answer."""

from __future__ import annotations

import datetime as dt
import json
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks import requests, rest, sync
from benchmarks.answers import WrongAnswer, check_answer, elements
from benchmarks.bookings import make_bookings
from benchmarks.measures import MEASURES
from benchmarks.table import Cell, Row, markdown
from tests.conftest import REPOSITORY

PENDING, SUCCESS = 0xFF00, 0x0000
linux = pytest.mark.skipif(sys.platform != "linux", reason="the benchmarks are for Linux")


def response(status: int, data: bytes = b"") -> bytes:
    """A C-FIND response as a server would send it."""
    command = struct.pack("<HHIH", 0, 0x0800, 2, 1 if data else 0x0101)
    command += struct.pack("<HHIH", 0, 0x0900, 2, status)
    return pdu(3, command) + (pdu(2, data) if data else b"")


def pdu(flags: int, fragment: bytes) -> bytes:
    length = len(fragment) + 2
    return struct.pack(">BxIIBB", 4, length + 4, length, 3, flags) + fragment


def answer(*patients: str, without: int = 0) -> bytes:
    identifiers = []
    for patient in patients:
        keys: requests.Values = {tag: "" for tag in requests.ASKED if tag != without}
        identifiers.append(requests.data_set(keys | {requests.PATIENT_ID: patient}))
    return b"".join(response(PENDING, data) for data in identifiers) + response(SUCCESS)


def test_an_answer_with_the_right_patients_and_keys_counts() -> None:
    check_answer(memoryview(answer("P1", "P2")), {"P1", "P2"})


@pytest.mark.parametrize(
    ("received", "wrong"),
    [
        (answer("P1"), "1 items instead of 2"),
        (answer("P1", "P3"), "other items"),
        (answer("P1", "P1"), "other items"),
        (answer("P1", "P2", without=0x0010_0030), "1 keys missing, such as 00100030"),
        (answer("P1", "P2")[:-10], "no final response"),
        (response(0xA700), "status A700"),
        (struct.pack(">BxII", 7, 4, 0), "aborted"),
    ],
)
def test_any_other_answer_does_not_count(received: bytes, wrong: str) -> None:
    with pytest.raises(WrongAnswer, match=wrong):
        check_answer(memoryview(received), {"P1", "P2"})


def test_twenty_bookings_are_for_the_scanner_however_many_there_are() -> None:
    today = dt.date(2026, 3, 2)
    for number in (1000, 3000):
        bookings = make_bookings(number, today)
        mine = [b for b in bookings if (b.station_aet, b.start_date) == ("MRC1", "20260302")]
        assert len(mine) == 20
        assert len({b.patient_id for b in bookings}) == number
    assert make_bookings(1000, today) == make_bookings(1000, today)


def test_a_query_asks_for_what_it_matches() -> None:
    request = requests.find({requests.STATION: "MR1"})
    data = request[request.index(struct.pack(">B", 3) + b"\x02") + 2 :]
    assert dict(elements(data))[requests.STATION] == b"MR1 "


def test_a_ratio_says_how_many_times_better_than_the_best_peer() -> None:
    slow_is_bad = next(m for m in MEASURES if not m.more_is_better)
    cells = {
        "pylantir": Cell([[1.0], [2.0]]),
        "one": Cell([[10.0], [30.0]]),
        "other": Cell([[20.0], [20.0]]),
        "wrong": Cell([[0.1]], trouble="1 items instead of 2"),
    }
    row = Row(slow_is_bad, 1000, cells)
    assert row.ratio() == "10 (10–10)"
    assert "wrong: 1 items instead of 2" in markdown([row], list(cells))


@linux
def test_one_command_prints_the_table(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "--alone", "--sizes", "10", "--rounds", "1"]
    document, samples = tmp_path / "performance.md", tmp_path / "samples.json"
    document.write_text("before\n<!-- table -->\nold\n<!-- end of table -->\nafter\n")
    done = subprocess.run(
        [*command, "--json", str(samples), "--write", str(document)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    assert "| universal query, items/s | 10 |" in done.stdout
    written = document.read_text(encoding="utf-8")
    assert "old" not in written
    assert written.startswith("before\n")
    assert written.endswith("after\n")
    assert {row["bookings"] for row in json.loads(samples.read_text())} == {10}


@linux
def test_an_unchanged_project_is_synced_without_writing(capsys: pytest.CaptureFixture[str]) -> None:
    assert sync.main(["--records", "10"]) == 0
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[1] for row in rows] == list(sync.ROUNDS)
    assert [row[3] for row in rows] == ["20", "0", "0"]


@linux
def test_the_rest_benchmark_measures_every_kind_of_request(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert rest.main(["--items", "20", "--requests", "3"]) == 0

    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert len(rows) == 7
    assert all(float(row.split("|")[2]) > 0 for row in rows[1:])
