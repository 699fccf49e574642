"""Threads that wait for the next association."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from functools import partial
from queue import SimpleQueue

import pytest

from pylantir.dicom.transport.threads import Threads

LONG_S = 30.0


@pytest.fixture
def threads() -> Iterator[Threads]:
    made = Threads(idle=1, idle_s=LONG_S)
    yield made
    made.stop()


class Task:
    """Work that says who does it and goes on until it is told to end."""

    def __init__(self) -> None:
        self.begun, self.end = threading.Event(), threading.Event()
        self.thread = threading.current_thread()
        self.name = ""

    def __call__(self) -> None:
        self.thread = threading.current_thread()
        self.name = self.thread.name
        self.begun.set()
        self.end.wait(LONG_S)


def begun(threads: Threads, name: str = "work") -> Task:
    task = Task()
    threads.run(task, name)
    assert task.begun.wait(LONG_S)
    return task


def ended(task: Task) -> None:
    """Let it end, and wait until its thread has no name of its work any more."""
    task.end.set()
    pause = threading.Event()
    for _ in range(3000):
        if task.thread.name != task.name or not task.thread.is_alive():
            return
        pause.wait(0.01)
    raise AssertionError("it goes on")


def wait_idle(threads: Threads, number: int) -> None:
    pause = threading.Event()
    for _ in range(3000):
        if len(threads._idle) == number:
            return
        pause.wait(0.01)
    raise AssertionError(f"{len(threads._idle)} threads are idle")


def test_work_runs_in_a_thread_that_has_its_name(threads: Threads) -> None:
    task = begun(threads, "dicom-MR1")
    assert (task.name, task.thread.daemon) == ("dicom-MR1", True)
    assert task.thread is not threading.current_thread()
    task.end.set()


def test_a_thread_that_has_nothing_to_do_takes_the_next_work(threads: Threads) -> None:
    first = begun(threads)
    ended(first)
    wait_idle(threads, 1)
    second = begun(threads)
    second.end.set()
    assert second.thread is first.thread


def test_work_never_waits_for_other_work(threads: Threads) -> None:
    tasks = [begun(threads) for _ in range(5)]
    assert len({task.thread for task in tasks}) == 5
    for task in tasks:
        task.end.set()


def test_only_some_threads_are_kept(threads: Threads) -> None:
    tasks = [begun(threads) for _ in range(3)]
    for task in tasks:
        task.end.set()
    wait_idle(threads, 1)
    pause = threading.Event()
    for _ in range(3000):
        if sum(task.thread.is_alive() for task in tasks) == 1:
            return
        pause.wait(0.01)
    raise AssertionError("threads are left over")


def test_a_stop_ends_those_that_wait_and_those_that_work_later(threads: Threads) -> None:
    waiting, working = begun(threads), begun(threads)
    ended(waiting)
    wait_idle(threads, 1)
    threads.stop()
    waiting.thread.join(LONG_S)
    assert (waiting.thread.is_alive(), working.thread.is_alive()) == (False, True)
    working.end.set()
    working.thread.join(LONG_S)
    assert not working.thread.is_alive()


def test_what_was_done_is_forgotten(threads: Threads) -> None:
    """An association would live on until the next scanner comes."""
    task = begun(threads)
    remembered = weakref.ref(task)
    ended(task)
    wait_idle(threads, 1)
    del task
    gc.collect()
    assert remembered() is None


def test_a_thread_does_not_wait_for_ever() -> None:
    threads = Threads(idle=1, idle_s=0.01)
    task = begun(threads)
    task.end.set()
    task.thread.join(LONG_S)
    assert (task.thread.is_alive(), threads._idle) == (False, [])


def test_no_work_is_lost_between_waiting_and_giving_up() -> None:
    threads = Threads(idle=4, idle_s=0.0005)
    done: SimpleQueue[int] = SimpleQueue()
    pause = threading.Event()
    for number in range(500):
        threads.run(partial(done.put, number), "work")
        pause.wait(0.0005)
    assert {done.get(timeout=LONG_S) for _ in range(500)} == set(range(500))
    threads.stop()
