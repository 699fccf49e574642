"""What is logged, where and how."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import clean_environment

from pylantir import logs
from pylantir.errors import StartError

log = logging.getLogger("pylantir.test")

LINE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} ([A-Z]+) +(.*)")

posix_only = pytest.mark.skipif(os.name != "posix", reason="POSIX has file modes and terminals")


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    names = ("", *root.manager.loggerDict)
    levels = {name: logging.getLogger(name).level for name in names}
    handlers = list(root.handlers)
    for handler in handlers:
        root.removeHandler(handler)  # pytest's own are not to be closed
    yield
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    root.handlers[:] = handlers


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_one_event_is_one_line_with_time_level_and_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure(logging.INFO)

    log.info("C-ECHO from %s", "MR1")

    captured = capsys.readouterr()
    line = LINE.fullmatch(captured.err.rstrip("\n"))
    assert line is not None
    assert line.groups() == ("INFO", "C-ECHO from MR1")
    assert captured.out == "", "standard output is for data"


def test_what_a_peer_smuggles_in_stays_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(logging.INFO)

    log.warning("association from %s refused", "MR\r\n2026-01-01 INFO ok\x1b[2J\x00\u202e\udc80Zoé")

    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert shown.rstrip("\n").isprintable()
    assert "MR\\r\\n2026-01-01 INFO ok\\x1b[2J\\x00\\u202e\\udc80Zoé" in shown


def test_what_is_below_the_level_is_not_said(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(logging.WARNING)

    log.info("not said")
    log.warning("said")

    shown = capsys.readouterr().err
    assert "not said" not in shown
    assert "said" in shown


@pytest.mark.parametrize(
    "library", ["pynetdicom", "pynetdicom.assoc", "pydicom", "sqlalchemy.engine", "urllib3"]
)
def test_libraries_are_silent_even_when_we_tell_everything(
    library: str, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure(logging.DEBUG)

    logging.getLogger(library).error("Doe^Jane")
    log.debug("ours")

    shown = capsys.readouterr().err
    assert "Doe" not in shown
    assert "ours" in shown


def test_configuring_again_does_not_say_things_twice(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(logging.INFO)
    logs.configure(logging.INFO)

    log.info("once")

    assert capsys.readouterr().err.count("once") == 1


def test_the_file_gets_the_same_lines_as_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "logs" / "pylantir.log"
    logs.configure(logging.INFO, file=str(path))

    log.info("山田 and a line\nbreak")

    assert path.read_text(encoding="utf-8") == capsys.readouterr().err
    assert "山田 and a line\\nbreak" in path.read_text(encoding="utf-8")


@posix_only
def test_every_file_of_a_rotation_is_private(tmp_path: Path) -> None:
    path = tmp_path / "pylantir.log"
    before = os.umask(0o022)
    try:
        logs.configure(logging.INFO, file=str(path), max_bytes=1000, backups=2)
        for number in range(100):
            log.info("event %d with some words to fill the file", number)
    finally:
        os.umask(before)

    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["pylantir.log", "pylantir.log.1", "pylantir.log.2"]
    assert {mode_of(file) for file in files} == {0o600}
    assert all(file.stat().st_size <= 1000 for file in files)
    assert "event 99 " in path.read_text(encoding="utf-8")


def test_a_log_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "file" / "pylantir.log"
    path.parent.write_text("not a folder")

    with pytest.raises(StartError, match=r"cannot write the log file .*pylantir\.log.*--log-file"):
        logs.configure(logging.INFO, file=str(path))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_said_once_and_the_terminal_goes_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure(logging.INFO, file="/dev/full", max_bytes=0)

    log.info("first")
    log.info("second")

    shown = capsys.readouterr().err
    assert shown.count("cannot write the log file /dev/full") == 1
    assert "Traceback" not in shown
    assert "second" in shown


ECHO = """
import logging
from pylantir import logs
from pylantir.worklist.database import Database
logs.configure(logging.INFO)
database = Database("worklist.db", echo=True)
database.create_file()
with database.read() as connection:
    connection.exec_driver_sql("SELECT 'invented'")
database.close()
"""


def test_statements_of_db_echo_go_where_logs_go(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", ECHO],
        cwd=tmp_path,
        env=clean_environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )

    assert ran.stdout == ""
    assert ran.stderr.count("SELECT 'invented'") == 1


SPEAK = """
import logging
from pylantir import logs
logs.configure(logging.INFO)
logging.getLogger("pylantir").warning("spoken")
"""


@posix_only
def test_lines_are_coloured_on_a_terminal_only(tmp_path: Path) -> None:
    import pty

    ours, terminal = pty.openpty()
    environment = clean_environment(tmp_path) | {"TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    words = [sys.executable, "-c", SPEAK]
    subprocess.run(words, env=environment, stderr=terminal, check=True)
    os.close(terminal)
    on_terminal = os.read(ours, 4096).decode()
    os.close(ours)
    in_pipe = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)

    assert "\x1b[" in on_terminal
    assert "spoken" in on_terminal
    assert LINE.fullmatch(in_pipe.stderr.rstrip("\n"))
