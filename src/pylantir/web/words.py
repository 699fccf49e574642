"""The page's words: English in the templates, a site's own language from one JSON file."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path

log = logging.getLogger(__name__)


class Words:
    """Says things in the language of the site.

    Parameters
    ----------
    known : mapping
        English to the site's language; what is missing is said in English.
    """

    def __init__(self, known: Mapping[str, str] | None = None) -> None:
        self._known = dict(known or {})

    @property
    def language(self) -> str:
        """Code of the language (RFC 5646), from the entry ``_language``."""
        return self._known.get("_language", "en")

    def __call__(self, english: str, **values: object) -> str:
        """The sentence, with its ``%(name)s`` filled."""
        said = self._known.get(english) or english
        if not values:
            return said
        try:
            return said % values
        except (KeyError, ValueError, TypeError):
            return english % values  # a slip in the site's file must not take the page down


def words_of(path: str | None) -> Words:
    """The words of a file; English, and a warning, when it cannot be used."""
    if path is None:
        return Words()
    try:
        found = json.loads(Path(path).expanduser().read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        log.warning("page.words %s cannot be used (%s): the page is in English", path, error)
        return Words()
    if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
        log.warning("page.words %s: expected an object of texts; the page is in English", path)
        return Words()
    return Words(found)
