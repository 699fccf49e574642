"""Dates and times as people and spreadsheets write them; what leaves is ISO 8601."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

SERIALS = {"EXCEL": dt.datetime(1899, 12, 30), "EXCEL1904": dt.datetime(1904, 1, 1)}
"""Day 0 of a spreadsheet's serial numbers. Excel counts a 29 February 1900 that never was; from
March 1900 on its numbers are right when counted from here."""

_LAST_SERIAL = 200_000

_TIME = (
    r"[0-9]{1,2}(?::?[0-9]{2}){0,2}(?:\.[0-9]{1,6})?(?: ?[ap]\.?m\.?)?"
    r"(?P<offset>Z|[+-][0-9]{2}:?[0-9]{2})?"
)
_ISO = re.compile(
    rf"(?P<day>[0-9]{{4}}([-/.])[0-9]{{2}}\2[0-9]{{2}}|[0-9]{{8}})(?:(?:T| +)(?P<time>{_TIME}))?",
    re.IGNORECASE,
)
_ORDERED = re.compile(
    rf"(?P<day>[0-9]{{1,4}}([-/.])[0-9]{{1,2}}\2[0-9]{{1,4}})(?: +(?P<time>{_TIME}))?",
    re.IGNORECASE,
)
_SERIAL = re.compile(r"([0-9]{1,6})(?:[.,]([0-9]+))?")
_TWELVE_HOURS = re.compile(r"([0-9]{1,2})(?::([0-9]{2}))?(?::([0-9]{2}))? ?([ap])\.?m\.?", re.I)


@dataclass(frozen=True, slots=True)
class DateFormat:
    """The order in which day, month and year are written.

    Parameters
    ----------
    text : str
        ``DD``, ``MM`` and ``YYYY`` in any order, such as ``DD/MM/YYYY``; ``excel`` or
        ``excel1904`` for serial numbers; empty for ISO 8601 and DICOM only. Days and months may
        have one digit, and ``-``, ``/`` and ``.`` are the same. ISO 8601 is always read, because
        it cannot be mistaken.

    Raises
    ------
    ValueError
        Another format. Years of two digits are none: nobody can tell 1931 from 2031.
    """

    text: str = ""

    def __post_init__(self) -> None:
        order = sorted(re.split(r"[-/.]", self.text.upper()))
        if self.text and self.text.upper() not in SERIALS and order != ["DD", "MM", "YYYY"]:
            raise ValueError(
                "expected an order such as DD/MM/YYYY or MM/DD/YYYY, or excel, or excel1904"
            )

    def date(self, written: str) -> str:
        """The day as ``YYYY-MM-DD``, of a date with or without a time.

        What cannot be read is returned as it is.

        Raises
        ------
        ValueError
            The time has an offset from UTC: only the source can know the site's day.
        """
        return self._split(written)[0]

    def time(self, written: str) -> str:
        """The time of day as ``HH:MM[:SS]``, of a time with or without a date.

        What cannot be read, such as a date alone, is returned as it is.

        Raises
        ------
        ValueError
            The time has an offset from UTC: only the source can know the site's clock.
        """
        return _twelve_hours(self._split(written)[1] or written)

    def _split(self, written: str) -> tuple[str, str]:
        """Day and time; the text itself and nothing when it does not begin with a date."""
        form = self.text.upper()
        match = _ISO.fullmatch(written)
        if match is None and form in SERIALS:
            return _of_serial(written, SERIALS[form])
        if match is None and form:
            match = _ORDERED.fullmatch(written)
        if match is None:
            return written, ""
        if match["offset"]:
            raise ValueError("expected the site's own clock, without an offset from UTC")
        in_iso = match.re is _ISO
        day = match["day"] if in_iso else _reordered(match["day"], form)
        return (day, match["time"] or "") if day else (written, "")


def _reordered(day: str, form: str) -> str:
    named = dict(zip(re.split(r"[-/.]", form), re.split(r"[-/.]", day), strict=True))
    if len(named["YYYY"]) != 4 or len(named["MM"]) > 2 or len(named["DD"]) > 2:
        return ""
    return f"{named['YYYY']}-{named['MM']:0>2}-{named['DD']:0>2}"


def _of_serial(written: str, begin: dt.datetime) -> tuple[str, str]:
    match = _SERIAL.fullmatch(written)
    if match is None or int(match[1]) > _LAST_SERIAL:
        return written, ""
    seconds = round(float(f"0.{match[2] or 0}") * 86400)
    moment = begin + dt.timedelta(days=int(match[1]), seconds=seconds)
    return moment.date().isoformat(), moment.time().isoformat() if match[2] else ""


def _twelve_hours(written: str) -> str:
    match = _TWELVE_HOURS.fullmatch(written)
    if match is None or not 1 <= int(match[1]) <= 12:
        return written
    hour = int(match[1]) % 12 + (12 if match[4].lower() == "p" else 0)
    return f"{hour:02d}:{match[2] or '00'}:{match[3] or '00'}"
