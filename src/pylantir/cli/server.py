"""``start``: the server in the foreground, and its self-test."""

from __future__ import annotations

import argparse
import contextlib
import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pylantir.cli.opening import command_line, load, log_level, wants_demo
from pylantir.cli.rest import add_api_options, api_banner, api_part
from pylantir.cli.settings import who_may_connect

if TYPE_CHECKING:
    from pylantir.config.load import LoadedConfig
    from pylantir.daemon import Daemon, Part, Worklist
    from pylantir.dicom.peer import Peer


log = logging.getLogger(__name__)

_OPEN_TO_ALL = (
    "EVERY AE title may connect and read names, because allowed_aet is empty: list the AE titles "
    "of your scanners in %s"
)


def configure_start(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``start``."""
    parser.add_argument(
        "--self-test",
        action="store_true",
        help="start, ask and perform as a scanner would, print the outcome and exit",
    )
    parser.add_argument("--log-file", metavar="FILE", help="also write the log there")
    parser.add_argument("--with-api", action="store_true", help="serve the REST API as well")
    add_api_options(parser)


def run_start(args: argparse.Namespace) -> int:
    """Serve until a signal; returns 0 after a clean stop."""
    from pylantir.heap import made_to_stay, share_the_heap

    share_the_heap()
    if args.self_test:
        from pylantir.cli.selftest import run_self_test

        return run_self_test(args)
    with contextlib.ExitStack() as until_the_end:
        with made_to_stay():  # from the first import on
            daemon, words = _started(args, until_the_end)
        print(words, flush=True)
        daemon.wait()
    log.info("stopped")
    return 0


def _started(args: argparse.Namespace, until_the_end: contextlib.ExitStack) -> tuple[Daemon, str]:
    """A daemon that has answered itself, and what to say about it.

    Parameters
    ----------
    args : Namespace
        Of the command.
    until_the_end : ExitStack
        Stops what has been started.
    """
    from pylantir import logs
    from pylantir.daemon import Daemon, keep_files_private, open_worklist

    keep_files_private()
    loaded = load(args)
    config = loaded.config
    logs.configure(
        log_level(args, logging.INFO),
        file=args.log_file or config.log.file,
        max_bytes=config.log.max_bytes,
        backups=config.log.backups,
    )
    worklist = open_worklist(config, to_serve=True)
    until_the_end.callback(worklist.close)
    parts = _parts(args, loaded, worklist)
    api = api_part(args, loaded, worklist, parts) if args.with_api else None
    daemon = Daemon(worklist, *parts, *([api] if api else []))
    if api is not None:
        api.scp = lambda: daemon.own_peer
    daemon.handle_signals()
    until_the_end.callback(daemon.stop)
    daemon.start()
    if daemon.ae.access.is_open and not wants_demo(args):
        log.warning(_OPEN_TO_ALL, loaded.path or "the configuration")
    log.info("ready: AE title %s, %s port %d", config.ae_title, *daemon.ae.address)
    return daemon, banner(daemon, loaded, args, *(api_banner(api, args) if api else []))


def _parts(args: argparse.Namespace, loaded: LoadedConfig, worklist: Worklist) -> Sequence[Part]:
    if wants_demo(args):
        from pylantir.demo import DemoSource

        return [DemoSource(worklist)]
    if not any(entry.enabled for entry in loaded.config.data_sources):
        return []
    from pylantir.polling import pollers  # what sources need, a server without them does not

    return pollers(loaded.config, loaded.environ, worklist.database, worklist.clock, worklist.audit)


def banner(daemon: Daemon, loaded: LoadedConfig, args: argparse.Namespace, *more: str) -> str:
    """What the person at the keyboard should know: where it listens and what to try next."""
    config = daemon.worklist.config
    where = " and ".join(map(_door, doors(daemon)))
    demo = wants_demo(args)
    who = ", ".join(who_may_connect(config)) or "EVERY AE title (no allowed_aet)"
    sources = ", ".join(s.name for s in config.data_sources if s.enabled) or "none"
    return "\n".join(
        (
            f"Pylantir is ready: AE title {config.ae_title}, {where}",
            f"  database      {daemon.worklist.database.name}",
            f"  configuration {loaded.path or 'built in'}",
            f"  sources       {'a demonstration: one change each minute' if demo else sources}",
            f"  may connect   {who}",
            *more,
            "Try in another terminal:",
            *(f"  {line}" for line in _to_try(daemon, args)),
            "Stop with Ctrl-C.",
        )
    )


def doors(daemon: Daemon) -> list[tuple[str, int, bool]]:
    """Where it listens: address, port, and whether that is for TLS; the plain one last.

    Whoever starts us reads the port from the end of the line.
    """
    secured = daemon.ae.tls_address
    found = [(*secured, True)] if secured is not None else []
    return found if daemon.ae.is_tls_only else [*found, (*daemon.ae.address, False)]


def _door(door: tuple[str, int, bool]) -> str:
    host, port, is_tls = door
    return f"{host} {'TLS port' if is_tls else 'port'} {port}"


def _tls_words(daemon: Daemon) -> list[str]:
    """What ``test-client`` needs to come in where nobody does without TLS."""
    tls = daemon.worklist.config.tls
    if tls is None or not daemon.ae.is_tls_only:
        return []
    words = ["--tls", "--tls-any-name", *(["--tls-ca", tls.ca] if tls.ca else [])]
    return words + (["--tls-certificate", "OURS.pem"] if tls.mutual else [])


def _to_try(daemon: Daemon, args: argparse.Namespace) -> Iterator[str]:
    """Commands that can be copied as they stand."""
    peer = daemon.peer
    calling = "" if daemon.ae.access.is_open else peer.calling_ae_title
    words = ["pylantir", "test-client", "--AEtitle", peer.called_ae_title]
    words += ["--callingAEtitle", calling] if calling else []
    yield command_line([*words, "--ip", peer.host, "--port", str(peer.port), *_tls_words(daemon)])
    if not daemon.ae.is_tls_only:
        yield _findscu(peer, calling)
    named = (("--demo-dir", args.demo_dir), ("--config", args.config))
    words = [word for flag, value in named if value for word in (flag, value)]
    yield command_line(["pylantir", "query-db", *(words or (["--demo"] if args.demo else []))])


def _findscu(peer: Peer, calling: str) -> str:
    words = ["findscu", "-W", *(["-aet", calling] if calling else [])]
    words += ["-aec", peer.called_ae_title, peer.host, str(peer.port)]
    keys = '-k "0040,0100[0].Modality=MR" -k PatientName -k PatientID'
    return f"{command_line(words)} {keys}"
