"""The servers that are compared: what each needs, and how it is started and stopped."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.answers import WrongAnswer
from benchmarks.bookings import (
    SCANNER,
    SERVER,
    Booking,
    make_bookings,
    write_csv,
    write_published_database,
    write_worklist_files,
)
from benchmarks.wire import Scanner

OURS = "pylantir"
_PLUGIN = Path("/usr/share/orthanc/plugins/libModalityWorklists.so")
_WITHIN_S = 120.0
_AGAIN_S = 0.002
_COMPLETE = "complete"


@dataclass(frozen=True, slots=True)
class Data:
    """Bookings of one number, in every form that a server needs."""

    folder: Path
    bookings: list[Booking]


def prepare(folder: Path, number: int, today: dt.date, published: bool) -> Data:
    """Write what is not there yet; may take minutes for the largest number."""
    folder = folder / f"{number}-{today:%Y%m%d}"
    bookings = make_bookings(number, today)
    if not (folder / _COMPLETE).exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_csv(bookings, folder / "bookings.csv")
        write_worklist_files(bookings, folder / "files" / SERVER)
        _import(folder)
        (folder / _COMPLETE).touch()
    old = folder / "published.db"
    if published and not old.exists():
        write_published_database(bookings, old)
    return Data(folder, bookings)


def _import(folder: Path) -> None:
    (folder / "import.json").write_text(json.dumps({"db_path": str(folder / "pylantir.db")}))
    command = [sys.executable, "-m", "pylantir", "import", str(folder / "bookings.csv")]
    command += ["--config", str(folder / "import.json")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


@dataclass(frozen=True, slots=True)
class Server:
    """One server of the comparison.

    Parameters
    ----------
    name : str
        What it is called in the table.
    command : callable
        From the data, an empty folder and a port to the command that starts it.
    environment : mapping
        What it gets besides this process's environment.
    speaks_mpps : bool
        Whether it takes N-CREATE and N-SET.
    """

    name: str
    command: Callable[[Data, Path, int], list[str]]
    environment: Mapping[str, str]
    speaks_mpps: bool = False


def _pylantir(data: Data, folder: Path, port: int) -> list[str]:
    shutil.copyfile(data.folder / "pylantir.db", folder / "pylantir.db")
    settings = {
        "db_path": str(folder / "pylantir.db"),
        "ip": "127.0.0.1",
        "port": port,
        "ae_title": SERVER,
        "allowed_aet": [SCANNER],
        "log": {"file": str(folder / "pylantir.log")},
    }
    (folder / "pylantir.json").write_text(json.dumps(settings))
    return [sys.executable, "-m", "pylantir", "start", "--config", str(folder / "pylantir.json")]


def _wlmscpfs(data: Data, folder: Path, port: int) -> list[str]:
    words = ["wlmscpfs", "-dfp", str(data.folder / "files"), "--max-associations", "500"]
    return [*words, "-dhl", str(port)]


def _orthanc(data: Data, folder: Path, port: int) -> list[str]:
    settings = {
        "StorageDirectory": str(folder),
        "IndexDirectory": str(folder),
        "HttpServerEnabled": False,
        "DicomAet": SERVER,
        "DicomPort": port,
        "DicomAlwaysAllowFindWorklist": True,
        "Plugins": [str(_PLUGIN)],
        "Worklists": {"Enable": True, "Database": str(data.folder / "files" / SERVER)},
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    return ["Orthanc", str(folder / "orthanc.json")]


def _published(program: str) -> Callable[[Data, Path, int], list[str]]:
    def command(data: Data, folder: Path, port: int) -> list[str]:
        shutil.copyfile(data.folder / "published.db", folder / "published.db")
        settings = {
            "db_path": str(folder / "published.db"),
            "db_echo": "False",
            "allowed_aet": [],
            "data_sources": [],
        }
        (folder / "published.json").write_text(json.dumps(settings))
        words = [program, "start", "--ip", "127.0.0.1", "--port", str(port), "--AEtitle", SERVER]
        return [*words, "--pylantir_config", str(folder / "published.json")]

    return command


_NO_DELAY = {"TCP_NODELAY": "1"}
"""Without it both peers answer even a C-ECHO in 44 ms: Nagle's algorithm and delayed ACK."""


def installed(published: str | None) -> list[Server]:
    """Ours, and whatever else is on this machine.

    Parameters
    ----------
    published : str, optional
        The ``pylantir`` program of release 0.4.6, in a virtual environment of its own.
    """
    found = [Server(OURS, _pylantir, {}, speaks_mpps=True)]
    if shutil.which("wlmscpfs"):
        found.append(Server("wlmscpfs", _wlmscpfs, _NO_DELAY))
    if shutil.which("Orthanc") and _PLUGIN.exists():
        found.append(Server("orthanc", _orthanc, _NO_DELAY))
    if published:
        found.append(Server("pylantir 0.4.6", _published(published), {}, speaks_mpps=True))
    return found


class Running:
    """A server that has been started; ``stop`` ends it.

    Parameters
    ----------
    server : Server
        Which one.
    data : Data
        What it serves.
    folder : Path
        A folder of its own, emptied first.
    question : bytes
        A C-FIND; the server is ready when it has answered this.
    """

    def __init__(self, server: Server, data: Data, folder: Path, question: bytes) -> None:
        self.server = server
        self.first_ms: list[float] = []
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.port = _free_port()
        command = server.command(data, folder, self.port)
        with (folder / "output.txt").open("wb") as output:
            began = time.perf_counter()
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={**_as_installed(), **server.environment},
            )
        try:
            self._first_answer(question)
        except BaseException:
            self.stop()
            raise
        self.started_s = time.perf_counter() - began

    @property
    def pid(self) -> int:
        """Number of its process."""
        return self._process.pid

    def stop(self) -> None:
        """End it, by force when it does not go."""
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _first_answer(self, question: bytes) -> None:
        deadline = time.monotonic() + _WITHIN_S
        while True:
            try:
                with Scanner(self.port) as scanner:
                    scanner.find(question)
                return
            except (OSError, WrongAnswer):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise
            time.sleep(_AGAIN_S)


def _as_installed() -> dict[str, str]:
    """This process's environment, in which Python keeps what it has compiled, as pip does."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
