"""``sync``: bringing bookings in without serving them."""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pylantir.cli import table
from pylantir.cli.opening import load, log_level, open_store
from pylantir.errors import ConfigProblem, ConfigurationError, SourceError

if TYPE_CHECKING:
    from pylantir.config.load import LoadedConfig
    from pylantir.config.schema import DataSource
    from pylantir.daemon import Worklist
    from pylantir.sources.base import Progress
    from pylantir.sync import Synchronizer, SyncReport


def configure_sync(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``sync``."""
    parser.add_argument("--source", metavar="NAME", help="only this source")
    parser.add_argument("--once", action="store_true", help="one round, then exit")
    parser.add_argument(
        "--dry-run", action="store_true", help="print what would be done and write nothing"
    )
    parser.add_argument("--full", action="store_true", help="compare everything in the window")
    parser.add_argument(
        "--accept-withdrawals",
        action="store_true",
        help="withdraw however many bookings have vanished: you have looked at the source",
    )


def run_sync(args: argparse.Namespace) -> int:
    """Sync without serving: one round, a dry run, or until a signal."""
    loaded = load(args)
    entries = _entries(loaded, args.source)
    with open_store(args, rehearse=args.dry_run) as worklist:
        if not (args.once or args.dry_run or args.full or args.accept_withdrawals):
            return _keep_syncing(args, loaded, worklist)
        outcomes = [_one_round(args, loaded, worklist, entry) for entry in entries]
    return 0 if all(outcomes) else 1


def _entries(loaded: LoadedConfig, name: str | None) -> list[DataSource]:
    enabled = [entry for entry in loaded.config.data_sources if entry.enabled]
    if name is None:
        return enabled
    chosen = [entry for entry in enabled if entry.name == name]
    if not chosen:
        names = ", ".join(entry.name for entry in enabled) or "none is enabled"
        raise ConfigurationError(
            [ConfigProblem("command line", "--source", f"no enabled source {name!r}", names)]
        )
    return chosen


def _keep_syncing(args: argparse.Namespace, loaded: LoadedConfig, worklist: Worklist) -> int:
    from pylantir import logs
    from pylantir.polling import pollers
    from pylantir.stopping import StopRequest

    logs.configure(log_level(args, logging.INFO))
    stop_request = StopRequest()
    stop_request.ask_on_signals()
    running = pollers(
        loaded.config, loaded.environ, worklist.database, worklist.clock, worklist.audit
    )
    for poller in running:
        poller.start()
    stop_request.wait()
    for poller in running:
        poller.stop()
    return 0


def _one_round(
    args: argparse.Namespace, loaded: LoadedConfig, worklist: Worklist, entry: DataSource
) -> bool:
    try:
        with (
            table.progress_bar(f"asking {entry.name}") as progress,
            _synchronizer(loaded, worklist, entry, progress) as synchronizer,
        ):
            report = synchronizer.run_once(
                dry_run=args.dry_run,
                full=args.full,
                accept_withdrawals=args.accept_withdrawals,
            )
    except (SourceError, ConfigurationError) as error:
        print(f"FAIL  {entry.name}: {error}", file=sys.stderr)
        return False
    if args.dry_run:
        _print_plan(report)
    print(f"OK    {entry.name}: {report.summary}", file=sys.stderr)
    for note in report.notes:
        print(f"      {note}", file=sys.stderr)
    if report.frozen:
        print(
            "      FROZEN: most bookings would vanish at once. Look at the source; if it is right, "
            "run again with --accept-withdrawals",
            file=sys.stderr,
        )
    return not report.frozen


@contextlib.contextmanager
def _synchronizer(
    loaded: LoadedConfig, worklist: Worklist, entry: DataSource, progress: Progress
) -> Iterator[Synchronizer]:
    from pylantir.polling import settings_for
    from pylantir.sources import make_source
    from pylantir.sync import Synchronizer

    settings = settings_for(entry, loaded.config, loaded.environ, worklist.clock)
    source = make_source(entry.type, settings)
    source.progress = progress
    try:
        yield Synchronizer(entry.name, source, worklist.database, worklist.clock, worklist.audit)
    finally:
        source.close()


def _print_plan(report: SyncReport) -> None:
    rows = [list(row) for row in _plan_rows(report)]
    headers = ("WHAT", "RECORD", "DATE", "TIME", "NAME", "PATIENT ID", "STATION", "WHY")
    if rows:
        table.write_table(headers, rows)


def _plan_rows(report: SyncReport) -> Iterator[tuple[str, ...]]:
    plan = report.plan
    for what, items in (("create", plan.created), ("change", plan.changed)):
        for item in items:
            yield (what, *_cells(item), "")
    for each, reason in plan.withdrawn:
        yield ("withdraw", *_cells(each.item), reason)
    for each in plan.missing:
        yield ("missing", *_cells(each.item), "to be confirmed by the next round")
    for each, _ in plan.held_back:
        yield ("hold back", *_cells(each.item), f"is {each.item.status}")
    for record in report.rejected:
        why = "; ".join(map(str, record.problems))
        yield ("reject", record.record_id, "", "", "", "", "", why)


def _cells(item: Any) -> tuple[str, ...]:
    return (
        item.source_record_id,
        item.scheduled_procedure_step_start_date.isoformat(),
        item.scheduled_procedure_step_start_time.isoformat("minutes"),
        item.patient_name,
        item.patient_id,
        "\\".join(item.scheduled_station_ae_title),
    )
