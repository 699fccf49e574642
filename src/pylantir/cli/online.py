"""``check-config --online``: log in to each source, read one booking, show what comes of it."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pylantir.cli import table
from pylantir.errors import ConfigurationError, InvalidItem, SourceError

if TYPE_CHECKING:
    from pylantir.config.load import LoadedConfig
    from pylantir.config.schema import Config, DataSource
    from pylantir.sources.base import Batch, Source, SourceRecord
    from pylantir.worklist.item import WorklistItem

log = logging.getLogger(__name__)


def explain_sources(loaded: LoadedConfig) -> list[DataSource]:
    """Make every enabled source without touching the network; say how each was understood.

    Returns
    -------
    list of DataSource
        Those that can be made.
    """
    enabled = [entry for entry in loaded.config.data_sources if entry.enabled]
    return [entry for entry in enabled if _explained(loaded, entry)]


def try_sources(loaded: LoadedConfig, entries: Sequence[DataSource]) -> bool:
    """Ask sources for a booking; returns whether all answered, with usable ones if any."""
    outcomes = [_tried(loaded, entry) for entry in entries]
    return all(outcomes)


def _made(loaded: LoadedConfig, entry: DataSource) -> Source:
    from pylantir.clock import SiteClock
    from pylantir.polling import settings_for
    from pylantir.sources import make_source

    clock = SiteClock(loaded.config.timezone)
    settings = settings_for(entry, loaded.config, loaded.environ, clock)
    return make_source(entry.type, settings)


def _explained(loaded: LoadedConfig, entry: DataSource) -> bool:
    try:
        source = _made(loaded, entry)
        lines = source.explain()
        source.close()
    except ConfigurationError as error:
        # A secret may be missing where the file is written and be there where it is used.
        wrong = [problem for problem in error.problems if problem.path]
        for problem in error.problems:
            print(f"{'FAIL' if problem in wrong else 'WARN'}  {problem}", file=sys.stderr)
        return not wrong
    except Exception as error:  # a door: a source of another package may have any defect
        log.debug("cause", exc_info=True)
        return _confessed(entry, error)
    for line in lines:
        print(f"    {entry.name}: {line}")
    return True


def _confessed(entry: DataSource, error: Exception) -> bool:
    from pylantir.polling import defect

    print(f"FAIL  {entry.name}: {defect(error)}", file=sys.stderr)
    return False


def _tried(loaded: LoadedConfig, entry: DataSource) -> bool:
    try:
        with contextlib.closing(_made(loaded, entry)) as source:
            words, item = _one_booking(source, entry)
    except (SourceError, ConfigurationError, InvalidItem) as error:
        print(f"FAIL  {entry.name}: {error}", file=sys.stderr)
        return False
    except Exception as error:  # a door: a source of another package may have any defect
        log.debug("cause", exc_info=True)
        return _confessed(entry, error)
    print(f"OK    {entry.name}: answers{words}")
    if item is not None:
        _show(item, loaded.config)
    return True


def _one_booking(source: Source, entry: DataSource) -> tuple[str, WorklistItem | None]:
    """A booking to scan, of today or else of the days to come, and what else there is, in words.

    Raises
    ------
    InvalidItem
        There are bookings, and none of them can be one of the worklist.
    """
    from pylantir.sources.base import BookingWindow

    clock = source.settings.clock
    today = clock.today()
    for days in (0, source.days_ahead):
        last = today + dt.timedelta(days=days)
        with table.progress_bar(f"asking {entry.name}") as source.progress:
            batch = source.fetch(BookingWindow(clock.now(), None, today, last, full=True))
        records = [each for each in batch.records if not each.withdrawn]
        if records or batch.rejected:
            return _first_item(source, entry, batch, records)
    return f", no booking to scan today or in the {source.days_ahead} days after", None


def _first_item(
    source: Source, entry: DataSource, batch: Batch, records: Sequence[SourceRecord]
) -> tuple[str, WorklistItem]:
    from pylantir.worklist.item import make_item

    items: list[WorklistItem] = []
    rejected = [(each.record_id, InvalidItem(each.problems)) for each in batch.rejected]
    for record in records:
        try:
            item = make_item(
                source.values_of(record),
                data_source=entry.name,
                source_record_id=record.record_id,
                authority=source.authority,
            )
        except InvalidItem as error:
            rejected.append((record.record_id, error))
        else:
            items = items or [item]
    if not items:
        raise rejected[0][1]
    words = f"; one of {len(records)} bookings would be"
    if rejected:
        words += f" ({len(rejected)} rejected, record {rejected[0][0]}: {rejected[0][1]})"
    return words, items[0]


def _show(item: WorklistItem, config: Config) -> None:
    from pylantir.worklist.plain import plain_item

    for name, value in plain_item(item).items():
        if value not in ("", None, [], {}) and name != "id":
            print(f"      {name:<34} {value}")
    print(f"      {'appears on':<34} {', '.join(_scanners(item, config)) or 'no scanner'}")


def _scanners(item: WorklistItem, config: Config) -> list[str]:
    from pylantir.clock import SiteClock
    from pylantir.dicom.scanners import scanner_for
    from pylantir.worklist.query import WorklistQuery

    clock = SiteClock(config.timezone)
    today, now = clock.today(), clock.now()
    by_rule = (rule.ae_title for rule in config.access if rule.ae_title)
    profiles = (profile.ae_title for profile in config.scanners)
    titles = dict.fromkeys((*config.allowed_aet, *by_rule, *profiles))
    stations = set(item.scheduled_station_ae_title)
    if not titles:
        return ["every scanner that asks for " + (" or ".join(sorted(stations)) or "anything")]
    return [
        title
        for title in titles
        for scanner in (scanner_for(config, title),)
        if scanner.limit(WorklistQuery(), today, scanner.elsewhere(now)).matches(item)
        and (not stations or title in stations)
    ]
