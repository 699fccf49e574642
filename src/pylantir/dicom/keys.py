"""From the text of one matching key to what it must match (PS3.4 C.2.2.2)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pylantir.clock import parse_date, parse_time
from pylantir.errors import InvalidQuery, ValueProblem
from pylantir.worklist.query import (
    Match,
    PersonName,
    Range,
    SingleValue,
    WildCard,
    any_of,
    fold_name,
    has_wild_card,
    wild_card_matches,
)
from pylantir.worklist.status import ItemStatus, parse_status
from pylantir.worklist.values import decimal, uid

MAX_KEY_CHARACTERS = 4096
"""Longer than any value or list of UID that a scanner has reason to send."""

MAX_WILD_CARD_CHARACTERS = 256
"""Longer than any value that is not a long text; each item of the worklist is tried on it."""

MAX_KEY_VALUES = 64
"""Values of one key that is no list of UID: a tolerated extension, tried one after the other."""

_ONE_VALUE_VRS = frozenset({"LT", "ST", "UT"})
_INTEGER = re.compile("[+-]?[0-9]{1,12}")
_STATUS_KEYWORD = "ScheduledProcedureStepStatus"


def match_for(keyword: str, vr: str, text: str) -> Match | None:
    """What a key matches; nothing for universal matching (C.2.2.2.3).

    Parameters
    ----------
    keyword, vr : str
        The attribute of the key.
    text : str
        Its decoded value; insignificant spaces do not count.

    Raises
    ------
    InvalidQuery
        The value has no meaning for the VR.
    """
    text = text.strip(" \0")
    if not text or not text.strip("*"):
        return None
    if len(text) > MAX_KEY_CHARACTERS:
        raise _invalid(keyword, f"expected at most {MAX_KEY_CHARACTERS} characters in a key")
    if keyword == _STATUS_KEYWORD:
        return any_of([_status_match(part) for part in _parts(text)])
    reader = _READERS.get(vr)
    if reader is not None:
        return reader(keyword, text)
    parts = [text] if vr in _ONE_VALUE_VRS else _parts(text)
    if len(parts) > MAX_KEY_VALUES:
        raise _invalid(keyword, f"expected at most {MAX_KEY_VALUES} values in a key")
    if any(len(part) > MAX_WILD_CARD_CHARACTERS and has_wild_card(part) for part in parts):
        expected = f"expected at most {MAX_WILD_CARD_CHARACTERS} characters with a wild card"
        raise _invalid(keyword, expected)
    matches = [match for part in parts if (match := _text_match(vr, part)) is not None]
    return any_of(matches) if matches else None


def _parts(text: str) -> list[str]:
    return [part.strip(" \0") for part in text.split("\\") if part.strip(" \0")]


def _text_match(vr: str, part: str) -> Match | None:
    if vr == "PN":
        folded = fold_name(part)
        return PersonName(folded) if folded else None
    return WildCard(part) if has_wild_card(part) else SingleValue(part)


def _status_match(part: str) -> Match:
    """A status in the standard's words or in those of the published release."""
    if has_wild_card(part):
        fitting = [
            SingleValue(status)
            for status in ItemStatus
            if wild_card_matches(part, status.dicom) or wild_card_matches(part, status.value)
        ]
        return any_of(fitting) if fitting else SingleValue(None)
    try:
        return SingleValue(parse_status(part))
    except ValueError:
        return SingleValue(None)  # a status that no item has


def _date_match(keyword: str, text: str) -> Match:
    return _range_match(keyword, text, parse_date, "a date as YYYYMMDD, or a range of dates")


def _time_match(keyword: str, text: str) -> Match:
    return _range_match(keyword, text, parse_time, "a time as HHMMSS, or a range of times")


def _range_match(keyword: str, text: str, parse: Callable[[str], Any], expected: str) -> Match:
    first, hyphen, last = (part.strip(" \0") for part in text.partition("-"))
    try:
        if not hyphen:
            return SingleValue(parse(first))
        if not first and not last:
            raise ValueError(expected)
        return Range(parse(first) if first else None, parse(last) if last else None)
    except ValueError:
        raise _invalid(keyword, f"expected {expected}") from None


def _uid_match(keyword: str, text: str) -> Match:
    try:
        return any_of([SingleValue(uid(part)) for part in _parts(text)])
    except ValueError:
        raise _invalid(keyword, "expected a UID or a list of UID") from None


def _decimal_match(keyword: str, text: str) -> Match:
    try:
        return SingleValue(decimal(text))
    except ValueError:
        raise _invalid(keyword, "expected a number") from None


def _integer_match(keyword: str, text: str) -> Match:
    if not _INTEGER.fullmatch(text):
        raise _invalid(keyword, "expected a whole number")
    return SingleValue(int(text))


_READERS: dict[str, Callable[[str, str], Match]] = {
    "DA": _date_match,
    "TM": _time_match,
    "UI": _uid_match,
    "DS": _decimal_match,
    "IS": _integer_match,
    "US": _integer_match,
}


def _invalid(keyword: str, reason: str) -> InvalidQuery:
    return InvalidQuery([ValueProblem(keyword, "", reason)])
