"""``pylantir sync``, ``pylantir sources`` and ``pylantir check-config`` with sources."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.bookable import BookableSource, booking
from tests.worklist.bookings import begun
from tests.worklist.published import build

from pylantir.cli import main
from pylantir.clock import SiteClock
from pylantir.config.schema import Config
from pylantir.daemon import open_worklist
from pylantir.errors import SourceUnavailable
from pylantir.sources import register_source
from pylantir.worklist.query import WorklistQuery

pytestmark = pytest.mark.usefixtures("logging_as_it_was")


def test_one_round_brings_the_bookings_in(
    source: BookableSource, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sync", "--once", "--config", config]) == 0
    assert "OK    book: 3 fetched, 3 created" in capsys.readouterr().err
    assert main(["query-db", "--json", "--config", config]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 3


def test_a_dry_run_prints_what_would_be_done_and_writes_nothing(
    source: BookableSource, config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source.records.append(booking("bad", patient_id="", scheduled_start_date="2026-13-45"))
    assert main(["sync", "--dry-run", "--config", config]) == 0
    out = capsys.readouterr().out
    assert out.count("create") == 3
    assert "reject" in out
    assert "2026-13-45" in out
    assert not (tmp_path / "worklist.db").exists()


def test_a_dry_run_compares_with_the_worklist_and_leaves_it_byte_for_byte(
    source: BookableSource, config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sync", "--once", "--config", config]) == 0
    before = (tmp_path / "worklist.db").read_bytes()
    source.records[1] = booking("1", scheduled_start_date=SiteClock().today(), patient_name="New^1")
    assert main(["sync", "--dry-run", "--config", config]) == 0
    captured = capsys.readouterr()
    assert "1 changed, 2 unchanged" in captured.err
    assert (tmp_path / "worklist.db").read_bytes() == before


def test_a_dry_run_does_not_migrate_the_database_of_the_published_release(
    source: BookableSource, config: str, tmp_path: Path
) -> None:
    published = build(tmp_path / "worklist.db", "0.4.6", [])
    before = published.read_bytes()
    assert main(["sync", "--dry-run", "--config", config]) == 0
    assert published.read_bytes() == before
    assert [path.name for path in tmp_path.glob("worklist.db*")] == ["worklist.db"]


def test_a_source_that_is_configured_wrongly_does_not_keep_the_others_from_being_asked(
    source: BookableSource, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    values = json.loads(Path(config).read_text())
    values["data_sources"].insert(0, {"name": "wrong", "type": "csv", "config": {}})
    Path(config).write_text(json.dumps(values))
    assert main(["sync", "--once", "--config", config]) == 1
    said = capsys.readouterr().err
    assert "FAIL  wrong: " in said
    assert "OK    book: 3 fetched, 3 created" in said


def test_what_is_warned_about_is_said_once(
    source: BookableSource, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    values = json.loads(Path(config).read_text())
    del values["data_sources"]
    Path(config).write_text(
        json.dumps({**values, "redcap2wl": {"study_id": "study_id"}, "site": "1"})
    )
    main(["sync", "--once", "--config", config])
    assert capsys.readouterr().err.count("Legacy configuration format") == 1


def test_without_an_enabled_source_there_is_nothing_to_sync(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = json.loads(Path(config).read_text())
    del values["data_sources"][0]
    Path(config).write_text(json.dumps(values))
    assert main(["sync", "--config", config]) == 0
    assert "no data source is enabled" in capsys.readouterr().err
    assert not (tmp_path / "worklist.db").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="a signal to itself would end it")
def test_until_a_signal_only_the_named_source_is_asked(source: BookableSource, config: str) -> None:
    other = BookableSource()
    register_source("other", lambda _: other)
    values = json.loads(Path(config).read_text())
    values["data_sources"].append({"name": "next", "type": "other"})
    Path(config).write_text(json.dumps(values))
    ends = threading.Thread(
        target=lambda: source.fetched.acquire(timeout=60) and os.kill(os.getpid(), signal.SIGINT)
    )
    ends.start()
    assert main(["sync", "--source", "book", "--config", config]) == 0
    ends.join()
    assert source.windows
    assert other.windows == []


def test_a_source_is_closed_after_its_round(source: BookableSource, config: str) -> None:
    assert main(["sync", "--once", "--config", config]) == 0
    assert source.closed.is_set()


def test_a_source_that_fails_ends_in_exit_code_1_with_its_own_words(
    source: BookableSource, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source.error = SourceUnavailable("the server answered HTTP 503")
    assert main(["sync", "--once", "--config", config]) == 1
    assert "FAIL  book: the server answered HTTP 503" in capsys.readouterr().err


def test_a_round_that_fails_is_remembered_and_one_that_succeeds_makes_up_for_it(
    source: BookableSource, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source.error = SourceUnavailable("the server answered HTTP 503")
    main(["sync", "--once", "--config", config])
    main(["sync", "--dry-run", "--config", config])
    failed = state_of_book(config, capsys)
    assert failed["state"] == "failing (1)"
    assert failed["last_error"] == "the server answered HTTP 503"
    source.error = None
    main(["sync", "--once", "--config", config])
    assert state_of_book(config, capsys)["state"] == "ok"


def state_of_book(config: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["sources", "--json", "--config", config]) == 0
    states: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return next(state for state in states if state["source"] == "book")


def test_a_defect_of_one_source_keeps_no_other_from_being_asked(
    source: BookableSource, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = BookableSource()
    broken.error = KeyError("Planted^Name")
    register_source("broken", lambda _: broken)
    values = json.loads(Path(config).read_text())
    values["data_sources"].insert(0, {"name": "odd", "type": "broken"})
    Path(config).write_text(json.dumps(values))

    assert main(["sync", "--once", "--config", config]) == 1
    said = capsys.readouterr().err
    assert "FAIL  odd: defect: KeyError" in said
    assert "Planted" not in said
    assert "OK    book: 3 fetched, 3 created" in said
    assert main(["check-config", "--online", "--config", config]) == 1
    answered = capsys.readouterr()
    assert "FAIL  odd: defect: KeyError" in answered.err
    assert "OK    book: answers" in answered.out


def test_a_round_sends_what_scanners_did_to_a_source_that_wants_to_know(
    source: BookableSource, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    heard: list[str] = []
    source.write_back = lambda reports: heard.extend(each.status for each in reports)  # type: ignore[method-assign]
    values = json.loads(Path(config).read_text())
    values["data_sources"][0]["config"] = {"write_back": {"status": "done"}}
    Path(config).write_text(json.dumps(values))
    main(["sync", "--once", "--config", config])
    with contextlib.closing(open_worklist(Config(**values))) as worklist:
        item = worklist.items.find(WorklistQuery())[0]
        worklist.steps.create(begun(item))

    main(["sync", "--dry-run", "--config", config])
    assert heard == []
    main(["sync", "--once", "--config", config])
    assert heard == ["IN PROGRESS"]


def test_a_mass_withdrawal_waits_for_a_person(
    source: BookableSource, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    today = SiteClock().today()
    source.records = [booking(str(n), scheduled_start_date=today) for n in range(8)]
    main(["sync", "--once", "--config", config])
    source.records, source.alive = [], frozenset()
    assert main(["sync", "--once", "--config", config]) == 1
    assert "STOP  book: " in (said := capsys.readouterr().err)
    assert "FROZEN" in said
    assert state_of_book(config, capsys)["state"] == "frozen"
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


def test_check_config_online_shows_the_item_and_the_scanner_it_appears_on(
    source: BookableSource, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check-config", "--online", "--config", config]) == 0
    out = capsys.readouterr().out
    assert "OK    book: answers" in out
    assert "patient_id" in out
    assert "P-0" in out
    assert "MR1" in out


def test_check_config_online_looks_further_ahead_when_nothing_is_booked_today(
    source: BookableSource, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    soon = SiteClock().today() + dt.timedelta(days=9)
    later = [booking("7", scheduled_start_date=soon)]
    source.records_on = lambda window: later if window.last_day >= soon else []
    assert main(["check-config", "--online", "--config", config]) == 0
    assert "P-7" in capsys.readouterr().out
    source.records_on = lambda window: []
    assert main(["check-config", "--online", "--config", config]) == 0
    assert "no booking to scan today or in the 30 days after" in capsys.readouterr().out


def test_check_config_online_shows_a_good_booking_and_why_another_is_rejected(
    source: BookableSource, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source.records.insert(0, booking("bad", patient_id="", scheduled_start_date="2026-13-45"))
    assert main(["check-config", "--online", "--config", config]) == 0
    out = capsys.readouterr().out
    assert "(1 rejected, record bad: " in out
    assert "2026-13-45" in out
    assert "P-0" in out
    del source.records[1:]
    assert main(["check-config", "--online", "--config", config]) == 1
    assert "2026-13-45" in capsys.readouterr().err


def test_check_config_online_says_why_a_source_does_not_answer(
    source: BookableSource, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source.error = SourceUnavailable("no answer")
    assert main(["check-config", "--online", "--config", config]) == 1
    assert "FAIL  book: no answer" in capsys.readouterr().err
