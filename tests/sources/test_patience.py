"""How long to wait before a server is asked once more."""

from __future__ import annotations

import datetime as dt

import pytest

from pylantir.sources import patience
from pylantir.sources.patience import LONGEST_WAIT_S, WITHIN_A_ROUND_S, asked_wait_s, wait_after

NOW = dt.datetime(2026, 3, 2, 15, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("0", 0),
        ("99999999999", LONGEST_WAIT_S),
        ("Mon, 02 Mar 2026 15:02:00 GMT", 120),
        ("Mon, 02 Mar 2026 08:02:00 -0700", 120),
        ("Mon, 02 Mar 2026 14:00:00 GMT", 0),
        ("Mon, 02 Mar 2099 14:00:00 GMT", LONGEST_WAIT_S),
        ("", 0),
        ("soon", 0),
        ("-5", 0),
        ("1.5", 0),
        ("\u0661\u0662", 0),
        ("Mon, 99 Mar 2026 99:00:00 GMT", 0),
    ],
)
def test_a_server_may_ask_for_seconds_or_until_an_instant(header: str, seconds: float) -> None:
    assert asked_wait_s(header, NOW) == seconds


def test_waits_grow_with_the_failures_and_stay_within_a_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patience, "FIRST_WAIT_S", 1.0)
    longest = [max(wait_after(failures) for _ in range(300)) for failures in (1, 2, 3, 9)]
    assert 1 < longest[0] <= 2 < longest[1] <= 4 < longest[2] <= 8 < longest[3] <= WITHIN_A_ROUND_S


def test_waits_are_random_from_nothing_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_WAIT_S", 1.0)
    waits = [wait_after(3) for _ in range(300)]
    assert min(waits) < 1
    assert len(set(waits)) > 290
