"""``health``: how the running server is doing, for people and for monitors."""

from __future__ import annotations

import argparse
import json
import time
from typing import TYPE_CHECKING, Any

from pylantir.cli.opening import load, log_to_stderr
from pylantir.errors import ConfigurationError, StoreError

if TYPE_CHECKING:
    from pathlib import Path

    from pylantir.config.schema import Config
    from pylantir.health import Check, Health

_SILENT_S = 15.0
"""A server says how it is each second; one that has not for so long hangs."""

_READ_TIMEOUT_S = 2.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``health``."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--timeout",
        type=float,
        default=5.0,
        metavar="S",
        help="longest wait for the server's answer to a C-ECHO, in seconds (5)",
    )


def run(args: argparse.Namespace) -> int:
    """Print one line, then one for each check; the exit code is that of a monitor's plugin.

    Returns
    -------
    int
        0 when all is well, 1 for a warning, 2 when it is critical, 3 when it cannot be told.
    """
    from pylantir.health import Check, Health, State

    try:
        config = load(args).config
        log_to_stderr(args)
        found = _look(config, args.timeout)
    except ConfigurationError as error:
        problems = "; ".join(str(error).splitlines())
        found = Health((Check("configuration", State.UNKNOWN, problems),))
    if args.json:
        print(json.dumps(found.record(), indent=2))
        return int(found.state)
    print(f"PYLANTIR {found.state.name}: {found.summary}")
    for check in found.checks:
        print(f"{check.state.name:<9} {check.name}: {check.message}")
    return int(found.state)


def _look(config: Config, timeout_s: float) -> Health:
    from pylantir.checks import check_dicom
    from pylantir.health import Health
    from pylantir.serving import configured_peer, told_peer
    from pylantir.worklist.database import database_url, file_of

    path = file_of(database_url(config.db_path))
    if path is None:
        peer = configured_peer(config, timeout_s)
        return Health((check_dicom(peer), _read_database(config)))
    said = _what_it_said(path)
    peer = told_peer(said, config, timeout_s) or configured_peer(config, timeout_s)
    seen = [_check_process(path, said), check_dicom(peer), _read_database(config)]
    return Health(tuple(_worst_of_each(seen, said)))


def _what_it_said(path: Path) -> dict[str, Any]:
    from pylantir.worklist.instance import told

    return told(path)


def _check_process(path: Path, said: dict[str, Any]) -> Check:
    from pylantir.health import Check, State
    from pylantir.worklist.instance import is_served

    if not is_served(path):
        return Check("process", State.CRITICAL, f"no server serves {path}")
    silent_s = time.time() - float(said.get("at") or 0)
    words = f"process {said.get('pid', '?')} on {said.get('host', '?')}"
    if "at" in said and silent_s > _SILENT_S:
        return Check("process", State.CRITICAL, f"{words} has said nothing for {silent_s:.0f} s")
    return Check("process", State.OK, words)


def _read_database(config: Config) -> Check:
    """Read it from outside, whatever the server says of it."""
    from pylantir.health import Check, State
    from pylantir.worklist.database import Database

    database = Database(config.db_path)
    try:
        if database.file is not None:
            with database.probe(_READ_TIMEOUT_S) as connection:
                connection.execute("SELECT version FROM changes").fetchone()
        else:
            with database.read() as shared:
                shared.exec_driver_sql("SELECT version FROM changes").one()
    except StoreError as error:
        return Check("database", State.CRITICAL, error.for_log)
    finally:
        database.close()
    return Check("database", State.OK, "can be read")


def _worst_of_each(seen: list[Check], said: dict[str, Any]) -> list[Check]:
    """What we saw, and what the server said of itself; of two of one name the worse one."""
    from pylantir.health import checks_in

    found = {check.name: check for check in seen}
    for check in checks_in(said):
        known = found.get(check.name)
        if known is None or check.state > known.state or check.state == known.state == 0:
            found[check.name] = check
    return list(found.values())
