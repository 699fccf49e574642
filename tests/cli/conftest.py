"""A folder with a configuration, and commands run in it."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.bookable import BookableSource, booking
from tests.conftest import OURS

from pylantir.cli import main
from pylantir.clock import SiteClock
from pylantir.config.schema import Config
from pylantir.daemon import Worklist, open_worklist
from pylantir.sources import register_source
from pylantir.sources.base import SourceSettings


@pytest.fixture
def logging_as_it_was() -> Iterator[None]:
    """What a command says about logging holds for that command only."""
    root = logging.getLogger()
    names = ("", *root.manager.loggerDict)
    levels = {name: logging.getLogger(name).level for name in names}
    handlers = list(root.handlers)
    for handler in handlers:
        root.removeHandler(handler)  # a command would close pytest's own
    yield
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    root.handlers[:] = handlers


class CommandLine:
    """Runs commands as a person would who sits in the folder of the configuration."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.out = self.err = ""
        self._capsys = capsys

    def configure(self, **settings: Any) -> None:
        values = {"db_path": str(self.folder / "worklist.db"), "timezone": "UTC", **settings}
        (self.folder / "pylantir.json").write_text(json.dumps(values), encoding="utf-8")

    def __call__(self, *argv: str) -> int:
        code = main(argv)
        self.out, self.err = self._capsys.readouterr()
        return code

    def json(self, *argv: str) -> Any:
        """What a command prints with ``--json``."""
        assert self(*argv, "--json") == 0, self.err
        return json.loads(self.out)

    def worklist(self) -> Worklist:
        """The worklist of the configuration, for whoever closes it."""
        values = json.loads((self.folder / "pylantir.json").read_text(encoding="utf-8"))
        return open_worklist(Config(**values))


@pytest.fixture
def run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    logging_as_it_was: None,
) -> CommandLine:
    """Commands in a folder with a configuration, and without anybody's own settings."""
    for name in os.environ:
        if name.startswith(OURS) or name == "DEBUG":
            monkeypatch.delenv(name)
    for name in ("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    command_line = CommandLine(tmp_path, capsys)
    command_line.configure()
    return command_line


@pytest.fixture
def source() -> BookableSource:
    """Three bookings of today."""
    made = BookableSource(SourceSettings(name="book", config={}, field_mapping={}))
    register_source("bookable", lambda _: made)
    today = SiteClock().today()
    made.records = [booking(str(n), scheduled_start_date=today) for n in range(3)]
    return made


@pytest.fixture
def config(tmp_path: Path) -> str:
    """A configuration with that source, and one that is switched off."""
    path = tmp_path / "site.json"
    sources = [
        {"name": "book", "type": "bookable"},
        {"name": "off", "type": "bookable", "enabled": False},
    ]
    values = {
        "db_path": str(tmp_path / "worklist.db"),
        "allowed_aet": ["MR1"],
        "data_sources": sources,
    }
    path.write_text(json.dumps(values))
    return str(path)
