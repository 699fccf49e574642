"""The reactor of an association that requests stands still while a response is awaited."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import pytest
from pynetdicom.association import Association
from tests.dicom.conftest import Server

from pylantir.dicom import scu
from pylantir.dicom.scu_reactor import Checkpoint


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads that take turns as often as the interpreter can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


class Reactor(threading.Thread):
    """Runs past a checkpoint as the library's reactor does, and counts how often."""

    def __init__(self) -> None:
        super().__init__()
        self._is_paused = False
        self.checkpoint = Checkpoint(self)
        self.passed = 0
        self.ends = False

    def run(self) -> None:
        while not self.ends:
            self._is_paused = True
            self.checkpoint.wait()
            self._is_paused = False
            self.passed += 1


def test_it_never_passes_while_it_says_that_it_stands(restless: None) -> None:
    reactor = Reactor()
    reactor.start()
    late = 0
    for _ in range(3000):
        reactor.checkpoint.clear()
        while not reactor._is_paused:
            pass
        before = reactor.passed
        for _ in range(20):
            late += reactor.passed != before
        reactor.checkpoint.set()
    reactor.ends = True
    reactor.join()
    assert late == 0
    assert reactor.checkpoint.is_set()


def test_requests_that_follow_at_once_are_all_answered_whole(server: Server) -> None:
    server.book("1")
    with scu.Scanner(scu.Peer("127.0.0.1", server.port)) as scanner:
        assert isinstance(scanner.association._reactor_checkpoint, Checkpoint)
        found = {len(scanner.find(scu.build_identifier({})).items) for _ in range(30)}
    assert found == {1}


def test_the_library_still_has_the_parts_that_are_replaced() -> None:
    names = Association._run_reactor.__code__.co_names
    assert {"_is_paused", "_reactor_checkpoint"} <= set(names)
