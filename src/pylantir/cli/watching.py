"""``explain`` and ``watch``: why a scanner does not show a booking, and what happens just now."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from pylantir.cli import audited, table
from pylantir.cli.chosen import item_meant
from pylantir.cli.opening import open_store
from pylantir.errors import ConfigProblem, ConfigurationError

if TYPE_CHECKING:
    from pylantir.clock import SiteClock
    from pylantir.dicom.explain import Explanation
    from pylantir.worklist.feed import Change, Cursor

_FITS = {True: "yes", False: "NO", None: "?"}


def configure_explain(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``explain``."""
    parser.add_argument("item", help="number, Study Instance UID or accession number of the item")
    parser.add_argument(
        "--ae", metavar="TITLE", help="AE title of the scanner; every known one when absent"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run_explain(args: argparse.Namespace) -> int:
    """Say key by key why a scanner shows a booking or not."""
    from pylantir.dicom.explain import explain, scanners
    from pylantir.worklist.instance import as_served

    with open_store(args, create=False) as worklist:
        item = item_meant(worklist, args.item)
        audited.read(worklist, item, args)
        titles = [args.ae] if args.ae else scanners(worklist.config, worklist.journal)
        if not titles:
            problem = "no scanner is named in the configuration, and none has asked yet"
            hint = "say which one with --ae TITLE"
            raise ConfigurationError([ConfigProblem("command line", "--ae", problem, hint)])
        today = worklist.clock.today()
        config = as_served(worklist.config)
        found = [
            explain(config, worklist.items, worklist.journal, item, title, today)
            for title in titles
        ]
    if args.json:
        table.write_json([_plain(each) for each in found])
        return 0
    for each in found:
        _show(each, worklist.clock)
    return 0


def _show(found: Explanation, clock: SiteClock) -> None:
    print(f"{found.ae_title}: {found.summary}")
    headers = ("WHAT", "ASKED", "HAS", "FITS", "TO CHANGE IT")
    rows = [
        [each.what, each.asked, each.has, _FITS[each.fits], each.remedy] for each in found.findings
    ]
    if rows:
        table.write_table(headers, rows)
    for each in found.queries:
        moment = clock.wall_of(each.at).strftime("%Y-%m-%d %H:%M:%S")
        print(f"asked {moment}: {', '.join(each.asked)}; {each.found} items")


def _plain(found: Explanation) -> dict[str, Any]:
    from dataclasses import asdict

    plain = asdict(found)
    for query in plain["queries"]:
        query["at"] = query["at"].isoformat()
    return plain


def configure_watch(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``watch``."""
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    parser.add_argument("--once", action="store_true", help="print what there is and exit")


def run_watch(args: argparse.Namespace) -> int:
    """Print queries, performed steps, changes and rounds of sources until a signal."""
    from pylantir.stopping import StopRequest
    from pylantir.worklist.feed import PAUSE_S, ChangeFeed, Cursor

    stop_request = StopRequest()
    with open_store(args, create=False) as worklist:
        feed = ChangeFeed(worklist.database, worklist.journal)
        cursor: Cursor = Cursor() if args.once else feed.now()
        if not args.once:
            stop_request.ask_on_signals()
            print("watching; stop with Ctrl-C", file=sys.stderr)
        while True:
            cursor, found = feed.since(cursor)
            for change in found:
                print(_line(change, worklist.clock, as_json=args.json), flush=True)
            if args.once or stop_request.wait_for(PAUSE_S):
                return 0


def _line(change: Change, clock: SiteClock, *, as_json: bool) -> str:
    if as_json:
        return json.dumps({"kind": change.kind, **change.data})
    now = clock.local_now().strftime("%H:%M:%S")
    return table.printable(f"{now}  {change.kind:5}  {_WORDS[change.kind](change.data)}")


_WORDS: dict[str, Any] = {
    "item": lambda data: f"item {data['id']}: {data['status']}, {data['date']}",
    "step": lambda data: (
        f"{data['ae_title']}: {data['status']}, "
        + (f"item {', '.join(map(str, data['items']))}" if data["items"] else "NO BOOKING")
    ),
    "sync": lambda data: (
        f"{data['source']}: {data['fetched']} fetched, {data['created']} created, "
        f"{data['updated']} updated, {data['withdrawn']} withdrawn, {data['rejected']} rejected"
    ),
    "query": lambda data: f"{data['ae_title']} asked and was shown {data['found']} items",
    "many": lambda data: f"more changes of kind {data['what']} than can be told one by one",
}
