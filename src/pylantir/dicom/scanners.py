"""What a scanner may see and how it is answered: its profile over the site's settings."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, NamedTuple

from pylantir.clock import SiteClock
from pylantir.dicom import charsets
from pylantir.dicom.charsets import Terms
from pylantir.worklist.query import WorklistQuery
from pylantir.worklist.status import ItemStatus, parse_status

if TYPE_CHECKING:
    from pylantir.config.schema import Config


class SourceDays(NamedTuple):
    """For how long items of one source show to a query without a date.

    Parameters
    ----------
    source : str
        Name of the source.
    ahead : int
        Days after today, 0 or more.
    zone : str
        IANA zone whose today it is; empty for the site's.
    """

    source: str
    ahead: int
    zone: str = ""


Elsewhere = tuple[tuple[str, dt.date], ...]
"""Zones and which day it is there."""


@dataclass(frozen=True, slots=True)
class Scanner:
    """One calling AE title with the settings that hold for it.

    Parameters
    ----------
    ae_title : str
        Calling AE title, trimmed.
    hidden : tuple of ItemStatus
        Not shown unless the query names a status.
    statuses, modalities, stations : tuple
        What it may see at all; empty for no limit.
    days_back, days_ahead : int or None
        Days around today that a query without a date sees; nothing for no limit on that side.
    max_answers : int or None
        At most this many items for one query.
    character_set : Terms
        Specific Character Set that its answers use where they can; empty for the request's own.
    lenient : bool
        Faulty MPPS messages are accepted with a warning.
    called_ae_titles : tuple of str
        AE titles it may call us by; empty for any.
    source_days : tuple of SourceDays
        Sources whose items show from today for some days only (``mwl_days_ahead``,
        ``window_mode``, ``daily_window`` of the published configuration).
    """

    ae_title: str
    hidden: tuple[ItemStatus, ...] = ()
    statuses: tuple[ItemStatus, ...] = ()
    modalities: tuple[str, ...] = ()
    stations: tuple[str, ...] = ()
    days_back: int | None = None
    days_ahead: int | None = None
    max_answers: int | None = None
    character_set: Terms = charsets.ASCII
    lenient: bool = False
    called_ae_titles: tuple[str, ...] = ()
    source_days: tuple[SourceDays, ...] = ()

    def elsewhere(self, now: dt.datetime) -> Elsewhere:
        """The days that it is where sources have another zone than the site; mostly none."""
        zones = {each.zone for each in self.source_days if each.zone}
        return tuple((name, SiteClock(name).wall_of(now).date()) for name in sorted(zones))

    def limit(
        self, query: WorklistQuery, today: dt.date, elsewhere: Elsewhere = ()
    ) -> WorklistQuery:
        """The query with what this scanner may see.

        Parameters
        ----------
        today : date
            The site's day.
        elsewhere : tuple of (str, date)
            See :meth:`elsewhere`; the site's day where a zone is left out.
        """
        days = dict(elsewhere)
        return replace(
            query,
            hidden=self.hidden,
            only_statuses=self.statuses,
            only_modalities=self.modalities,
            only_stations=self.stations,
            first_day=_day(today, self.days_back, -1),
            last_day=_day(today, self.days_ahead, 1),
            shown_days=tuple(
                (each.source, first, _day(first, each.ahead, 1) or dt.date.max)
                for each in self.source_days
                for first in (days.get(each.zone, today),)
            ),
            limit=self.max_answers,
        )


def _day(today: dt.date, days: int | None, sign: int) -> dt.date | None:
    if days is None:
        return None
    try:
        return today + dt.timedelta(days=sign * days)
    except OverflowError:
        return None  # further than the calendar goes: no limit


def scanner_for(config: Config, calling_ae_title: str) -> Scanner:
    """The settings that hold for a calling AE title: its profile, else the site's."""
    name = calling_ae_title.strip()
    profile = next((p for p in config.scanners if p.ae_title.strip() == name), None)
    hidden = tuple(parse_status(status) for status in config.hidden_statuses)
    site = Scanner(
        ae_title=name,
        hidden=hidden,
        days_back=config.days_back,
        days_ahead=config.days_ahead,
        max_answers=config.max_answers,
        character_set=_terms(config.response_character_set),
        source_days=_source_days(config),
    )
    if profile is None:
        return site
    statuses = tuple(parse_status(status) for status in profile.statuses)
    return replace(
        site,
        hidden=() if statuses else hidden,
        statuses=statuses,
        modalities=profile.modalities,
        stations=profile.stations,
        days_back=_own(profile.days_back, site.days_back),
        days_ahead=_own(profile.days_ahead, site.days_ahead),
        max_answers=_own(profile.max_answers, site.max_answers),
        character_set=_terms(profile.response_character_set) or site.character_set,
        lenient=profile.mpps == "lenient",
        called_ae_titles=profile.called_ae_titles,
    )


def remembered(config: Config) -> Callable[[str], Scanner]:
    """:func:`scanner_for` of one configuration, for AE titles that come again."""
    return lru_cache(maxsize=256)(partial(scanner_for, config))


def _source_days(config: Config) -> tuple[SourceDays, ...]:
    return tuple(
        SourceDays(source.name, ahead, "" if config.timezone else source.zone)
        for source in config.data_sources
        if (ahead := source.shown_days_ahead) is not None
    )


def _own(value: int | None, fallback: int | None) -> int | None:
    return fallback if value is None else value


def _terms(value: str | None) -> Terms:
    return charsets.parse_terms(value) if value else charsets.ASCII
