"""The command line: one argparse parser, one module per group of commands.

Nothing heavy is imported before the command that needs it runs, so that ``--help`` answers at
once. Data goes to standard output, notes and logs to standard error.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from pylantir.cli.parser import build_parser, parse
from pylantir.errors import (
    ConfigurationError,
    InvalidAccount,
    InvalidItem,
    InvalidQuery,
    PylantirError,
    StartError,
    StoreError,
)

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

_EXIT_CODES: tuple[tuple[type[PylantirError], int], ...] = (
    (ConfigurationError, USAGE),
    (StartError, USAGE),
    (StoreError, USAGE),
    (InvalidItem, USAGE),
    (InvalidAccount, USAGE),
    (InvalidQuery, USAGE),
    (PylantirError, FAILED),
)
"""Which error ends in which exit code: the table beside this door."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program name; those of this process when absent.

    Returns
    -------
    int
        0 on success, 1 when the command failed, 2 for a usage or configuration error.
    """
    _write_what_the_terminal_can()
    parser = build_parser()
    if "_ARGCOMPLETE" in os.environ:  # the shell asks what may come next
        import argcomplete

        argcomplete.autocomplete(parser)
    args = parse(parser, sys.argv[1:] if argv is None else argv)
    if args.command is None:
        parser.print_help()
        return USAGE
    return _run(args)


def _run(args: argparse.Namespace) -> int:
    try:
        code = int(args.run(args))
        sys.stdout.flush()
    except PylantirError as error:
        _complain(error)
        return next(code for kind, code in _EXIT_CODES if isinstance(error, kind))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _write_no_more()
        return FAILED
    except OSError as error:
        print(f"pylantir: {error}", file=sys.stderr)
        return FAILED
    except Exception as error:  # noqa: BLE001 - the outermost door
        _confess(error, args)
        return FAILED
    return code


def _confess(error: Exception, args: argparse.Namespace) -> None:
    """A defect of ours, without the values that a traceback's last line may hold."""
    import traceback

    if args.verbose:
        traceback.print_exception(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    name = f"{type(error).__name__} in {os.path.basename(place.filename)}:{place.lineno}"  # noqa: PTH119
    print(f"pylantir: a defect ended {args.command}: {name}", file=sys.stderr)
    print("with -v it tells more; please report it", file=sys.stderr)


def _write_no_more() -> None:
    """The reader of our output has gone, as `| head` does; Python flushes once more at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _complain(error: PylantirError) -> None:
    problems = getattr(error, "problems", None)
    lines = [str(problem) for problem in problems] if problems else str(error).splitlines()
    for line in lines or [type(error).__name__]:
        print(f"pylantir: {line}", file=sys.stderr)


def _write_what_the_terminal_can() -> None:
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
