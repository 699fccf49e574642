"""What tests of several rooms share: the command line as a process of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
OURS = ("PYLANTIR_", "DB_", "USERS_DB_", "REDCAP_", "CALPENDO_")

StartDaemon = Callable[..., "DaemonProcess"]


def clean_environment(home: Path) -> dict[str, str]:
    """An environment in which nobody's own configuration or worklist is found."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    kept.pop("DEBUG", None)
    homes = dict.fromkeys(
        ("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "XDG_CONFIG_HOME", "XDG_DATA_HOME"),
        str(home),
    )
    paths = [str(REPOSITORY / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return kept | homes | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUTF8": "1"}


def command(*words: str) -> list[str]:
    """The command line of this checkout, in which warnings are errors as in every test."""
    return [sys.executable, "-W", "error", "-m", "pylantir", *words]


@cache
def dcmtk_program(name: str) -> str | None:
    """Path of a program of DCMTK, if it is installed: pynetdicom brings others of these names."""
    for folder in os.get_exec_path():
        found = shutil.which(name, path=folder)
        if found is not None:
            said = subprocess.run(
                [found, "--version"], capture_output=True, check=False, timeout=30
            )
            if said.stdout.startswith(b"$dcmtk"):
                return found
    return None


@dataclass
class DaemonProcess:
    """``pylantir start`` as a process: ready once it has said where it listens."""

    process: subprocess.Popen[str]
    log_path: Path
    banner: list[str] = field(default_factory=list)
    port: int = 0

    def wait_until_ready(self) -> DaemonProcess:
        """Read standard output to the end of the banner."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.banner.append(line.rstrip("\n"))
            if line.startswith("Stop with"):
                self.port = int(self.banner[0].rpartition(" ")[2])
                return self
        pytest.fail(f"not ready, exit code {self.process.wait(10)}:\n{self.log}")

    @property
    def log(self) -> str:
        """All of its standard error so far."""
        return self.log_path.read_text(encoding="utf-8")

    def stop(self, by: int | None = None) -> tuple[int, float]:
        """Send a signal once; returns the exit code and the seconds until the end."""
        began = time.monotonic()
        self.process.send_signal(STOP_SIGNALS[-1] if by is None else by)
        code = self.process.wait(30)
        return code, time.monotonic() - began

    def clean_up(self) -> None:
        """End it, whatever state it is in."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


if sys.platform == "win32":
    STOP_SIGNALS = (signal.CTRL_BREAK_EVENT,)
    _OWN_GROUP = subprocess.CREATE_NEW_PROCESS_GROUP  # else the signal reaches pytest too
else:
    STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
    _OWN_GROUP = 0


def start_daemon(
    folder: Path, *words: str, environ: Mapping[str, str] | None = None
) -> DaemonProcess:
    """Start the daemon on a free port, in a folder of its own, without waiting for it."""
    log_path = folder / f"stderr-{time.monotonic_ns()}.log"
    with log_path.open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            command("start", "--port", "0", *words),
            cwd=folder,
            env={**clean_environment(folder), **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            encoding="utf-8",
            creationflags=_OWN_GROUP,
        )
    return DaemonProcess(process, log_path)


@pytest.fixture
def daemon_process(tmp_path: Path) -> Iterator[StartDaemon]:
    """Starts daemons in ``tmp_path`` and waits until they are ready; ends them afterwards."""
    started: list[DaemonProcess] = []

    def start(*words: str) -> DaemonProcess:
        started.append(start_daemon(tmp_path, *words))
        return started[-1].wait_until_ready()

    yield start
    for daemon in started:
        daemon.clean_up()
