"""The tutorial says what the program prints: each of its commands is run and compared.

Fenced blocks of ``docs/tutorial.md`` are told apart by the word after the fence: ``console`` holds
commands and what they print, ``console server`` the start and its banner, ``text log`` what the
server has logged in the end, and ``csv NAME`` a file. UIDs, times of the day and ports may differ.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest
from tests.conftest import REPOSITORY, DaemonProcess, clean_environment, dcmtk_program

DOCUMENT = REPOSITORY / "docs" / "tutorial.md"
PINNED_TO = "2025-07-07T09:41:00+00:00"
DATA_FOLDER = "/home/you/.local/share"
PORT = "4242"
DCMTK = ("echoscu", "findscu")

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="the transcript is of a POSIX shell"
)

_FENCE = re.compile(r"^```(\w[^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_UID = re.compile(r"\b2\.25\.[0-9]+\b")
_VOLATILE = (
    (re.compile(r"\b[0-9]{2}:[0-9]{2}:[0-9]{2}\b"), "hh:mm:ss"),
    (re.compile(r"\b[0-9]+\.[0-9] ms\b"), "n ms"),
    (re.compile(r"\bport [0-9]+\b"), f"port {PORT}"),
    (re.compile(r"pytz [0-9.]+, IANA [0-9]+[a-z]"), "pytz n, IANA n"),
    (re.compile(r"-[0-9]{8}T[0-9]{6}Z\.db made, [0-9.]+ MB"), ".db made"),
    (re.compile(r"Max Send PDV: [0-9]+"), "Max Send PDV: n"),  # differs between releases of DCMTK
)


@dataclass(frozen=True)
class Step:
    """A command of the document and what it is said to print."""

    command: str
    printed: tuple[str, ...]


def steps_of(block: str) -> list[Step]:
    lines = block.splitlines()
    starts = [n for n, line in enumerate(lines) if line.startswith("$ ")]
    assert starts[:1] == [0], "a block begins with a command"
    return [
        Step(lines[a].removeprefix("$ "), tuple(lines[a + 1 : b]))
        for a, b in pairwise([*starts, len(lines)])
    ]


@dataclass
class Reader:
    """Somebody who types what the tutorial says."""

    folder: Path
    port: int = 0
    uids: dict[str, str] = field(default_factory=dict)
    """UIDs of the document and what they are this time."""
    code: int = 0
    skipped: bool = False

    @property
    def environment(self) -> dict[str, str]:
        ours = {"PINNED_TO": PINNED_TO, "TZ": "UTC", "PYTHONUNBUFFERED": "1", "COLUMNS": "80"}
        return clean_environment(self.folder) | ours

    def words(self, command: str) -> list[str]:
        """The command as it is run here: another port, other UIDs, a day that is pinned."""
        command = _UID.sub(lambda uid: self.uids.get(uid[0], uid[0]), command)
        words = [str(self.port) if word == PORT else word for word in shlex.split(command)]
        if words[0] != "pylantir":
            return words
        if words[1] in ("test-client", "test-mpps"):
            words += ["--port", str(self.port)]
        return [sys.executable, str(REPOSITORY / "tests" / "pinned.py"), *words[1:]]

    def run(self, command: str) -> list[str] | None:
        """What a command prints on a terminal; nothing when it is not installed."""
        if command == "echo $?":
            printed, self.code = [str(self.code)], 0
            return printed
        assert self.code == 0, f"the command before {command!r} failed"
        words = self.words(command)
        if words[0] in DCMTK:
            program = dcmtk_program(words[0])
            if program is None:
                self.skipped = True
                return None
            words[0] = program
        ran = subprocess.run(
            words,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
            timeout=60,
        )
        self.code = ran.returncode
        return ran.stdout.splitlines()

    def start(self, command: str) -> DaemonProcess:
        log_path = self.folder / "stderr.log"
        with log_path.open("w") as log:
            process = subprocess.Popen(
                [*self.words(command), "--port", "0"],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                encoding="utf-8",
            )
        return DaemonProcess(process, log_path)

    def same(self, written: tuple[str, ...], printed: list[str]) -> None:
        """Compare line by line; a UID that the document has is the same one everywhere."""
        for ours, theirs in zip(written, printed, strict=False):
            for uid, actual in zip(_UID.findall(ours), _UID.findall(theirs), strict=False):
                self.uids.setdefault(uid, actual)
        expected = [_UID.sub(lambda uid: self.uids.get(uid[0], uid[0]), line) for line in written]
        assert list(map(self.masked, printed)) == list(map(self.masked, expected))

    def masked(self, line: str) -> str:
        line = re.sub(rf"\b{self.port}\b", PORT, line.replace(str(self.folder), DATA_FOLDER))
        for pattern, word in _VOLATILE:
            line = pattern.sub(word, line)
        return re.sub(r" +", " ", line).rstrip()


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(tmp_path)


@pytest.fixture
def blocks() -> Iterator[tuple[str, str]]:
    return iter(_FENCE.findall(DOCUMENT.read_text(encoding="utf-8")))


def test_the_tutorial_says_what_is_printed(
    reader: Reader, blocks: Iterator[tuple[str, str]]
) -> None:
    kind, block = next(blocks)
    assert kind == "console server"
    [start] = steps_of(block)
    daemon = reader.start(start.command)
    try:
        reader.port = daemon.wait_until_ready().port
        reader.same(start.printed, daemon.banner)
        for kind, block in blocks:
            if kind == "console":
                for step in steps_of(block):
                    printed = reader.run(step.command)
                    if printed is not None:
                        reader.same(step.printed, printed)
            elif kind.startswith("csv "):
                (reader.folder / kind.split()[1]).write_text(block, encoding="utf-8")
            else:
                assert kind == "text log"
                code, _ = daemon.stop()
                assert code == 0
                if not reader.skipped:
                    reader.same(tuple(block.splitlines()), daemon.log.splitlines())
    finally:
        daemon.clean_up()
    if reader.skipped:
        pytest.skip("DCMTK is not installed: echoscu and findscu were left out (package dcmtk)")


def test_every_command_of_the_tutorial_is_replayed() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")

    shown = [line for line in text.splitlines() if line.startswith("$ ")]
    replayed = [
        f"$ {step.command}"
        for kind, block in _FENCE.findall(text)
        if kind.startswith("console")
        for step in steps_of(block)
    ]
    assert shown == replayed
    assert len(replayed) > 20


def test_nothing_of_this_machine_stands_in_the_tutorial() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")

    assert os.fspath(REPOSITORY) not in text
    assert "/tmp" not in text
