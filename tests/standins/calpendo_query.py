"""The vendor's query grammar, parsed and evaluated.

::

    EXPR   := BOOLOP/EXPR/.../EXPR/CLOSE | PATH/RELATION/VALUE
    BOOLOP := AND | OR | NAND | NOR

Everything after a BOOLOP is nested in it until its CLOSE; a CLOSE at the end may be left out. So
``AND/a/EQ/1/OR/b/EQ/2/c/EQ/3`` is *a and (b or c)*, whatever its author had in mind.
"""

from __future__ import annotations

import datetime as dt
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import unquote

HIDDEN = "<Hidden>"
NULL = "__NULL__"
BOOLOPS = frozenset({"AND", "OR", "NAND", "NOR"})
_TIMES = (
    (re.compile(r"\d{8}T\d{4}"), "%Y%m%dT%H%M"),
    (re.compile(r"\d{8}-\d{4}"), "%Y%m%d-%H%M"),
    (re.compile(r"\d{8}T\d{2}:\d{2}:\d{2}\.\d{3}"), "%Y%m%dT%H:%M:%S.%f"),
    (re.compile(r"\d{8}"), "%Y%m%d"),
)

Properties = Mapping[str, object]


class QueryError(ValueError):
    """The expression does not follow the grammar, or a value does not fit its property."""


class Expression(Protocol):
    """Something that is true or false of a biskit."""

    def holds(self, item: Properties) -> bool:
        """Whether it is true of an item with these properties."""

    def conditions(self) -> Iterator[Condition]:
        """The single conditions in it."""


@dataclass(frozen=True)
class Group:
    """AND, OR, NAND or NOR over one or more expressions."""

    boolop: str
    parts: tuple[Expression, ...]

    def holds(self, item: Properties) -> bool:
        met = all if self.boolop in {"AND", "NAND"} else any
        return met(part.holds(item) for part in self.parts) != self.boolop.startswith("N")

    def conditions(self) -> Iterator[Condition]:
        for part in self.parts:
            yield from part.conditions()


@dataclass(frozen=True)
class Condition:
    """A relation between a property and a value. A property without a value meets only null."""

    path: str
    relation: str
    value: str

    def holds(self, item: Properties) -> bool:
        held = resolve(item, self.path)
        if self.value == NULL:
            return (held is None) == (self.relation == "EQ")
        if held is None or held == HIDDEN:
            return False
        return RELATIONS[self.relation](held, self.value)

    def conditions(self) -> Iterator[Condition]:
        yield self


def parse(text: str) -> Expression:
    """The expression in the path of a query, still percent-encoded (``%2F`` is no separator).

    Raises
    ------
    QueryError
        The text does not follow the grammar.
    """
    tokens = [unquote(part) for part in text.split("/")]
    if tokens and tokens[-1] == "" and not _ends_in_value(tokens):
        tokens.pop()
    expression, rest = _expression(tokens, 0)
    if rest < len(tokens):
        raise QueryError(f"unexpected {tokens[rest]!r} after the end of the expression")
    return expression


def resolve(item: Properties, path: str) -> object:
    """The value at a dotted path; ``.date`` of a time is its day; None where there is nothing.

    Raises
    ------
    QueryError
        No such property.
    """
    value: object = item
    for name in path.split("."):
        if value is None or value == HIDDEN:
            return value
        if isinstance(value, dt.datetime) and name == "date":
            value = value.date()
        elif isinstance(value, Mapping) and name in value:
            value = value[name]
        else:
            raise QueryError(f"no property {name!r} in the path {path!r}")
    return value


def parse_time(text: str) -> dt.datetime:
    """A server wall time in one of the four forms that are known to be taken.

    Raises
    ------
    QueryError
        Another form, or no time of the calendar.
    """
    for pattern, form in _TIMES:
        if pattern.fullmatch(text):
            try:
                return dt.datetime.strptime(text, form)
            except ValueError:
                break
    raise QueryError(f"{text!r} is not a valid date or time")


def _ends_in_value(tokens: list[str]) -> bool:
    """Whether the last token is a value, even if an empty one (``title/EQ/``)."""
    return len(tokens) >= 3 and tokens[-2].upper() in RELATIONS


def _expression(tokens: list[str], at: int) -> tuple[Expression, int]:
    if at >= len(tokens):
        raise QueryError("the expression ends too early")
    boolop = tokens[at].upper()
    if boolop not in BOOLOPS:
        return _condition(tokens, at)
    parts: list[Expression] = []
    at += 1
    while at < len(tokens) and tokens[at].upper() != "CLOSE":
        part, at = _expression(tokens, at)
        parts.append(part)
    if not parts:
        raise QueryError(f"{boolop} without an expression")
    return Group(boolop, tuple(parts)), min(at + 1, len(tokens))


def _condition(tokens: list[str], at: int) -> tuple[Expression, int]:
    words = tokens[at : at + 3]
    if len(words) < 3:
        raise QueryError(f"expected PATH/RELATION/VALUE at {'/'.join(words)!r}")
    path, relation, value = words[0], words[1].upper(), words[2]
    if relation not in RELATIONS:
        raise QueryError(f"{words[1]!r} is not a relation")
    if value == NULL and relation not in {"EQ", "NE"}:
        raise QueryError(f"{relation} cannot be asked of {NULL}")
    return Condition(path, relation, value), at + 3


def _typed(held: object, value: str) -> tuple[object, object]:
    """Property and value as the same type, ready to be compared."""
    if isinstance(held, Mapping):
        held = held.get("id")
    if isinstance(held, dt.datetime):
        return held, parse_time(value)
    if isinstance(held, dt.date):
        return held, parse_time(value).date()
    if isinstance(held, bool):
        if value.lower() not in {"true", "false"}:
            raise QueryError(f"{value!r} is neither true nor false")
        return held, value.lower() == "true"
    if isinstance(held, (int, float)):
        try:
            return held, float(value) if "." in value else int(value)
        except ValueError:
            raise QueryError(f"{value!r} is not a number") from None
    return str(held), value


def _compare(compare: Callable[[Any, Any], bool]) -> Callable[[object, str], bool]:
    return lambda held, value: compare(*_typed(held, value))


def _text(test: Callable[[str, str], bool], wanted: bool) -> Callable[[object, str], bool]:
    return lambda held, value: test(str(held), value) == wanted


def _members(held: object) -> set[str]:
    if isinstance(held, Mapping):
        return {str(held.get("name")), str(held.get("id"))}
    if isinstance(held, (list, tuple)):
        return {name for member in held for name in _members(member)}
    return {str(held)}


def _listed(value: str) -> set[str]:
    return {part.strip() for part in value.split(",")}


def _set(test: Callable[[set[str], set[str]], bool], wanted: bool) -> Callable[[object, str], bool]:
    return lambda held, value: test(_members(held), _listed(value)) == wanted


def _all_in(held: set[str], listed: set[str]) -> bool:
    return listed <= held


def _any_in(held: set[str], listed: set[str]) -> bool:
    return bool(listed & held)


# What the relations about members mean is not documented beyond their names: here the value is a
# comma-separated list, and a member is known by its name or by its id.
RELATIONS: dict[str, Callable[[object, str], bool]] = {
    "EQ": _compare(operator.eq),
    "NE": _compare(operator.ne),
    "LT": _compare(operator.lt),
    "LE": _compare(operator.le),
    "GT": _compare(operator.gt),
    "GE": _compare(operator.ge),
    "CONTAINS": _text(operator.contains, True),
    "DOES_NOT_CONTAIN": _text(operator.contains, False),
    "STARTS_WITH": _text(str.startswith, True),
    "DOES_NOT_START_WITH": _text(str.startswith, False),
    "ENDS_WITH": _text(str.endswith, True),
    "DOES_NOT_END_WITH": _text(str.endswith, False),
    "INCLUDES_ALL": _set(_all_in, True),
    "DOES_NOT_INCLUDE_ALL": _set(_all_in, False),
    "INCLUDES_ANY": _set(_any_in, True),
    "DOES_NOT_INCLUDE_ANY": _set(_any_in, False),
    "MEMBER_OF": _set(_any_in, True),
    "NOT_MEMBER_OF": _set(_any_in, False),
    "CONTAINS_MEMBER": _set(_any_in, True),
    "DOES_NOT_CONTAIN_MEMBER": _set(_any_in, False),
}
