"""The daemon is told to stop in the middle of things: one signal, and it ends at once.

``python -m tests.faults.stopping`` prints the figures of one round, ``--long`` those of
``docs/reliability.md``. It ends with 1 when a figure is missed.
"""

from __future__ import annotations

import contextlib
import socket
import sqlite3
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
from tests.first_account import first_account
from tests.waiting import eventually

from pylantir.worklist.backups import FOLDER

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
    megabytes : int
        Size of a worklist that takes long to back up.
    strict : bool
        Whether times count: they do on a machine that has nothing else to do.
    """

    peers: int = 3
    rounds: int = 1
    megabytes: int = 200
    strict: bool = False


LONG = Size(50, 3, 1000, strict=True)

HALF_A_REQUEST = b"POST /worklist HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\n{"
_CREDENTIALS = b'{"username": "nobody", "password": "nothing at all"}'
LOGIN = (
    b"POST /auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_CREDENTIALS), _CREDENTIALS)
)

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


def while_programs_ask(folder: Path, size: Size) -> Figures:
    """The REST API runs: event streams are open, requests half sent, passwords looked at."""
    figures = Figures()
    settings = {"users_db_path": str(folder / "users.db")}
    for by in STOP_SIGNALS:
        took: list[float] = []
        for _ in range(size.rounds):
            (folder / "users.db").unlink(missing_ok=True)  # so that it tells a set-up code again
            with (
                daemon_at(folder, "--with-api", "--api-port", "0", **settings) as daemon,
                ExitStack() as stack,
            ):
                _use_the_api("\n".join(daemon.banner), size.peers, stack)
                _stop(daemon, by, took, figures)
        _add_times(figures, by, took, size)
    return figures


def _use_the_api(banner: str, number: int, stack: ExitStack) -> None:
    url, session = stack.enter_context(first_account(banner))
    for _ in range(number):
        stream = session.get(f"{url}/events", stream=True, timeout=30)
        assert stack.enter_context(contextlib.closing(stream)).status_code == 200
    address = ("127.0.0.1", int(url.rpartition(":")[2]))
    for request in (HALF_A_REQUEST, LOGIN):
        for _ in range(number):
            stack.enter_context(socket.create_connection(address, 10)).sendall(request)


def while_backing_up(folder: Path, size: Size) -> Figures:
    """A backup of a big file is being made."""
    figures = Figures()
    with daemon_at(folder, backups={"enabled": False}) as daemon:
        daemon.stop()
    with contextlib.closing(sqlite3.connect(folder / "worklist.db")) as connection, connection:
        connection.execute("CREATE TABLE ballast (bytes BLOB)")
        for _ in range(size.megabytes):
            connection.execute("INSERT INTO ballast VALUES (randomblob(1000000))")
    for by in STOP_SIGNALS:
        took: list[float] = []
        for _ in range(size.rounds):
            with daemon_at(folder) as daemon:
                eventually(lambda: list((folder / FOLDER).glob(".*.part")))
                _stop(daemon, by, took, figures)
            left = [path.name for path in (folder / FOLDER).iterdir()]
            figures.missed += [f"a half backup is left: {name}" for name in left]
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
    "programs use the REST API": while_programs_ask,
    "a backup is made": while_backing_up,
}

if __name__ == "__main__":
    sys.exit(run_scenes(__doc__, SCENES, Size(), LONG))
