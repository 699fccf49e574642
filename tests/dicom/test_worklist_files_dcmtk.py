"""Worklist files as DCMTK makes them: a text dump through dump2dcm."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from tests.worklist.bookings import booking

from pylantir.dicom.worklist_files import read_worklist_file, write_worklist_file
from pylantir.worklist.imports import Importer

DUMP2DCM = shutil.which("dump2dcm")
DCMDUMP = shutil.which("dcmdump")

pytestmark = [
    pytest.mark.dcmtk,
    pytest.mark.skipif(
        DUMP2DCM is None or DCMDUMP is None, reason="dump2dcm is not installed (package dcmtk)"
    ),
]

DUMP = """
(0008,0005) CS [ISO_IR 100]
(0008,0050) SH [00000]
(0010,0010) PN [Müller^Zoë]
(0010,0020) LO [AV35674]
(0010,0030) DA [19500210]
(0010,0040) CS [F]
(0010,2000) LO [ABZESS\\\\METAL]
(0020,000d) UI [1.2.276.0.7230010.3.2.101]
(0032,1060) LO [EXAM6]
(0040,0100) SQ
(fffe,e000) -
(0008,0060) CS [MR]
(0040,0001) AE [AA32\\\\AA33]
(0040,0002) DA [19951015]
(0040,0003) TM [085607]
(0040,0009) SH [SPD3445]
(0040,0007) LO [EXAM74]
(fffe,e00d) -
(fffe,e0dd) -
(0040,1001) SH [RP454G234]
(0040,1003) SH [LOW]
""".replace("\\\\", "\\")


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--write-xfer-little"],
        ["--write-xfer-big"],
        ["--write-xfer-implicit"],
        ["--write-dataset", "--write-xfer-implicit"],
        ["--write-dataset", "--write-xfer-big", "--group-length-create"],
        ["--length-undefined", "--group-length-create"],
        ["--write-xfer-implicit", "--length-undefined"],
    ],
    ids=" ".join,
)
def test_what_dump2dcm_writes_is_read(options: list[str], tmp_path: Path) -> None:
    assert DUMP2DCM is not None
    dump, made = tmp_path / "a.dump", tmp_path / "a.wl"
    dump.write_bytes(DUMP.encode("latin-1"))
    subprocess.run([DUMP2DCM, *options, str(dump), str(made)], check=True, timeout=20)
    importer = Importer()
    importer.take("a.wl", read_worklist_file(made.read_bytes()))
    assert importer.refused == []
    (item,) = importer.items
    assert (item.patient_name, item.patient_id) == ("Müller^Zoë", "AV35674")
    assert item.scheduled_station_ae_title == ("AA32", "AA33")
    assert item.medical_alerts == ("ABZESS", "METAL")
    assert item.start.isoformat() == "1995-10-15T08:56:07"
    assert item.source_record_id == "1.2.276.0.7230010.3.2.101/SPD3445"
    assert item.extras == {}


def test_dcmdump_finds_nothing_wrong_with_what_we_write(tmp_path: Path) -> None:
    assert DCMDUMP is not None
    path = tmp_path / "a.wl"
    extras = {"ReferencedStudySequence": [{"ReferencedSOPClassUID": "1.2"}], "PatientAge": "045Y"}
    path.write_bytes(write_worklist_file(booking(patient_name="Müller^Zoë", **extras)))
    done = subprocess.run(
        [DCMDUMP, "--read-file-only", "--convert-to-utf8", str(path)],
        check=True,
        capture_output=True,
        timeout=20,
    )
    assert done.stderr == b""
    assert "[Müller^Zoë]" in done.stdout.decode()
