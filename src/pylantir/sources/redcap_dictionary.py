"""A REDCap project's data dictionary: its fields, their forms, and the columns of an export."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pylantir.errors import SourceUnavailable

_NEVER_EXPORTED = frozenset({"descriptive"})
_CHECKBOX = "checkbox"
_CODED = ("radio", "dropdown")


@dataclass(frozen=True, slots=True)
class Dictionary:
    """What a project knows, as its metadata and its project information say.

    Parameters
    ----------
    record_id_field : str
        The first field of the project, whatever it is called.
    forms : mapping
        Field to its form (instrument), in the order of the project.
    columns : mapping
        Column of an export to its field: the same name, but one for each choice of a checkbox
        (``race___1``).
    missing_codes : frozenset of str
        Values that stand for "unknown" in any field.
    longitudinal : bool
        Whether there are events; when that cannot be known, there may be.
    choices : mapping
        Field with coded answers to its codes, each with the label that people see.
    """

    record_id_field: str
    forms: Mapping[str, str]
    columns: Mapping[str, str]
    missing_codes: frozenset[str]
    longitudinal: bool
    choices: Mapping[str, Mapping[str, str]]

    @classmethod
    def read(cls, metadata: Any, info: Any) -> Dictionary:
        """From the answers to ``content=metadata`` and ``content=project``.

        Parameters
        ----------
        metadata : object
            The fields.
        info : object
            The project as a whole.

        Raises
        ------
        SourceUnavailable
            They describe no project.
        """
        rows = metadata if isinstance(metadata, list) else []
        if not rows or not all(isinstance(row, dict) and row.get("field_name") for row in rows):
            raise SourceUnavailable("REDCap described no fields of the project")
        if not isinstance(info, dict) or "project_id" not in info:
            raise SourceUnavailable("REDCap did not describe the project")
        columns = {column: str(row["field_name"]) for row in rows for column in _columns(row)}
        return cls(
            record_id_field=str(rows[0]["field_name"]),
            forms={str(row["field_name"]): str(row.get("form_name", "")) for row in rows},
            columns=columns,
            missing_codes=_codes(str(info.get("missing_data_codes") or "")),
            longitudinal=_is_set(info.get("is_longitudinal")),
            choices={
                str(r["field_name"]): _labels(r) for r in rows if r.get("field_type") in _CODED
            },
        )

    @property
    def names(self) -> frozenset[str]:
        """Every name that a field mapping may use: fields, and columns of checkboxes."""
        return frozenset(self.forms) | frozenset(self.columns)

    def to_ask(self, wanted: Iterable[str]) -> list[str]:
        """The fields to ask for, in order, to get what is wanted as far as it exists."""
        fields = {self.columns.get(name, name) for name in wanted}
        return [name for name in self.forms if name in fields]

    def vanished(self, asked: Collection[str], rows: Sequence[Mapping[str, Any]]) -> list[str]:
        """Fields that were asked for and that not a single row has, not even empty."""
        if not rows:
            return []
        there = {self.columns.get(name, name) for row in rows for name in row}
        exported = frozenset(self.columns.values())
        return sorted(name for name in asked if name in exported and name not in there)


def _columns(row: Mapping[str, Any]) -> list[str]:
    name, kind = str(row["field_name"]), row.get("field_type", "")
    if kind in _NEVER_EXPORTED:
        return []
    if kind != _CHECKBOX:
        return [name]
    choices = str(row.get("select_choices_or_calculations") or "").split("|")
    codes = (choice.partition(",")[0].strip().lower().replace("-", "_") for choice in choices)
    return [f"{name}___{code}" for code in codes if code]


def _labels(row: Mapping[str, Any]) -> dict[str, str]:
    listed = str(row.get("select_choices_or_calculations") or "").split("|")
    pairs = (choice.partition(",") for choice in listed)
    return {code.strip(): label.strip() for code, _, label in pairs if code.strip()}


def _codes(listed: str) -> frozenset[str]:
    codes = (part.partition(",")[0].strip() for part in listed.split("|"))
    return frozenset(code for code in codes if code)


def _is_set(value: Any) -> bool:
    return str(value) in ("1", "True", "true")
