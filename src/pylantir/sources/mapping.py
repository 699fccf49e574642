"""Field mapping: from a source's raw record to worklist values, one engine for all sources.

A mapping is read once, when the source is made, and everything that is wrong with it is said
then. :meth:`FieldMapping.apply` then turns records into the values that
:func:`~pylantir.worklist.item.make_item` takes.

How pairs are understood is written down in ``docs/sources.md``; :meth:`FieldMapping.explain` says
it for a given configuration.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pylantir.sources.options import OPTION_KEYS, MappingOptions

__all__ = ["OPTION_KEYS", "FieldMapping", "Mapped", "MappingOptions", "Note", "summarize"]


@dataclass(frozen=True, slots=True)
class Note:
    """A value that was left out although its record was kept.

    Parameters
    ----------
    field : str
        The worklist name that stays empty.
    source : str
        The source field that has the value.
    reason : str
        What was expected; never the value.
    """

    field: str
    source: str
    reason: str

    def __str__(self) -> str:
        return f"{self.field}: left empty, {self.source}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Mapped:
    """What a record became.

    Parameters
    ----------
    values : dict
        Worklist name to value, as :func:`~pylantir.worklist.item.make_item` takes them; empty ones
        are absent.
    notes : tuple of Note
        What was left out.
    """

    values: dict[str, Any]
    notes: tuple[Note, ...] = ()


def summarize(notes: Iterable[Note]) -> tuple[str, ...]:
    """Notes of many records as a few lines for :attr:`~pylantir.sources.base.Batch.notes`."""
    raise NotImplementedError


class FieldMapping:
    """How the fields of a source become worklist values.

    Made by :meth:`read`; never changes afterwards.
    """

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

        Raises
        ------
        ConfigurationError
            With every problem: a bad pattern, a group out of range, an object of another shape.
            A name that nothing has is a warning, because earlier releases accepted it.
        """
        raise NotImplementedError

    @property
    def source_fields(self) -> frozenset[str]:
        """Every source field that is read, dotted paths as written; roles and templates included."""
        raise NotImplementedError

    @property
    def roles(self) -> Mapping[str, str]:
        """Role to the source field that plays it; roles that no field plays are absent."""
        raise NotImplementedError

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is probably not meant, such as a worklist name that nothing has."""
        raise NotImplementedError

    def explain(self) -> list[str]:
        """One line for each pair, saying how it was understood; for people."""
        raise NotImplementedError

    def role_value(self, role: str, fields: Mapping[str, Any]) -> str:
        """What a role has in a record, after extraction and value map; empty when nothing.

        Raises
        ------
        InvalidItem
            Its pattern does not match and rejects the record.
        """
        raise NotImplementedError

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
        raise NotImplementedError
