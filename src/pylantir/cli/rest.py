"""``start-api``, and what ``start --with-api`` needs of it."""

from __future__ import annotations

import argparse
import contextlib
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pylantir.cli.extras import api_extra
from pylantir.cli.opening import command_line, load, log_level

if TYPE_CHECKING:
    from pylantir.config.load import LoadedConfig
    from pylantir.config.schema import Config
    from pylantir.daemon import Worklist
    from pylantir.rest import RestApi
    from pylantir.stopping import StopRequest

log = logging.getLogger(__name__)


def configure_start(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``start-api``."""
    add_api_options(parser)
    parser.add_argument("--log-file", metavar="FILE", help="also write the log there")


def add_api_options(parser: argparse.ArgumentParser) -> None:
    """Where the REST API listens; the same for ``start --with-api``."""
    group = parser.add_argument_group("REST API")
    group.add_argument("--api-host", metavar="ADDRESS", help="address to listen on (127.0.0.1)")
    group.add_argument("--api-port", type=int, metavar="PORT", help="port to listen on (8000)")
    group.add_argument(
        "--behind-proxy", action="store_true", help="a reverse proxy in front of it does TLS"
    )


def run_start(args: argparse.Namespace) -> int:
    """Serve the REST API until a signal; returns 0 after a clean stop."""
    from pylantir.heap import made_to_stay
    from pylantir.stopping import StopRequest

    stop_request = StopRequest()
    with contextlib.ExitStack() as until_the_end:
        with made_to_stay():  # from the first import on
            api = _started(args, stop_request, until_the_end)
        lines = ["Pylantir's REST API is ready", *api_banner(api, args), "Stop with Ctrl-C."]
        print("\n".join(lines), flush=True)
        stop_request.wait()
    log.info("stopped")
    return 0


def _started(
    args: argparse.Namespace, stop_request: StopRequest, until_the_end: contextlib.ExitStack
) -> RestApi:
    """The API over a worklist that nobody serves here.

    Parameters
    ----------
    args : Namespace
        Of the command.
    stop_request : StopRequest
        Hears signals as soon as the configuration is known to be good.
    until_the_end : ExitStack
        Stops what has been started.
    """
    from pylantir import logs
    from pylantir.daemon import keep_files_private, open_worklist

    keep_files_private()
    loaded = load(args)
    config = loaded.config
    logs.configure(
        log_level(args, logging.INFO),
        file=args.log_file or config.log.file,
        max_bytes=config.log.max_bytes,
        backups=config.log.backups,
    )
    stop_request.ask_on_signals()
    worklist = open_worklist(config)
    until_the_end.callback(worklist.close)
    api = api_part(args, loaded, worklist, ())
    until_the_end.callback(worklist.audit.stop)
    until_the_end.callback(api.stop)
    worklist.audit.start()
    api.start()
    return api


def api_part(
    args: argparse.Namespace, loaded: LoadedConfig, worklist: Worklist, parts: Sequence[Any]
) -> RestApi:
    """The REST API over an open worklist; not started yet.

    Raises
    ------
    StartError
        Its packages are not installed.
    """
    with api_extra("the REST API"):
        from pylantir.rest import RestApi
    from pylantir.polling import SourcePoller

    running = [part for part in parts if isinstance(part, SourcePoller)]
    return RestApi(with_flags(loaded.config, args), loaded.environ, worklist, running)


def with_flags(config: Config, args: argparse.Namespace) -> Config:
    """The configuration with what the command line says about the API.

    Raises
    ------
    ConfigurationError
        A flag that is none, such as a port beyond 65535.
    """
    from pylantir.config.validation import validated

    flags = {
        "host": args.api_host,
        "port": args.api_port,
        "behind_proxy": args.behind_proxy or None,
    }
    given = {name: value for name, value in flags.items() if value is not None}
    if not given:
        return config
    values = config.model_dump()
    values["api"] |= given
    return validated(values, {"api": "command line"}, "command line")


def api_banner(api: RestApi, args: argparse.Namespace) -> list[str]:
    """What the person at the keyboard should know about the API."""
    lines = [f"  REST API      {api.url} (described at {api.url}/docs)"]
    if api.has_page:
        lines.append(f"  page          {api.url}/page/")
    if api.setup_code:
        lines += [
            f"  first admin   nobody can sign in as admin yet: {_create_user(args)},",
            f"                or, once, on the page with the set-up code {api.setup_code}",
        ]
    return lines


def _create_user(args: argparse.Namespace) -> str:
    """The command that makes the first admin of this very installation."""
    words = ["pylantir", "create-user", "--role", "admin"]
    for flag, value in (("--demo-dir", args.demo_dir), ("--config", args.config)):
        words += [flag, value] if value else []
    return command_line([*words, *(["--demo"] if args.demo and not args.demo_dir else [])])
