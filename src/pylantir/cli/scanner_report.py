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
    from pylantir.dicom.peer import PeerTls
    from pylantir.dicom.scu import FindResult, Peer, Status

_AE_TITLE, _HOST, _PORT, _TLS_PORT = "MWL_SERVER", "127.0.0.1", 4242, 2762
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
    tls = _tls_of(args)
    named = {"calling_ae_title": args.calling_ae_title} if args.calling_ae_title else {}
    return Peer(
        _EVERY_INTERFACE.get(host, host),
        (_PORT if tls is None else _TLS_PORT) if args.port is None else args.port,
        args.ae_title or _AE_TITLE,
        tls=tls,
        **named,
    )


def add_tls_options(parser: argparse.ArgumentParser) -> None:
    """Arguments of commands that call a server, which may speak TLS."""
    group = parser.add_argument_group("TLS")
    group.add_argument(
        "--tls", action="store_true", help=f"DICOM over TLS, on port {_TLS_PORT} unless told"
    )
    group.add_argument("--tls-ca", metavar="FILE", help="authority of the server (PEM)")
    group.add_argument("--tls-certificate", metavar="FILE", help="ours, if it wants one (PEM)")
    group.add_argument("--tls-key", metavar="FILE", help="its key, if in a file of its own (PEM)")
    group.add_argument(
        "--tls-any-name",
        action="store_true",
        help="take the server's certificate although it does not name the host",
    )


def _tls_of(args: argparse.Namespace) -> PeerTls | None:
    given = (args.tls, args.tls_ca, args.tls_certificate, args.tls_key, args.tls_any_name)
    if not any(given):
        return None
    from pylantir.dicom.peer import PeerTls

    return PeerTls(
        args.tls_ca,
        args.tls_certificate,
        args.tls_key,
        check_host_name=not args.tls_any_name,
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
