"""``pylantir sources``: how each is doing, which are gone, and what could not be read."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from tests.bookable import BookableSource, booking
from tests.worklist.bookings import begun

from pylantir.cli import main
from pylantir.clock import SiteClock
from pylantir.config.schema import Config
from pylantir.daemon import open_worklist
from pylantir.worklist.query import WorklistQuery

pytestmark = pytest.mark.usefixtures("logging_as_it_was")


def test_sources_shows_state_counts_and_orphans(
    source: BookableSource, config: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    main(["sync", "--once", "--config", config])
    capsys.readouterr()
    assert main(["sources", "--json", "--config", config]) == 0
    states = {entry["source"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert (states["book"]["state"], states["book"]["scheduled"]) == ("ok", 3)
    assert states["book"]["next_run"] > states["book"]["last_success"]
    assert (states["off"]["state"], states["off"]["next_run"]) == ("disabled", "")
    renamed = Path(config).read_text().replace('"name": "book"', '"name": "renamed"')
    Path(config).write_text(renamed)
    main(["sources", "--json", "--config", config])
    states = {entry["source"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert states["book"]["state"] == "orphan"


def test_before_there_is_a_worklist_the_sources_have_never_run(
    config: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["sources", "--json", "--config", config]) == 0
    states = {entry["source"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert (states["book"]["state"], states["off"]["state"]) == ("never run", "disabled")
    assert not states["book"]["last_success"]
    assert main(["sources", "--rejected", "--config", config]) == 0
    assert main(["sources", "--forget", "gone", "--config", config]) == 2
    assert not (tmp_path / "worklist.db").exists()


def test_a_source_that_nobody_knows_is_not_forgotten_but_named(
    source: BookableSource, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["sync", "--once", "--config", config])
    Path(config).write_text(Path(config).read_text().replace('"name": "book"', '"name": "new"'))
    assert main(["sources", "--forget", "bok", "--config", config]) == 2
    said = capsys.readouterr().err
    assert "nothing is remembered of a source 'bok' (book)" in said


def test_what_people_entered_is_no_source_that_could_be_forgotten(
    source: BookableSource, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    walk_in = ["--name", "Walk^In", "--id", "W-1"]
    assert main(["add", *walk_in, "--config", config]) == 0
    assert main(["sources", "--forget", "manual", "--config", config]) == 2
    assert "nothing is remembered of a source 'manual'" in capsys.readouterr().err


def test_what_a_source_changed_during_a_scan_is_counted(
    source: BookableSource, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["sync", "--once", "--config", config])
    with contextlib.closing(
        open_worklist(Config(**json.loads(Path(config).read_text())))
    ) as opened:
        opened.steps.create(begun(opened.items.find(WorklistQuery())[0]))
    source.records[0] = booking(
        "0", scheduled_start_date=SiteClock().today(), scheduled_start_time="16:00"
    )
    main(["sync", "--once", "--config", config])
    capsys.readouterr()
    main(["sources", "--json", "--config", config])
    assert json.loads(capsys.readouterr().out)[0]["held_back"] == 1


def test_an_orphan_can_be_forgotten_and_a_configured_source_cannot(
    source: BookableSource, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["sync", "--once", "--config", config])
    assert main(["sources", "--forget", "book", "--config", config]) == 2
    Path(config).write_text(Path(config).read_text().replace('"name": "book"', '"name": "new"'))
    assert main(["sources", "--forget", "book", "--config", config]) == 0
    assert "3 scheduled items cancelled" in capsys.readouterr().out


def test_rejected_records_are_listed_with_their_reasons(
    source: BookableSource, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source.records.append(booking("41", scheduled_start_date="2026-02-31"))
    main(["sync", "--once", "--config", config])
    capsys.readouterr()
    assert main(["sources", "--rejected", "--config", config]) == 0
    out = capsys.readouterr().out
    assert "41" in out
    assert "2026-02-31" in out
