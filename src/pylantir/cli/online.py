"""``check-config --online``: log in to each source, read one booking, show what comes of it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pylantir.cli import table
from pylantir.errors import ConfigurationError, InvalidItem, SourceError

if TYPE_CHECKING:
    from pylantir.config.load import LoadedConfig
    from pylantir.config.schema import Config, DataSource
    from pylantir.sources.base import Source
    from pylantir.worklist.item import WorklistItem


def explain_sources(loaded: LoadedConfig) -> bool:
    """Make every enabled source without touching the network; say how each was understood.

    Returns
    -------
    bool
        Whether all of them could be made.
    """
    outcomes = [_explained(loaded, entry) for entry in _enabled(loaded)]
    return all(outcomes)


def try_sources(loaded: LoadedConfig) -> bool:
    """Ask every enabled source; returns whether all of them answered with a usable booking."""
    outcomes = [_tried(loaded, entry) for entry in _enabled(loaded)]
    return all(outcomes)


def _enabled(loaded: LoadedConfig) -> list[DataSource]:
    return [entry for entry in loaded.config.data_sources if entry.enabled]


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
    except ConfigurationError as error:
        # A secret may be missing where the file is written and be there where it is used.
        wrong = [problem for problem in error.problems if problem.path]
        for problem in error.problems:
            print(f"{'FAIL' if problem in wrong else 'WARN'}  {problem}", file=sys.stderr)
        return not wrong
    for line in source.explain():
        print(f"    {entry.name}: {line}")
    source.close()
    return True


def _tried(loaded: LoadedConfig, entry: DataSource) -> bool:
    from pylantir.sources.base import BookingWindow
    from pylantir.worklist.item import make_item

    try:
        source = _made(loaded, entry)
        clock = source.settings.clock
        first = clock.today()
        with table.progress_bar(f"asking {entry.name}") as source.progress:
            batch = source.fetch(BookingWindow(clock.now(), None, first, first, full=True))
        record = next((each for each in batch.records if not each.withdrawn), None)
        if record is None:
            print(f"OK    {entry.name}: answers, {len(batch.records)} bookings today, none to scan")
            return True
        item = make_item(
            source.values_of(record),
            data_source=entry.name,
            source_record_id=record.record_id,
            authority=source.authority,
        )
    except (SourceError, ConfigurationError, InvalidItem) as error:
        print(f"FAIL  {entry.name}: {error}", file=sys.stderr)
        return False
    print(f"OK    {entry.name}: answers; one of {len(batch.records)} bookings would be")
    _show(item, loaded.config)
    source.close()
    return True


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

    today = SiteClock(config.timezone).today()
    by_rule = (rule.ae_title for rule in config.access if rule.ae_title)
    profiles = (profile.ae_title for profile in config.scanners)
    titles = dict.fromkeys((*config.allowed_aet, *by_rule, *profiles))
    stations = set(item.scheduled_station_ae_title)
    if not titles:
        return ["every scanner that asks for " + (" or ".join(sorted(stations)) or "anything")]
    return [
        title
        for title in titles
        if scanner_for(config, title).limit(WorklistQuery(), today).matches(item)
        and (not stations or title in stations)
    ]
