"""``pylantir import`` of files that are none: a reason on standard error, and little memory."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest
from tests.conftest import clean_environment, command
from tests.faults.datasets import deep
from tests.worklist.bookings import booking

from pylantir.dicom.worklist_files import write_worklist_file

MIB = 2**20


@dataclass
class Imported:
    """How the command ended."""

    code: int
    errors: str
    peak_bytes: int

    def about(self, name: str) -> str:
        """What it said of one file."""
        return "\n".join(line for line in self.errors.splitlines() if name in line)


def import_files(folder: Path, *paths: Path | str) -> Imported:
    """``pylantir import`` in a process of its own."""
    config = folder / "config.json"
    config.write_text(json.dumps({"db_path": str(folder / "worklist.db")}))
    with (folder / "errors").open("w+b") as errors:
        process = subprocess.Popen(
            command("import", "--config", str(config), *map(str, paths)),
            env=clean_environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        code, peak = _end_of(process)
        errors.seek(0)
        return Imported(code, errors.read().decode(), peak)


def _end_of(process: subprocess.Popen[bytes]) -> tuple[int, int]:
    """Exit code and peak of resident memory; no memory where the system does not say."""
    if sys.platform != "linux":
        return process.wait(60), 0
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, used.ru_maxrss * 1024


def zipped(data: bytes) -> bytes:
    """A zip archive that is a thousandth of what it holds."""
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", data)
    return packed.getvalue()


WHOLE = write_worklist_file(booking())
HEADER = b"patient_name,patient_id,modality,start_date,start_time\n"
CONTENTS: dict[str, tuple[str, bytes]] = {
    "nothing": (".csv", b""),
    "NUL bytes": (".csv", b"\0" * 100_000),
    "NUL in a cell": (".csv", HEADER + b"A\0B,1,MR,20260101,10\n"),
    "a zip bomb": (".csv", zipped(b"\0" * 50 * MIB)),
    "a gzip bomb": (".json", gzip.compress(b"[" * 50 * MIB)),
    "a column a thousand times": (".csv", b"patient_id," * 5000 + b"\n"),
    "columns that nobody knows": (".csv", b",".join(b"patient_nome%d" % n for n in range(900))),
    "an open quotation mark": (".csv", HEADER + b'"' + b"x" * 200_000),
    "a million empty lines": (".csv", b"\n" * 1_000_000),
    "deep JSON": (".json", b"[" * 1_000_000),
    "deep JSON that ends": (".json", b'[{"extras":' * 5000 + b"1" + b"}]" * 5000),
    "JSON with a name twice": (".json", b'{"a":1,' * 1 + b'"b":2,' * 50_000 + b'"a":1}'),
    "JSON of many unknown names": (
        ".json",
        json.dumps([{f"patient_nome_{n}": "x" for n in range(20_000)}]).encode(),
    ),
    "JSON with a long name": (".json", json.dumps({"Q" * MIB: "x"}).encode()),
    "JSON of many values": (".json", b"[" + b"0.1," * 11_000_000 + b"0.1]"),
    "JSON numbers without end": (".json", b'{"patient_id": ' + b"9" * 100_000 + b"}"),
    "half a surrogate": (".json", b'{"patient_id": "\\ud800", "patient_name": "\\udfff"}'),
    "a path for a name": (".json", b'{"../../etc": "x", "patient_id": "../../../etc/passwd"}'),
    "random bytes as DICOM": (".dcm", bytes(range(256)) * 400),
    "deep DICOM": (".wl", b"\0" * 128 + b"DICM" + deep(5000, undefined=True)),
    "half a DICOM file": (".wl", WHOLE[: len(WHOLE) // 2]),
    "DICOM with a length of 4 GB": (".wl", WHOLE[:132] + b"\x02\0\0\0OB\0\0\xff\xff\xff\xff"),
}


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Imported:
    """All of them and a whole one, in one command."""
    folder = tmp_path_factory.mktemp("hostile")
    paths = []
    for number, (suffix, content) in enumerate(CONTENTS.values()):
        paths.append(folder / f"{number:02}{suffix}")
        paths[-1].write_bytes(content)
    (folder / "whole.wl").write_bytes(WHOLE)
    sparse = folder / "sparse.csv"
    with sparse.open("wb") as file:
        file.truncate(1024 * MIB)
    return import_files(folder, *paths, sparse, folder / "whole.wl")


@pytest.mark.parametrize("number", range(len(CONTENTS)), ids=CONTENTS)
def test_a_hostile_file_is_refused_in_words(imported: Imported, number: int) -> None:
    suffix = list(CONTENTS.values())[number][0]
    said = imported.about(f"{number:02}{suffix}")
    assert said
    assert len(said) < 5000


def test_a_file_of_a_gigabyte_is_not_even_read(imported: Imported) -> None:
    assert "expected at most 256 MiB" in imported.about("sparse.csv")
    # A child begins with what its parent had: that of a long run of tests is large.
    assert imported.peak_bytes < 900 * MIB


def test_a_whole_file_among_them_is_imported(imported: Imported) -> None:
    assert imported.code == 1, imported.errors[-2000:]
    assert "Traceback" not in imported.errors
    assert imported.about("whole.wl") == ""


@pytest.mark.skipif(sys.platform == "win32", reason="pipes and devices are no files there")
def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    """Devices that never end, a pipe that nobody writes into, links that lead in a circle."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "itself").symlink_to(folder)
    (folder / "loop.csv").symlink_to(folder / "loop.csv")
    os.mkfifo(folder / "ignored.csv")
    os.mkfifo(tmp_path / "pipe.csv")
    paths = ("/dev/zero", "/dev/null", tmp_path / "pipe.csv", folder)
    imported = import_files(tmp_path, *paths)
    assert (imported.code, "Traceback" in imported.errors) == (1, False)
    assert "a device, not a file" in imported.about("/dev/zero")
    assert "a device, not a file" in imported.about("/dev/null")
    assert "empty" in imported.about("pipe.csv")
    loop = import_files(tmp_path, folder / "loop.csv")
    assert (loop.code, "Traceback" in loop.errors) == (2, False)
    assert loop.about("loop.csv")
