"""One thread for each source: when it asks, and what it does when the source fails."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.bookable import NOW, BookableSource, MovableClock, booking

from pylantir.config.schema import Config, DataSource
from pylantir.errors import ConfigProblem, ConfigurationError, SourceRefused, SourceUnavailable
from pylantir.polling import (
    LONGEST_PAUSE_S,
    REFUSED_PAUSE_S,
    SourcePoller,
    pollers,
    settings_for,
)
from pylantir.sources import register_source
from pylantir.worklist.database import Database
from pylantir.worklist.query import WorklistQuery
from pylantir.worklist.schema import prepare
from pylantir.worklist.sources import SourceStore
from pylantir.worklist.store import ItemStore


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(str(tmp_path / "worklist.db"))
    prepare(database, now=NOW)
    yield database
    database.close()


def poller(
    database: Database, source: BookableSource, clock: MovableClock | None = None, **entry: object
) -> SourcePoller:
    register_source("bookable", lambda _: source)
    values = {"name": "book", "type": "bookable", "sync_interval": 0.01, **entry}
    configured = DataSource.model_validate(values)
    clock = clock or MovableClock()
    settings = settings_for(configured, Config(db_path="x.db"), {}, clock)
    return SourcePoller(configured, settings, database, clock)


def test_a_poller_asks_again_and_again_until_it_is_stopped(
    database: Database,
) -> None:
    source = BookableSource()
    source.records = [booking("1")]
    running = poller(database, source)
    running.start()
    assert all(source.fetched.acquire(timeout=10) for _ in range(3))
    running.stop()
    assert source.closed.wait(timeout=10)
    assert len(ItemStore(database).find(WorklistQuery())) == 1


def test_a_source_is_closed_by_its_own_thread_when_its_fetch_is_over_at_last(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pylantir.polling._STOP_S", 0.05)  # nobody waits for the fetch
    source = BookableSource()
    source.answers.clear()
    running = poller(database, source)
    running.start()
    assert source.fetched.acquire(timeout=10)
    running.stop()
    assert not source.closed.is_set()
    source.answers.set()
    assert source.closed.wait(timeout=10)


def test_outside_its_hours_a_source_is_asked_once_and_then_left_alone(database: Database) -> None:
    source, clock = BookableSource(), MovableClock(NOW.replace(hour=3))
    hours = {"start_time": [8, 0], "end_time": [17, 0]}
    running = poller(database, source, clock, operation_interval=hours)
    running.start()
    assert source.fetched.acquire(timeout=10)
    assert not source.fetched.acquire(timeout=0.3)
    running.stop()


def test_the_first_failure_and_the_recovery_are_logged_not_every_round(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    source = BookableSource()
    source.error = SourceUnavailable("no answer")
    asked = poller(database, source)
    with caplog.at_level(logging.INFO, logger="pylantir.polling"):
        for _ in range(5):
            asked.round()
        source.error = None
        asked.round()
    warnings = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert warnings == ["source book: no answer"]
    assert "works again after 5 failed rounds" in caplog.text


def test_that_a_person_has_to_look_is_logged_once(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    source = BookableSource()
    source.records = [booking(str(n)) for n in range(10)]
    asked = poller(database, source)
    asked.round()
    source.records, source.alive = [], frozenset()
    with caplog.at_level(logging.INFO, logger="pylantir.polling"):
        for _ in range(4):
            asked.round()
    levels = [record.levelname for record in caplog.records]
    assert levels == ["ERROR", "INFO"]
    assert SourceStore(database).state("book").is_frozen


def test_failures_are_remembered_for_who_looks(database: Database) -> None:
    source = BookableSource()
    source.error = SourceUnavailable("no answer")
    asked = poller(database, source)
    asked.round()
    asked.round()
    state = SourceStore(database).state("book")
    assert (state.failures, state.last_error) == (2, "no answer")
    assert state.next_run > NOW.isoformat()
    source.error = None
    asked.round()
    state = SourceStore(database).state("book")
    assert (state.failures, state.last_error) == (0, "")


def test_a_source_that_does_not_answer_is_asked_less_and_less_often(database: Database) -> None:
    source = BookableSource()
    source.error = SourceUnavailable("no answer")
    asked = poller(database, source, sync_interval=60)
    pauses = [asked.round() for _ in range(12)]
    assert all(60 <= pause <= LONGEST_PAUSE_S for pause in pauses)
    assert max(pauses[4:]) > 120


def test_a_source_that_asks_to_be_left_alone_is_left_alone_for_so_long(database: Database) -> None:
    source = BookableSource()
    source.error = SourceUnavailable("HTTP 429", retry_after_s=1800)
    assert poller(database, source, sync_interval=60).round() == 1800


def test_refused_credentials_are_tried_every_quarter_of_an_hour_only(database: Database) -> None:
    """But for the first looks: a server that is being restarted refuses for a moment."""
    source = BookableSource()
    source.error = SourceRefused("403")
    asked = poller(database, source, sync_interval=60)
    assert [asked.round() for _ in range(20)] == [240.0, *[REFUSED_PAUSE_S] * 19]
    assert poller(database, source, sync_interval=3600).round() == 3600


def test_a_source_with_a_defect_does_not_end_its_thread(database: Database) -> None:
    source = BookableSource()
    source.error = ZeroDivisionError("a value of a record")
    asked = poller(database, source)
    asked.round()
    state = SourceStore(database).state("book")
    assert state.last_error == "defect: ZeroDivisionError"


def test_a_source_whose_configuration_is_wrong_is_reported_and_tried_again(
    database: Database,
) -> None:
    problem = ConfigurationError([ConfigProblem("source book", "config.url", "required")])
    source, calls = BookableSource(), iter([problem, None])

    def make(_: object) -> BookableSource:
        error = next(calls)
        if error is not None:
            raise error
        return source

    asked = poller(database, source)
    register_source("bookable", make)
    asked.round()
    assert "config.url" in SourceStore(database).state("book").last_error
    asked.round()
    assert SourceStore(database).state("book").last_error == ""


def test_an_unknown_type_names_the_known_ones_and_leaves_the_other_sources_running(
    database: Database,
) -> None:
    source = BookableSource()
    source.records = [booking("1")]
    register_source("bookable", lambda _: source)
    entries = [{"name": "a", "type": "recap"}, {"name": "book", "type": "bookable"}]
    config = Config.model_validate({"db_path": "x.db", "data_sources": entries})

    odd, good = pollers(config, {}, database, MovableClock())
    odd.round()
    good.round()

    said = SourceStore(database).state("a").last_error
    assert re.search(r"calpendo.*csv.*redcap.*did you mean redcap", said)
    assert SourceStore(database).state("book").last_error == ""
    assert len(ItemStore(database).find(WorklistQuery())) == 1


def test_a_disabled_source_gets_no_thread(database: Database) -> None:
    entry = {"name": "a", "type": "redcap", "enabled": False}
    config = Config.model_validate({"db_path": "x.db", "data_sources": [entry]})
    assert pollers(config, {}, database, MovableClock()) == []


def test_no_value_of_a_record_is_logged(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    source = BookableSource()
    source.records = [booking("1", patient_name="Secretname^X"), booking("2", patient_id="\\bad")]
    with caplog.at_level(logging.DEBUG):
        poller(database, source).round()
    assert "Secretname" not in caplog.text
    assert "bad" not in caplog.text


def test_what_a_source_itself_says_is_shown_to_people_and_not_logged(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    source = BookableSource()
    source.error = SourceUnavailable("it answered HTTP 400", quoted="record DOE^JANE")
    poller(database, source).round()

    assert "it answered HTTP 400; its own words: pylantir sources" in caplog.text
    assert "DOE" not in caplog.text
    (state,) = SourceStore(database).states()
    assert state.last_error == "it answered HTTP 400: record DOE^JANE"
