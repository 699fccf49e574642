"""Which items a command is about: the filters that ``query-db`` and ``export`` share."""

from __future__ import annotations

import argparse
import datetime as dt
import re
from typing import TYPE_CHECKING

from pylantir.errors import InvalidQuery, ValueProblem

if TYPE_CHECKING:
    from pylantir.worklist.attributes import Attribute
    from pylantir.worklist.query import Key, Match, Range, WorklistQuery

_NAMED_DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}
_RELATIVE_DAY = re.compile(r"today([+-][0-9]{1,4})")


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Arguments that say which items are meant; those left out leave nothing out."""
    group = parser.add_argument_group("filters")
    group.add_argument(
        "--date",
        metavar="DAY",
        help="day of the scheduled start: today, tomorrow, today+3, YYYY-MM-DD, "
        "a range A..B with either end open, or any (default)",
    )
    group.add_argument(
        "--status", action="append", metavar="STATUS", help="status; may be given several times"
    )
    group.add_argument(
        "--patient", metavar="NAME|ID", help="patient name or id; * and ? are wild cards"
    )
    group.add_argument(
        "--station", action="append", metavar="AE", help="AE title of the scanner; may be repeated"
    )
    group.add_argument(
        "--modality", action="append", metavar="MOD", help="modality; may be given several times"
    )
    group.add_argument("--accession", metavar="NUMBER", help="accession number; wild cards work")
    group.add_argument("--limit", type=_positive, metavar="N", help="at most this many items")
    group.add_argument("--all", action="store_true", help="every item that matches, without limit")


def query_of(args: argparse.Namespace, today: dt.date) -> WorklistQuery:
    """The query that the filters stand for.

    Parameters
    ----------
    args : Namespace
        With what :func:`add_filters` added.
    today : date
        The site's calendar day.

    Raises
    ------
    InvalidQuery
        A day or a status that is none.
    """
    from pylantir.worklist.attributes import BY_NAME
    from pylantir.worklist.people import patient_key
    from pylantir.worklist.query import START_DATE, STATION, STATUS, Key, WorklistQuery

    keys: list[Key] = []
    days = days_of(args.date, today)
    if days is not None:
        keys.append(Key(START_DATE, days))
    keys += _key(STATUS, [_status(shown) for shown in args.status or ()])
    keys += _key(STATION, [_text(shown) for shown in args.station or ()])
    modalities = [_text(shown.upper()) for shown in args.modality or ()]
    keys += _key(BY_NAME["modality"], modalities)
    keys += _key(BY_NAME["accession_number"], [_text(args.accession)] if args.accession else [])
    if args.patient:
        keys.append(patient_key(args.patient))
    return WorklistQuery(keys=tuple(keys), limit=None if args.all else args.limit)


def days_of(shown: str | None, today: dt.date) -> Range | None:
    """The days that ``--date`` means; nothing when it means any.

    Raises
    ------
    InvalidQuery
        Not a day, or a range that ends before it begins.
    """
    from pylantir.worklist.query import Range

    if shown is None or shown.strip().lower() in ("", "any"):
        return None
    first, dots, last = (part.strip() for part in shown.partition(".."))
    if not dots:
        day = _day(first, today)
        return Range(day, day)
    days = Range(_day(first, today) if first else None, _day(last, today) if last else None)
    if days.first is None and days.last is None:
        return None
    if days.first and days.last and days.last < days.first:
        raise _invalid("--date", shown, "expected a range that ends after it begins")
    return days


def _day(shown: str, today: dt.date) -> dt.date:
    from pylantir.clock import parse_date

    word = shown.lower()
    relative = _RELATIVE_DAY.fullmatch(word)
    try:
        if word in _NAMED_DAYS:
            return today + dt.timedelta(days=_NAMED_DAYS[word])
        if relative:
            return today + dt.timedelta(days=int(relative[1]))
        return parse_date(shown)
    except (ValueError, OverflowError):
        expected = "expected today, tomorrow, today+3, YYYY-MM-DD, A..B or any"
        raise _invalid("--date", shown, expected) from None


def _status(shown: str) -> Match:
    from pylantir.worklist.query import SingleValue
    from pylantir.worklist.status import parse_status

    try:
        return SingleValue(parse_status(shown))
    except ValueError as error:
        raise _invalid("--status", shown, str(error)) from None


def _text(shown: str) -> Match:
    from pylantir.worklist.query import SingleValue, WildCard, has_wild_card

    return WildCard(shown) if has_wild_card(shown) else SingleValue(shown)


def _key(attribute: Attribute, matches: list[Match]) -> list[Key]:
    from pylantir.worklist.query import Key, any_of

    return [Key(attribute, any_of(matches))] if matches else []


def _positive(shown: str) -> int:
    number = int(shown) if shown.isascii() and shown.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a number of items, got {shown!r}")
    return number


def _invalid(option: str, shown: str, reason: str) -> InvalidQuery:
    return InvalidQuery([ValueProblem(option, shown, reason)])
