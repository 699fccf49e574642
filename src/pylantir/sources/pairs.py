"""How the pairs of a field mapping are read: which side is the source, which the worklist.

Existing configurations hold both directions, and names of roles besides. The rules are listed in
``docs/sources.md``; here they stand in the order in which they are tried.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from pylantir.errors import ConfigProblem
from pylantir.sources.extraction import Extraction, Fault, read_extraction
from pylantir.sources.options import OnNoMatch, nearest, shown_value
from pylantir.sources.targets import is_own_spelling, target_name, unknown_target
from pylantir.worklist.item import known_names

ROLE_TARGETS = {
    "scheduled_date": "scheduled_procedure_step_start_date",
    "scheduled_time": "scheduled_procedure_step_start_time",
    "demo_sex": "patient_sex",
    "youth_dob_y": "patient_birth_date",
}
"""Roles that become a worklist value by themselves."""

ROLE_ALIASES = {
    "study": "study_id",
    "session": "session_id",
    "family": "family_id",
    "mri_instance": "session_id",
    "mri_date": "scheduled_date",
    "mri_time": "scheduled_time",
    "redcap_repeat_instrument": "instrument",
}
"""Other names of roles: those of templates, and the fields that earlier releases had fixed."""

_MISSPELT = 0.85
"""How alike a field of the source must be to a worklist name to be taken for a slip."""

_PAIR_KEYS = ("source_field", "target_field", "_extract", "default")


@dataclass(frozen=True, slots=True)
class Pair:
    """One pair as it was understood.

    Parameters
    ----------
    source : str
        Source field, possibly a dotted path; empty for a constant.
    target : str
        Worklist name in its one spelling; empty for a role that only its source and templates use.
    role : str
        Role that the field plays; empty for a plain field.
    extraction : Extraction or None
        Which part of the text is taken.
    default : str or None
        Taken where the source has nothing.
    remark : str
        What a person should know about how it was read.
    """

    source: str
    target: str = ""
    role: str = ""
    extraction: Extraction | None = None
    default: str | None = None
    remark: str = ""

    def __str__(self) -> str:
        source = f"field {self.source}" if self.source else f"always {self.default!r}"
        words = f'"{self.role}" is a role: {source}' if self.role else source
        words += f" -> {self.target}" if self.target else ""
        words += f": {self.extraction}" if self.extraction else ""
        if self.source and self.default is not None:
            words += f", or {self.default!r} when empty"
        return words + (f" ({self.remark})" if self.remark else "")


@dataclass(slots=True)
class PairReader:
    """Reads the pairs of one mapping and keeps what is wrong with them.

    Parameters
    ----------
    where : str
        What to call the source in messages.
    source_first : bool
        A pair of two texts is ``source field: worklist name``.
    roles : collection of str
        Roles that the source knows.
    known_fields : collection of str
        Fields that exist at the source, where that is known.
    on_no_match : str
        What holds for patterns that do not say.
    """

    where: str
    source_first: bool
    roles: Collection[str]
    known_fields: Collection[str]
    on_no_match: OnNoMatch
    pairs: list[Pair] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    problems: list[ConfigProblem] = field(default_factory=list)

    def read(self, written: Mapping[str, Any]) -> None:
        """Read a whole mapping."""
        for key, value in written.items():
            if str(key).startswith("_"):
                continue
            if isinstance(value, str):
                self._read_texts(str(key), value.strip())
            elif isinstance(value, Mapping):
                self._read_object(str(key), value)
            else:
                expected = "expected a name, or an object with source_field"
                self._refuse(str(key), f"{expected}, got {shown_value(value)}")

    def _read_texts(self, left: str, right: str) -> None:
        if not right:
            self._leave(left, right, "one side is empty")
        elif self.source_first:
            self._read_source_first(left, right)
        else:
            self._read_target_first(left, right)

    def _read_source_first(self, field_or_role: str, right: str) -> None:
        role = self._role(field_or_role)
        if is_own_spelling(right) and not (role and self._exists_alone(right, field_or_role)):
            self.pairs.append(Pair(field_or_role, target_name(right)))
        elif role and not (target_name(right) and self._exists_alone(field_or_role, right)):
            self.pairs.append(self.played(role, right))
        elif target_name(right):
            self.pairs.append(Pair(field_or_role, target_name(right)))
        elif is_own_spelling(field_or_role) and target_name(field_or_role):
            self._read_reversed(target_name(field_or_role), right)
        else:
            self._leave(field_or_role, right, unknown_target(right))

    def _read_target_first(self, target_or_role: str, right: str) -> None:
        role = self._role(target_or_role)
        if target_name(target_or_role):
            self.pairs.append(Pair(right, target_name(target_or_role)))
        elif role:
            self.pairs.append(self.played(role, right))
        elif is_own_spelling(right) and target_name(right):
            self.pairs.append(
                Pair(target_or_role, target_name(right), remark="read the other way round")
            )
        else:
            self._leave(target_or_role, right, unknown_target(target_or_role))

    def _exists_alone(self, one: str, other: str) -> bool:
        """Whether the source is known to have a field of the one name and not of the other."""
        return one in self.known_fields and other not in self.known_fields

    def _read_reversed(self, target: str, source: str) -> None:
        self.pairs.append(Pair(source, target, remark="read the other way round"))
        near = difflib.get_close_matches(source.lower(), known_names(), n=1, cutoff=_MISSPELT)
        if near:
            self.warnings.append(
                f"field_mapping.{target}: {source} is taken for a field of the source; "
                f"did you mean {near[0]}?"
            )

    def _role(self, name: str) -> str:
        role = ROLE_ALIASES.get(name, name)
        return role if role in self.roles else ""

    @staticmethod
    def played(role: str, source: str, **more: Any) -> Pair:
        """A role and the field that plays it."""
        return Pair(source, ROLE_TARGETS.get(role, ""), role, **more)

    def _read_object(self, key: str, written: Mapping[str, Any]) -> None:
        if not self._has_right_keys(key, written):
            return
        extract = written.get("_extract")
        nested = _patterns_by_target(extract)
        if nested and "source_field" not in written and "target_field" not in written:
            self._read_nested(key, nested)
            return
        extraction = self._extraction(f"{key}._extract", extract)
        default = self._default(key, written.get("default"))
        if "target_field" in written:
            source, name = key, written["target_field"]
        else:
            source, name = written.get("source_field", ""), key
        if not isinstance(source, str) or not isinstance(name, str) or not name.strip():
            self._refuse(key, f"expected names as texts, got {shown_value(dict(written))}")
        elif not source.strip() and default is None:
            self._refuse(key, "expected a source_field, or a default", "name the source's field")
        else:
            self._add(source.strip(), name.strip(), extraction, default)

    def _has_right_keys(self, key: str, written: Mapping[str, Any]) -> bool:
        """Comments begin with an underscore too: a misspelt ``_extract`` is not one of them."""
        wrong = [
            name
            for name in map(str, written)
            if name not in _PAIR_KEYS
            and (not name.startswith("_") or nearest(name.lower(), ("_extract",)))
        ]
        for name in wrong:
            self._refuse(f"{key}.{name}", "unknown key", nearest(name.lower(), _PAIR_KEYS))
        return not wrong

    def _read_nested(self, source: str, extract: Mapping[str, Any]) -> None:
        """One source field with a pattern for each of several targets."""
        for name, written in extract.items():
            extraction = self._extraction(f"{source}._extract.{name}", written)
            self._add(source, name, extraction, None)

    def _add(
        self, source: str, name: str, extraction: Extraction | None, default: str | None
    ) -> None:
        role, target = self._role(name), target_name(name)
        if role:
            self.pairs.append(self.played(role, source, extraction=extraction, default=default))
        elif target:
            self.pairs.append(Pair(source, target, "", extraction, default))
        else:
            self._leave(name, source, unknown_target(name))

    def _extraction(self, path: str, written: Any) -> Extraction | None:
        if written is None:
            return None
        extraction, faults = read_extraction(written, self.on_no_match)
        for fault in faults:
            self._refuse_fault(path, fault)
        return extraction

    def _default(self, key: str, written: Any) -> str | None:
        if written is None or isinstance(written, str):
            return written
        if isinstance(written, int | float) and not isinstance(written, bool):
            return str(written)
        self._refuse(f"{key}.default", f"expected a text, got {shown_value(written)}")
        return None

    def _leave(self, left: str, right: str, reason: str) -> None:
        self.unused.append(f'"{left}": "{right}" is not used: {reason}')
        self.warnings.append(f"field_mapping.{left}: {right!r} is not used: {reason}")

    def _refuse_fault(self, path: str, fault: Fault) -> None:
        self._refuse(f"{path}.{fault.key}" if fault.key else path, fault.message, fault.hint)

    def _refuse(self, path: str, message: str, hint: str = "") -> None:
        problem = ConfigProblem(self.where, f"field_mapping.{path}", message, hint)
        self.problems.append(problem)


def _patterns_by_target(extract: Any) -> dict[str, Any]:
    """An ``_extract`` that holds patterns by target instead of being one; empty when it is not."""
    if not isinstance(extract, Mapping):
        return {}
    named = {str(k): v for k, v in extract.items() if not str(k).startswith("_")}
    return named if all(isinstance(v, Mapping) for v in named.values()) else {}
