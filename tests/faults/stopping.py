"""The daemon is told to stop in the middle of things: one signal, and it ends at once.

``python -m tests.faults.stopping`` prints the figures of one round, ``--long`` those of
``docs/reliability.md``. It ends with 1 when a figure is missed.
"""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.conftest import STOP_SIGNALS, DaemonProcess
from tests.dicom.modality import Modality, encode
from tests.dicom.serving import everything
from tests.faults.loiterers import REQUEST
from tests.faults.messages import BEGUN, Peer
from tests.faults.pdus import command_set, find_rq, message
from tests.faults.site import SCANNER, Figures, daemon_at, run_scenes

_WITHIN_S = 2.0
_WORKLIST = 3


@dataclass(frozen=True)
class Size:
    """How big a run is.

    Parameters
    ----------
    peers : int
        Of each kind.
    rounds : int
        How often each is stopped by each signal.
    strict : bool
        Whether times count: they do on a machine that has nothing else to do.
    """

    peers: int = 3
    rounds: int = 1
    strict: bool = False


LONG = Size(50, 3, strict=True)

Scene = Callable[[DaemonProcess, int, ExitStack], list[Peer]]
"""Makes it hard to stop; returns the peers that must be told."""


def _nobody(daemon: DaemonProcess, number: int, stack: ExitStack) -> list[Peer]:
    return []


def _idle(daemon: DaemonProcess, number: int, stack: ExitStack) -> list[Peer]:
    return [stack.enter_context(contextlib.closing(Peer(daemon.port))) for _ in range(number)]


def _amid_a_message(daemon: DaemonProcess, number: int, stack: ExitStack) -> list[Peer]:
    opened = _idle(daemon, number, stack)
    for peer in opened:
        peer.say(iter([BEGUN]))
    return opened


def _not_reading(daemon: DaemonProcess, number: int, stack: ExitStack) -> list[Peer]:
    query = message(_WORKLIST, command_set(*find_rq()), encode(everything()))
    for _ in range(number):
        peer = stack.enter_context(contextlib.closing(Peer(daemon.port, buffer_bytes=4096)))
        peer.pour(query, 300)
    return []  # they would not hear it


def _half_open(daemon: DaemonProcess, number: int, stack: ExitStack) -> list[Peer]:
    for start in (b"", REQUEST[:50]):
        for _ in range(number):
            connection = socket.create_connection(("127.0.0.1", daemon.port), 10)
            stack.enter_context(connection)
            connection.sendall(start)
    return []


def _working(daemon: DaemonProcess, number: int, stack: ExitStack) -> list[Peer]:
    scanner = Modality(daemon.port, calling=SCANNER)
    scanner.open()
    stack.callback(scanner.hang_up)
    assert scanner.find(everything()).status == 0
    return _idle(daemon, number, stack)


KINDS: dict[str, Scene] = {
    "nobody is connected": _nobody,
    "idle associations": _idle,
    "messages half sent": _amid_a_message,
    "answers that nobody reads": _not_reading,
    "connections half open": _half_open,
    "scanners at work": _working,
}


@contextmanager
def _hanging_source() -> Iterator[tuple[socket.socket, str]]:
    """A REDCap that accepts and then says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        yield listener, f"http://127.0.0.1:{listener.getsockname()[1]}/api/"


def stopped(scene: Scene, folder: Path, size: Size) -> Figures:
    """One kind of trouble, ended by each signal."""
    figures = Figures()
    for by in STOP_SIGNALS:
        took: list[float] = []
        for _ in range(size.rounds):
            with daemon_at(folder) as daemon, ExitStack() as stack:
                told = scene(daemon, size.peers, stack)
                _stop(daemon, by, took, figures)
                unaware = [peer for peer in told if peer.end(5.0) != "aborted"]
                if unaware:
                    figures.missed.append(f"{len(unaware)} of {len(told)} peers were not told")
        _add_times(figures, by, took, size)
    return figures


def while_syncing(folder: Path, size: Size) -> Figures:
    """A source that does not answer is being asked."""
    figures = Figures()
    source: dict[str, Any] = {"name": "hanging", "type": "redcap", "config": {}}
    for by in STOP_SIGNALS:
        took: list[float] = []
        for _ in range(size.rounds):
            with _hanging_source() as (listener, url):
                (folder / ".env").write_text(f"REDCAP_API_URL={url}\nREDCAP_API_TOKEN={'A' * 32}\n")
                with daemon_at(folder, data_sources=[source]) as daemon, listener.accept()[0]:
                    _stop(daemon, by, took, figures)
        _add_times(figures, by, took, size)
    return figures


def _stop(daemon: DaemonProcess, by: int, took: list[float], figures: Figures) -> None:
    code, elapsed_s = daemon.stop(by)
    took.append(elapsed_s)
    if code != 0 or "Traceback" in daemon.log:
        figures.missed.append(f"exit code {code}\n{daemon.log[-2000:]}")


def _add_times(figures: Figures, by: int, took: list[float], size: Size) -> None:
    shown = f"{max(took):.2f} s, {size.peers} peers of the kind, {size.rounds} times"
    limit = _WITHIN_S if size.strict else 5 * _WITHIN_S
    figures.add(f"longest stop by signal {by}", shown, max(took) < limit)


SCENES = {
    **{name: partial(stopped, scene) for name, scene in KINDS.items()},
    "a source is being asked": while_syncing,
}

if __name__ == "__main__":
    sys.exit(run_scenes(__doc__, SCENES, Size(), LONG))
