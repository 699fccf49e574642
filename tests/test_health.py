"""How it is: what is worst counts, and what others say of themselves is read with care."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from tests.worklist.bookings import NOW

from pylantir.checks import check_backups, check_disk, check_sources
from pylantir.clock import SiteClock
from pylantir.config.schema import Config
from pylantir.health import Check, Health, State, checks_in
from pylantir.worklist.backups import BackupFolder
from pylantir.worklist.sources import SourceState

OK, WARNING, CRITICAL, UNKNOWN = State


def health(*states: State) -> Health:
    return Health(tuple(Check(f"c{n}", state, state.name) for n, state in enumerate(states)))


@pytest.mark.parametrize(
    ("states", "worst"),
    [
        ((), OK),
        ((OK, OK), OK),
        ((OK, WARNING), WARNING),
        ((WARNING, UNKNOWN), UNKNOWN),
        ((UNKNOWN, CRITICAL, WARNING), CRITICAL),
    ],
)
def test_what_is_worst_counts(states: tuple[State, ...], worst: State) -> None:
    assert health(*states).state is worst


def test_the_summary_names_what_is_worst_first() -> None:
    assert health(OK, WARNING, CRITICAL).summary == "c2: CRITICAL; c1: WARNING"
    assert health(OK).summary == "1 checks, all well"


def test_a_record_is_read_again() -> None:
    found = health(OK, WARNING, CRITICAL, UNKNOWN)
    assert checks_in(found.record()) == list(found.checks)


@pytest.mark.parametrize(
    "record", [{}, {"checks": None}, {"checks": [1, {"name": "a"}, {"state": "bad"}]}]
)
def test_a_record_that_is_none_says_nothing(record: dict[str, Any]) -> None:
    assert checks_in(record) == []


# --- single checks ---


def settings(**source: Any) -> Config:
    entry = {"name": "main", "type": "csv", "sync_interval": 60, **source}
    return Config(db_path="worklist.db", data_sources=[entry])


def state(minutes: float | None, failures: int = 0) -> SourceState:
    last = "" if minutes is None else (NOW - dt.timedelta(minutes=minutes)).isoformat()
    return SourceState("main", last_success=last, failures=failures)


CLOCK = SiteClock("UTC", now=lambda: NOW)


@pytest.mark.parametrize(
    ("config", "states", "expected", "words"),
    [
        (settings(), [], OK, "not been asked"),
        (settings(), [state(1)], OK, "60 seconds ago"),
        (settings(), [state(14)], OK, "14 minutes"),
        (settings(), [state(16)], WARNING, "late"),
        (settings(), [state(None)], WARNING, "never succeeded"),
        (settings(), [state(1, failures=2)], WARNING, "failed 2 times"),
        (settings(sync_interval=3600), [state(170)], OK, "ago"),
        (settings(sync_interval=3600), [state(190)], WARNING, "late"),
    ],
)
def test_a_source_that_fails_or_is_late_is_a_warning(
    config: Config, states: list[SourceState], expected: State, words: str
) -> None:
    [check] = check_sources(config, states, CLOCK)
    assert (check.name, check.state) == ("source main", expected)
    assert words in check.message


@pytest.mark.parametrize("start", [13, 12], ids=["not yet open", "just opened"])
def test_outside_its_hours_no_source_is_late(start: int) -> None:
    hours = {"start_time": [start, 0], "end_time": [18, 0]}
    [check] = check_sources(settings(operation_interval=hours), [state(600)], CLOCK)
    assert check.state is OK


def test_a_source_that_is_switched_off_is_not_checked() -> None:
    assert list(check_sources(settings(enabled=False), [state(600)], CLOCK)) == []


@pytest.mark.parametrize(
    ("age_h", "served_h", "expected"),
    [(None, 0, OK), (None, 1, WARNING), (2, 9, OK), (4, 9, WARNING), (400, 0.1, OK)],
)
def test_backups_that_stay_away_are_a_warning(
    tmp_path: Path, age_h: float | None, served_h: float, expected: State
) -> None:
    backups = BackupFolder(tmp_path, Path("worklist.db"), keep=1, keep_days=1)
    if age_h is not None:
        made = NOW - dt.timedelta(hours=age_h)
        (tmp_path / f"worklist-{made:%Y%m%dT%H%M%SZ}.db").touch()
    assert check_backups(backups, settings(), NOW, served_h * 3600).state is expected
    off = Config(db_path="worklist.db", backups={"enabled": False})
    assert check_backups(backups, off, NOW, 1e6).state is OK


def test_a_disk_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "worklist.db"
    path.touch()
    assert check_disk(path).state in (OK, WARNING), "how much room there is here"
    monkeypatch.setattr("pylantir.checks.LITTLE_ROOM_BYTES", 1 << 62)
    assert check_disk(path).state is WARNING
    monkeypatch.setattr("pylantir.checks.NO_ROOM_BYTES", 1 << 62)
    assert check_disk(path).state is CRITICAL
    assert check_disk(tmp_path / "gone" / "worklist.db").state is CRITICAL
