"""From what a source writes to what the worklist means: value maps, units, dates, names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pylantir.sources.moments import DateFormat
from pylantir.sources.naming import parse_name
from pylantir.sources.options import MappingOptions, nearest
from pylantir.sources.pairs import ROLE_ALIASES, Pair
from pylantir.sources.targets import (
    SIZE,
    WEIGHTS,
    takes_lists,
    takes_objects,
    target_name,
    unknown_target,
    vr_of,
)

Refuse = Callable[[str, str], None]
Warn = Callable[[str], None]

_ALL_OTHERS = "*"
_METRES_PER_INCH = Decimal("0.0254")
_PLAIN_NUMBER = re.compile(r"[0-9]+(?:[.,][0-9]+)?")
_YEAR = re.compile(r"[0-9]{4}")
_UNITS_OF = {**dict.fromkeys(WEIGHTS, ("lb", "kg", "g")), SIZE: ("m", "cm", "in")}


@dataclass(frozen=True, slots=True)
class Converter:
    """What :class:`~pylantir.sources.options.MappingOptions` do to a value.

    Parameters
    ----------
    value_maps, units : mapping
        Source field, role or target to what holds for it.
    name_formats : mapping
        Target, or ``*``, to how a name is written.
    dates : DateFormat
        How dates are written.
    """

    value_maps: Mapping[str, Mapping[str, str]]
    units: Mapping[str, str]
    name_formats: Mapping[str, str]
    dates: DateFormat

    @classmethod
    def read(
        cls,
        options: MappingOptions,
        named: Mapping[str, Sequence[Pair]],
        refuse: Refuse,
        warn: Warn,
    ) -> Converter:
        """Check the options against the pairs that there are.

        Parameters
        ----------
        options : MappingOptions
            As read.
        named : mapping
            Source field, role or target to the pairs of that name.
        refuse, warn : callable
            Take a key path below ``config`` and what is wrong with it, or what is odd.
        """
        maps = _by_known_names("value_maps", options.value_maps, named, warn)
        units = _by_known_names("units", options.units, named, warn)
        for name, unit in units.items():
            wanted = {u for pair in named[name] for u in _UNITS_OF.get(pair.target, ())}
            if unit not in wanted:
                expected = f"one of {', '.join(sorted(wanted))}" if wanted else "no unit here"
                refuse(f"units.{name}", f"expected {expected}, got {unit!r}")
        try:
            dates = DateFormat(options.date_format)
        except ValueError as error:
            refuse("date_format", f"{error}, got {options.date_format!r}")
            dates = DateFormat()
        folded = {name: {k.strip().casefold(): v for k, v in m.items()} for name, m in maps.items()}
        return cls(folded, units, _name_formats(options, refuse), dates)

    def meaning(self, pair: Pair, text: str) -> str:
        """What a text stands for, by the value map of its field, role or target."""
        table = next((self.value_maps[n] for n in _names(pair) if n in self.value_maps), None)
        if table is None:
            return text
        return table.get(text.casefold(), table.get(_ALL_OTHERS, text))

    def keeps_shape(self, target: str, raw: object) -> bool:
        """Whether a raw value is taken as the list or object that it is."""
        if isinstance(raw, Mapping):
            return takes_objects(target)
        return isinstance(raw, list | tuple) and takes_lists(target)

    def convert(self, pair: Pair, text: str) -> str:
        """The text in the form that its target takes.

        Raises
        ------
        ValueError
            It cannot be; says what was expected.
        """
        if not text:
            return ""
        vr = vr_of(pair.target)
        if vr == "DA":
            if _YEAR.fullmatch(text):
                raise ValueError("expected a whole date, a year alone is none")
            return self.dates.date(text)
        if vr == "TM":
            return self.dates.time(text)
        if vr == "PN":
            every = self.name_formats.get(_ALL_OTHERS, "")
            return parse_name(text, self.name_formats.get(pair.target, every))
        unit = next((self.units[n] for n in _names(pair) if n in self.units), "")
        return _with_unit(text, unit) if unit else text


def _names(pair: Pair) -> tuple[str, ...]:
    """Names under which an option may speak of a pair, the most particular first."""
    return pair.source, pair.role, pair.target


def _by_known_names(
    key: str, written: Mapping[str, Any], named: Mapping[str, Sequence[Pair]], warn: Warn
) -> dict[str, Any]:
    """The options under the names that pairs have; the others do nothing and are warned of."""
    known: dict[str, Any] = {}
    for name, value in written.items():
        spellings = (name, ROLE_ALIASES.get(name, name), target_name(name))
        found = next((spelling for spelling in spellings if spelling in named), "")
        if found:
            known[found] = value
        else:
            hint = nearest(name, list(named))
            warn(
                f"config.{key}.{name}: no field, role or target has this name; {hint}".rstrip("; ")
            )
    return known


def _name_formats(options: MappingOptions, refuse: Refuse) -> dict[str, str]:
    formats: dict[str, str] = {}
    for name, name_format in options.name_format.items():
        target = target_name(name)
        if name == _ALL_OTHERS:
            formats[name] = name_format
        elif not target:
            refuse(f"name_format.{name}", unknown_target(name))
        elif vr_of(target) != "PN":
            refuse(f"name_format.{name}", "expected a person name, such as patient_name")
        else:
            formats[target] = name_format
    return formats


def _with_unit(text: str, unit: str) -> str:
    """A plain number with its unit; what names one itself, or is no number, stays as it is."""
    if not _PLAIN_NUMBER.fullmatch(text):
        return text
    if unit == "in":
        return f"{(Decimal(text.replace(',', '.')) * _METRES_PER_INCH).quantize(Decimal('0.0001'))}"
    return f"{text} {unit}"
