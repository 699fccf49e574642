"""The scenes of :mod:`tests.faults.database`, two of them shorter."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

import pytest
from tests.faults import database

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="an open file cannot be deleted or overwritten"
)

SHORT: dict[str, Callable[[], database.Figures]] = {
    "another_writer": partial(database.another_writer, 3.0),
    "exclusive_lock": partial(database.exclusive_lock, 2.5),
}


@pytest.mark.parametrize("name", [play.__name__ for play in database.SCENES])
def test_no_false_success_and_it_works_again(name: str) -> None:
    play = SHORT.get(name) or getattr(database, name)
    try:
        found = play()
    except database.NotHere as reason:
        pytest.skip(str(reason))

    assert found.wrong == [], found
    assert found.again_s is not None
    assert found.log_s is not None
    assert found.acknowledged > 0
