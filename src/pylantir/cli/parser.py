"""The parser of every command, and the spellings that existing users have in their scripts."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn

from pylantir.cli import (
    accounts,
    audit,
    backups,
    exchange,
    health,
    items,
    performed,
    rest,
    scanner,
    server,
    settings,
    sources,
    syncing,
    watching,
)

Configure = Callable[[argparse.ArgumentParser], None]
Run = Callable[[argparse.Namespace], int]

_COMMANDS: tuple[tuple[str, str, Configure, Run], ...] = (
    ("start", "start the worklist and MPPS server", server.configure_start, server.run_start),
    ("start-api", "start the REST API by itself", rest.configure_start, rest.run_start),
    ("query-db", "show what is in the worklist", items.configure_query, items.run_query),
    ("add", "add a walk-in or a phantom", items.configure_add, items.run_add),
    ("cancel", "cancel a booking", items.configure_cancel, items.run_cancel),
    ("link", "tie a performed step to a booking", performed.configure_link, performed.run_link),
    (
        "import",
        "read worklist files, DICOM JSON, JSON or CSV",
        exchange.configure_import,
        exchange.run_import,
    ),
    ("export", "write items in the same formats", exchange.configure_export, exchange.run_export),
    (
        "test-client",
        "ask the server as a scanner would: C-ECHO and C-FIND",
        scanner.configure_test_client,
        scanner.run_test_client,
    ),
    (
        "test-mpps",
        "perform a procedure as a scanner would: N-CREATE and N-SET",
        scanner.configure_test_mpps,
        scanner.run_test_mpps,
    ),
    (
        "backup",
        "copy the worklist, also while it is served",
        backups.configure_backup,
        backups.run_backup,
    ),
    ("restore", "put a backup in its place", backups.configure_restore, backups.run_restore),
    ("sync", "bring bookings in without serving them", syncing.configure_sync, syncing.run_sync),
    ("sources", "how the sources are doing", sources.configure, sources.run),
    (
        "admin-password",
        "change the password of an account",
        accounts.configure_password,
        accounts.run_password,
    ),
    ("create-user", "make an account", accounts.configure_create, accounts.run_create),
    ("list-users", "show the accounts", accounts.configure_list, accounts.run_list),
    ("audit", "who asked for and who changed what", audit.configure_audit, audit.run_audit),
    (
        "explain",
        "why a scanner does not show a booking",
        watching.configure_explain,
        watching.run_explain,
    ),
    ("watch", "see what happens just now", watching.configure_watch, watching.run_watch),
    ("health", "how the server is doing", health.configure, health.run),
    ("init", "write a commented starting point", settings.configure_init, settings.run_init),
    (
        "check-config",
        "say what is wrong with the configuration",
        settings.configure_check,
        settings.run_check,
    ),
    (
        "config-schema",
        "print the JSON Schema of the configuration",
        settings.configure_schema,
        settings.run_schema,
    ),
    (
        "completion",
        "print the shell completion script",
        settings.configure_completion,
        settings.run_completion,
    ),
)


class Parser(argparse.ArgumentParser):
    """Says what is wrong and where to look, in two lines instead of a page of usage."""

    def error(self, message: str) -> NoReturn:
        """Print the message and exit with 2."""
        print(f"{self.prog}: {message}", file=sys.stderr)
        print(f"see: {self.prog} --help", file=sys.stderr)
        sys.exit(2)


class _Version(argparse.Action):
    """Looks the version up only when it is asked for: importlib.metadata costs 30 ms."""

    def __init__(self, option_strings: Sequence[str], dest: str, **_: object) -> None:
        super().__init__(option_strings, dest, nargs=0, help="print the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"pylantir {version('pylantir')}")
        except PackageNotFoundError:
            print("pylantir, from a checkout that is not installed")
        parser.exit()


def build_parser() -> Parser:
    """The parser with all commands."""
    parser = Parser(
        prog="pylantir",
        description="DICOM Modality Worklist and MPPS server for MRI research centres.",
        epilog="Try: pylantir start --demo",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version)
    shared = _shared_options()
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    for name, summary, configure, run in _COMMANDS:
        command = commands.add_parser(
            name, help=summary, description=summary, parents=[shared], allow_abbrev=False
        )
        configure(command)
        command.set_defaults(run=run)
    return parser


def _shared_options() -> Parser:
    shared = Parser(add_help=False)
    group = shared.add_argument_group("common options")
    group.add_argument(
        "--config", "--pylantir_config", dest="config", metavar="FILE", help="configuration file"
    )
    group.add_argument(
        "--ae-title", "--AEtitle", dest="ae_title", metavar="TITLE", help="AE title of the server"
    )
    group.add_argument("--ip", metavar="ADDRESS", help="address of the server")
    group.add_argument("--port", type=int, metavar="PORT", help="port of the server")
    group.add_argument(
        "--calling-ae-title",
        "--callingAEtitle",
        dest="calling_ae_title",
        metavar="TITLE",
        help="AE title of the scanner that test-client and test-mpps play",
    )
    group.add_argument("--demo", action="store_true", help="use the demonstration worklist")
    group.add_argument(
        "--demo-dir", metavar="DIR", help="the same, with its files in a folder of your choice"
    )
    group.add_argument("-v", "--verbose", action="count", default=0, help="say more")
    group.add_argument("-q", "--quiet", action="count", default=0, help="say only what is wrong")
    return shared


def parse(parser: Parser, argv: Sequence[str]) -> argparse.Namespace:
    """The arguments of one command, wherever in them its name stands.

    Exits with 2, and the nearest known name, when a command or an option does not exist.
    """
    args, unknown = parser.parse_known_args(command_first(parser, list(argv)))
    if unknown:
        command = _subparsers(parser).choices[args.command]
        command.error(f"unknown {_named(unknown[0], _options(command))}")
    return args


def command_first(parser: Parser, argv: list[str]) -> list[str]:
    """The arguments with the command in front, wherever it stood.

    The published release takes every option before the command name; argparse knows the options
    of a command only after it.
    """
    commands = _subparsers(parser).choices
    takes_value = {
        option
        for command in commands.values()
        for action in command._actions
        for option in action.option_strings
        if action.nargs is None and action.const is None
    }
    at = 0
    while at < len(argv):
        token = argv[at]
        if token in commands:
            return [token, *argv[:at], *argv[at + 1 :]]
        if token in ("-h", "--help", "--version"):
            return [token]
        if not token.startswith("-"):
            parser.error(f"unknown {_named(token, commands, 'command')}")
        at += 2 if token in takes_value else 1
    if argv:
        parser.error("expected a command, such as: pylantir start")
    return argv


def _options(command: Parser) -> list[str]:
    return [option for action in command._actions for option in action.option_strings]


def _named(token: str, known: Iterable[str], what: str = "") -> str:
    """A name that nobody knows, with the nearest one that somebody does."""
    what = what or ("option" if token.startswith("-") else "argument")
    near = difflib.get_close_matches(token.partition("=")[0], list(known), n=1)
    return f"{what} {token!r}" + (f", did you mean {near[0]}?" if near else "")


def _subparsers(parser: Parser) -> argparse._SubParsersAction[Parser]:
    return next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))


def command_names() -> tuple[str, ...]:
    """Names of all commands."""
    return tuple(name for name, *_ in _COMMANDS)
