"""Asking a process to end: heard at any moment, also by the thread that waits."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType
from typing import Any

import pytest

from pylantir.stopping import StopRequest

NOT_FOR_LONG_S = 30.0


def test_it_is_heard_by_who_waits_already_and_by_who_waits_later() -> None:
    request = StopRequest()
    waiting = threading.Thread(target=request.wait, daemon=True)
    waiting.start()

    assert not request.wait_for(0.01)
    request.ask()

    waiting.join(NOT_FOR_LONG_S)
    assert not waiting.is_alive()
    assert request.wait_for(0.0)
    assert request.wait_for(0.0)


class Interrupted:
    """Waits for a stop, and is interrupted after so many steps by what asks for it."""

    def __init__(self, steps: int) -> None:
        self.request = StopRequest()
        self.steps_left = steps
        self.thread = threading.Thread(target=self._wait, daemon=True)
        self.thread.start()
        self.thread.join(NOT_FOR_LONG_S)

    def _wait(self) -> None:
        sys.settrace(self._trace)
        self.request.wait()
        sys.settrace(None)

    def _trace(self, frame: FrameType, event: str, _arg: Any) -> Any:
        frame.f_trace_opcodes = True
        if event == "opcode":
            self.steps_left -= 1
            if self.steps_left == 0:
                self.request.ask()  # as a signal handler: in this thread, between two steps
        return self._trace


@pytest.mark.parametrize("steps", range(1, 40))
def test_it_is_heard_when_the_signal_comes_just_as_one_begins_to_wait(steps: int) -> None:
    assert not Interrupted(steps).thread.is_alive()


@pytest.mark.skipif(os.name == "nt", reason="sends a signal to itself")
def test_a_signal_asks_for_it() -> None:
    before = {by: signal.getsignal(by) for by in (signal.SIGINT, signal.SIGTERM)}
    request = StopRequest()
    try:
        request.ask_on_signals()
        os.kill(os.getpid(), signal.SIGTERM)
        assert request.wait_for(NOT_FOR_LONG_S)
    finally:
        for by, handler in before.items():
            signal.signal(by, handler)
