"""Field mapping: from a source's raw record to worklist values, one engine for all sources.

A mapping is read once, when the source is made, and everything that is wrong with it is said
then. :meth:`FieldMapping.apply` then turns records into the values that
:func:`~pylantir.worklist.item.make_item` takes.

How pairs are understood is written down in ``docs/sources.md``; :meth:`FieldMapping.explain` says
it for a given configuration.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from pylantir.errors import ConfigProblem, ConfigurationError, InvalidItem, ValueProblem
from pylantir.sources.conversion import Converter
from pylantir.sources.extraction import NoMatch, look_up, plain_text
from pylantir.sources.mapped import (
    SHOWN,
    Mapped,
    Note,
    RecordInProgress,
    problem_of,
    summarize,
)
from pylantir.sources.naming import Template
from pylantir.sources.options import OPTION_KEYS, MappingOptions
from pylantir.sources.pairs import ROLE_ALIASES, Pair, PairReader
from pylantir.sources.targets import (
    FEEDS,
    check,
    is_code_part,
    must_be_right,
    target_name,
    unknown_target,
    with_codes,
)

__all__ = ["OPTION_KEYS", "FieldMapping", "Mapped", "MappingOptions", "Note", "summarize"]


def _nobody_hears(warning: str) -> None:
    """A warning that comes too early."""


class FieldMapping:
    """How the fields of a source become worklist values.

    Made by :meth:`read`; never changes afterwards.
    """

    def __init__(
        self,
        reader: PairReader,
        options: MappingOptions,
        roles: Mapping[str, str],
        parts: set[str],
        more_fields: bool,
    ) -> None:
        played = {pair.role: pair for pair in reader.pairs if pair.role}
        self._roles = {
            role: played.get(role) or replace(PairReader.played(role, source), remark="by default")
            for role, source in roles.items()
            if role in played or source
        }
        self._pairs = tuple(pair for pair in reader.pairs if not pair.role)
        self._options = options
        self._parts = parts
        self._unused = tuple(reader.unused)
        self._warnings = list(reader.warnings)
        self._problems: list[ConfigProblem] = list(reader.problems)
        self._where = reader.where
        self._templates = self._read_templates()
        warn = _nobody_hears if more_fields else self._warn
        self._converter = Converter.read(options, self._known_names(), self._refuse, warn)
        self._defaults = self._read_defaults()
        self._required = self._read_required()
        self._has_codes = any(is_code_part(pair.target) for pair in self._pairs)
        self._check_defaults_of_pairs()
        self._warn_of_doubles(reader.pairs)

    @classmethod
    def read(
        cls,
        written: Mapping[str, Any],
        *,
        where: str,
        source_first: bool,
        options: MappingOptions,
        roles: Mapping[str, str] | None = None,
        parts: Collection[str] = (),
        known_fields: Collection[str] = (),
        more_fields: bool = False,
    ) -> FieldMapping:
        """Understand a field mapping.

        Parameters
        ----------
        written : mapping
            As written in the configuration; keys that begin with an underscore are comments.
        where : str
            What to call the source in messages, such as ``source main_redcap``.
        source_first : bool
            A pair of two texts is ``source field: worklist name`` (REDCap), or else
            ``worklist name: source field`` (Calpendo).
        options : MappingOptions
            Value maps, templates and the like.
        roles : mapping, optional
            Roles that the source knows, to the field that plays each by default; empty where
            there is none. ``scheduled_date``, ``scheduled_time``, ``demo_sex`` and ``youth_dob_y``
            become worklist values by themselves, the others are for the source and for templates.
        parts : collection of str
            Placeholders of templates that the source fills itself, see :meth:`apply`.
        known_fields : collection of str
            Fields that exist at the source, where that is known: decides pairs that can be read in
            two ways.
        more_fields : bool
            Fields that the mapping does not name may come to be known later, and options may be
            about them: nothing is said of options that are about nobody.

        Raises
        ------
        ConfigurationError
            With every problem: a bad pattern, a group out of range, an object of another shape.
            A name that nothing has is a warning, because earlier releases accepted it.
        """
        reader = PairReader(where, source_first, roles or {}, known_fields, options.on_no_match)
        reader.read(written)
        placeholders = {ROLE_ALIASES.get(part, part) for part in parts}
        mapping = cls(reader, options, roles or {}, placeholders, more_fields)
        if mapping._problems:
            raise ConfigurationError(mapping._problems)
        return mapping

    @property
    def source_fields(self) -> frozenset[str]:
        """Every source field that is read, as written; those of roles and templates too."""
        sources = {pair.source for pair in (*self._pairs, *self._roles.values()) if pair.source}
        for template in self._templates.values():
            sources |= {name for name in template.placeholders if self._is_source_field(name)}
        return frozenset(sources | {name for name, target in self._required if not target})

    def fields_of(self, targets: Collection[str]) -> frozenset[str]:
        """Source fields that some worklist values are made of, in templates or by themselves."""
        pairs = (*self._pairs, *self._roles.values())
        sources = {pair.source for pair in pairs if pair.target in targets and pair.source}
        for template in (t for target, t in self._templates.items() if target in targets):
            for name in template.placeholders:
                role = self._roles.get(ROLE_ALIASES.get(name, name))
                sources.add(role.source if role else name)
        return frozenset(sources) & self.source_fields

    @property
    def roles(self) -> Mapping[str, str]:
        """Role to the source field that plays it; roles that no field plays are absent."""
        return MappingProxyType({role: pair.source for role, pair in self._roles.items()})

    @property
    def targets(self) -> frozenset[str]:
        """Every worklist name that may get a value: from a field, a template or a default."""
        pairs = {pair.target for pair in (*self._pairs, *self._roles.values())} - {""}
        return frozenset(pairs | self._templates.keys() | self._defaults.keys())

    def sources_of(self, target: str) -> tuple[str, ...]:
        """The source fields that give a target, in the order of the mapping."""
        pairs = (*self._roles.values(), *self._pairs)
        return tuple(pair.source for pair in pairs if pair.target == target and pair.source)

    def origin_of(self, name: str) -> str:
        """Where a value of an item comes from, for people: fields, or a template with its own."""
        fields = [
            field for target in (name, *FEEDS.get(name, ())) for field in self.sources_of(target)
        ]
        template = self._templates.get(name)
        if fields or template is None:
            return ", ".join(dict.fromkeys(fields))
        roles = (ROLE_ALIASES.get(part, part) for part in template.placeholders)
        return ", ".join(self.roles.get(role, role) for role in roles) + f" ({template.text})"

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is probably not meant, such as a worklist name that nothing has."""
        return tuple(self._warnings)

    def explain(self) -> list[str]:
        """One line for each pair, saying how it was understood; for people."""
        lines = [str(pair) for pair in (*self._roles.values(), *self._pairs)]
        lines += [
            f"{name} <- {t.text}, unless a field gives it" for name, t in self._templates.items()
        ]
        lines += [f"{name} <- {value!r} when empty" for name, value in self._defaults.items()]
        lines += [f"{name} is required" for name, _ in self._required]
        others = [warning for warning in self._warnings if " is not used: " not in warning]
        return [*lines, *self._unused, *(f"warning: {warning}" for warning in others)]

    def role_value(self, role: str, fields: Mapping[str, Any]) -> str:
        """What a role has in a record, after extraction and value map; empty when nothing.

        Raises
        ------
        InvalidItem
            Its pattern does not match and rejects the record, or the field holds no plain value.
        """
        pair = self._roles.get(ROLE_ALIASES.get(role, role))
        if pair is None:
            return ""
        try:
            return self._text_of(pair, fields)
        except ValueError as error:
            raise InvalidItem([problem_of(role, pair, fields, str(error))]) from None

    def apply(self, fields: Mapping[str, Any], parts: Mapping[str, str] | None = None) -> Mapped:
        """Worklist values of a record.

        Precedence, from the highest: a pair that names the worklist field (the last non-empty one
        in the order of the mapping), a role, a template, a default.

        Parameters
        ----------
        fields : mapping
            The raw record. A name may be a dotted path through objects and lists; what is not at
            the root is also looked for in ``properties``.
        parts : mapping, optional
            What the source itself has made for templates, by placeholder (``study``, ``session``,
            ``family``, ``site``); comes before a field of that name.

        Raises
        ------
        InvalidItem
            The record is rejected, with every reason: a pattern that does not match, a required
            value that is missing, or one of name, identifier, date, time, modality, station and
            UID that cannot be used. Other values that cannot be used are left out and noted.
        """
        record = RecordInProgress(fields)
        for pair in (*(p for p in self._roles.values() if p.target), *self._pairs):
            self._apply_pair(pair, record)
        for target, template in self._templates.items():
            if target not in record.values and target not in record.faulty:
                self._apply_template(target, template, parts or {}, record)
        for target, value in self._defaults.items():
            if target not in record.left_out:
                record.values.setdefault(target, value)
        self._require(record)
        if record.problems:
            raise InvalidItem(record.problems)
        values = with_codes(record.values) if self._has_codes else record.values
        return Mapped(values, tuple(record.notes))

    def _apply_pair(self, pair: Pair, record: RecordInProgress) -> None:
        value: Any = ""
        try:
            value = self._value_of(pair, record.fields)
            if value in ("", [], ()):
                return
            check(pair.target, value)
        except NoMatch as error:
            record.reject(pair, str(error))
        except ValueError as error:
            if must_be_right(pair.target, value):
                record.reject(pair, str(error))
            else:
                record.leave_out(pair, str(error))
        else:
            record.values[pair.target] = value

    def _value_of(self, pair: Pair, fields: Mapping[str, Any]) -> Any:
        raw = look_up(fields, pair.source) if pair.source else None
        if pair.extraction is None and self._converter.keeps_shape(pair.target, raw):
            return raw
        return self._converter.convert(pair, self._text_of(pair, fields))

    def _text_of(self, pair: Pair, fields: Mapping[str, Any]) -> str:
        text = plain_text(look_up(fields, pair.source)) if pair.source else ""
        if text and pair.extraction is not None:
            text = pair.extraction.take(text)
        return self._converter.meaning(pair, text) if text else pair.default or ""

    def _apply_template(
        self, target: str, template: Template, parts: Mapping[str, str], record: RecordInProgress
    ) -> None:
        given = {ROLE_ALIASES.get(name, name): value for name, value in parts.items()}
        filled: dict[str, str] = {}
        for name in template.placeholders:
            role = ROLE_ALIASES.get(name, name)
            pair = self._roles.get(role) or Pair(name)
            try:
                filled[name] = given[role] if role in given else self._text_of(pair, record.fields)
            except ValueError as error:
                record.problems.append(problem_of(target, pair, record.fields, str(error)))
                return
        made = template.fill(filled)
        if not made:
            return
        try:
            check(target, made)
        except ValueError as error:
            reason = f"{error} (template {template.text})"
            record.problems.append(ValueProblem(target, made[:SHOWN], reason))
        else:
            record.values[target] = made

    def _require(self, record: RecordInProgress) -> None:
        for name, target in self._required:
            if target:
                missing = target not in record.values and target not in record.faulty
            else:
                missing = look_up(record.fields, name) in (None, "")
            if missing:
                record.problems.append(ValueProblem(name, "", "required, but empty"))

    def _known_names(self) -> dict[str, list[Pair]]:
        """Names that an option may use for a pair: its field, its role, its target."""
        named: dict[str, list[Pair]] = {}
        for pair in (*self._pairs, *self._roles.values()):
            for name in {pair.source, pair.role, pair.target} - {""}:
                named.setdefault(name, []).append(pair)
        return named

    def _read_templates(self) -> dict[str, Template]:
        read: dict[str, Template] = {}
        for target in ("patient_name", "patient_id"):
            key = f"{target}_template"
            written: str | None = getattr(self._options, key)
            if written is None:
                continue
            try:
                template = Template(written)
            except ValueError as error:
                self._refuse(key, f"{error}, got {written!r}")
                continue
            if not template.placeholders:
                self._refuse(key, f"expected a placeholder such as {{study}}, got {written!r}")
            read[target] = template
        return read

    def _read_defaults(self) -> dict[str, Any]:
        read: dict[str, Any] = {}
        for name, value in self._options.defaults.items():
            target = target_name(name)
            if not target:
                self._refuse(f"defaults.{name}", unknown_target(name))
                continue
            try:
                check(target, value)
            except ValueError as error:
                self._refuse(f"defaults.{name}", f"{error}, got {value!r}")
            read[target] = value
        return read

    def _check_defaults_of_pairs(self) -> None:
        for pair in (*self._pairs, *self._roles.values()):
            otherwise = pair.extraction.default if pair.extraction else None
            for value in {pair.default, otherwise} - {None, ""} if pair.target else ():
                try:
                    check(pair.target, self._converter.convert(pair, str(value)))
                except ValueError as error:
                    path = f"field_mapping.{pair.source or pair.target}"
                    message = f"default of {pair.target}: {error}, got {value!r}"
                    self._problems.append(ConfigProblem(self._where, path, message))

    def _read_required(self) -> tuple[tuple[str, str], ...]:
        """Each name with its target; without one it is a source field."""
        read: list[tuple[str, str]] = []
        known = self._known_names()
        for name in self._options.required:
            role = self._roles.get(ROLE_ALIASES.get(name, name))
            if role is not None:
                read.append((role.source, ""))
            elif target_name(name):
                read.append((name, target_name(name)))
            elif name in known:
                read.append((name, ""))
            else:
                self._refuse("required", f"{unknown_target(name)}, got {name!r}")
        return tuple(read)

    def _is_source_field(self, placeholder: str) -> bool:
        role = ROLE_ALIASES.get(placeholder, placeholder)
        return role not in self._parts and role not in self._roles

    def _warn_of_doubles(self, pairs: Sequence[Pair]) -> None:
        targets = Counter(pair.target or pair.role for pair in pairs)
        for target in (target for target, number in targets.items() if number > 1):
            self._warn(f"field_mapping: several fields give {target}; the last with a value counts")

    def _warn(self, message: str) -> None:
        self._warnings.append(message)

    def _refuse(self, path: str, message: str, hint: str = "") -> None:
        self._problems.append(ConfigProblem(self._where, f"config.{path}", message, hint))
