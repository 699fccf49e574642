"""``pylantir import`` and ``pylantir export``."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.worklist.bookings import booking

from pylantir.cli import exchange, main
from pylantir.dicom.worklist_files import write_dicom_json, write_worklist_file
from pylantir.worklist.database import Database
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.query import WorklistQuery
from pylantir.worklist.store import ItemStore
from pylantir.worklist.textfiles import write_csv, write_json

ROW = {
    "patient_name": "Doe^Jane",
    "patient_id": "P1",
    "modality": "MR",
    "station_aet": "MRC1",
    "start_date": "2026-03-02",
    "start_time": "09:00",
    "protocol_code": "BRAIN",
    "protocol_meaning": "MRI brain",
}


pytestmark = pytest.mark.usefixtures("logging_as_it_was")


class Site:
    """A folder with a configuration, the worklist it names, and the commands run there."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.capsys = capsys
        self.database = folder / "worklist.db"
        self.config = folder / "site.json"
        self.config.write_text(json.dumps({"db_path": str(self.database), "allowed_aet": []}))
        self.out = self.err = ""

    def run(self, command: str, *argv: object) -> int:
        code = main([command, "--config", str(self.config), *map(str, argv)])
        self.out, self.err = self.capsys.readouterr()
        return code

    def items(self) -> list[WorklistItem]:
        database = Database(str(self.database))
        try:
            return ItemStore(database).find(WorklistQuery())
        finally:
            database.close()

    def ids(self) -> list[str]:
        return sorted(item.patient_id for item in self.items())

    def put(self, *items: WorklistItem) -> None:
        self.run("import", self.write("none.json", "[]"))
        database = Database(str(self.database))
        ItemStore(database).put(items)
        database.close()

    def write(self, name: str, data: str | bytes | list[dict[str, str]]) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(data, list):
            out = io.StringIO(newline="")
            writer = csv.DictWriter(out, fieldnames=list(data[0]))
            writer.writeheader()
            writer.writerows(data)
            data = out.getvalue()
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path


@pytest.fixture
def site(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Site:
    return Site(tmp_path, capsys)


def rows(*ids: str) -> list[dict[str, str]]:
    return [{**ROW, "patient_id": patient_id} for patient_id in ids]


# --- import ---


def test_a_file_of_each_kind_is_imported(site: Site) -> None:
    files = (
        site.write("a.csv", rows("P1")),
        site.write("b.json", json.dumps(rows("P2"))),
        site.write("c.json", write_dicom_json([booking("3", patient_id="P3")])),
        site.write("d.wl", write_worklist_file(booking("4", patient_id="P4"))),
        site.write("e.DCM", write_worklist_file(booking("5", patient_id="P5"))),
    )
    assert site.run("import", *files) == 0
    assert site.out == "created 5, updated 0, unchanged 0, refused 0\n"
    assert site.ids() == ["P1", "P2", "P3", "P4", "P5"]
    assert {item.data_source for item in site.items()} == {"import"}


@pytest.mark.parametrize("kind", ["csv", "json", "dicom-json", "wl"])
def test_a_file_of_any_name_is_told_by_its_content(site: Site, kind: str) -> None:
    item = booking(patient_id="P1")
    data = {
        "csv": write_csv([item]).encode("utf-8-sig"),
        "json": b"\xef\xbb\xbf \n" + write_json([item]).encode(),
        "dicom-json": write_dicom_json([item]).encode(),
        "wl": write_worklist_file(item),
    }[kind]
    assert site.run("import", site.write("bookings.txt", data)) == 0
    assert site.ids() == ["P1"]


def test_importing_twice_changes_nothing_and_a_change_is_an_update(site: Site) -> None:
    path = site.write("a.csv", rows("P1", "P2"))
    assert site.run("import", path) == 0
    first = site.items()
    assert site.run("import", path) == 0
    assert site.out == "created 0, updated 0, unchanged 2, refused 0\n"
    assert site.items() == first
    site.write("a.csv", [{**ROW, "patient_name": "Roe^Ann"}])
    assert site.run("import", path) == 0
    assert site.out == "created 0, updated 1, unchanged 0, refused 0\n"
    assert {item.study_instance_uid for item in site.items()} == {
        item.study_instance_uid for item in first
    }


def test_a_folder_is_walked_for_worklist_files(site: Site) -> None:
    site.write("in/a.csv", rows("P1"))
    site.write("in/deep/er/B.JSON", json.dumps(rows("P2")))
    site.write("in/MRC1/x.wl", write_worklist_file(booking("3", patient_id="P3")))
    site.write("in/MRC1/lockfile", b"")
    site.write("in/readme.txt", b"not a worklist")
    (site.folder / "in" / "folder.wl").mkdir()
    assert site.run("import", site.folder / "in") == 0
    assert site.ids() == ["P1", "P2", "P3"]


def test_good_rows_go_in_and_bad_ones_are_told(site: Site) -> None:
    bad = {**ROW, "patient_id": "P2", "start_date": "2026-02-30"}
    path = site.write("a.csv", [*rows("P1"), bad, *rows("P3")])
    assert site.run("import", path, "--coding-scheme", "99L") == 1
    assert site.out == "created 2, updated 0, unchanged 0, refused 1\n"
    assert site.err == (
        f"{path}, row 3: scheduled_procedure_step_start_date: expected a day of the calendar as "
        "YYYY-MM-DD or YYYYMMDD, got '2026-02-30'\n"
    )
    assert site.ids() == ["P1", "P3"]


def test_strict_stores_nothing_when_anything_is_refused(site: Site) -> None:
    path = site.write("a.csv", [*rows("P1"), {**ROW, "modality": "?"}])
    assert site.run("import", path, "--strict") == 1
    assert site.out == "created 0, updated 0, unchanged 0, refused 1; nothing stored (--strict)\n"
    assert site.items() == []
    assert site.run("import", site.write("b.csv", rows("P1")), "--strict") == 0
    assert site.ids() == ["P1"]


def test_a_dry_run_stores_nothing_and_makes_no_database(site: Site) -> None:
    path = site.write("a.csv", [*rows("P1"), {**ROW, "modality": "?"}])
    assert site.run("import", path, "--dry-run") == 1
    assert site.out == "would create 1, 0 here already, refused 1; nothing stored (--dry-run)\n"
    assert "row 3: modality" in site.err
    assert not site.database.exists()


def test_a_dry_run_tells_what_is_here_already(site: Site) -> None:
    site.run("import", site.write("a.csv", rows("P1")))
    before = site.items()
    assert site.run("import", site.write("a.csv", rows("P1", "P2")), "--dry-run") == 0
    assert site.out == "would create 1, 1 here already, refused 0; nothing stored (--dry-run)\n"
    assert site.items() == before


def test_codes_take_the_scheme_of_the_command_line(site: Site) -> None:
    path = site.write("a.csv", rows("P1"))
    site.run("import", path)
    assert site.items()[0].scheduled_protocol_codes == ()
    assert "codes left out" in site.err
    assert site.run("import", path, "--coding-scheme", "99LOCAL") == 0
    (code,) = site.items()[0].scheduled_protocol_codes
    assert (code.value, code.scheme, code.meaning) == ("BRAIN", "99LOCAL", "MRI brain")
    assert site.err == ""


def test_the_source_has_the_name_that_is_asked(site: Site) -> None:
    path = site.write("a.json", json.dumps([{**ROW, "data_source": "redcap"}]))
    site.run("import", path, "--source-name", "clinic")
    assert [item.data_source for item in site.items()] == ["clinic"]
    assert site.run("import", path, "--source-name", " ") == 2
    assert "--source-name: expected a name" in site.err


def test_an_export_imported_again_changes_nothing_when_sources_are_kept(site: Site) -> None:
    site.put(booking("17_1", source="redcap"), booking("x", source="calpendo"))
    site.run("export", "--output", site.folder / "all.csv")
    assert site.run("import", site.folder / "all.csv", "--keep-source") == 0
    assert site.out == "created 0, updated 0, unchanged 2, refused 0\n"


def test_a_step_that_is_here_as_another_record_is_refused(site: Site) -> None:
    site.put(booking("17_1", source="redcap"))
    site.run("export", "--output", site.folder / "all.csv")
    assert site.run("import", site.folder / "all.csv") == 1
    assert "this step is item 1 already (record 17_1 of redcap)" in site.err
    assert len(site.items()) == 1


def test_many_files_are_checked_against_what_is_here(site: Site) -> None:
    site.put(*(booking(str(n), source="redcap") for n in range(250)))
    site.run("export", "--output", site.folder / "all.json")
    assert site.run("import", site.folder / "all.json") == 1
    assert site.out.endswith("refused 250\n")


def test_standard_input_is_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for data in (json.dumps(rows("P1")), write_csv([booking(patient_id="P2")])):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data.encode())))
        assert site.run("import", "-") == 0
    assert site.ids() == ["P1", "P2"]


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("a.csv", b"", "file: empty, expected a header row"),
        ("a.csv", bytes(range(256)), "file: not text"),
        ("a.json", b'[{"patient_id": "P1"', "file: not JSON"),
        ("a.wl", b"patient_id,patient_name", "file: not a DICOM worklist file"),
        ("a.dcm", b"\0" * 128 + b"DICM", "file: not a DICOM worklist file: no data set"),
        ("a.txt", b"\x08\0\x05\0\xff\xff", "file: not a DICOM worklist file"),
    ],
)
def test_a_file_of_garbage_is_refused_and_others_go_in(
    site: Site, name: str, data: bytes, told: str
) -> None:
    files = (site.write(name, data), site.write("good.csv", rows("P1")))
    assert site.run("import", *files) == 1
    assert told in site.err
    assert "Traceback" not in site.err
    assert site.ids() == ["P1"]


def test_a_file_that_is_too_large_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "MAX_FILE_BYTES", 2**20)
    assert site.run("import", site.write("a.csv", b"x" * (2**20 + 1))) == 1
    assert "file: expected at most 1 MiB" in site.err


def test_a_missing_file_ends_before_anything_is_stored(site: Site) -> None:
    assert site.run("import", site.write("a.csv", rows("P1")), site.folder / "b.csv") == 2
    assert "there is no" in site.err
    assert "b.csv" in site.err
    assert not site.database.exists()


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything"
)
def test_a_file_that_may_not_be_read_is_refused(site: Site) -> None:
    path = site.write("a.csv", rows("P1"))
    path.chmod(0)
    assert site.run("import", path) == 1
    assert "cannot be read" in site.err


def test_a_file_named_twice_is_read_once(site: Site) -> None:
    path = site.write("in/a.csv", rows("P1"))
    assert exchange.files_of([str(path), str(path.parent), "-"]) == [str(path), "-"]


# --- export ---


def exported(site: Site, *argv: object) -> list[dict[str, Any]]:
    assert site.run("export", *argv) == 0
    found: list[dict[str, Any]] = json.loads(site.out)
    return found


@pytest.mark.parametrize("chosen", ["json", "dicom-json", "csv"])
def test_an_export_to_standard_output_is_data_only(site: Site, chosen: str) -> None:
    site.put(booking("1", patient_name="Müller^Zoë=山田"), booking("2"))
    assert site.run("export", "--format", chosen) == 0
    assert site.err == "items written: 2\n"
    assert "山田" in site.out
    written = site.write("again.txt", site.out)
    assert site.run("import", written, "--source-name", "test", "--dry-run") == (
        1 if chosen == "dicom-json" else 0
    )


def test_filters_choose_what_is_exported(site: Site) -> None:
    site.put(
        booking("1", patient_id="P1"),
        booking("2", patient_id="P2", modality="CT", status="COMPLETED"),
        booking("3", patient_id="P3", scheduled_procedure_step_start_date="2025-08-01"),
    )
    assert [record["patient_id"] for record in exported(site, "--modality", "CT")] == ["P2"]
    assert len(exported(site, "--date", "2025-07-01..2025-07-31")) == 2
    assert len(exported(site, "--date", "today")) == 0
    assert len(exported(site, "--limit", "1")) == 1
    assert site.run("export", "--date", "soon") == 2


@pytest.mark.parametrize(("name", "start"), [("a.csv", b"\xef\xbb\xbfid,"), ("a.json", b'[\n{"')])
def test_the_name_of_the_output_says_the_format(site: Site, name: str, start: bytes) -> None:
    site.put(booking())
    path = site.write(name, b"old")
    assert site.run("export", "--output", path) == 0
    assert path.read_bytes().startswith(start)
    assert site.out == ""
    if os.name == "posix":
        assert path.stat().st_mode & 0o077 == 0


def test_worklist_files_hold_what_a_scanner_would_see(site: Site) -> None:
    site.put(
        booking("1", patient_id="P1"),
        booking("2", patient_id="P2", status="COMPLETED"),
        booking("../../3", patient_id="P3", status="ARRIVED"),
        booking("4", patient_id="P4", scheduled_station_ae_title=""),
    )
    folder = site.folder / "out" / "MRC1"
    assert site.run("export", "--format", "wl", "--output", folder) == 0
    assert site.err == (
        "items without a scanner: 1; wlmscpfs leaves such files out\nitems written: 3\n"
    )
    names = sorted(path.name for path in folder.iterdir())
    assert names[-1] == "lockfile"
    assert [Path(name).suffix for name in names] == [".wl", ".wl", ".wl", ""]
    assert {path.name for path in site.folder.iterdir()} >= {"out", "site.json"}
    assert site.run("export", "--output", folder, "--status", "COMPLETED") == 0
    assert len(list(folder.glob("*.wl"))) == 4
    assert site.run("import", folder, "--source-name", "again", "--dry-run") == 1
    assert site.err.count("this step is item") == 4


def test_worklist_files_need_a_folder(site: Site) -> None:
    assert site.run("export", "--format", "wl") == 2
    assert "wl needs a folder" in site.err


def test_an_output_that_cannot_be_written_says_so(site: Site) -> None:
    site.put(booking())
    assert site.run("export", "--output", site.folder / "nowhere" / "a.csv") == 2
    assert "--output: cannot write" in site.err
    assert site.run("export", "--format", "wl", "--output", site.config) == 2
    assert "Traceback" not in site.err


def test_an_export_without_a_worklist_makes_none(site: Site) -> None:
    assert site.run("export") == 2
    assert "there is no worklist" in site.err
    assert not site.database.exists()


def test_a_failed_write_keeps_the_old_file(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.put(booking())
    path = site.write("a.csv", b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert site.run("export", "--output", path) == 2
    assert "No space left on device" in site.err
    assert path.read_bytes() == b"old"
    assert [p.name for p in site.folder.iterdir() if p.name.endswith(".part")] == []
