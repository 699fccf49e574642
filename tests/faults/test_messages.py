"""The short form of :mod:`tests.faults.messages`."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.faults.messages import SCENES, Size


@pytest.mark.parametrize("name", SCENES)
def test_the_daemon_ends(name: str, tmp_path: Path) -> None:
    figures = SCENES[name](tmp_path, Size())
    assert figures.missed == [], f"\n{figures}"
