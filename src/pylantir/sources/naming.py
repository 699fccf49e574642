"""Names and identifiers of patients: put together by a template, or read from how people write."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter

_STRUCTURE = "^="
"""Separators of a person name (PS3.5 section 6.2.1): they stay where a part is left out."""

_SEPARATORS = " _-.,;:/|+#"
_CLOSING = {"(": ")", "[": "]", "{": "}", "<": ">"}


@dataclass(frozen=True, slots=True)
class _Segment:
    """A placeholder with the text before it: what separates, and what labels it."""

    structure: str
    label: str
    name: str


@dataclass(frozen=True, slots=True)
class Template:
    """A text with placeholders, such as ``sub_{study}_ses_{session}``.

    The text before a placeholder is its label: where the value is empty, both are left out, so
    that no ``ses_`` dangles. A name's ``^`` and ``=`` stay, because they say which part is which.

    Parameters
    ----------
    text : str
        As written; ``{{`` and ``}}`` stand for braces.

    Raises
    ------
    ValueError
        Braces do not match, a placeholder has no name, or says how to be formatted.
    """

    text: str
    _segments: tuple[_Segment, ...] = ()
    _rest: str = ""

    def __post_init__(self) -> None:
        segments: list[_Segment] = []
        rest = ""
        for literal, name, form, conversion in Formatter().parse(self.text):
            if name is None:
                rest += literal
                continue
            if not name.strip() or form or conversion:
                raise ValueError("expected plain placeholders such as {study}")
            before, rest = rest + literal, ""
            structure = before[: max(map(before.rfind, _STRUCTURE)) + 1]
            segments.append(_Segment(structure, before[len(structure) :], name.strip()))
        object.__setattr__(self, "_segments", tuple(segments))
        object.__setattr__(self, "_rest", rest)

    @property
    def placeholders(self) -> tuple[str, ...]:
        """The names in braces, in order."""
        return tuple(segment.name for segment in self._segments)

    def fill(self, values: Mapping[str, str]) -> str:
        """The text with its placeholders filled; empty when every value is.

        Parameters
        ----------
        values : mapping
            Placeholder to text.
        """
        filled = [values.get(name, "").strip() for name in self.placeholders]
        if self._segments and not any(filled):
            return ""
        made, closing, left_out = "", "", False
        for segment, value in zip(self._segments, filled, strict=True):
            structure, label = _unclosed(closing, segment.structure, segment.label)
            closing = ""
            made += structure
            if value:
                at_start = not made or made[-1] in _STRUCTURE
                made += (label.lstrip(_SEPARATORS) if left_out and at_start else label) + value
            else:
                left_out = True
                closing = _CLOSING.get(label[-1:], "")
        return (made + _unclosed(closing, "", self._rest)[1]).rstrip(_STRUCTURE)


def _unclosed(closing: str, structure: str, label: str) -> tuple[str, str]:
    """Text without the bracket that closes one which was left out."""
    if structure:
        return structure.removeprefix(closing), label
    return structure, label.removeprefix(closing)


_PARTICLES = frozenset(
    "af al ap av bin bint da dal de degli dei del della den der des di do dos du el ibn la las le "
    "los san st. te ten ter van vom von zu zum zur y e".split()
)
_TITLES = frozenset("dr dr. mr mr. mrs mrs. ms ms. miss prof prof. sir mx mx.".split())
_SUFFIXES = frozenset("jr jr. sr sr. ii iii iv md phd m.d. ph.d.".split())


def parse_name(written: str, name_format: str) -> str:
    """A person name with its components separated, ``Family^Given^Middle^Prefix^Suffix``.

    Parameters
    ----------
    written : str
        As people write it; underscores count as spaces. A text that holds a ``^`` is taken as it
        is, because its components are separated already.
    name_format : str
        ``as_is`` changes nothing. ``first_last`` is "Jane Mary Doe", ``last_first`` is
        "Doe, Jane Mary" or "Doe Jane"; a comma always ends the family name. ``given_only`` puts
        the whole text into the given name, as earlier releases did with Calpendo's titles.
    """
    if name_format in ("", "as_is") or "^" in written:
        return written
    if name_format == "given_only":
        return f"^{written}" if written else ""
    text = " ".join(written.replace("_", " ").split())
    family, comma, others = text.partition(",")
    words = re.split(r"[ ,]+", (others if comma else text).strip(" ,"))
    if comma and all(word.lower() in _SUFFIXES for word in words):
        comma, words = "", [*family.split(), *words]
    prefix = _taken(words, _TITLES, first=True)
    suffix = _taken(words, _SUFFIXES, first=False)
    if not comma:
        family, words = _split(words, family_first=name_format == "last_first")
    given, middle = (words[0], " ".join(words[1:])) if words else ("", "")
    return "^".join((family.strip(), given, middle, prefix, suffix)).rstrip("^")


def _taken(words: list[str], known: frozenset[str], *, first: bool) -> str:
    """The known words at one end, taken out of the list; one word always stays."""
    found: list[str] = []
    while len(words) > 1 and words[0 if first else -1].lower() in known:
        found.insert(len(found) if first else 0, words.pop(0 if first else -1))
    return " ".join(found)


def _split(words: list[str], *, family_first: bool) -> tuple[str, list[str]]:
    """Family name with its particles ("van der Berg"), and the words that are left."""
    if family_first:
        end = 1
        while end < len(words) and words[end - 1].lower() in _PARTICLES:
            end += 1
        return " ".join(words[:end]), words[end:]
    start = len(words) - 1
    first = 0 if words[0].islower() else 1
    while start > first and words[start - 1].lower() in _PARTICLES:
        start -= 1
    return " ".join(words[start:]), words[:start]
