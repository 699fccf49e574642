"""What is measured: each measure asks one server something and returns what it saw."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import time
from collections.abc import Callable, Set
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks import requests
from benchmarks.answers import WrongAnswer, check_answer
from benchmarks.bookings import SCANNER, Booking
from benchmarks.footprint import PeakMemory, cpu_s
from benchmarks.scanners import crowd
from benchmarks.servers import OURS, Running
from benchmarks.wire import Reply, Scanner

_MOST_SAMPLES = 40
_BLOCK_S = 1.5
"""A measure is repeated for so long, but at least once."""

_CROWD_S = 2.0
_IDLE_S = 5.0
_IDLE_SCANNERS = 10
_CONNECTED_UP_TO = 10_000
_CROWDED = 1000
"""Where many scanners at once, MPPS and idle scanners are measured."""

_MS = 1000.0


@dataclass(frozen=True, slots=True)
class Question:
    """A query and the Patient IDs of its right answer."""

    request: bytes
    expected: Set[str]

    def check(self, reply: Reply) -> None:
        """Count the answer's items; only what is not as it should be is read whole."""
        if not reply.is_success or reply.pending != len(self.expected):
            check_answer(reply.data, self.expected)
            raise WrongAnswer("an answer that is counted wrong")


@dataclass(frozen=True, slots=True)
class Questions:
    """What is asked of one number of bookings."""

    selection: Question
    universal: Question
    bookings: list[Booking]

    @classmethod
    def about(cls, bookings: list[Booking], today: dt.date) -> Questions:
        """``selection`` is station, day and modality, as a console asks; ``universal`` no key."""
        day = today.strftime("%Y%m%d")
        keys = {
            requests.STATION: SCANNER,
            requests.START_DATE: day,
            requests.MODALITY: "MR",
        }
        mine = {b.patient_id for b in bookings if (b.station_aet, b.start_date) == (SCANNER, day)}
        everyone = {b.patient_id for b in bookings}
        return cls(
            Question(requests.find(keys), mine), Question(requests.find({}), everyone), bookings
        )


Take = Callable[[Running, Questions], list[float]]


@dataclass(frozen=True, slots=True)
class Measure:
    """One row of the table.

    Parameters
    ----------
    name, unit : str
        What it is called.
    take : callable
        Returns samples; raises WrongAnswer when what the server says is not right.
    sizes : callable
        Whether it is measured at a number of bookings.
    more_is_better : bool
        Whether a larger figure is the better one.
    """

    name: str
    unit: str
    take: Take
    sizes: Callable[[int], bool] = lambda number: True
    more_is_better: bool = False
    only_ours: bool = False
    mpps: bool = False


def _repeat(once: Callable[[], float]) -> list[float]:
    samples: list[float] = []
    end = time.perf_counter() + _BLOCK_S
    while not samples or (len(samples) < _MOST_SAMPLES and time.perf_counter() < end):
        samples.append(once())
    return samples


def _read_once(scanner: Scanner, question: Question) -> Reply:
    """The first answer on an association is read whole; it warms up, and is right or counts not."""
    reply = scanner.find(question.request)
    check_answer(reply.data, question.expected)
    return reply


def _finds(running: Running, question: Question, figure: Callable[[Reply], float]) -> list[float]:
    with Scanner(running.port) as scanner:
        _read_once(scanner, question)

        def once() -> float:
            reply = scanner.find(question.request)
            question.check(reply)
            return figure(reply)

        return _repeat(once)


def _cold(running: Running, questions: Questions) -> list[float]:
    with Scanner(running.port) as scanner:
        return [_read_once(scanner, questions.universal).first_s * _MS]


def _selection(running: Running, questions: Questions) -> list[float]:
    return _finds(running, questions.selection, lambda reply: reply.last_s * _MS)


def _universal(running: Running, questions: Questions) -> list[float]:
    items = len(questions.bookings)
    running.first_ms = []

    def items_per_s(reply: Reply) -> float:
        running.first_ms.append(reply.first_s * _MS)
        return items / reply.last_s

    return _finds(running, questions.universal, items_per_s)


def _first(running: Running, questions: Questions) -> list[float]:
    """Of the same answers, where the measure before has seen them."""
    if not running.first_ms:
        _universal(running, questions)
    return running.first_ms


def _round(running: Running, questions: Questions) -> list[float]:
    with Scanner(running.port) as scanner:
        _read_once(scanner, questions.selection)

    def once() -> float:
        began = time.perf_counter()
        with Scanner(running.port) as scanner:
            reply = scanner.find(questions.selection.request)
        lasted = time.perf_counter() - began
        questions.selection.check(reply)
        return lasted * _MS

    return _repeat(once)


def _echo(running: Running, _questions: Questions) -> list[float]:
    with Scanner(running.port) as scanner:
        request = requests.echo()
        scanner.ask(request)
        return _repeat(lambda: scanner.ask(request) * _MS)


def _crowd_of(scanners: int) -> Take:
    def take(running: Running, questions: Questions) -> list[float]:
        question = questions.selection
        done = crowd(running.port, scanners, question.request, len(question.expected), _CROWD_S)
        if done.troubles:
            raise WrongAnswer(", ".join(f"{n} × {what}" for what, n in done.troubles.items()))
        return [done.cycles_per_s]

    return take


def _steps(running: Running, questions: Questions) -> list[float]:
    """Pairs of N-CREATE and N-SET; no step twice, and none of the selection's."""
    others = iter(questions.bookings[len(questions.selection.expected) :])
    run = time.time_ns()
    with Scanner(running.port) as scanner:

        def once() -> float:
            booking = next(others)
            uid = f"1.2.826.0.1.3680043.8.498.6.{run}.{int(booking.patient_id[3:])}"
            begin, end = requests.create(booking, uid), requests.complete(booking, uid)
            return (scanner.ask(begin) + scanner.ask(end)) * _MS

        return _repeat(once)


def _memory(running: Running, questions: Questions) -> list[float]:
    with PeakMemory(running.pid) as peak, Scanner(running.port) as scanner:
        _read_once(scanner, questions.universal)
    return [peak.mib]


def _idle(running: Running, _questions: Questions) -> list[float]:
    with ExitStack() as stack:
        for _ in range(_IDLE_SCANNERS):
            stack.enter_context(Scanner(running.port))
        time.sleep(1)  # what connecting costs is not idling
        before = cpu_s(running.pid)
        time.sleep(_IDLE_S)
        return [(cpu_s(running.pid) - before) / _IDLE_S * 100]


def _started(running: Running, _questions: Questions) -> list[float]:
    return [running.started_s]


def _help(running: Running, _questions: Questions) -> list[float]:
    command = [sys.executable, "-m", "pylantir", "--help"]

    def once() -> float:
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return (time.perf_counter() - began) * _MS

    return _repeat(once)


def _small(number: int) -> bool:
    return number <= _CONNECTED_UP_TO


def _crowded(number: int) -> bool:
    return number == _CROWDED


MEASURES = (
    Measure("start to first answer", "s", _started),
    Measure("universal query, first answer, just started", "ms", _cold),
    Measure("find station, day, modality", "ms", _selection),
    Measure("connect, associate, find, release", "ms", _round, _small),
    Measure("universal query", "items/s", _universal, more_is_better=True),
    Measure("universal query, first answer", "ms", _first),
    Measure("universal query, peak memory", "MiB", _memory),
    Measure("C-ECHO", "ms", _echo, _crowded),
    Measure("16 scanners at once", "cycles/s", _crowd_of(16), _crowded, more_is_better=True),
    Measure("64 scanners at once", "cycles/s", _crowd_of(64), _crowded, more_is_better=True),
    Measure("10 idle scanners", "% CPU", _idle, _crowded),
    Measure("N-CREATE and N-SET", "ms", _steps, _crowded, mpps=True),
    Measure(f"{OURS} --help", "ms", _help, _crowded, only_ours=True),
)
"""In the order in which they are taken: what is measured cold first, what changes data last."""
