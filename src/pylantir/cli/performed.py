"""Performed procedure steps on the command line: ``query-db --unlinked`` and ``link``."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from pylantir.cli import audited, table
from pylantir.cli.chosen import item_meant
from pylantir.cli.opening import open_store

if TYPE_CHECKING:
    from pylantir.daemon import Worklist
    from pylantir.worklist.step import LinkedStep


def configure_link(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``link``."""
    parser.add_argument("step", help="SOP Instance UID of the performed step")
    parser.add_argument("item", help="number, Study Instance UID or accession number of the item")
    parser.add_argument(
        "--position", type=int, metavar="N", help="which reference of the step, from 0"
    )


def run_link(args: argparse.Namespace) -> int:
    """Tie a performed step to a booking."""
    with open_store(args, create=False) as worklist:
        item = item_meant(worklist, args.item)
        linked = worklist.steps.link(args.step, item.item_id or 0, args.position, by=audited.who())
        audited.linked(worklist, linked, item)
        status = worklist.items.get(item.item_id or 0).status
    print(f"step {linked.step.sop_instance_uid} linked to item {item.item_id}, now {status}")
    return 0


def show_steps(worklist: Worklist, args: argparse.Namespace) -> int:
    """Print performed steps, or only those that belong to no booking."""
    steps = worklist.steps.all(unlinked=args.unlinked)
    audited.looked(worklist, args, len(steps))
    table.show_records([_record(step) for step in steps], args)
    kind = "unlinked performed steps" if args.unlinked else "performed steps"
    print(f"{len(steps)} {kind}", file=sys.stderr)
    if args.unlinked and steps:
        print("tie one to its booking with: pylantir link STEP ITEM", file=sys.stderr)
    return 0


def _record(linked: LinkedStep) -> dict[str, Any]:
    step = linked.step
    reason = step.discontinuation_reason
    return {
        "started": step.started.isoformat(" "),
        "ended": step.ended.isoformat(" ") if step.ended else "",
        "status": step.status.value,
        "station": step.performed_station_ae_title,
        "patient_name": step.patient_name,
        "patient_id": step.patient_id,
        "modality": step.modality,
        "reason": f"{reason.value} {reason.meaning}".strip() if reason else "",
        "items": "\\".join(map(str, linked.item_ids)),
        "violations": "; ".join(step.violations),
        "sop_instance_uid": step.sop_instance_uid,
    }
