"""``start --self-test``: start, ask and perform as a scanner would, and say how each went."""

from __future__ import annotations

import argparse
import contextlib
import logging
import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING

from pylantir.errors import PylantirError, StartError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from pylantir.daemon import Daemon


def run_self_test(args: argparse.Namespace) -> int:
    """Six checks against a demonstration of its own: the site's worklist is not touched.

    Returns
    -------
    int
        0 when all six are OK, else 1.
    """
    from pylantir import logs
    from pylantir.daemon import Daemon, keep_files_private, open_worklist
    from pylantir.demo import DemoSource, demo_config

    keep_files_private()
    logs.configure(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="pylantir-", ignore_cleanup_errors=True) as folder:
        flags = {"port": args.port or 0} | ({"ae_title": args.ae_title} if args.ae_title else {})
        loaded = demo_config(folder, flags)
        _said("configuration", lambda: f"AE title {loaded.config.ae_title}")
        with contextlib.closing(open_worklist(loaded.config)) as worklist:
            daemon = Daemon(worklist, DemoSource(worklist))
            try:
                return _checks(daemon)
            finally:
                daemon.stop()


def _checks(daemon: Daemon) -> int:
    def start() -> str:
        daemon.start()
        host, port = daemon.ae.address
        return f"{host} port {port} answers C-ECHO"

    scan = _Scan(daemon)
    checks: tuple[tuple[str, Callable[[], str]], ...] = (
        ("start", start),
        ("database", lambda: f"{daemon.worklist.items.count()} items"),
        ("C-FIND", scan.find),
        ("N-CREATE", scan.begin),
        ("N-SET", scan.complete),
    )
    return 0 if all(_said(name, check) for name, check in checks) else 1


def _said(name: str, check: Callable[[], str]) -> bool:
    try:
        outcome = check()
    except PylantirError as error:
        print(f"FAIL  {name:<14} {error}")
        return False
    print(f"OK    {name:<14} {outcome}", flush=True)
    return True


class _Scan:
    """One scan, from the worklist to its completion."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._item: Dataset | None = None
        self._uid = ""

    def find(self) -> str:
        from pylantir.dicom.scu import find
        from pylantir.dicom.scu_identifier import build_identifier

        keys = {"Modality": "MR", "ScheduledProcedureStepStatus": "SCHEDULED"}
        result = find(self._daemon.peer, build_identifier(keys))
        if not result.status.is_success or not result.items:
            raise StartError(f"{result.status.words}, {len(result.items)} items")
        self._item = result.items[0]
        return f"{len(result.items)} scheduled items"

    def begin(self) -> str:
        from pylantir.dicom.scu import create_step
        from pylantir.dicom.scu_mpps import step_attributes

        peer, clock = self._daemon.peer, self._daemon.worklist.clock
        attributes = step_attributes(
            self._item, station_ae_title=peer.calling_ae_title, started=clock.local_now()
        )
        result = create_step(peer, attributes)
        self._uid = result.sop_instance_uid
        return self._expect("IN_PROGRESS", result.status.words, result.status.is_success)

    def complete(self) -> str:
        from pylantir.dicom.scu import set_step
        from pylantir.dicom.scu_mpps import final_attributes

        ended = self._daemon.worklist.clock.local_now()
        result = set_step(
            self._daemon.peer,
            self._uid,
            final_attributes("COMPLETED", ended, protocol_name="SELF TEST"),
        )
        return self._expect("COMPLETED", result.status.words, result.status.is_success)

    def _expect(self, status: str, words: str, success: bool) -> str:
        linked = self._daemon.worklist.steps.get(self._uid) if success else None
        items = [self._daemon.worklist.items.get(n) for n in linked.item_ids] if linked else []
        if [item.status for item in items] != [status]:
            raise StartError(f"{words}, item not {status}")
        return f"{words}, item {items[0].item_id} is {status}"
