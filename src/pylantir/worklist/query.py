"""WorklistQuery: what somebody asks the worklist for (PS3.4 C.2.2.2, K.2.2, K.4.1).

A C-FIND identifier and a REST query string both become one of these. Each key knows how it
matches the values of an item; the store narrows with SQL first, but what is written here decides.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

from pylantir.worklist.attributes import BY_NAME, Attribute
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.status import ItemStatus
from pylantir.worklist.values import Code

STATION = BY_NAME["scheduled_station_ae_title"]
START_DATE = BY_NAME["scheduled_procedure_step_start_date"]
START_TIME = BY_NAME["scheduled_procedure_step_start_time"]
STATUS = BY_NAME["status"]


class Match(Protocol):
    """One kind of matching: whether a stored, non-empty value satisfies the key."""

    def accepts(self, value: Any) -> bool:
        """Whether the value satisfies the key."""


@dataclass(frozen=True, slots=True)
class SingleValue:
    """Single value matching (C.2.2.2.1): equal by meaning; text is case-sensitive."""

    value: Any

    def accepts(self, value: Any) -> bool:
        return bool(value == self.value)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """List of UID matching (C.2.2.2.2); also several values of another key, tolerated as OR."""

    matches: tuple[Match, ...]

    def accepts(self, value: Any) -> bool:
        return any(match.accepts(value) for match in self.matches)


@dataclass(frozen=True, slots=True)
class WildCard:
    """Wild card matching (C.2.2.2.4): ``*`` any run, ``?`` exactly one character."""

    pattern: str

    def accepts(self, value: Any) -> bool:
        return wild_card_matches(self.pattern, value)


@dataclass(frozen=True, slots=True)
class PersonName:
    """Matching of person names: insensitive to case, accents and trailing delimiters.

    A key without ``=`` is tried against each component group and against the whole; a key with
    ``=`` names the groups it wants, position by position.

    Parameters
    ----------
    key : str
        The key as :func:`fold_name` leaves it; may hold wild cards.
    """

    key: str

    def accepts(self, value: Any) -> bool:
        folded = fold_name(value)
        if self._fits(self.key, folded):
            return True
        groups = folded.split("=")
        if "=" not in self.key:
            return any(group and self._fits(self.key, group) for group in groups)
        wanted = self.key.split("=")
        return len(wanted) <= len(groups) and all(
            not key or self._fits(key, group) for key, group in zip(wanted, groups, strict=False)
        )

    @staticmethod
    def _fits(key: str, folded: str) -> bool:
        return wild_card_matches(key, folded) if has_wild_card(key) else key == folded


@dataclass(frozen=True, slots=True)
class Range:
    """Range matching (C.2.2.2.5) of dates or times, inclusive; an open end is ``None``."""

    first: Any = None
    last: Any = None

    def accepts(self, value: Any) -> bool:
        return (self.first is None or value >= self.first) and (
            self.last is None or value <= self.last
        )


@dataclass(frozen=True, slots=True)
class Key:
    """One matching key: an attribute of the model and how its values must match.

    A key never matches an empty value (K.2.2.1.1.1): universal matching is no key at all.
    """

    attribute: Attribute
    match: Match

    def accepts(self, item: WorklistItem) -> bool:
        """Whether any of the item's values satisfies the key."""
        return any(self.match.accepts(value) for value in item.values_of(self.attribute))


@dataclass(frozen=True, slots=True)
class CodeKey:
    """Sequence matching (C.2.2.2.6) of a code sequence: one item must satisfy every part.

    Parameters
    ----------
    attribute : Attribute
        The code sequence.
    parts : tuple of (str, Match)
        Field of :class:`~pylantir.worklist.values.Code` and what it must satisfy.
    """

    attribute: Attribute
    parts: tuple[tuple[str, Match], ...]

    def accepts(self, item: WorklistItem) -> bool:
        """Whether one code satisfies all parts."""
        return any(self._fits(code) for code in item.values_of(self.attribute))

    def _fits(self, code: Code) -> bool:
        return all(
            (value := getattr(code, name)) and match.accepts(value) for name, match in self.parts
        )


@dataclass(frozen=True, slots=True)
class StartInterval:
    """Scheduled start date and time asked as one interval (remark of K.6-1 under 0040,0003).

    Both ends are wall-clock times of the site, inclusive; an open end is ``None``.
    """

    first: dt.datetime | None
    last: dt.datetime | None

    @classmethod
    def of(cls, days: Range, times: Range) -> StartInterval:
        """From the first day at the first time to the last day at the last time."""
        first = days.first and dt.datetime.combine(days.first, times.first or dt.time.min)
        last = days.last and dt.datetime.combine(days.last, times.last or dt.time.max)
        return cls(first, last)

    def accepts(self, item: WorklistItem) -> bool:
        """Whether the item starts within the interval."""
        return Range(self.first, self.last).accepts(item.start)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorklistQuery:
    """What to look for and what may be seen.

    Parameters
    ----------
    keys : tuple of Key
        All must match.
    codes : tuple of CodeKey
        All must match.
    start : StartInterval or None
        Scheduled start date and time as one interval.
    hidden : tuple of ItemStatus
        Not shown, unless a key names a status.
    only_statuses, only_modalities, only_stations, only_sources : tuple
        What this caller may see at all, or wants to; empty for no limit.
    first_day, last_day : date or None
        Days that a query without a date of its own sees, inclusive.
    shown_days : tuple of (str, date, date)
        Sources whose items a query without a date sees on these days only.
    limit, offset : int or None, int
        At most this many items, after skipping that many.
    """

    keys: tuple[Key, ...] = ()
    codes: tuple[CodeKey, ...] = ()
    start: StartInterval | None = None
    hidden: tuple[ItemStatus, ...] = ()
    only_statuses: tuple[ItemStatus, ...] = ()
    only_modalities: tuple[str, ...] = ()
    only_stations: tuple[str, ...] = ()
    only_sources: tuple[str, ...] = ()
    first_day: dt.date | None = None
    last_day: dt.date | None = None
    shown_days: tuple[tuple[str, dt.date, dt.date], ...] = ()
    limit: int | None = None
    offset: int = 0
    names_status: bool = field(init=False, default=False)
    names_date: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        asked = {key.attribute for key in self.keys}
        object.__setattr__(self, "names_status", STATUS in asked)
        object.__setattr__(self, "names_date", self.start is not None or START_DATE in asked)

    @property
    def window(self) -> Range:
        """The days to look at: those of the caller's window, unless the query names a date."""
        return Range() if self.names_date else Range(self.first_day, self.last_day)

    def matches(self, item: WorklistItem) -> bool:
        """Whether the item belongs to the answer."""
        return self.matcher()(item)

    def matcher(self) -> Callable[[WorklistItem], bool]:
        """Says of an item whether it belongs to the answer. This is the reading of the standard.

        What this query does not ask is left out once, not for each of many items.
        """
        conditions = tuple(self._conditions())
        if len(conditions) == 1:
            return conditions[0]
        return lambda item: all(condition(item) for condition in conditions)

    def _conditions(self) -> Iterator[Callable[[WorklistItem], bool]]:
        yield from self._seeing()
        for key in self.keys:
            yield _open_to_any_scanner(key) if key.attribute is STATION else key.accepts
        for code in self.codes:
            yield code.accepts
        if self.start is not None:
            yield self.start.accepts
        window = self.window
        if window != Range():
            yield lambda item: window.accepts(item.scheduled_procedure_step_start_date)
        if self.shown_days and not self.names_date:
            yield self._is_shown

    def _seeing(self) -> Iterator[Callable[[WorklistItem], bool]]:
        """What this caller may see at all."""
        if self.hidden and not self.names_status:
            yield lambda item: item.status not in self.hidden
        if self.only_statuses:
            yield lambda item: item.status in self.only_statuses
        if self.only_modalities:
            yield lambda item: item.modality in self.only_modalities
        if self.only_sources:
            yield lambda item: item.data_source in self.only_sources
        if self.only_stations:
            seen = frozenset(self.only_stations)
            yield (
                lambda item: (
                    not item.scheduled_station_ae_title
                    or not seen.isdisjoint(item.scheduled_station_ae_title)
                )
            )

    def _is_shown(self, item: WorklistItem) -> bool:
        day = item.scheduled_procedure_step_start_date
        return all(
            first <= day <= last
            for source, first, last in self.shown_days
            if source == item.data_source
        )


def _open_to_any_scanner(key: Key) -> Callable[[WorklistItem], bool]:
    """A booking that names no scanner is open to whichever scanner asks.

    See the decision "Items without a station".
    """
    return lambda item: not item.scheduled_station_ae_title or key.accepts(item)


def has_wild_card(key: str) -> bool:
    """Whether a key holds ``*`` or ``?``. There is no escape for them (C.2.2.2.4)."""
    return "*" in key or "?" in key


def wild_card_matches(pattern: str, value: str) -> bool:
    """Wild card matching, in time that no pattern can blow up.

    Between two asterisks the first place that fits is as good as any later one, so nothing is
    ever tried twice; a regular expression for the whole would need exponential time.
    """
    first, *others = pattern.split("*")
    if not others:
        return len(value) == len(first) and _find(first, value, 0, len(value)) == 0
    *middle, last = others
    position, end = len(first), len(value) - len(last)
    if position > end or _find(first, value, 0, position) < 0:
        return False
    if _find(last, value, end, len(value)) < 0:
        return False
    for part in middle:
        found = _find(part, value, position, end)
        if found < 0:
            return False
        position = found + len(part)
    return True


def _find(part: str, value: str, start: int, end: int) -> int:
    """Where a part without asterisks first fits between two places, or -1."""
    if "?" not in part:
        return value.find(part, start, end)
    found = _question_marks(part).search(value, start, end)
    return found.start() if found else -1


@lru_cache(maxsize=256)
def _question_marks(part: str) -> re.Pattern[str]:
    return re.compile("".join("." if c == "?" else re.escape(c) for c in part), re.DOTALL)


_LONGEST_KEPT = 64
"""Characters; a peer may ask for any number of names, and for long ones."""


def fold_name(name: str) -> str:
    """A person name without case, accents and trailing delimiters, character by character.

    The result is as long as the composed name, so that ``?`` still stands for one character.
    """
    return _fold_short(name) if len(name) <= _LONGEST_KEPT else _fold(name)


def _fold(name: str) -> str:
    folded = "".join(map(_fold_character, unicodedata.normalize("NFC", name)))
    groups = (
        "^".join(part.strip() for part in g.split("^")).rstrip("^") for g in folded.split("=")
    )
    return "=".join(groups).rstrip("=")


_fold_short = lru_cache(maxsize=8192)(_fold)

_KANA_VOICING = ("\u3099", "\u309a")


@lru_cache(maxsize=8192)
def _fold_character(character: str) -> str:
    if character.isascii():
        return character.lower()
    parts = unicodedata.normalize("NFD", character)
    if any(mark in parts for mark in _KANA_VOICING):
        return character  # a voiced kana is another letter, not an accented one
    base = "".join(part for part in parts if not unicodedata.combining(part))
    folded = base.casefold()
    if len(folded) != 1:
        folded = base.lower()  # a sharp s is not two
    return folded if len(folded) == 1 else character


def any_of(matches: Sequence[Match]) -> Match:
    """One match out of several: the only one, or :class:`AnyOf`."""
    return matches[0] if len(matches) == 1 else AnyOf(tuple(matches))
