"""``sync`` and ``sources``: bringing bookings in, and how their sources are doing."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pylantir.cli import table
from pylantir.cli.opening import load, log_level, open_store
from pylantir.errors import ConfigProblem, ConfigurationError, SourceError

if TYPE_CHECKING:
    from pylantir.config.load import LoadedConfig
    from pylantir.config.schema import DataSource
    from pylantir.daemon import Worklist
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
    with open_store(args) as worklist:
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

    logs.configure(log_level(args, logging.INFO))
    stopping = threading.Event()
    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: stopping.set())
    running = pollers(loaded.config, loaded.environ, worklist.database, worklist.clock)
    for poller in running:
        poller.start()
    while not stopping.wait(0.5):
        pass
    for poller in running:
        poller.stop()
    return 0


def _one_round(
    args: argparse.Namespace, loaded: LoadedConfig, worklist: Worklist, entry: DataSource
) -> bool:
    synchronizer = _synchronizer(loaded, worklist, entry)
    try:
        with table.busy(f"asking {entry.name}"):
            report = synchronizer.run_once(
                dry_run=args.dry_run,
                full=args.full,
                accept_withdrawals=args.accept_withdrawals,
            )
    except SourceError as error:
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


def _synchronizer(loaded: LoadedConfig, worklist: Worklist, entry: DataSource) -> Synchronizer:
    from pylantir.polling import settings_for
    from pylantir.sources import make_source
    from pylantir.sync import Synchronizer

    settings = settings_for(entry, loaded.config, loaded.environ, worklist.clock)
    source = make_source(entry.type, settings)
    return Synchronizer(entry.name, source, worklist.database, worklist.clock)


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


def configure_sources(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``sources``."""
    parser.add_argument(
        "--forget", metavar="NAME", help="drop what is remembered of a source that is gone"
    )
    parser.add_argument("--rejected", action="store_true", help="records that are no bookings")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run_sources(args: argparse.Namespace) -> int:
    """Print how the sources are doing."""
    from pylantir.worklist.sources import SourceStore

    loaded = load(args)
    with open_store(args, create=False) as worklist:
        store = SourceStore(worklist.database)
        if args.forget:
            return _forget(args.forget, loaded, store)
        records = _rejections(store) if args.rejected else _states(loaded, store)
    if args.json:
        table.write_json(records)
    elif records:
        headers = [name.upper().replace("_", " ") for name in records[0]]
        rows = [[str(value) for value in record.values()] for record in records]
        table.write_table(headers, rows)
    else:
        print("nothing to show", file=sys.stderr)
    return 0


def _states(loaded: LoadedConfig, store: Any) -> list[dict[str, Any]]:
    counts = store.item_counts()
    remembered = {state.name: state for state in store.states()}
    configured = {entry.name: entry for entry in loaded.config.data_sources}
    names = [*configured, *sorted((set(remembered) | set(counts)) - set(configured))]
    records = []
    for name in names:
        entry, state = configured.get(name), remembered.get(name)
        number = counts.get(name, {})
        records.append(
            {
                "source": name,
                "type": entry.type if entry else "",
                "state": _state_word(entry, state),
                "last_success": (state.last_success if state else "") or "never",
                "next_run": state.next_run if state and state.failures else "",
                "scheduled": number.get("SCHEDULED", 0),
                "items": sum(number.values()),
                "rejected": len(store.rejections(name)),
                "last_error": state.last_error if state else "",
                "notes": "; ".join(state.notes) if state else "",
            }
        )
    return records


def _state_word(entry: DataSource | None, state: Any) -> str:
    if entry is None:
        return "orphan" if state is not None else "items only"
    if not entry.enabled:
        return "disabled"
    if state is None:
        return "never run"
    return f"failing ({state.failures})" if state.failures else "ok"


def _forget(name: str, loaded: LoadedConfig, store: Any) -> int:
    if any(entry.name == name for entry in loaded.config.data_sources):
        problem = f"source {name!r} is still configured"
        raise ConfigurationError(
            [ConfigProblem("command line", "--forget", problem, "remove it there first")]
        )
    withdrawn = store.forget(name)
    print(f"source {name} forgotten, {withdrawn} scheduled items cancelled")
    return 0


def _rejections(store: Any) -> list[dict[str, Any]]:
    return [
        {
            "source": rejection.source,
            "record": rejection.record_id,
            "since": rejection.first_seen,
            "reasons": rejection.reasons,
        }
        for rejection in store.rejections()
    ]
