"""``query-db``, ``add`` and ``cancel``: looking at bookings and changing them by hand."""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pylantir.cli import audited, performed, table
from pylantir.cli.chosen import item_meant
from pylantir.cli.filters import add_filters, query_of
from pylantir.cli.opening import open_store
from pylantir.errors import InvalidItem, ValueProblem

if TYPE_CHECKING:
    from pylantir.daemon import Worklist

_COLUMNS = (
    ("ID", "id"),
    ("DATE", "scheduled_start_date"),
    ("TIME", "scheduled_start_time"),
    ("STATUS", "performed_procedure_step_status"),
    ("NAME", "patient_name"),
    ("PATIENT ID", "patient_id"),
    ("STATION", "scheduled_station_aetitle"),
    ("MOD", "modality"),
    ("PROCEDURE", "scheduled_procedure_step_description"),
    ("ACCESSION", "accession_number"),
    ("STUDY INSTANCE UID", "study_instance_uid"),
)
_DEFAULT_LIMIT = 100
_MANUAL = "manual"


def configure_query(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``query-db``."""
    add_filters(parser)
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="print JSON")
    shape.add_argument("--csv", action="store_true", help="print CSV")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--unlinked", action="store_true", help="performed steps that belong to no booking"
    )
    what.add_argument("--steps", action="store_true", help="all performed steps")
    what.add_argument("--rejected", action="store_true", help="rows that cannot be served, and why")


def run_query(args: argparse.Namespace) -> int:
    """Print items, performed steps or rejected rows."""
    with open_store(args, create=False) as worklist:
        if args.unlinked or args.steps:
            return performed.show_steps(worklist, args)
        if args.rejected:
            return _show_rejected(worklist, args)
        return _show_items(worklist, args)


def _show_items(worklist: Worklist, args: argparse.Namespace) -> int:
    from pylantir.worklist.plain import plain_item

    query = query_of(args, worklist.clock.today())
    limit = None if args.all else query.limit or _DEFAULT_LIMIT
    found = worklist.items.find(replace(query, limit=None))
    shown = found if limit is None else found[:limit]
    records = [plain_item(item) for item in shown]
    if args.json:
        table.write_json(records)
    elif args.csv:
        from pylantir.worklist.textfiles import write_csv

        sys.stdout.write(write_csv(shown).replace("\r\n", "\n"))
    elif records:
        rows = [[table.cell(record[name]) for _, name in _COLUMNS] for record in records]
        table.write_table([header for header, _ in _COLUMNS], rows)
    print(_note(len(shown), len(found), worklist.items.count()), file=sys.stderr)
    audited.looked(worklist, args, len(shown))
    return 0


def _note(shown: int, found: int, total: int) -> str:
    if shown < found:
        return f"{shown} of {found} matching items shown; --all shows them"
    note = f"{found} of {total} items match"
    return f"{note}; leave out a filter to see more" if total and not found else note


def _show_rejected(worklist: Worklist, args: argparse.Namespace) -> int:
    rejected = worklist.items.rejected()
    audited.looked(worklist, args, len(rejected))
    records: list[dict[str, Any]] = [
        {
            "id": row.item_id,
            "source": row.data_source,
            "record": row.source_record_id,
            "reason": row.reason,
        }
        for row in rejected
    ]
    table.show_records(records, args)
    print(f"{len(records)} rejected rows", file=sys.stderr)
    return 0


def configure_add(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``add``."""
    parser.add_argument("--name", metavar="FAMILY^GIVEN", help="patient name")
    parser.add_argument("--id", dest="patient_id", metavar="ID", help="patient id")
    parser.add_argument("--phantom", action="store_true", help="a phantom scan: fills name and id")
    parser.add_argument("--modality", default="MR", help="default: MR")
    parser.add_argument("--station", metavar="AE", help="AE title of the scanner; any when absent")
    parser.add_argument("--date", default="today", help="today (default) or YYYY-MM-DD")
    parser.add_argument("--time", default="now", help="now (default) or HH:MM")
    parser.add_argument("--description", metavar="TEXT", help="what shall be done")
    parser.add_argument("--accession", metavar="NUMBER", help="accession number")
    parser.add_argument(
        "values", nargs="*", metavar="KEY=VALUE", help="any other field or DICOM keyword"
    )


def run_add(args: argparse.Namespace) -> int:
    """Keep a new item and print its number and Study Instance UID."""
    from pylantir.worklist import identity
    from pylantir.worklist.item import make_item

    with open_store(args) as worklist:
        try:
            item = make_item(
                _given(args, worklist.clock.local_now()),
                data_source=_MANUAL,
                source_record_id=identity.new_record(),
                authority=worklist.authority,
            )
        except InvalidItem as error:
            raise InvalidItem([_as_typed(problem) for problem in error.problems]) from None
        added = worklist.items.add(item, by=audited.who())
        audited.created(worklist, [added])
    print(f"item {added.item_id}")
    print(f"StudyInstanceUID {added.study_instance_uid}")
    return 0


_FLAGS = {
    "patient_name": "--name",
    "patient_id": "--id",
    "modality": "--modality",
    "scheduled_station_ae_title": "--station",
    "scheduled_procedure_step_start_date": "--date",
    "scheduled_procedure_step_start_time": "--time",
    "scheduled_procedure_step_description": "--description",
    "accession_number": "--accession",
}


def _as_typed(problem: ValueProblem) -> ValueProblem:
    """The problem under the name of the option that the person used."""
    flag = _FLAGS.get(problem.field)
    return replace(problem, field=f"{flag} ({problem.field})") if flag else problem


def _given(args: argparse.Namespace, now: dt.datetime) -> dict[str, Any]:
    values: dict[str, Any] = {
        "patient_name": args.name,
        "patient_id": args.patient_id,
        "modality": args.modality,
        "scheduled_station_ae_title": args.station,
        "scheduled_procedure_step_start_date": now.date() if args.date == "today" else args.date,
        "scheduled_procedure_step_start_time": (
            now.time().replace(second=0, microsecond=0) if args.time == "now" else args.time
        ),
        "scheduled_procedure_step_description": args.description,
        "accession_number": args.accession,
    }
    if args.phantom:
        values["patient_name"] = values["patient_name"] or "PHANTOM^QA"
        values["patient_id"] = values["patient_id"] or f"PHANTOM-{now:%Y%m%d-%H%M%S}"
        description = "scheduled_procedure_step_description"
        values[description] = values[description] or "Phantom"
    for pair in args.values:
        name, equals, value = pair.partition("=")
        if not equals:
            raise InvalidItem([ValueProblem(pair, "", "expected KEY=VALUE")])
        values[name] = value
    return values


def configure_cancel(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``cancel``."""
    parser.add_argument("item", help="number, Study Instance UID or accession number of the item")


def run_cancel(args: argparse.Namespace) -> int:
    """Cancel a booking that no scanner has begun."""
    from pylantir.worklist.status import ItemStatus

    with open_store(args, create=False) as worklist:
        item = item_meant(worklist, args.item)
        worklist.items.set_status(item.item_id or 0, ItemStatus.CANCELLED, by=audited.who())
        audited.cancelled(worklist, item)
    print(f"item {item.item_id} cancelled")
    return 0
