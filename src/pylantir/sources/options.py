"""What a source's ``config`` may say about its field mapping, checked when it is read."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from pylantir.errors import ConfigProblem, ConfigurationError

OnNoMatch = Literal["reject", "empty", "original"]
ON_NO_MATCH: tuple[OnNoMatch, ...] = ("reject", "empty", "original")

NAME_FORMATS = ("as_is", "first_last", "last_first", "given_only")
"""How a person name is written at the source, see :func:`pylantir.sources.naming.parse_name`."""


@dataclass(frozen=True, slots=True)
class MappingOptions:
    """How values are turned into worklist values, beside the field mapping itself.

    Parameters
    ----------
    value_maps : mapping
        Source field, role or worklist name to what stands for what: ``{"sex": {"1": "M"}}``. Keys
        are compared as text, the key ``*`` stands for every other value; without it a value that
        the map does not name passes as it is.
    defaults : mapping
        Worklist name to the value that is taken where the source has none.
    required : tuple of str
        Worklist names, roles or source fields without which a record is rejected.
    patient_name_template, patient_id_template : str or None
        How a name or an identifier is put together where no field gives one:
        ``sub_{study}_ses_{session}``. An empty part is left out together with its label.
    units : mapping
        Source field, role or worklist name to the unit of its plain numbers: ``lb``, ``kg`` or
        ``g`` for the weight, ``m``, ``cm`` or ``in`` for the size.
    on_no_match : str
        What becomes of a record where a pattern does not match and does not say so itself:
        ``reject`` the record, leave the value ``empty``, or take the ``original`` text.
    name_format : mapping
        Worklist name of a person, or ``*`` for all of them, to one of :data:`NAME_FORMATS`.
    date_format : str
        How dates are written where they are not ISO 8601 or DICOM: ``DD/MM/YYYY``,
        ``MM/DD/YYYY``, ``DD.MM.YY``, ``excel`` or ``excel1904``, see
        :mod:`pylantir.sources.moments`.
    """

    value_maps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    patient_name_template: str | None = None
    patient_id_template: str | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    on_no_match: OnNoMatch = "reject"
    name_format: Mapping[str, str] = field(default_factory=dict)
    date_format: str = ""

    @classmethod
    def read(cls, config: Mapping[str, Any], where: str) -> MappingOptions:
        """The options in a source's ``config``; other keys (see :data:`OPTION_KEYS`) are left.

        Parameters
        ----------
        config : mapping
            As written.
        where : str
            What to call the source in messages, such as ``source main_redcap``.

        Raises
        ------
        ConfigurationError
            With every problem.
        """
        reader = _Reader(where)
        options = cls(
            value_maps=reader.value_maps(config.get("value_maps")),
            defaults=reader.object("defaults", config.get("defaults")),
            required=reader.names("required", config.get("required")),
            patient_name_template=reader.text("patient_name_template", config),
            patient_id_template=reader.text("patient_id_template", config),
            units=reader.choices("units", config.get("units"), _UNITS),
            on_no_match=cast("OnNoMatch", reader.choice("on_no_match", config, ON_NO_MATCH)),
            name_format=reader.name_format(config.get("name_format")),
            date_format=reader.text("date_format", config) or "",
        )
        if reader.problems:
            raise ConfigurationError(reader.problems)
        return options


OPTION_KEYS = frozenset(MappingOptions.__dataclass_fields__)
"""Keys of a source's ``config`` that belong to the mapping."""

_UNITS = ("lb", "kg", "g", "m", "cm", "in")


class _Reader:
    """Reads one key after the other and keeps what is wrong."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.problems: list[ConfigProblem] = []

    def refuse(self, path: str, expected: str, got: object, hint: str = "") -> None:
        shown = f"expected {expected}, got {shown_value(got)}"
        self.problems.append(ConfigProblem(self.where, f"config.{path}", shown, hint))

    def object(self, path: str, given: Any) -> dict[str, Any]:
        if given is None:
            return {}
        if not isinstance(given, Mapping):
            self.refuse(path, "an object", given)
            return {}
        return {str(k): v for k, v in given.items() if not str(k).startswith("_")}

    def value_maps(self, given: Any) -> dict[str, dict[str, str]]:
        maps: dict[str, dict[str, str]] = {}
        for name, pairs in self.object("value_maps", given).items():
            path = f"value_maps.{name}"
            maps[name] = {}
            for value, meaning in self.object(path, pairs).items():
                if isinstance(meaning, str | int | float) and not isinstance(meaning, bool):
                    maps[name][value] = str(meaning)
                else:
                    self.refuse(f"{path}.{value}", "a text", meaning)
        return maps

    def names(self, path: str, given: Any) -> tuple[str, ...]:
        if given is None:
            return ()
        if isinstance(given, list | tuple) and all(isinstance(n, str) and n for n in given):
            return tuple(given)
        self.refuse(path, "a list of names", given)
        return ()

    def text(self, key: str, config: Mapping[str, Any]) -> str | None:
        given = config.get(key)
        if given is None or isinstance(given, str):
            return given or None
        self.refuse(key, "a text", given)
        return None

    def choice(self, key: str, config: Mapping[str, Any], allowed: tuple[str, ...]) -> str:
        given = config.get(key, allowed[0])
        if given in allowed:
            return str(given)
        self.refuse(key, "one of " + ", ".join(allowed), given, nearest(given, allowed))
        return allowed[0]

    def choices(self, path: str, given: Any, allowed: tuple[str, ...]) -> dict[str, str]:
        named = self.object(path, given)
        for name, value in named.items():
            if value not in allowed:
                expected = "one of " + ", ".join(allowed)
                self.refuse(f"{path}.{name}", expected, value, nearest(value, allowed))
        return named

    def name_format(self, given: Any) -> dict[str, str]:
        everywhere = {"*": given} if isinstance(given, str) and given else given
        return self.choices("name_format", everywhere or None, NAME_FORMATS)


def shown_value(value: object) -> str:
    """A value of the configuration as JSON would write it, shortened."""
    import json

    shown = json.dumps(value, ensure_ascii=False, default=str)
    return shown if len(shown) <= 60 else shown[:57] + "..."


def nearest(name: object, known: tuple[str, ...] | list[str]) -> str:
    """The way out of a misspelt name, or nothing."""
    near = difflib.get_close_matches(str(name)[:100], known, n=1)
    return f"did you mean {near[0]}?" if near else ""
