"""The short form of :mod:`tests.faults.killing`."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from tests.faults import killing

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")


@pytest.mark.parametrize("kind", killing.KINDS, ids=lambda kind: kind.__name__)
def test_nothing_is_half_done_whenever_it_is_killed(
    kind: Callable[[int], killing.Outcome],
) -> None:
    outcome = kind(2)

    assert outcome.wrong == []
    assert outcome.steps > 10
    assert outcome.kills > 0


@pytest.mark.parametrize(
    ("steps", "cycles", "chosen"),
    [(3, 0, [1, 2, 3]), (3, 9, [1, 2, 3]), (9, 3, [1, 5, 9]), (9, 1, [1])],
)
def test_some_steps_are_spread_over_all(steps: int, cycles: int, chosen: list[int]) -> None:
    assert list(killing.some_of(steps, cycles)) == chosen
