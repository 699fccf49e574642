"""``test-client`` and ``test-mpps``: what a scanner would ask of a server and tell it."""

from __future__ import annotations

import argparse
import contextlib
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pylantir.cli.opening import log_to_stderr
from pylantir.cli.scanner_mpps import configure_test_mpps, run_test_mpps
from pylantir.cli.scanner_report import (
    add_tls_options,
    attempt,
    count_of,
    no_warnings,
    note,
    peer_of,
    told,
)

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from pylantir.dicom.scu import FindResult

__all__ = [
    "configure_test_client",
    "configure_test_mpps",
    "date_key",
    "run_test_client",
    "run_test_mpps",
]

_OK, _FAILED = 0, 1
_DA_RANGE = re.compile(r"[0-9]{8}-([0-9]{8})?|-[0-9]{8}")

_COLUMNS = (
    ("DATE", "ScheduledProcedureStepStartDate"),
    ("TIME", "ScheduledProcedureStepStartTime"),
    ("STATUS", "ScheduledProcedureStepStatus"),
    ("NAME", "PatientName"),
    ("PATIENT ID", "PatientID"),
    ("STATION", "ScheduledStationAETitle"),
    ("MOD", "Modality"),
    ("PROCEDURE", "ScheduledProcedureStepDescription"),
    ("ACCESSION", "AccessionNumber"),
    ("STUDY INSTANCE UID", "StudyInstanceUID"),
)


def configure_test_client(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``test-client``."""
    add_tls_options(parser)
    parser.add_argument("--station", metavar="TITLE", help="scheduled station AE title")
    parser.add_argument("--modality", metavar="CODE", help="modality, such as MR")
    parser.add_argument(
        "--date",
        type=date_key,
        metavar="DAY",
        help="today, YYYY-MM-DD, FROM..TO, FROM.., ..TO or any (the default)",
    )
    parser.add_argument("--name", metavar="PATTERN", help="patient's name; * and ? are wild cards")
    parser.add_argument("--patient-id", metavar="ID", help="patient ID")
    parser.add_argument("--json", action="store_true", help="print the items as DICOM JSON")
    parser.add_argument(
        "keys",
        nargs="*",
        type=_keyword_and_value,
        metavar="KEYWORD=VALUE",
        help="any other key, such as AccessionNumber=A1 or RequestedProcedureID=",
    )


def date_key(text: str) -> str:
    """A DICOM date key from what people write.

    Parameters
    ----------
    text : str
        ``today``, a day, ``FROM..TO`` with either end open, a DICOM range, or ``any``.

    Raises
    ------
    ArgumentTypeError
        Anything else.
    """
    if text in ("", "any", "*"):
        return ""
    if _DA_RANGE.fullmatch(text):
        return text
    try:
        if ".." not in text:
            return _day(text)
        first, last = (_day(end) if end else "" for end in text.split("..", 1))
    except ValueError as error:
        message = f"expected today, YYYY-MM-DD, FROM..TO or any, got {text!r} ({error})"
        raise argparse.ArgumentTypeError(message) from None
    return f"{first}-{last}" if first or last else ""


def _day(text: str) -> str:
    from pylantir import clock

    if text == "today":
        return clock.as_da(clock.SiteClock().today())
    return clock.as_da(clock.parse_date(text))


def _keyword_and_value(text: str) -> tuple[str, str]:
    keyword, equals, value = text.partition("=")
    if not equals or not keyword.strip():
        raise argparse.ArgumentTypeError(f"expected KEYWORD=VALUE, got {text!r}")
    return keyword.strip(), value


def run_test_client(args: argparse.Namespace) -> int:
    """Send C-ECHO and C-FIND as a scanner would, and show what comes back.

    Returns
    -------
    int
        0 when both succeeded, else 1.

    Raises
    ------
    ConfigurationError, InvalidQuery
        An AE title or port out of bounds, a key that does not exist.
    """
    from pylantir.dicom import scu

    log_to_stderr(args)
    keys = _query_keys(args)
    identifier = scu.build_identifier(keys)
    steps = sys.stderr if args.json else sys.stdout
    peer = peer_of(args)
    with no_warnings():
        scanner = scu.Scanner(peer, (scu.VERIFICATION, scu.WORKLIST_FIND))
        with contextlib.closing(scanner):
            echoed = attempt("C-ECHO", scanner.echo, steps)
            if echoed is None or not told("C-ECHO", echoed, steps):
                return _FAILED
            found = attempt("C-FIND", lambda: scanner.find(identifier), steps)
        if found is None or not told("C-FIND", found.status, steps, count_of(found)):
            return _FAILED
        _show(found, keys, as_json=args.json)
    return _OK


def _query_keys(args: argparse.Namespace) -> dict[str, str]:
    keys = {
        "ScheduledStationAETitle": args.station,
        "Modality": args.modality,
        "ScheduledProcedureStepStartDate": args.date,
        "PatientName": args.name,
        "PatientID": args.patient_id,
    }
    chosen = {keyword: value for keyword, value in keys.items() if value is not None}
    return chosen | {keyword: _on_the_wire(keyword, value) for keyword, value in args.keys}


def _on_the_wire(name: str, value: str) -> str:
    """Dates may be written as people write them; all else, mistakes included, goes as it is."""
    from pydicom.datadict import dictionary_VR

    from pylantir.dicom.scu_identifier import keyword_of

    try:
        is_date = dictionary_VR(keyword_of(name.rpartition(".")[2])) == "DA"
        return date_key(value) if is_date else value
    except (ValueError, argparse.ArgumentTypeError):
        return value


def _show(found: FindResult, keys: dict[str, str], *, as_json: bool) -> None:
    from pylantir.cli import table
    from pylantir.dicom.scu_identifier import key_path

    if 0xFF01 in found.pending_codes:
        note("the server does not match on every optional key of this query (0xFF01)")
    if as_json:
        table.write_json([i.to_json_dict(suppress_invalid_tags=True) for i in found.items])
        return
    shown = {keyword for _, keyword in _COLUMNS}
    extra = {name: key_path(name) for name in keys}
    columns = [(header, key_path(keyword)) for header, keyword in _COLUMNS]
    columns += [(path[-1], path) for path in extra.values() if path[-1] not in shown]
    if found.items:
        rows = [[_cell(item, path) for _, path in columns] for item in found.items]
        table.write_table([header for header, _ in columns], rows)


def _cell(item: Dataset, path: Sequence[str]) -> str:
    """One value for people; control characters that a server may send stay harmless."""
    for keyword in path[:-1]:
        items = item.get(keyword)
        if not items:
            return ""
        item = items[0]
    if path[-1] not in item:
        return ""
    element = item[path[-1]]
    if element.VR == "SQ":
        return f"{len(element.value or ())} items"
    value = element.value
    many = value if element.VM > 1 else [value]
    text = "\\".join(_for_people(element.VR, "" if v is None else str(v)) for v in many)
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _for_people(vr: str, text: str) -> str:
    from pylantir import clock

    try:
        if vr == "DA" and text:
            return clock.parse_date(text).isoformat()
        if vr == "TM" and text:
            return clock.as_iso_time(clock.parse_time(text))
    except ValueError:
        return text  # a mistake of the server's is shown as it is
    return text
