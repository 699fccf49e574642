"""``pylantir start`` and other commands as processes, and what a scanner finds there."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.conftest import DaemonProcess, clean_environment, command

from pylantir.dicom import scu

NOT_FOR_LONG_S = 30.0
"""So that nothing hangs, on a machine that has much else to do; speed is measured elsewhere."""


def configuration(folder: Path, **settings: Any) -> str:
    """Path of a configuration for this machine only, with a worklist in the same folder."""
    path = folder / "site.json"
    values = {"db_path": str(folder / "site" / "worklist.db"), "ip": "127.0.0.1", **settings}
    path.write_text(json.dumps(values), encoding="utf-8")
    return str(path)


def pylantir(folder: Path, *words: str) -> tuple[int, str, str, float]:
    """Run a command to its end; returns exit code, standard output, standard error, seconds."""
    began = time.monotonic()
    ran = subprocess.run(
        command(*words),
        cwd=folder,
        env=clean_environment(folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    return ran.returncode, ran.stdout, ran.stderr, time.monotonic() - began


def fails_closed(folder: Path, *words: str) -> str:
    """What ``start`` says when it refuses to start: quickly, with 2, without a traceback."""
    code, out, err, elapsed_s = pylantir(folder, "start", *words)
    assert code == 2, err
    assert out == ""
    assert "Traceback" not in err
    assert elapsed_s < NOT_FOR_LONG_S
    return err


def peer_of(daemon: DaemonProcess, calling: str = "MR1") -> scu.Peer:
    return scu.Peer("127.0.0.1", daemon.port, calling_ae_title=calling)


def found(daemon: DaemonProcess, **keys: str) -> list[str]:
    result = scu.find(peer_of(daemon), scu.build_identifier(keys))
    assert result.status.is_success, result.status.words
    return [str(item.PatientName) for item in result.items]
