"""The page's words: English in the templates, other languages in one JSON file each.

A site's own file comes on top of what is shipped in its language.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

from markupsafe import Markup, escape

log = logging.getLogger(__name__)

SHIPPED = ("de", "fr")
"""Languages that come with the page, beside English (RFC 5646)."""

_MOST_LANGUAGES = 20
"""More than that nobody prefers; what a browser says beyond it is not read."""


class Words:
    """Says things in one language.

    Parameters
    ----------
    known : mapping
        English to that language; what is missing is said in English.
    """

    def __init__(self, known: Mapping[str, str] | None = None) -> None:
        self._known = dict(known or {})

    @property
    def language(self) -> str:
        """Code of the language (RFC 5646), from the entry ``_language``."""
        return self._known.get("_language", "en")

    def __call__(self, english: str, **values: object) -> str:
        """The sentence, with its ``%(name)s`` filled; HTML when one of them is."""
        said = self._known.get(english) or english
        if not values:
            return said
        try:
            return _filled(said, values)
        except (KeyError, ValueError, TypeError):
            return _filled(english, values)  # a slip in the site's file takes no page down

    def over(self, shipped: Words) -> Words:
        """These words where there are any, else the shipped ones."""
        return Words({**shipped._known, **self._known})


def _filled(sentence: str, values: Mapping[str, object]) -> str:
    if any(isinstance(value, Markup) for value in values.values()):
        return escape(sentence) % values
    return sentence % values


class Languages:
    """Which words somebody gets.

    Parameters
    ----------
    chosen : str
        Code of the site's language, or ``auto``: the one that the browser prefers.
    own : Words, optional
        The site's own, for everybody.
    """

    def __init__(self, chosen: str = "auto", own: Words | None = None) -> None:
        self._fixed: Words | None = None
        if own is not None:
            self._fixed = own.over(shipped(own.language))
        elif chosen != "auto":
            self._fixed = shipped(chosen)

    def for_browser(self, preferred: str) -> Words:
        """The words for somebody whose browser sends an ``Accept-Language`` (RFC 9110 12.5.4)."""
        if self._fixed is not None:
            return self._fixed
        return next((shipped(code) for code in _wanted(preferred) if code in _SPOKEN), Words())


_SPOKEN = ("en", *SHIPPED)


def _wanted(preferred: str) -> list[str]:
    """Languages without their regions, the most wanted first."""
    found = []
    for part in preferred.split(",", _MOST_LANGUAGES)[:_MOST_LANGUAGES]:
        name, _, quality = part.strip().partition(";")
        try:
            weight = float(quality.strip().removeprefix("q=") or 1)
        except ValueError:
            weight = 0.0
        if weight > 0:
            found.append((-weight, name.strip().partition("-")[0].lower()))
    return [name for _, name in sorted(found, key=lambda each: each[0])]


@cache
def shipped(code: str) -> Words:
    """The words that come with the page; English for a language that does not."""
    if code not in SHIPPED:
        return Words()
    text = files("pylantir.web").joinpath("languages", f"{code}.json").read_text("utf-8")
    return Words(json.loads(text))


def words_of(path: str | None) -> Words | None:
    """The words of a file; none, and a warning, when it cannot be used."""
    if path is None:
        return None
    try:
        found = json.loads(Path(path).expanduser().read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        log.warning("page.words %s cannot be used (%s): it is left out", path, error)
        return None
    if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
        log.warning("page.words %s: expected an object of texts; it is left out", path)
        return None
    return Words(found)
