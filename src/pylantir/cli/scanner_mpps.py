"""``test-mpps``: perform a procedure as a scanner would, N-CREATE and N-SET."""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import sys
from typing import TYPE_CHECKING

from pylantir.cli.opening import log_to_stderr
from pylantir.cli.scanner_report import (
    add_tls_options,
    attempt,
    count_of,
    no_warnings,
    note,
    peer_of,
    tell,
    told,
)
from pylantir.errors import InvalidItem, ValueProblem

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from pylantir.dicom.scu import Scanner

_OK, _FAILED = 0, 1
_UNSPECIFIED_REASON = "110513"
_PROTOCOL_NAME = "PYLANTIR TEST"


def configure_test_mpps(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``test-mpps``."""
    add_tls_options(parser)
    parser.add_argument(
        "--mpps-action",
        "--mpps_action",
        choices=("create", "set"),
        help="only begin the step, or only end it; both when absent",
    )
    parser.add_argument(
        "--mpps-status",
        "--mpps_status",
        choices=("COMPLETED", "DISCONTINUED"),
        default="COMPLETED",
        help="how the step ends (COMPLETED)",
    )
    parser.add_argument(
        "--study-uid", "--study_uid", metavar="UID", help="Study Instance UID of the item"
    )
    parser.add_argument("--accession", metavar="NUMBER", help="accession number of the item")
    parser.add_argument(
        "--sop-uid",
        "--sop_uid",
        metavar="UID",
        help="SOP Instance UID of the step; needed to end one that was begun before",
    )
    parser.add_argument(
        "--reason",
        metavar="CODE",
        help="why it is DISCONTINUED: 110500 to 110516; 110514 is a wrongly chosen item",
    )
    parser.add_argument(
        "--full",
        action="store_true",
        help="also read the step back and try to change it after its end",
    )


def run_test_mpps(args: argparse.Namespace) -> int:
    """Perform a procedure as a scanner would.

    Returns
    -------
    int
        0 when every request succeeded, 1 when one did not, 2 when it is not said what to perform.

    Raises
    ------
    ConfigurationError, InvalidItem
        An AE title or port out of bounds; an illegal UID or reason.
    """
    from pylantir.cli.scanner_report import fail_usage
    from pylantir.dicom import scu

    log_to_stderr(args)
    missing = _missing(args)
    if missing:
        return fail_usage(missing)
    _refuse_illegal_uids(args)
    now = dt.datetime.now().replace(microsecond=0)
    ending = _ending(args, now)
    peer = peer_of(args)
    with no_warnings(), contextlib.closing(scu.Scanner(peer)) as scanner:
        if attempt("association", lambda: scanner.accepted) is None:
            return _FAILED
        uid = args.sop_uid or scu.new_uid()
        if args.mpps_action != "set" and not _begin(scanner, args, uid, now):
            return _FAILED
        if args.mpps_action != "create" and not _end(scanner, uid, ending):
            return _FAILED
        if args.full and not _check(scanner, uid, None if args.mpps_action == "create" else ending):
            return _FAILED
    return _OK


def _missing(args: argparse.Namespace) -> str:
    if args.mpps_action == "set":
        return "" if args.sop_uid else "--mpps_action set needs --sop_uid, which create printed"
    if args.study_uid or args.accession:
        return ""
    return "test-mpps needs --study_uid or --accession; test-client shows what is scheduled"


def _refuse_illegal_uids(args: argparse.Namespace) -> None:
    from pylantir.worklist import values

    problems = []
    for flag, uid in (("--study_uid", args.study_uid), ("--sop_uid", args.sop_uid)):
        try:
            values.uid(uid or "")
        except ValueError as error:
            problems.append(ValueProblem(flag, uid, str(error)))
    if problems:
        raise InvalidItem(problems)


def _ending(args: argparse.Namespace, ended: dt.datetime) -> Dataset:
    from pylantir.dicom import scu

    reason = args.reason
    if reason is None and args.mpps_status == "DISCONTINUED":
        reason = _UNSPECIFIED_REASON
    return scu.final_attributes(
        args.mpps_status, ended, protocol_name=_PROTOCOL_NAME, reason=reason
    )


def _begin(scanner: Scanner, args: argparse.Namespace, uid: str, started: dt.datetime) -> bool:
    """Find the item, and say with N-CREATE that it is being performed."""
    from pylantir.dicom import scu

    found, item = _chosen(scanner, args)
    if not found:
        return False
    attributes = scu.step_attributes(
        item,
        station_ae_title=scanner.peer.calling_ae_title,
        started=started,
        study_instance_uid=args.study_uid,
    )
    result = attempt("N-CREATE", lambda: scanner.create(attributes, uid))
    if result is None or not told("N-CREATE", result.status, sys.stdout, "step is IN PROGRESS"):
        return False
    print(f"SOP Instance UID: {result.sop_instance_uid}")
    return True


def _chosen(scanner: Scanner, args: argparse.Namespace) -> tuple[bool, Dataset | None]:
    """Whether to go on, and the item on the worklist, if it is there."""
    from pylantir.dicom import scu

    keys = {"StudyInstanceUID": args.study_uid, "AccessionNumber": args.accession}
    identifier = scu.build_identifier({k: v for k, v in keys.items() if v})
    found = attempt("C-FIND", lambda: scanner.find(identifier))
    if found is None or not told("C-FIND", found.status, sys.stdout, count_of(found)):
        return False, None
    if not found.items:
        if not args.study_uid:
            tell("FAIL", "item", "no item has that accession number; --study_uid performs anyway")
            return False, None
        note("not on the worklist (any more): performed with the Study Instance UID alone")
        return True, None
    if len({str(item.get("StudyInstanceUID")) for item in found.items}) > 1:
        tell("FAIL", "item", "items of several studies match; choose one with --study_uid")
        return False, None
    if len(found.items) > 1:
        note("the study has several scheduled steps; the first one is performed")
    return True, found.items[0]


def _end(scanner: Scanner, uid: str, ending: Dataset) -> bool:
    """Say with N-SET how it ended."""
    result = attempt("N-SET", lambda: scanner.set(uid, ending))
    outcome = f"step is {ending.PerformedProcedureStepStatus}"
    return result is not None and told("N-SET", result.status, sys.stdout, outcome)


def _check(scanner: Scanner, uid: str, ending: Dataset | None) -> bool:
    """Read the step back; one that has ended must refuse a change (0x0110, Error ID 0xA710)."""
    from pylantir.dicom import scu

    expected = "IN PROGRESS" if ending is None else ending.PerformedProcedureStepStatus
    if scu.MPPS_RETRIEVE not in scanner.accepted:
        tell("SKIP", "N-GET", "the server does not offer the MPPS Retrieve SOP class")
    else:
        result = attempt("N-GET", lambda: scanner.get(uid))
        if result is None or result.attributes is None:
            return result is not None and told("N-GET", result.status)
        status = str(result.attributes.get("PerformedProcedureStepStatus", ""))
        same = status == expected
        tell("OK" if same else "FAIL", "N-GET", f"{result.status.words}, step is {status}")
        if not same:
            return False
    if ending is None:
        return True
    again = attempt("N-SET again", lambda: scanner.set(uid, ending))
    if again is None:
        return False
    refused = not again.status.is_success
    words = "refused, as it must be" if refused else "accepted, but an ended step must not change"
    tell("OK" if refused else "FAIL", "N-SET again", f"{again.status.words}: {words}")
    return refused
