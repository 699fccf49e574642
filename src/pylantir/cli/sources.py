"""``sources``: how the sources are doing, what they named in vain, and which are gone."""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pylantir.cli import audited, table
from pylantir.cli.opening import has_database, load, open_store, wants_demo
from pylantir.errors import ConfigProblem, ConfigurationError

if TYPE_CHECKING:
    from pylantir.clock import SiteClock
    from pylantir.config.load import LoadedConfig
    from pylantir.config.schema import DataSource
    from pylantir.daemon import Worklist
    from pylantir.worklist.sources import SourceState, SourceStore


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``sources``."""
    parser.add_argument(
        "--forget", metavar="NAME", help="drop what is remembered of a source that is gone"
    )
    parser.add_argument("--rejected", action="store_true", help="records that are no bookings")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print how the sources are doing."""
    loaded = load(args)
    if not (args.forget or wants_demo(args) or has_database(loaded)):
        _write(args, [] if args.rejected else [_record(entry.name, entry) for entry in _of(loaded)])
        return 0
    from pylantir.worklist.sources import SourceStore

    with open_store(args, create=False) as worklist:
        store = SourceStore(worklist.database)
        if args.forget:
            return _forget(args.forget, loaded, store, worklist)
        if args.rejected:
            records = _rejections(store)
            audited.looked(worklist, args, len(records))
        else:
            records = _states(loaded, store, worklist)
    _write(args, records)
    return 0


def _of(loaded: LoadedConfig) -> Sequence[DataSource]:
    return loaded.config.data_sources


def _write(args: argparse.Namespace, records: list[dict[str, Any]]) -> None:
    if args.json:
        table.write_json(records)
    elif records:
        headers = [name.upper().replace("_", " ") for name in records[0]]
        rows = [[str(value) for value in record.values()] for record in records]
        table.write_table(headers, rows)
    else:
        print("nothing to show", file=sys.stderr)


def _states(loaded: LoadedConfig, store: SourceStore, worklist: Worklist) -> list[dict[str, Any]]:
    from pylantir.worklist.outbox import Outbox

    clock = worklist.clock
    counts = store.item_counts()
    held_back = store.held_back_counts(clock.today() - dt.timedelta(days=1))
    remembered = {state.name: state for state in store.states()}
    configured = {entry.name: entry for entry in _of(loaded)}
    names = [*configured, *sorted((set(remembered) | set(counts)) - set(configured))]
    troubles = Outbox(worklist.database).troubles()
    records = []
    for name in names:
        entry, state = configured.get(name), remembered.get(name)
        record = _record(name, entry, state)
        record["next_run"] = _next_run(entry, state, clock)
        record["scheduled"] = counts.get(name, {}).get("SCHEDULED", 0)
        record["items"] = sum(counts.get(name, {}).values())
        record["rejected"] = len(store.rejections(name))
        record["held_back"] = held_back.get(name, 0)
        record["notes"] = "; ".join(filter(None, (record["notes"], troubles.get(name))))
        records.append(record)
    return records


def _record(
    name: str, entry: DataSource | None, state: SourceState | None = None
) -> dict[str, Any]:
    return {
        "source": name,
        "type": entry.type if entry else "",
        "state": _state_word(entry, state),
        "last_success": state.last_success if state else "",
        "next_run": "",
        "scheduled": 0,
        "items": 0,
        "rejected": 0,
        "held_back": 0,
        "last_error": state.last_error if state else "",
        "notes": "; ".join(state.notes) if state else "",
    }


def _next_run(entry: DataSource | None, state: SourceState | None, clock: SiteClock) -> str:
    """When a running server asks next; a source that fails is asked after its pause."""
    from pylantir.hours import next_round

    if entry is None or not entry.enabled or state is None or not state.last_attempt:
        return ""
    return state.next_run if state.failures else next_round(entry, state.last_attempt, clock)


def _state_word(entry: DataSource | None, state: SourceState | None) -> str:
    if entry is None:
        return "orphan" if state is not None else "items only"
    if not entry.enabled:
        return "disabled"
    if state is None:
        return "never run"
    if state.failures:
        return f"failing ({state.failures})"
    return "frozen" if state.is_frozen else "ok"


def _forget(name: str, loaded: LoadedConfig, store: SourceStore, worklist: Worklist) -> int:
    from pylantir.config.schema import BY_HAND

    if any(entry.name == name for entry in loaded.config.data_sources):
        problem = f"source {name!r} is still configured"
        raise ConfigurationError(
            [ConfigProblem("command line", "--forget", problem, "remove it there first")]
        )
    kept = {*(entry.name for entry in _of(loaded)), *BY_HAND}
    gone = {*(state.name for state in store.states()), *store.item_counts()} - kept
    if name not in gone:
        problem, hint = f"nothing is remembered of a source {name!r}", ", ".join(sorted(gone))
        raise ConfigurationError([ConfigProblem("command line", "--forget", problem, hint)])
    withdrawn = store.forget(name)
    words = f"{withdrawn} scheduled items cancelled"
    audited.configured(worklist.audit, f"source {name}", f"forgotten, {words}")
    print(f"source {name} forgotten, {words}")
    return 0


def _rejections(store: SourceStore) -> list[dict[str, Any]]:
    return [
        {
            "source": rejection.source,
            "record": rejection.record_id,
            "since": rejection.first_seen,
            "reasons": rejection.reasons,
        }
        for rejection in store.rejections()
    ]
