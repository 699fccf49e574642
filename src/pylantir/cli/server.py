"""``start``: the server in the foreground, and its self-test."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pylantir.cli.opening import load, log_level

if TYPE_CHECKING:
    from pylantir.config.load import LoadedConfig
    from pylantir.daemon import Daemon, Part, Worklist


def configure_start(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``start``."""
    parser.add_argument(
        "--self-test",
        action="store_true",
        help="start, ask and perform as a scanner would, print the outcome and exit",
    )
    parser.add_argument("--log-file", metavar="FILE", help="also write the log there")


def run_start(args: argparse.Namespace) -> int:
    """Serve until a signal; returns 0 after a clean stop."""
    from pylantir import logs
    from pylantir.daemon import Daemon, keep_files_private, open_worklist

    keep_files_private()
    if args.self_test:
        from pylantir.cli.selftest import run_self_test

        return run_self_test(args)
    loaded = load(args)
    log = loaded.config.log
    logs.configure(
        log_level(args, logging.INFO),
        file=args.log_file or log.file,
        max_bytes=log.max_bytes,
        backups=log.backups,
    )
    worklist = open_worklist(loaded.config)
    daemon = Daemon(worklist, *_parts(args, loaded, worklist))
    daemon.handle_signals()
    try:
        daemon.start()
        print(banner(daemon, loaded), flush=True)
        daemon.wait()
    finally:
        daemon.stop()
    logging.getLogger(__name__).info("stopped")
    return 0


def _parts(args: argparse.Namespace, loaded: LoadedConfig, worklist: Worklist) -> Sequence[Part]:
    if not args.demo:
        from pylantir.polling import pollers

        return pollers(loaded.config, loaded.environ, worklist.database, worklist.clock)
    from pylantir.demo import DemoSource

    return [DemoSource(worklist)]


def banner(daemon: Daemon, loaded: LoadedConfig) -> str:
    """What the person at the keyboard should know: where it listens and what to try next."""
    config = daemon.worklist.config
    host, port = daemon.ae.address
    peer = daemon.peer
    allowed = ", ".join(config.allowed_aet)
    sources = ", ".join(s.name for s in config.data_sources if s.enabled)
    aets = f"-aet {peer.calling_ae_title} -aec {peer.called_ae_title}"
    key = '-k "0040,0100[0].Modality=MR" -k PatientName -k PatientID'
    return "\n".join(
        (
            f"Pylantir is ready: AE title {config.ae_title}, {host} port {port}",
            f"  database      {daemon.worklist.database.name}",
            f"  configuration {loaded.path or 'built in'}",
            f"  sources       {sources or 'none'}",
            f"  may connect   {allowed or 'EVERY AE title: allowed_aet is empty'}",
            "Try in another terminal:",
            f"  findscu -W {aets} {peer.host} {port} {key}",
            f"  pylantir query-db{' --demo' if not loaded.path else ''}",
            "Stop with Ctrl-C.",
        )
    )
