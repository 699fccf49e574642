"""What a scanner asked, in a form that can be kept: no key about a person in the clear.

Keys about the schedule (scanner, day, modality, status) are kept as they are. Everything else is
kept as a keyed hash, which still tells whether an item has the value that was asked for; of a wild
card pattern nothing is kept but that there was one.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pylantir.worklist.attributes import BY_NAME
from pylantir.worklist.query import (
    AnyOf,
    CodeKey,
    Key,
    Match,
    PersonName,
    Range,
    SingleValue,
    StartInterval,
    WildCard,
    WorklistQuery,
    fold_name,
    has_wild_card,
)
from pylantir.worklist.status import ItemStatus

OPEN = frozenset(
    "scheduled_station_ae_title scheduled_station_name scheduled_procedure_step_start_date "
    "scheduled_procedure_step_start_time scheduled_procedure_step_end_date "
    "scheduled_procedure_step_end_time modality status scheduled_procedure_step_location "
    "requested_procedure_priority".split()
)
"""Attributes whose keys are kept in the clear; all others may say something about a person."""

_START = "start"
_HASH_CHARACTERS = 32


@dataclass(frozen=True, slots=True)
class HashedValue:
    """Matches the value that a hash was made of.

    Parameters
    ----------
    key : bytes
        Of the journal.
    digest : str
        Of the value.
    folds : bool
        The value was a person name, compared without case and accents.
    """

    key: bytes
    digest: str
    folds: bool = False

    def accepts(self, value: Any) -> bool:
        """Whether the value has the hash."""
        if not self.folds:
            return digest(self.key, str(value)) == self.digest
        whole = fold_name(str(value))
        return any(digest(self.key, name) == self.digest for name in (whole, *whole.split("=")))


@dataclass(frozen=True, slots=True)
class NotKept:
    """Stands for a pattern about a person: nobody can say any more what it matched."""

    def accepts(self, value: Any) -> bool:
        """Always; who explains asks :func:`is_certain` first."""
        return True


def is_certain(match: Match) -> bool:
    """Whether it can still be told what a kept key matches."""
    if isinstance(match, AnyOf):
        return all(is_certain(part) for part in match.matches)
    return not isinstance(match, NotKept)


def digest(key: bytes, value: str) -> str:
    """The keyed hash of a value."""
    return hmac.new(key, value.encode(), hashlib.sha256).hexdigest()[:_HASH_CHARACTERS]


def kept(query: WorklistQuery, key: bytes) -> list[dict[str, Any]]:
    """The keys of a query as plain JSON; see the module for what is left out of them."""
    found = [
        {"name": k.attribute.name, **_kept(k.match, k.attribute.name, key)} for k in query.keys
    ]
    for code in query.codes:
        parts = {name: _kept(match, "", key) for name, match in code.parts}
        found.append({"name": code.attribute.name, "code": parts})
    if query.start is not None:
        first, last = query.start.first, query.start.last
        found.append(
            {
                "name": _START,
                "from": first.isoformat() if first else None,
                "to": last.isoformat() if last else None,
            }
        )
    return found


def _kept(match: Match, name: str, key: bytes) -> dict[str, Any]:
    if isinstance(match, AnyOf):
        return {"any": [_kept(part, name, key) for part in match.matches]}
    if name in OPEN:
        return _in_the_clear(match)
    if isinstance(match, SingleValue) and match.value is not None:
        return {"hash": digest(key, str(match.value))}
    if isinstance(match, PersonName) and not has_wild_card(match.key) and "=" not in match.key:
        return {"hash": digest(key, match.key), "folds": True}
    return {"pattern": True}


def _in_the_clear(match: Match) -> dict[str, Any]:
    if isinstance(match, SingleValue):
        return {"is": _text(match.value)}
    if isinstance(match, WildCard):
        return {"like": match.pattern}
    if isinstance(match, Range):
        return {"from": _text(match.first), "to": _text(match.last)}
    return {"pattern": True}


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return value.isoformat() if isinstance(value, dt.date | dt.time) else str(value)


def revived(keys: Sequence[Mapping[str, Any]], key: bytes) -> WorklistQuery:
    """The query that kept keys stand for, as far as it can still be told."""
    found: list[Key] = []
    codes: list[CodeKey] = []
    start: StartInterval | None = None
    for each in keys:
        name = each["name"]
        if name == _START:
            start = StartInterval(_moment(each["from"]), _moment(each["to"]))
        elif name in BY_NAME and "code" in each:
            parts = tuple((part, _match(m, "", key)) for part, m in each["code"].items())
            codes.append(CodeKey(BY_NAME[name], parts))
        elif name in BY_NAME:
            found.append(Key(BY_NAME[name], _match(each, name, key)))
    return WorklistQuery(keys=tuple(found), codes=tuple(codes), start=start)


def _match(each: Mapping[str, Any], name: str, key: bytes) -> Match:
    if "any" in each:
        return AnyOf(tuple(_match(part, name, key) for part in each["any"]))
    if "hash" in each:
        return HashedValue(key, each["hash"], bool(each.get("folds")))
    if "like" in each:
        return WildCard(each["like"])
    if "is" in each:
        return SingleValue(_value(each["is"], name))
    if "from" in each:
        return Range(_value(each["from"], name), _value(each["to"], name))
    return NotKept()


def _value(text: str | None, name: str) -> Any:
    if text is None:
        return None
    vr = BY_NAME[name].vr
    if name == "status":
        return ItemStatus(text)
    if vr == "DA":
        return dt.date.fromisoformat(text)
    if vr == "TM":
        return dt.time.fromisoformat(text)
    return Decimal(text) if vr == "DS" else text


def _moment(text: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if text else None


def words(match: Match) -> str:
    """What a key asks for, in words for people."""
    if isinstance(match, AnyOf):
        return " or ".join(words(part) for part in match.matches)
    if isinstance(match, SingleValue):
        return _text(match.value) or "a value that no item has"
    if isinstance(match, WildCard):
        return match.pattern
    if isinstance(match, Range):
        return f"{_text(match.first) or ''}..{_text(match.last) or ''}"
    if isinstance(match, HashedValue):
        return "a value that is kept as a hash only"
    if isinstance(match, NotKept):
        return "a pattern that is not kept"
    return "something else"
