"""Which name in a file means what.

Files come from people, spreadsheets, other worklist servers and from us: an attribute may stand
under its item field, its published name, its DICOM keyword or an alias of the attribute table.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from pylantir.errors import ValueProblem
from pylantir.worklist.attributes import BY_NAME, FIELDS, attribute_named

RECORD_ID, SOURCE = "source_record_id", "data_source"

_BOOKKEEPING = frozenset({"id", "item_id", "version", "created_at", "updated_at"})
"""What an export of ours or a dump of the database holds beside the booking: read over."""

_CODE_PARTS = {
    "protocol_code": ("scheduled_protocol_codes", "value"),
    "protocol_meaning": ("scheduled_protocol_codes", "meaning"),
    "protocol_scheme": ("scheduled_protocol_codes", "scheme"),
    "procedure_code": ("requested_procedure_codes", "value"),
    "procedure_meaning": ("requested_procedure_codes", "meaning"),
    "procedure_scheme": ("requested_procedure_codes", "scheme"),
}
"""A code spread over columns: name to the item's field and the part of its one code."""

_DESCRIPTIONS = {
    "scheduled_protocol_codes": "scheduled_procedure_step_description",
    "requested_procedure_codes": "requested_procedure_description",
}
_PUBLISHED = frozenset({"patient_weight_lb", "protocol_name", "hisris_coding_designator"})
_OTHERS = {*_BOOKKEEPING, *_CODE_PARTS, *_PUBLISHED, "extras", RECORD_ID, SOURCE}

_SHOWN = 80
_LONGEST_NAME = 255
_MAX_PROBLEMS = 20
"""Problems of one booking that are told one by one."""

_DEPTH = 6


def canonical_name(name: str) -> str:
    """The one spelling of a name that files use; empty when nothing has that name.

    Item fields, published names and DICOM keywords are known, and a few that exist in files only:
    ``source_record_id``, ``extras``, and a code spread over columns (``protocol_code``,
    ``protocol_meaning``, ``protocol_scheme``).
    """
    return _canonical_name(name) if len(name) <= _LONGEST_NAME else ""


@lru_cache(maxsize=4096)
def _canonical_name(name: str) -> str:
    attribute = attribute_named(name)
    if attribute is not None:
        return attribute.name
    folded = name.strip().lower().replace(" ", "_").replace("-", "_")
    if folded in _OTHERS:
        return folded
    from pylantir.worklist.extras import is_keyword  # the dictionary is slow to load

    return name.strip() if is_keyword(name.strip()) else ""


def unknown_name(name: str) -> str:
    """Why a name is not known, with the nearest one that is."""
    from pylantir.worklist.extras import nearest_keyword

    shown = name.strip()[:_SHOWN]
    folded = shown.lower().replace(" ", "_").replace("-", "_")
    spellings = [s for a in FIELDS for s in (a.name, a.column, *a.alias)]
    near = difflib.get_close_matches(folded, [*spellings, *_OTHERS], n=1, cutoff=0.7)
    candidates = [*near, *filter(None, [nearest_keyword(shown)])]
    hint = max(candidates, key=lambda known: _likeness(shown, known), default="")
    return "unknown name" + (f" (did you mean {hint}?)" if hint else "")


def _likeness(shown: str, known: str) -> float:
    return difflib.SequenceMatcher(None, shown, known).ratio()


@dataclass(slots=True)
class NamedValues:
    """Values of one booking under the names that :func:`~pylantir.worklist.item.make_item` takes.

    Parameters
    ----------
    values : dict
        Canonical name to value.
    codes : dict
        Field of a code sequence to the parts of its one code, as columns give them.
    problems : list of ValueProblem
        Names and shapes that cannot be used.
    """

    values: dict[str, Any] = field(default_factory=dict)
    codes: dict[str, dict[str, Any]] = field(default_factory=dict)
    problems: list[ValueProblem] = field(default_factory=list)

    def read(self, given: Mapping[str, Any], *, ignore_unknown: bool = False) -> None:
        """Take values under any known name; empty ones count as absent."""
        for name, value in given.items():
            known = canonical_name(name)
            if known in _BOOKKEEPING or value is None or value in ("", [], ()):
                continue
            if not known:
                if not ignore_unknown and len(self.problems) <= _MAX_PROBLEMS:
                    self._refuse(name, value, unknown_name(name))
            elif known == "extras":
                self._read_extras(value, ignore_unknown)
            elif not _fits(known, value):
                self._refuse(name, value, "expected one value: text or a number")
            elif known in _CODE_PARTS:
                target, part = _CODE_PARTS[known]
                self.codes.setdefault(target, {})[part] = value
            elif self.values.setdefault(known, value) != value:
                other = str(self.values[known])[:_SHOWN]
                self._refuse(name, value, f"given twice, the other time as {other!r}")

    def _read_extras(self, value: object, ignore_unknown: bool) -> None:
        if not isinstance(value, Mapping):
            self._refuse("extras", value, "expected an object keyed by DICOM keyword")
        elif "extras" in value:
            self._refuse("extras", value, "expected no extras within extras")
        else:
            self.read(value, ignore_unknown=ignore_unknown)

    def settle_codes(self, default_scheme: str) -> int:
        """Make codes of code columns; returns how many lacked a scheme and were left out."""
        left_out = 0
        for target, parts in self.codes.items():
            value, meaning = parts.get("value", ""), parts.get("meaning", "")
            designator = self.values.get("hisris_coding_designator", "")
            published = designator if target == "scheduled_protocol_codes" else ""
            scheme = parts.get("scheme") or published or default_scheme
            if value and scheme:
                code = {"value": str(value), "scheme": str(scheme), "meaning": str(meaning)}
                self.values.setdefault(target, [code])
            elif value or meaning:
                left_out += bool(value)
                self.values.setdefault(_DESCRIPTIONS[target], meaning or value)
        return left_out

    def _refuse(self, name: str, value: object, reason: str) -> None:
        if len(self.problems) == _MAX_PROBLEMS:
            self.problems.append(ValueProblem("and more", "", "the others are not listed"))
        if len(self.problems) > _MAX_PROBLEMS:
            return
        self.problems.append(ValueProblem(name[:_SHOWN], str(value)[:_SHOWN], reason))


def is_sequence_name(name: str) -> bool:
    """Whether a canonical name stands for a sequence: codes, or a DICOM keyword of VR SQ."""
    return _shape(name)[0]


def _fits(name: str, value: object, depth: int = 0) -> bool:
    """Whether the value has a shape that the name can have; its text is checked later."""
    is_sequence, may_repeat = _shape(name)
    if not is_sequence:
        if isinstance(value, list | tuple):
            return may_repeat and all(_is_scalar(part) for part in value)
        return _is_scalar(value)
    items = [value] if isinstance(value, Mapping) else value
    if not isinstance(items, list | tuple) or depth > _DEPTH:
        return True  # the parser of sequences says what it wants instead
    entries = (entry for item in items if isinstance(item, Mapping) for entry in item.items())
    return all(_fits(str(inner)[:_SHOWN], part, depth + 1) for inner, part in entries)


def _is_scalar(value: object) -> bool:
    return not isinstance(value, bool | Mapping | list | tuple)


@lru_cache(maxsize=4096)
def _shape(name: str) -> tuple[bool, bool]:
    """Whether a name stands for a sequence, and whether it may have several values."""
    attribute = BY_NAME.get(name)
    if attribute is not None:
        return attribute.is_sequence, attribute.multiple
    from pydicom.datadict import dictionary_VM, dictionary_VR, tag_for_keyword

    tag = tag_for_keyword(name)
    if tag is None:
        return False, False
    return dictionary_VR(tag) == "SQ", dictionary_VM(tag) != "1"
