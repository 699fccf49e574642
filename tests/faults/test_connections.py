"""The short form of :mod:`tests.faults.connections`."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.faults.connections import SCENES, Size


@pytest.mark.parametrize("name", SCENES)
def test_a_scanner_works_on_beside(name: str, tmp_path: Path) -> None:
    figures = SCENES[name](tmp_path, Size())
    assert figures.missed == [], f"\n{figures}"
