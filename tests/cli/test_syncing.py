"""``pylantir sync``, ``pylantir sources`` and ``pylantir check-config`` with sources."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.bookable import BookableSource, booking

from pylantir.cli import main
from pylantir.clock import SiteClock
from pylantir.errors import SourceUnavailable
from pylantir.sources import register_source
from pylantir.sources.base import SourceSettings


@pytest.fixture(autouse=True)
def handlers_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def source() -> BookableSource:
    made = BookableSource(SourceSettings(name="book", config={}, field_mapping={}))
    register_source("bookable", lambda _: made)
    today = SiteClock().today()
    made.records = [booking(str(n), scheduled_start_date=today) for n in range(3)]
    return made


@pytest.fixture
def config(tmp_path: Path) -> str:
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


def test_one_round_brings_the_bookings_in(
    source: BookableSource, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sync", "--once", "--config", config]) == 0
    assert "OK    book: 3 fetched, 3 created" in capsys.readouterr().err
    assert main(["query-db", "--json", "--config", config]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 3


def test_a_dry_run_prints_what_would_be_done_and_writes_nothing(
    source: BookableSource, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source.records.append(booking("bad", patient_id="", scheduled_start_date="2026-13-45"))
    assert main(["sync", "--dry-run", "--config", config]) == 0
    out = capsys.readouterr().out
    assert out.count("create") == 3
    assert "reject" in out
    assert "2026-13-45" in out
    main(["query-db", "--json", "--config", config])
    assert json.loads(capsys.readouterr().out) == []


def test_a_source_that_fails_ends_in_exit_code_1_with_its_own_words(
    source: BookableSource, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source.error = SourceUnavailable("the server answered HTTP 503")
    assert main(["sync", "--once", "--config", config]) == 1
    assert "FAIL  book: the server answered HTTP 503" in capsys.readouterr().err


def test_a_mass_withdrawal_waits_for_a_person(
    source: BookableSource, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    today = SiteClock().today()
    source.records = [booking(str(n), scheduled_start_date=today) for n in range(8)]
    main(["sync", "--once", "--config", config])
    source.records, source.alive = [], frozenset()
    assert main(["sync", "--once", "--config", config]) == 1
    assert "FROZEN" in capsys.readouterr().err
    assert main(["sync", "--accept-withdrawals", "--config", config]) == 0
    main(["query-db", "--json", "--status", "CANCELLED", "--config", config])
    assert len(json.loads(capsys.readouterr().out)) == 8


def test_an_unknown_source_names_the_enabled_ones(
    source: BookableSource, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sync", "--once", "--source", "of", "--config", config]) == 2
    err = capsys.readouterr().err
    assert "'of'" in err
    assert "book" in err


def test_sources_shows_state_counts_and_orphans(
    source: BookableSource, config: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    main(["sync", "--once", "--config", config])
    capsys.readouterr()
    assert main(["sources", "--json", "--config", config]) == 0
    states = {entry["source"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert (states["book"]["state"], states["book"]["scheduled"]) == ("ok", 3)
    assert states["off"]["state"] == "disabled"
    renamed = Path(config).read_text().replace('"name": "book"', '"name": "renamed"')
    Path(config).write_text(renamed)
    main(["sources", "--json", "--config", config])
    states = {entry["source"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert states["book"]["state"] == "orphan"


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


def test_check_config_online_shows_the_item_and_the_scanner_it_appears_on(
    source: BookableSource, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check-config", "--online", "--config", config]) == 0
    out = capsys.readouterr().out
    assert "OK    book: answers" in out
    assert "patient_id" in out
    assert "P-0" in out
    assert "MR1" in out


def test_check_config_online_says_why_a_source_does_not_answer(
    source: BookableSource, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source.error = SourceUnavailable("no answer")
    assert main(["check-config", "--online", "--config", config]) == 1
    assert "FAIL  book: no answer" in capsys.readouterr().err
