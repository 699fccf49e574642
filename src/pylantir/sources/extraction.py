"""Finding a value in a raw record, and taking a part of its text by a pattern.

Patterns come from a configuration and meet text that anybody may have typed into a booking. They
run in the ``regex`` package, which stops a match after a given time and lets go of the
interpreter's lock meanwhile, so that no pattern keeps a scanner waiting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import regex

from pylantir.sources.options import ON_NO_MATCH, OnNoMatch, nearest, shown_value
from pylantir.worklist.measures import as_text

MAX_TEXT_CHARACTERS = 4096
"""A longer text is not searched: what a pattern finds in a part of it could be somebody else."""

MAX_PATTERN_CHARACTERS = 1000

MATCH_SECONDS = 0.25
"""Longest time for one text. Each one that takes longer halves the time of the next, down to
:data:`LEAST_MATCH_SECONDS`, until one is done in time."""

LEAST_MATCH_SECONDS = 0.01

MODES = ("match", "search")
_KEYS = ("pattern", "group", "mode", "on_no_match", "default")
_NOT_A_NUMBER = frozenset({"nan", "NaN", "NAN"})


class NoMatch(ValueError):
    """The pattern does not match, and that rejects the record."""


@dataclass(slots=True)
class _Patience:
    seconds: float = MATCH_SECONDS


@dataclass(frozen=True, slots=True)
class Extraction:
    """A part of a text, found by a regular expression.

    Parameters
    ----------
    pattern : str
        Of Python's :mod:`re` and the ``regex`` package.
    group : int or str
        Group whose text is taken; 0 is the whole match.
    mode : str
        ``match`` at the beginning of the text, or ``search`` anywhere in it.
    on_no_match : str
        One of :data:`~pylantir.sources.options.ON_NO_MATCH`.
    default : str or None
        Taken where the pattern does not match; comes before `on_no_match`.
    """

    pattern: str
    group: int | str = 0
    mode: str = "match"
    on_no_match: OnNoMatch = "reject"
    default: str | None = None
    _patience: _Patience = field(default_factory=_Patience, init=False, repr=False, compare=False)
    _compiled: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_compiled", regex.compile(self.pattern))

    def take(self, text: str) -> str:
        """The part of the text, without spaces around it.

        Raises
        ------
        NoMatch
            The pattern does not match, and `on_no_match` is ``reject``.
        ValueError
            The text is too long, or the pattern takes too long on it.
        """
        if len(text) > MAX_TEXT_CHARACTERS:
            raise ValueError(
                f"expected at most {MAX_TEXT_CHARACTERS} characters to search, got {len(text)}"
            )
        found = self._find(text)
        if found is not None:
            return found.strip()
        if self.default is not None:
            return self.default
        if self.on_no_match == "reject":
            raise NoMatch(f"the pattern {self.pattern} does not match")
        return text if self.on_no_match == "original" else ""

    def _find(self, text: str) -> str | None:
        run = self._compiled.match if self.mode == "match" else self._compiled.search
        seconds = self._patience.seconds
        try:
            match = run(text, timeout=seconds, concurrent=True)
        except TimeoutError:
            self._patience.seconds = max(seconds / 2, LEAST_MATCH_SECONDS)
            raise ValueError(
                f"the pattern {self.pattern} takes too long; write it without one repetition "
                "inside another"
            ) from None
        self._patience.seconds = MATCH_SECONDS
        return cast("str | None", match[self.group]) if match else None

    def __str__(self) -> str:
        part = "what matches" if self.group == 0 else f"group {self.group} of"
        otherwise = f"else {self.default!r}" if self.default is not None else self.on_no_match
        words = {
            "reject": "else rejected",
            "empty": "else empty",
            "original": "else the whole text",
        }
        return f"{part} {self.pattern} ({self.mode}, {words.get(otherwise, otherwise)})"


def read_extraction(written: Any, on_no_match: OnNoMatch) -> tuple[Extraction | None, list[Fault]]:
    """An ``_extract`` object of a field mapping.

    Parameters
    ----------
    written : object
        As written; ``pattern`` is required.
    on_no_match : str
        What holds where it does not say.

    Returns
    -------
    tuple of (Extraction or None, list of Fault)
        Nothing when there are faults.
    """
    if not isinstance(written, Mapping):
        return None, [Fault("", f"expected an object with a pattern, got {shown_value(written)}")]
    given = {str(k): v for k, v in written.items() if not str(k).startswith("_")}
    faults = [Fault(key, "unknown key", nearest(key, _KEYS)) for key in given if key not in _KEYS]
    compiled = _compile(given.get("pattern"), faults)
    group = _group(given.get("group", 0), compiled, faults)
    mode = given.get("mode", MODES[0])
    otherwise = given.get("on_no_match", on_no_match)
    for key, value, allowed in (("mode", mode, MODES), ("on_no_match", otherwise, ON_NO_MATCH)):
        if value not in allowed:
            message = f"expected one of {', '.join(allowed)}, got {shown_value(value)}"
            faults.append(Fault(key, message, nearest(value, allowed)))
    default = given.get("default")
    if default is not None and not isinstance(default, str):
        faults.append(Fault("default", f"expected a text, got {shown_value(default)}"))
    if faults:
        return None, faults
    return Extraction(given["pattern"], group, mode, otherwise, default), []


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one key of an object of the configuration."""

    key: str
    message: str
    hint: str = ""


def _compile(pattern: Any, faults: list[Fault]) -> Any:
    if not isinstance(pattern, str) or not pattern:
        faults.append(
            Fault("pattern", f"expected a regular expression, got {shown_value(pattern)}")
        )
        return None
    if len(pattern) > MAX_PATTERN_CHARACTERS:
        expected = f"expected at most {MAX_PATTERN_CHARACTERS} characters, got {len(pattern)}"
        faults.append(Fault("pattern", expected))
        return None
    try:
        return regex.compile(pattern)
    except (regex.error, OverflowError, RecursionError) as error:
        got = shown_value(pattern)
        faults.append(Fault("pattern", f"expected a regular expression, got {got}: {error}"))
        return None


def _group(given: Any, compiled: Any, faults: list[Fault]) -> int | str:
    if isinstance(given, str) and given.isdecimal():
        given = int(given)
    if isinstance(given, bool) or not isinstance(given, int | str):
        faults.append(Fault("group", f"expected the number of a group, got {shown_value(given)}"))
        return 0
    if compiled is None:
        return given
    if given not in (compiled.groupindex if isinstance(given, str) else range(compiled.groups + 1)):
        groups = [f"0 to {compiled.groups}" if compiled.groups else "0", *compiled.groupindex]
        message = f"expected a group of the pattern ({', '.join(groups)}), got {shown_value(given)}"
        faults.append(Fault("group", message))
    return given


def look_up(fields: Mapping[str, Any], path: str) -> Any:
    """What a record has under a name or a dotted path; nothing when it is not there.

    A whole path may be one key; parts go through objects, and through lists by index. What is not
    at the root is looked for in ``properties``, where Calpendo 11 keeps what was at the root.
    """
    if fields.get(path) is not None:
        return fields[path]
    parts = path.split(".")
    value = _walk(fields, parts)
    if value is None and parts[0] != "properties":
        inner = fields.get("properties")
        if isinstance(inner, Mapping):
            value = inner.get(path)
            value = _walk(inner, parts) if value is None else value
    return value


def _walk(value: Any, parts: Sequence[str]) -> Any:
    for part in parts:
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list | tuple) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def plain_text(value: object) -> str:
    """A raw value as text; a number that is none, as exports write it, is empty.

    Raises
    ------
    ValueError
        An object or a list, with what could be written instead.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        inside = ", ".join(str(key) for key in list(value)[:5])
        raise ValueError(f"expected one plain value, found an object: add one of {inside}")
    if isinstance(value, list | tuple):
        raise ValueError("expected one plain value, found a list: add an index, such as .0")
    text = as_text(value)
    return "" if text in _NOT_A_NUMBER else text
