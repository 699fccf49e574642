"""Where bookings come from: a registry of sources.

A module of this folder that says ``SOURCE =`` is a source; its type is its name, unless the table
below gives it another one. Packages add theirs through the entry point group ``pylantir.sources``;
:func:`register_source` serves tests. What is not configured is not imported.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from pylantir.errors import ConfigProblem, ConfigurationError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from pylantir.sources.base import Source, SourceSettings
    from pylantir.sources.mapping import FieldMapping

    Factory = Callable[[SourceSettings], Source]

ENTRY_POINT_GROUP = "pylantir.sources"

_BUILT_IN = {
    "redcap": "pylantir.sources.redcap",
    "redcap_concussion": "pylantir.sources.redcap_concussion",
    "calpendo": "pylantir.sources.calpendo",
    "csv": "pylantir.sources.csvfile",
}
_SOURCE = re.compile(rb"^SOURCE\b", re.MULTILINE)
_registered: dict[str, Factory] = {}


def register_source(source_type: str, factory: Factory) -> None:
    """Make a type known in this process."""
    _registered[source_type] = factory


def known_types() -> tuple[str, ...]:
    """Every type that a configuration may name."""
    return tuple(sorted({*_BUILT_IN, *_registered, *_in_this_folder(), *_entry_points()}))


def make_source(source_type: str, settings: SourceSettings) -> Source:
    """A source of that type; touches no network.

    Raises
    ------
    ConfigurationError
        An unknown type, a package that cannot be loaded, or settings that the source refuses.
    """
    return _factory(source_type, settings.name)(settings)


def mapping_of(source_type: str, settings: SourceSettings) -> FieldMapping | None:
    """The field mapping of a source, read without its secrets; nothing when it does not tell.

    Raises
    ------
    ConfigurationError
        As :func:`make_source` does.
    """
    read = getattr(_factory(source_type, settings.name), "read_mapping", None)
    mapping: FieldMapping | None = read(settings) if read is not None else None
    return mapping


def _factory(source_type: str, name: str) -> Factory:
    if source_type in _registered:
        return _registered[source_type]
    module = _BUILT_IN.get(source_type) or _in_this_folder().get(source_type)
    if module is not None:
        factory: Factory = import_module(module).SOURCE
        return factory
    point = _entry_points().get(source_type)  # which looks at every package
    if point is None:
        raise _unknown(source_type, name)
    return _loaded(point, name)


def _loaded(point: EntryPoint, name: str) -> Factory:
    try:
        factory: Factory = point.load()
    except Exception as error:  # a door: another package's code runs here
        package = point.dist.name if point.dist else point.module
        message = f"the package {package} cannot be loaded: {type(error).__name__}: {error}"
        hint = "install it again, with what it needs"
        raise ConfigurationError(
            [ConfigProblem(f"source {name}", "type", message, hint)]
        ) from error
    return factory


def _unknown(source_type: str, name: str) -> ConfigurationError:
    near = difflib.get_close_matches(source_type, known_types(), n=1)
    hint = f"did you mean {near[0]}?" if near else ""
    known = ", ".join(known_types())
    message = f"expected one of {known}, got {source_type!r}"
    return ConfigurationError([ConfigProblem(f"source {name}", "type", message, hint)])


def _in_this_folder() -> dict[str, str]:
    """Sources that are a file here and nothing else: type to module, none of them imported."""
    folder = Path(__file__).parent
    names = (path.stem for path in folder.glob("*.py") if _SOURCE.search(path.read_bytes()))
    modules = {name: f"{__name__}.{name}" for name in names if name != "__init__"}
    return {name: module for name, module in modules.items() if module not in _BUILT_IN.values()}


def _entry_points() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points  # slow, and only needed with sources

    return {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
