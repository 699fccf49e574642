"""How ``test-client`` and ``test-mpps`` reach a server and tell each step."""

from __future__ import annotations

import argparse
import contextlib
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TextIO, TypeVar

from pylantir.errors import PeerError

if TYPE_CHECKING:
    from pylantir.dicom.scu import FindResult, Peer, Status

_AE_TITLE, _HOST, _PORT = "MWL_SERVER", "127.0.0.1", 4242
# An address to listen on is none to call.
_EVERY_INTERFACE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
_T = TypeVar("_T")


def peer_of(args: argparse.Namespace) -> Peer:
    """The server that the command line names; the published defaults where it names none.

    Raises
    ------
    ConfigurationError
        An AE title or port out of bounds.
    """
    from pylantir.dicom.scu import Peer

    host = args.ip or _HOST
    named = {"calling_ae_title": args.calling_ae_title} if args.calling_ae_title else {}
    return Peer(
        _EVERY_INTERFACE.get(host, host),
        _PORT if args.port is None else args.port,
        args.ae_title or _AE_TITLE,
        **named,
    )


def attempt(name: str, request: Callable[[], _T], stream: TextIO | None = None) -> _T | None:
    """The outcome of a request; nothing, and said so, when there was no answer."""
    try:
        return request()
    except PeerError as error:
        tell("FAIL", name, str(error), stream)
        return None


def told(name: str, status: Status, stream: TextIO | None = None, outcome: str = "") -> bool:
    """Tell what a request came to; whether it was done."""
    done = status.is_success or status.is_warning
    words = f"{status.words}, {outcome}" if done and outcome else status.words
    tell("OK" if done else "FAIL", name, words, stream)
    return done


def tell(mark: str, name: str, words: str, stream: TextIO | None = None) -> None:
    """One step of the scanner on one line: OK, SKIP or FAIL, and why."""
    print(f"{mark:<5} {name:<14} {words}", file=stream or sys.stdout, flush=True)


def note(text: str) -> None:
    """A remark for the person, beside the data."""
    print(f"pylantir: {text}", file=sys.stderr)


@contextlib.contextmanager
def no_warnings() -> Iterator[None]:
    """Let values pass that break their VR."""
    # pydicom warns of every value in an answer that breaks its VR; it is shown as it is.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def count_of(found: FindResult) -> str:
    """How many items a query brought, in words."""
    return f"{len(found.items)} item{'' if len(found.items) == 1 else 's'}"


def fail_usage(message: str) -> int:
    """Say what was wrong with the command line; returns the exit code for it."""
    print(f"pylantir: {message}", file=sys.stderr)
    return 2
