"""Carries out attacks over real connections, several at a time, and says how each one ended."""

from __future__ import annotations

import contextlib
import queue
import socket
import sys
import threading
from collections import Counter
from collections.abc import Iterable

from tests.faults.hostile import Attack
from tests.faults.hostile_openings import ASSOCIATE
from tests.faults.pdus import abort, release_rq
from tests.standins.delivery import reset

_CONNECT_S = 10.0
_ANSWER_S = 5.0
"""For the answer to a well-formed association request: the machine may be busy."""
_SILENCE_S = 0.05
"""A server that waits for more has nothing to say, and 10 000 connections must end some day."""
_MAX_READ = 2**22


class Attackers:
    """Threads that take attacks and carry them out.

    Parameters
    ----------
    port : int
        Of the server on 127.0.0.1.
    threads : int
        How many connections at the same time.
    """

    def __init__(self, port: int, threads: int = 4) -> None:
        self.ends: Counter[str] = Counter()
        self._port = port
        self._waiting: queue.Queue[Attack | None] = queue.Queue(maxsize=threads)
        self._counting = threading.Lock()
        self._threads = [
            threading.Thread(target=self._work, args=(n,), daemon=True) for n in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def carry_out(self, attacks: Iterable[Attack]) -> None:
        """Hand them out; returns when the last has been taken."""
        for attack in attacks:
            self._waiting.put(attack)

    def finish(self) -> None:
        """Wait until all are done."""
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self, number: int) -> None:
        while (attack := self._waiting.get()) is not None:
            end = carry_out(attack, self._port, _source(number))
            with self._counting:
                self.ends[end] += 1


def _source(number: int) -> str:
    """An address of the attacker's own where the machine has them, beside that of scanners."""
    return f"127.0.0.{number + 2}" if sys.platform == "linux" else "127.0.0.1"


def carry_out(attack: Attack, port: int, source: str = "127.0.0.1") -> str:
    """One connection; returns in a word how the server took it."""
    try:
        connection = socket.create_connection(
            ("127.0.0.1", port), _CONNECT_S, source_address=(source, 0)
        )
    except OSError:
        return "not connected"
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            return _talk(connection, attack)
        except (TimeoutError, ConnectionError):
            return "hung up"


def _talk(connection: socket.socket, attack: Attack) -> str:
    connection.sendall(attack.opening)
    said = b""
    if attack.then:
        connection.settimeout(_ANSWER_S if attack.opening == ASSOCIATE else _SILENCE_S)
        with contextlib.suppress(socket.timeout):
            said = connection.recv(65_536)
        if said[:1] in (b"\x03", b"\x07"):
            return "refused" if said[0] == 3 else "aborted"
        connection.settimeout(_ANSWER_S)
        for _ in range(attack.repeat):
            connection.sendall(attack.then)
    return _leave(connection, attack)


def _leave(connection: socket.socket, attack: Attack) -> str:
    if attack.ending == "reset":
        reset(connection)
        return "left"
    if attack.ending == "half close":
        connection.shutdown(socket.SHUT_WR)
        return _listen(connection, _ANSWER_S)
    if attack.ending == "close":
        return _listen(connection, _SILENCE_S)
    connection.sendall(abort() if attack.ending == "abort" else release_rq())
    return _listen(connection, _SILENCE_S)


def _listen(connection: socket.socket, for_s: float) -> str:
    """Read what there is, until the server hangs up or has nothing more to say."""
    connection.settimeout(for_s)
    said, read = b"", 0
    try:
        while read < _MAX_READ:
            part = connection.recv(65_536)
            if not part:
                return _word(said) or "hung up"
            said, read = said or part, read + len(part)
    except TimeoutError:
        return _word(said) or "silent"
    return "answered"


def _word(said: bytes) -> str:
    words = {3: "refused", 7: "aborted", 6: "released", 4: "answered", 2: "accepted"}
    return words.get(said[0], "nonsense") if said else ""
