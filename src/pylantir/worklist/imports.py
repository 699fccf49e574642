"""Items out of files: what identifies a booking, what was refused and why.

A reader (:mod:`~pylantir.worklist.textfiles`, or that of DICOM files) turns a file into a
:class:`Reading`; an :class:`Importer` turns readings into items. Neither touches the database.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pylantir.errors import InvalidItem, ValueProblem
from pylantir.worklist.attributes import BY_NAME
from pylantir.worklist.item import Origin, WorklistItem, make_item
from pylantir.worklist.naming import RECORD_ID, SOURCE, NamedValues
from pylantir.worklist.values import parser_for

DATA_SOURCE = "import"
"""Source of items that came out of a file, unless the caller names another."""

_MAX_IDENTITY = 255


@dataclass(frozen=True, slots=True)
class Record:
    """One booking as a file gives it.

    Parameters
    ----------
    where : str
        Its place in the file, such as ``row 3``; empty when the file holds one booking only.
    values : mapping
        Name to value, as :meth:`Importer.take` reads them.
    problems : tuple of ValueProblem
        What the reader found wrong already; the booking is refused then.
    doubts : tuple of ValueProblem
        Told when nothing more exact is wrong with it; the booking is refused then, too.
    """

    where: str
    values: Mapping[str, Any]
    problems: tuple[ValueProblem, ...] = ()
    doubts: tuple[ValueProblem, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """What was refused and every reason; for people only, it may hold a patient's data.

    Parameters
    ----------
    where : str
        Its place in the file; empty for the whole file.
    problems : tuple of ValueProblem
        Everything that is wrong with it.
    file : str
        What the file is called.
    """

    where: str
    problems: tuple[ValueProblem, ...]
    file: str = ""

    def __str__(self) -> str:
        place = f"{self.file}, {self.where}" if self.where else self.file
        return "\n".join(_printable(f"{place}: {problem}") for problem in self.problems)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file holds.

    Parameters
    ----------
    records : tuple of Record
        The bookings, not checked yet.
    refused : tuple of Refusal
        What cannot become a booking.
    notes : tuple of str
        What a person should know about the file as a whole; no patient data.
    """

    records: tuple[Record, ...] = ()
    refused: tuple[Refusal, ...] = ()
    notes: tuple[str, ...] = ()


def refused_file(reason: str, value: str = "") -> Reading:
    """A file of which nothing can be used."""
    return Reading(refused=(Refusal("", (ValueProblem("file", value, reason),)),))


def record_id_of(values: Mapping[str, Any]) -> str:
    """What identifies a booking that brings no record id: the same whenever it is read again.

    Study Instance UID and SPS ID, else accession number and SPS ID, else a digest of patient,
    scheduled start and station: whatever a scanner or another worklist server would go by.

    Parameters
    ----------
    values : mapping
        Item fields, not checked yet.
    """
    step = _canonical(values, "scheduled_procedure_step_id")
    order = _canonical(values, "study_instance_uid") or _canonical(values, "accession_number")
    if step and order:
        return f"{order}/{step}"
    parts = (
        "patient_id",
        "scheduled_procedure_step_start_date",
        "scheduled_procedure_step_start_time",
        "scheduled_station_ae_title",
    )
    described = "\x1f".join(_canonical(values, name) for name in parts)
    return hashlib.sha256(described.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _canonical(values: Mapping[str, Any], name: str) -> str:
    attribute, value = BY_NAME[name], values.get(name)
    if value is None or value == "":
        return ""
    try:
        parsed = parser_for(name, attribute.vr, multiple=attribute.multiple)(value)
    except ValueError:
        return str(value)  # the booking is refused for it anyway
    return "\\".join(parsed) if isinstance(parsed, tuple) else str(parsed)


@dataclass(frozen=True, slots=True)
class Accepted:
    """An item and the place it came from."""

    item: WorklistItem
    file: str
    where: str

    def __str__(self) -> str:
        return f"{self.file}, {self.where}" if self.where else self.file


@dataclass(slots=True)
class Importer:
    """Turns what files hold into items.

    Parameters
    ----------
    data_source : str
        Source of the items.
    authority : str
        Who issues the identifiers they lack, see :mod:`pylantir.worklist.identity`.
    default_scheme : str
        Coding scheme of a code column that names none. Without one such a code cannot be kept
        (its scheme is type 1) and only its meaning becomes the description.
    keep_source : bool
        Let a booking keep the source that the file names for it.
    ignore_unknown : bool
        Read over names that nothing has, instead of refusing what holds them.
    """

    data_source: str = DATA_SOURCE
    authority: str = ""
    default_scheme: str = ""
    keep_source: bool = False
    ignore_unknown: bool = False
    accepted: dict[Origin, Accepted] = field(default_factory=dict, init=False)
    _steps: dict[tuple[str, str], Accepted] = field(default_factory=dict, init=False)
    refused: list[Refusal] = field(default_factory=list, init=False)
    notes: list[str] = field(default_factory=list, init=False)

    @property
    def items(self) -> list[WorklistItem]:
        """The items so far."""
        return [entry.item for entry in self.accepted.values()]

    def take(self, name: str, reading: Reading) -> None:
        """Make items of what one file holds.

        A booking that comes twice with the same values counts once; with other values the second
        is refused, because nothing says which of them is right.

        Parameters
        ----------
        name : str
            What to call the file in messages.
        reading : Reading
            What it holds.
        """
        self.refused += [replace(refusal, file=name) for refusal in reading.refused]
        self.notes += [_printable(f"{name}: {note}") for note in reading.notes]
        without_scheme = 0
        for record in reading.records:
            named = NamedValues()
            named.read(record.values, ignore_unknown=self.ignore_unknown)
            without_scheme += named.settle_codes(self.default_scheme)
            try:
                item = self._item(named, record)
                self._accept(Accepted(item, name, record.where))
            except InvalidItem as error:
                self.refused.append(Refusal(record.where, error.problems, name))
        if without_scheme:
            lost = f"codes left out because nothing names their coding scheme: {without_scheme}"
            self.notes.append(_printable(f"{name}: {lost}"))

    def refuse(self, item: WorklistItem, reason: str) -> None:
        """Take an item back for a reason that shows only when it meets the worklist."""
        entry = self.accepted.pop(item.origin)
        problem = ValueProblem("study_instance_uid", item.study_instance_uid, reason)
        self.refused.append(Refusal(entry.where, (problem,), entry.file))

    def _item(self, named: NamedValues, record: Record) -> WorklistItem:
        values = named.values
        source = values.pop(SOURCE, "")
        given = values.pop(RECORD_ID, "")
        source = _identity(SOURCE, source if self.keep_source else "", named.problems)
        record_id = _identity(RECORD_ID, given, named.problems)
        problems = [*named.problems, *record.problems]
        try:
            item = make_item(
                values,
                data_source=source or self.data_source,
                source_record_id=record_id or record_id_of(values),
                authority=self.authority,
            )
        except InvalidItem as error:
            raise InvalidItem([*problems, *error.problems]) from None
        if problems or record.doubts:
            raise InvalidItem(problems or record.doubts)
        return item

    def _accept(self, entry: Accepted) -> None:
        item = entry.item
        record = item.origin
        first = self.accepted.get(record)
        if first is not None:
            if first.item.content() != item.content():
                reason = f"the same booking as {first}, with other values"
                raise InvalidItem([ValueProblem(RECORD_ID, item.source_record_id, reason)])
            return
        step = (item.study_instance_uid, item.scheduled_procedure_step_id)
        same = self._steps.setdefault(step, entry)
        if same is not entry:
            reason = f"the same scheduled step as {same}, under another record id"
            raise InvalidItem([ValueProblem("study_instance_uid", step[0], reason)])
        self.accepted[record] = entry


def _identity(name: str, value: object, problems: list[ValueProblem]) -> str:
    shown = str(value).strip()
    if len(shown) > _MAX_IDENTITY or not shown.isprintable():
        reason = f"expected at most {_MAX_IDENTITY} printable characters"
        problems.append(ValueProblem(name, shown[:80], reason))
        return ""
    return shown


def _printable(shown: str) -> str:
    """Text of a file as a terminal may show it: nothing that moves its cursor or hides a line."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in shown)
