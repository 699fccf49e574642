"""The files that make a service of it: what they call exists, and what they promise holds."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests.conftest import REPOSITORY

from pylantir.cli.parser import build_parser, parse

FILES = REPOSITORY / "config" / "service"
UNIT = FILES / "pylantir.service"
MAX_EXPOSURE = 2.0


def unit() -> configparser.ConfigParser:
    read = configparser.ConfigParser(strict=False, interpolation=None)
    read.optionxform = str  # type: ignore[assignment,method-assign]
    read.read(UNIT, encoding="utf-8")
    return read


def understood(words: list[str]) -> str:
    """The command that our own parser makes of what follows ``-m pylantir``."""
    args = parse(build_parser(), words[words.index("pylantir") + 1 :])
    return str(args.command)


def test_the_unit_starts_the_server_and_waits_for_it() -> None:
    service = unit()["Service"]
    assert understood(shlex.split(service["ExecStart"])) == "start"
    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) >= 30, "three proofs, and room for a slow disk"
    assert service["RestartPreventExitStatus"] == "2"


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="needs systemd-analyze (Debian: systemd)"
)
def test_the_unit_exposes_little(tmp_path: Path) -> None:
    shutil.copy(UNIT, tmp_path)
    command = ["systemd-analyze", "security", "--offline=yes", "--no-pager"]
    ran = subprocess.run(
        [*command, str(tmp_path / UNIT.name)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    found = re.search(r"Overall exposure level .*: ([0-9.]+)", ran.stdout)
    if found is None:
        pytest.skip(f"this systemd-analyze reads no files: {ran.stderr.strip()}")
    assert float(found[1]) <= MAX_EXPOSURE


def test_the_windows_service_starts_python_itself() -> None:
    service = ElementTree.parse(FILES / "pylantir-service.xml").getroot()
    executable, arguments = service.findtext("executable"), service.findtext("arguments")
    assert executable is not None
    assert executable.endswith(r"\python.exe")
    assert arguments is not None
    assert understood(arguments.split()) == "start"


def test_the_container_has_what_it_copies_and_runs_what_exists() -> None:
    text = (FILES / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    for names in re.findall(r"^COPY ([^-].*)", text, re.MULTILINE):
        *sources, _ = names.split()
        assert all((REPOSITORY / source).exists() for source in sources)
    [entry] = re.findall(r"^ENTRYPOINT (.*)", text, re.MULTILINE)
    [default] = re.findall(r"^CMD (.*)", text, re.MULTILINE)
    assert understood([*json.loads(entry), *json.loads(default)]) == "start"
    [check] = re.findall(r"^HEALTHCHECK .* CMD \S*/(pylantir .*) \|\|", text, re.MULTILINE)
    assert understood(check.split()) == "health"
    assert "USER pylantir" in text
