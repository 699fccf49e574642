"""Scanners that break the rules once they are let in, against the real daemon.

``python -m tests.faults.messages`` prints the figures of a short run, ``--long`` those of
``docs/reliability.md``. It ends with 1 when a figure is missed.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import psutil
from tests.conftest import DaemonProcess
from tests.dicom.modality import encode
from tests.dicom.serving import everything
from tests.faults.footprint import MIB, Footprint, Peak
from tests.faults.pdus import (
    A_ABORT,
    COMMAND,
    LAST,
    associate_rq,
    command_set,
    create_rq,
    find_rq,
    message,
    p_data,
    pdv,
)
from tests.faults.site import Figures, Probe, daemon_at, run_scenes

_WORKLIST, _MPPS = 3, 5
"""Presentation contexts, see :data:`tests.faults.pdus.CONTEXTS`."""

_PIECE = 16_000
_MAX_PEAK_BYTES = 32 * MIB
BEGUN = p_data(pdv(_MPPS, command_set(*create_rq("1.2.3")), COMMAND | LAST))
"""An N-CREATE whose data set is still to come."""

_FILLING = p_data(pdv(_MPPS, bytes(_PIECE), 0))
_NOTHING = p_data(pdv(_MPPS, b"", 0))


@dataclass(frozen=True)
class Size:
    """How big a run is.

    Parameters
    ----------
    peers : int
        That misbehave at the same time.
    deadline_s : float
        ``timeouts.dimse_s``.
    """

    peers: int = 10
    deadline_s: float = 1.0


LONG = Size(100, 5.0)


class Peer:
    """One association on a bare socket."""

    def __init__(self, port: int, *, buffer_bytes: int = 0) -> None:
        self._socket = socket.socket()
        if buffer_bytes:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        self._socket.settimeout(30)
        self._socket.connect(("127.0.0.1", port))
        self._socket.sendall(associate_rq().encode())
        kind, length = struct.unpack(">BxI", self._read(6))
        self._read(length)
        assert kind == 2, kind

    def _read(self, length: int) -> bytes:
        found = b""
        while len(found) < length and (part := self._socket.recv(length - len(found))):
            found += part
        return found

    def say(self, pdus: Iterator[bytes]) -> bool:
        """Send them until the server has something to say or closes; whether all went."""
        with contextlib.suppress(ConnectionError):
            for pdu in pdus:
                if select.select([self._socket], [], [], 0)[0]:
                    return False
                self._socket.sendall(pdu)
            return True
        return False

    def pour(self, data: bytes, times: int) -> None:
        """Send it as often as the connection takes it, and read nothing."""
        self._socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            for _ in range(times):
                self._socket.send(data)

    def end(self, within_s: float) -> str:
        """How the server ends the association: ``aborted``, ``hung up`` or ``not at all``."""
        self._socket.settimeout(within_s)
        said = b""
        try:
            while part := self._socket.recv(65_536):
                said = (said + part)[-10:]
        except TimeoutError:
            return "not at all"
        except ConnectionError:
            pass
        return "aborted" if len(said) == 10 and said[0] == A_ABORT else "hung up"

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


@contextmanager
def peers(daemon: DaemonProcess, number: int) -> Iterator[list[Peer]]:
    """So many associations at the same time."""
    opened: list[Peer] = []
    try:
        for _ in range(number):
            opened.append(Peer(daemon.port))
        yield opened
    finally:
        for peer in opened:
            peer.close()


def _too_long(peer: Peer) -> None:
    peer.say(iter([p_data(pdv(_MPPS, bytes(20_000), 0))]))


def _four_gigabytes(peer: Peer) -> None:
    peer.say(iter([p_data(pdv(_MPPS, bytes(100), 0), length=0xFFFF_FFF0)]))


def _too_much(peer: Peer) -> None:
    peer.say(iter([BEGUN, *repeat(_FILLING, 120)]))


def _empty_fragments(peer: Peer) -> None:
    peer.say(iter([BEGUN, *repeat(_NOTHING * 100, 1_500)]))


def _unfinished(peer: Peer) -> None:
    peer.say(iter([BEGUN, _FILLING]))


def _half_a_pdu(peer: Peer) -> None:
    peer.say(iter([_FILLING[:1000]]))


def _trickle(peer: Peer) -> None:
    def slowly() -> Iterator[bytes]:
        yield BEGUN
        while True:
            time.sleep(0.05)
            yield _NOTHING

    peer.say(slowly())


WAYS: dict[str, tuple[Callable[[Peer], None], bool]] = {
    "P-DATA longer than agreed": (_too_long, False),
    "P-DATA of 4 GB": (_four_gigabytes, False),
    "a message of more than 1 MB": (_too_much, False),
    "empty fragments without end": (_empty_fragments, False),
    "a message that does not go on": (_unfinished, True),
    "a PDU that does not go on": (_half_a_pdu, True),
    "a fragment now and then, for ever": (_trickle, True),
}
"""What a peer does, and whether it takes the deadline to end it."""


def misbehaving(folder: Path, size: Size) -> Figures:
    """Each way once, with how it ended and how long that took."""
    figures = Figures()
    with daemon_at(folder, timeouts={"dimse_s": size.deadline_s}) as daemon:
        probe = Probe(daemon.port)
        for name, (way, at_the_deadline) in WAYS.items():
            peer, began = Peer(daemon.port), time.monotonic()
            way(peer)
            end = peer.end(size.deadline_s + 20)
            took = time.monotonic() - began
            peer.close()
            probe.ask()
            early = at_the_deadline and took < size.deadline_s * 0.9
            figures.add(name, f"{end} after {took:.1f} s", end == "aborted" and not early)
        figures.add("questions of the scanner failed", str(len(probe.failed)), not probe.failed)
    return figures


def filling_memory(folder: Path, size: Size) -> Figures:
    """Many peers at once that each begin a message of nearly 1 MB and leave it at that."""
    figures = Figures()
    with daemon_at(folder, timeouts={"dimse_s": size.deadline_s}) as daemon:
        probe, process = Probe(daemon.port), psutil.Process(daemon.process.pid)
        probe.warm_up()
        idle = Footprint.of(process)
        with Peak(process) as peak, peers(daemon, size.peers) as opened:
            for peer in opened:
                peer.say(iter([BEGUN, *repeat(_FILLING, 60)]))
            probe.ask()
            ends = [peer.end(size.deadline_s + 20) for peer in opened]
        probe.ask()
        left = _left(process, idle.threads, 5.0)
    above = peak.bytes - idle.rss_bytes
    figures.add("peers, bytes each", f"{size.peers}, {60 * _PIECE}")
    figures.add("ended", f"{ends.count('aborted')} aborted", "not at all" not in ends)
    figures.add("memory peak above idle", f"{above / MIB:.1f} MiB", above < _MAX_PEAK_BYTES)
    figures.add("threads, connections left", f"{left[0]}, {left[1]}", max(left) <= 0)
    figures.add("questions of the scanner failed", str(len(probe.failed)), not probe.failed)
    return figures


def not_reading(folder: Path, size: Size) -> Figures:
    """Peers that ask for everything, over and over, and read none of it."""
    figures = Figures()
    query = message(_WORKLIST, command_set(*find_rq()), encode(everything()))
    with daemon_at(folder, timeouts={"dimse_s": size.deadline_s}) as daemon:
        probe, process = Probe(daemon.port), psutil.Process(daemon.process.pid)
        probe.warm_up()
        idle = Footprint.of(process)
        opened = [Peer(daemon.port, buffer_bytes=4096) for _ in range(min(size.peers, 20))]
        began = time.monotonic()
        for peer in opened:
            peer.pour(query, 3000)
        probe.ask()
        left = _left(process, idle.threads, size.deadline_s + 20)
        took = time.monotonic() - began
        for peer in opened:
            peer.close()
        probe.ask()
    figures.add("associations that nobody reads", str(len(opened)))
    figures.add("ended after", f"{took:.1f} s", took < size.deadline_s + 15)
    figures.add("threads, connections left", f"{left[0]}, {left[1]}", max(left) <= 0)
    figures.add("questions of the scanner failed", str(len(probe.failed)), not probe.failed)
    return figures


def _left(process: psutil.Process, threads: int, within_s: float) -> tuple[int, int]:
    """More threads than these, and connections, once there are none or when the time is over."""
    end, pause = time.monotonic() + within_s, threading.Event()
    while True:
        connections = [c for c in process.net_connections("tcp") if c.raddr]
        left = process.num_threads() - threads, len(connections)
        if max(left) <= 0 or time.monotonic() > end:
            return left
        pause.wait(0.05)


SCENES = {
    "messages against the rules": misbehaving,
    "many long messages without an end": filling_memory,
    "answers that nobody reads": not_reading,
}

if __name__ == "__main__":
    sys.exit(run_scenes(__doc__, SCENES, Size(), LONG))
