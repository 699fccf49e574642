"""The short form of :mod:`tests.faults.poison`."""

from __future__ import annotations

import sys

import pytest
from tests.faults import poison


@pytest.mark.skipif(sys.platform == "win32", reason="a service is stopped differently there")
def test_bad_rows_are_set_aside_and_the_others_served() -> None:
    outcome = poison.run(rows=150, seed=2)

    assert outcome.wrong == []
    assert outcome.queries == 2
    assert outcome.set_aside > 30
    assert outcome.served > outcome.good
