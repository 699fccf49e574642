"""``sync``: bringing bookings in without serving them."""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import logging
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pylantir.cli import table
from pylantir.cli.opening import load, log_level, open_store
from pylantir.errors import ConfigProblem, ConfigurationError, PylantirError, StoreError

if TYPE_CHECKING:
    from pylantir.config.load import LoadedConfig
    from pylantir.config.schema import DataSource
    from pylantir.daemon import Worklist
    from pylantir.sources.rounds import SyncReport

log = logging.getLogger(__name__)


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
    if not entries:
        print("no data source is enabled, so there is nothing to sync", file=sys.stderr)
        return 0
    with open_store(args, rehearse=args.dry_run) as worklist:
        if not (args.once or args.dry_run or args.full or args.accept_withdrawals):
            return _keep_syncing(args, loaded, worklist, entries)
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


def _keep_syncing(
    args: argparse.Namespace,
    loaded: LoadedConfig,
    worklist: Worklist,
    entries: Sequence[DataSource],
) -> int:
    from pylantir import logs
    from pylantir.polling import pollers
    from pylantir.stopping import StopRequest

    logs.configure(log_level(args, logging.INFO))
    stop_request = StopRequest()
    stop_request.ask_on_signals()
    config = loaded.config.model_copy(update={"data_sources": tuple(entries)})
    running = pollers(config, loaded.environ, worklist.database, worklist.clock, worklist.audit)
    for poller in running:
        poller.start()
    stop_request.wait()
    for poller in running:
        poller.stop()
    return 0


def _one_round(
    args: argparse.Namespace, loaded: LoadedConfig, worklist: Worklist, entry: DataSource
) -> bool:
    from pylantir.polling import defect

    try:
        report = _asked(args, loaded, worklist, entry)
    except StoreError:
        raise
    except PylantirError as error:
        return _failed(args, worklist, entry, error)
    except Exception as error:  # a door: the defect of one source keeps no other from being asked
        log.debug("cause", exc_info=True)
        return _failed(args, worklist, entry, defect(error))
    if args.dry_run:
        _print_plan(report)
    print(
        f"{'STOP' if report.frozen else 'OK':<4}  {entry.name}: {report.summary}", file=sys.stderr
    )
    for note in report.notes:
        print(f"      {note}", file=sys.stderr)
    if report.frozen:
        print(
            "      FROZEN: most bookings would vanish at once. Look at the source; if it is right, "
            "run again with --accept-withdrawals",
            file=sys.stderr,
        )
    return not report.frozen


def _asked(
    args: argparse.Namespace, loaded: LoadedConfig, worklist: Worklist, entry: DataSource
) -> SyncReport:
    from pylantir.polling import send_reports, settings_for
    from pylantir.sources import make_source
    from pylantir.sync import Synchronizer

    database, clock = worklist.database, worklist.clock
    source = make_source(entry.type, settings_for(entry, loaded.config, loaded.environ, clock))
    with (
        contextlib.closing(source),
        table.progress_bar(f"asking {entry.name}") as source.progress,
    ):
        report = Synchronizer(entry.name, source, database, clock, worklist.audit).run_once(
            dry_run=args.dry_run, full=args.full, accept_withdrawals=args.accept_withdrawals
        )
        if not args.dry_run:
            send_reports(entry, source, database, clock)
    return report


def _failed(
    args: argparse.Namespace, worklist: Worklist, entry: DataSource, error: PylantirError
) -> bool:
    """Say it, and remember it for ``pylantir sources``."""
    words = str(error).removeprefix(f"source {entry.name}: ")
    print(f"FAIL  {entry.name}: {words}", file=sys.stderr)
    if not args.dry_run:
        from pylantir.worklist.sources import SourceStore

        now = worklist.clock.now()
        due = now + dt.timedelta(seconds=entry.sync_interval)
        SourceStore(worklist.database).note_failure(entry.name, str(error), now, due)
    return False


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
