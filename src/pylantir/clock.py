"""Now, the site's days and times, and DICOM's DA and TM. The only home of time zones.

Zones come from pytz, which brings its own rules: they are newer than the operating system's on
many workstations, and the same on Windows. Arithmetic is done in UTC; wall-clock times of the
site are only ever *localized*, never added to.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import time
import zoneinfo
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytz

DAYS_OF_RULES = 400
"""How far ahead the rules of time zones are compared: the next spring and the next autumn."""

_MACHINES_ZONE = Path("/etc/localtime")

Now = Callable[[], dt.datetime]
"""A clock: returns the present instant as an aware UTC datetime. Tests hand in their own."""

_Offsets = Callable[[dt.datetime], dt.timedelta]


def utc_now() -> dt.datetime:
    """The present instant, aware, in UTC."""
    return dt.datetime.now(dt.UTC)


def zone(name: str | None) -> dt.tzinfo:
    """The named time zone, or this machine's own when there is no name.

    Raises
    ------
    KeyError
        The IANA data base has no zone of that name.
    """
    if name is None:
        local = dt.datetime.now().astimezone().tzinfo
        return local if local is not None else dt.UTC
    return _pytz_zone(name)


def _pytz_zone(name: str) -> pytz.BaseTzInfo:
    try:
        return pytz.timezone(name)
    except pytz.UnknownTimeZoneError as error:
        raise KeyError(name) from error


def zone_data_version() -> str:
    """Which rules of time zones count here."""
    release, rules = (getattr(pytz, name, "?") for name in ("__version__", "OLSON_VERSION"))
    return f"pytz {release}, IANA {rules}"


def zone_warnings(
    names: Iterable[str | None], now: dt.datetime, tzpath: Sequence[str] | None = None
) -> list[str]:
    """Where the operating system's rules of time zones differ from ours in the next 400 days.

    One of the two is out of date, and consoles and servers live by the operating system's.

    Parameters
    ----------
    names : iterable of str or None
        IANA names; None stands for the machine's own zone. Zones that the operating system does
        not know, as on Windows, are left out.
    now : datetime
        Aware, UTC.
    tzpath : sequence of str, optional
        Folders of the operating system's zone files; :data:`zoneinfo.TZPATH` when absent.
    """
    where = zoneinfo.TZPATH if tzpath is None else tzpath
    said = (_zone_warning(name, now, where) for name in dict.fromkeys(names))
    return [words for words in said if words]


def _zone_warning(name: str | None, now: dt.datetime, tzpath: Sequence[str]) -> str:
    named = name or _machines_zone_name()
    theirs = _machines_offset if name is None else _system_offset(named, tzpath)
    if theirs is None or named not in pytz.all_timezones_set:
        return ""
    found = _first_difference(_offsets_in(_pytz_zone(named)), theirs, now)
    return _difference(name, named, *found) if found is not None else ""


def _first_difference(
    ours: _Offsets, theirs: _Offsets, now: dt.datetime
) -> tuple[dt.datetime, dt.timedelta] | None:
    """The first hour in which two sets of rules are apart, and by how much.

    Looked for hour by hour only on days on which one of them changes: 10 000 questions otherwise,
    which is 50 ms of every start.
    """
    begins = now.replace(minute=0, second=0, microsecond=0)
    at_begin = ours(begins), theirs(begins)
    for _ in range(DAYS_OF_RULES):
        ends = begins + dt.timedelta(days=1)
        at_end = ours(ends), theirs(ends)
        if at_begin != at_end or at_begin[0] != at_begin[1]:
            for moment in (begins + dt.timedelta(hours=hour) for hour in range(24)):
                apart = ours(moment) - theirs(moment)
                if apart:
                    return moment, apart
        begins, at_begin = ends, at_end
    return None


def _difference(name: str | None, named: str, moment: dt.datetime, apart: dt.timedelta) -> str:
    minutes = apart.total_seconds() / 60
    counts = (
        "ours count here"
        if name is not None
        else 'the operating system\'s count here; set "timezone" to have ours'
    )
    return (
        f"time zone {named}: from {moment:%Y-%m-%d %H:%M} UTC on, our rules "
        f"({zone_data_version()}) and the operating system's are {abs(minutes):g} minutes apart; "
        f"{counts}. Update the older of the two: the system's time zone data (tzdata), or "
        "pip install --upgrade pytz"
    )


def _system_offset(name: str, tzpath: Sequence[str]) -> _Offsets | None:
    """Offsets by the operating system's own file, never by a package of PyPI."""
    path = next((p for folder in tzpath if (p := Path(folder, *name.split("/"))).is_file()), None)
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            zone_of_system = zoneinfo.ZoneInfo.from_file(file, key=name)
    except (OSError, ValueError):
        return None
    return _offsets_in(zone_of_system)


def _offsets_in(rules: dt.tzinfo) -> _Offsets:
    return lambda moment: moment.astimezone(rules).utcoffset() or dt.timedelta(0)


def _machines_offset(moment: dt.datetime) -> dt.timedelta:
    return dt.timedelta(seconds=time.localtime(moment.timestamp()).tm_gmtoff)


def _machines_zone_name() -> str:
    """The machine's zone by its IANA name; empty where it says none."""
    told = os.environ.get("TZ", "").lstrip(":")
    if told:
        return told
    try:
        target = _MACHINES_ZONE.resolve().as_posix()
    except OSError:
        return ""
    return target.partition("/zoneinfo/")[2]


class SiteClock:
    """The clock on the wall of the scanner room.

    Parameters
    ----------
    zone_name : str, optional
        IANA name such as ``America/Edmonton``; the machine's own zone when absent.
    now : Now
        Where the present instant comes from.
    """

    def __init__(self, zone_name: str | None = None, now: Now = utc_now) -> None:
        self.zone_name = zone_name
        self.now = now
        self._zone = _pytz_zone(zone_name) if zone_name is not None else None

    def local_now(self) -> dt.datetime:
        """The present instant as an aware wall-clock time of the site."""
        return self.now().astimezone(self._zone)

    def today(self) -> dt.date:
        """The site's calendar day."""
        return self.local_now().date()

    def wall_of(self, moment: dt.datetime) -> dt.datetime:
        """The wall-clock time of the site at an aware instant."""
        return moment.astimezone(self._zone).replace(tzinfo=None)

    def localize(self, wall: dt.datetime) -> dt.datetime:
        """The instant a wall-clock time of the site stands for, aware.

        A time that happens twice in autumn is taken as the first of the two; one that the clocks
        skip in spring keeps its distance to the hour before.
        """
        if self._zone is None:
            return wall.astimezone()
        # Not by is_dst alone: in Ireland and Morocco the "daylight saving" time is the winter's
        # or Ramadan's, so it says nothing about which of the two comes first.
        either = [self._zone.localize(wall, is_dst=is_dst) for is_dst in (True, False)]
        shown = [a for a in either if self._zone.normalize(a).replace(tzinfo=None) == wall]
        return min(shown) if shown else max(either)


def parse_date(text: str) -> dt.date:
    """A calendar day from DICOM DA, ISO 8601 or the old ``YYYY.MM.DD`` (PS3.5 6.2).

    Raises
    ------
    ValueError
        Not a day of the calendar, or in another form.
    """
    digits = text
    if len(text) == 10 and text[4] == text[7] and text[4] in "-./":
        digits = text[:4] + text[5:7] + text[8:]
    if len(digits) != 8 or not (digits.isascii() and digits.isdigit()):
        raise ValueError("expected a date as YYYY-MM-DD or YYYYMMDD")
    try:
        return dt.date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        raise ValueError("expected a day of the calendar as YYYY-MM-DD or YYYYMMDD") from None


_TIME = re.compile(r"([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:\.([0-9]{1,6}))?)?)?")
_TIME_WITH_COLONS = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,6}))?)?")


def parse_time(text: str) -> dt.time:
    """A time of day from DICOM TM (``HH[MM[SS[.F{1-6}]]]``) or ``HH:MM[:SS[.F]]`` (PS3.5 6.2).

    Missing components count as zero. Second 60, a leap second, is kept as second 59.

    Raises
    ------
    ValueError
        Not a time of day, or in another form.
    """
    form = _TIME.fullmatch(text) or _TIME_WITH_COLONS.fullmatch(text)
    if form is None:
        raise ValueError("expected a time as HH:MM[:SS] or HHMM[SS]")
    hours, minutes, seconds, fraction = form.groups(default="")
    hour, minute, second = int(hours), int(minutes or 0), int(seconds or 0)
    if hour > 23 or minute > 59 or second > 60:
        raise ValueError("expected a time of day between 00:00 and 23:59:59")
    return dt.time(hour, minute, min(second, 59), int(fraction.ljust(6, "0")) if fraction else 0)


def as_da(day: dt.date) -> str:
    """A day as DICOM DA, ``YYYYMMDD``."""
    return f"{day.year:04d}{day.month:02d}{day.day:02d}"


def as_tm(time: dt.time) -> str:
    """A time of day as DICOM TM, ``HHMMSS`` with a fraction only where there is one."""
    whole = f"{time.hour:02d}{time.minute:02d}{time.second:02d}"
    return f"{whole}.{time.microsecond:06d}" if time.microsecond else whole


def as_iso_time(time: dt.time) -> str:
    """A time of day as people and REST see it: ``HH:MM``, with seconds only where there are any."""
    if time.microsecond:
        return f"{time:%H:%M:%S}.{time.microsecond:06d}"
    return f"{time:%H:%M:%S}" if time.second else f"{time:%H:%M}"
