"""The short form of :mod:`tests.faults.durability`."""

from __future__ import annotations

import sys

import pytest
from tests.faults import durability

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")


def test_nothing_that_was_acknowledged_is_lost_when_it_is_killed() -> None:
    outcome = durability.run(cycles=3, seed=1)

    assert outcome.wrong == []
    assert (outcome.cycles, len(outcome.restarts_s)) == (3, 3)
    assert outcome.created > 0
    assert outcome.finished_later > 0


def test_every_acknowledgement_comes_after_a_sync() -> None:
    watched = durability.syncs(3)
    if watched is None:
        pytest.skip("needs strace (Debian: strace)")

    assert (watched.acknowledged, watched.synced) == (6, 6)
