"""Where bookings come from: a registry of sources.

Built-in modules are imported only when a source of their type is configured. Packages add theirs
through the entry point group ``pylantir.sources``; :func:`register_source` serves tests.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from pylantir.errors import ConfigProblem, ConfigurationError

if TYPE_CHECKING:
    from pylantir.sources.base import Source, SourceSettings

    Factory = Callable[[SourceSettings], Source]

ENTRY_POINT_GROUP = "pylantir.sources"

_BUILT_IN = {
    "redcap": "pylantir.sources.redcap",
    "redcap_concussion": "pylantir.sources.redcap_concussion",
    "calpendo": "pylantir.sources.calpendo",
    "csv": "pylantir.sources.csvfile",
}
_registered: dict[str, Factory] = {}


def register_source(source_type: str, factory: Factory) -> None:
    """Make a type known in this process."""
    _registered[source_type] = factory


def known_types() -> tuple[str, ...]:
    """Every type that a configuration may name."""
    return tuple(sorted({*_BUILT_IN, *_registered, *_entry_points()}))


def make_source(source_type: str, settings: SourceSettings) -> Source:
    """A source of that type; touches no network.

    Raises
    ------
    ConfigurationError
        An unknown type, or settings that the source refuses.
    """
    if source_type in _registered:
        return _registered[source_type](settings)
    if source_type in _BUILT_IN:
        factory: Factory = import_module(_BUILT_IN[source_type]).SOURCE
        return factory(settings)
    entry_points = _entry_points()
    if source_type in entry_points:
        return entry_points[source_type]()(settings)
    raise _unknown(source_type, settings.name)


def require_known(source_type: str, name: str) -> None:
    """Check the type of a source without making it.

    Raises
    ------
    ConfigurationError
        An unknown type; names the known ones.
    """
    is_ours = source_type in _BUILT_IN or source_type in _registered
    if not is_ours and source_type not in _entry_points():  # which looks at every package
        raise _unknown(source_type, name)


def _unknown(source_type: str, name: str) -> ConfigurationError:
    near = difflib.get_close_matches(source_type, known_types(), n=1)
    hint = f"did you mean {near[0]}?" if near else ""
    known = ", ".join(known_types())
    message = f"expected one of {known}, got {source_type!r}"
    return ConfigurationError([ConfigProblem(f"source {name}", "type", message, hint)])


def _entry_points() -> dict[str, Callable[[], Factory]]:
    from importlib.metadata import entry_points  # slow, and only needed with sources

    return {point.name: point.load for point in entry_points(group=ENTRY_POINT_GROUP)}
