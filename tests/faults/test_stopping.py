"""The short form of :mod:`tests.faults.stopping`."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.faults.stopping import SCENES, Size


@pytest.mark.parametrize("name", SCENES)
def test_one_signal_ends_the_daemon_while(name: str, tmp_path: Path) -> None:
    figures = SCENES[name](tmp_path, Size())
    assert figures.missed == [], f"\n{figures}"
