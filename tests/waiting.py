"""Waits for what another thread or process does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

_PAUSE_S = 0.05


def eventually(what: Callable[[], Any], timeout_s: float = 60.0) -> Any:
    """Ask until there is an answer, and return it; the test fails when none comes in time."""
    pause = threading.Event()
    for _ in range(int(timeout_s / _PAUSE_S)):
        answer = what()
        if answer:
            return answer
        pause.wait(_PAUSE_S)
    pytest.fail("it did not happen")
