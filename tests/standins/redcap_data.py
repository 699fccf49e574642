"""What a REDCap project is: its design, its records, its log, and what a token may do."""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Concatenate, NamedTuple, ParamSpec, TypeVar

from tests.standins.clock import VirtualClock

DATE_TYPES = ("date_ymd", "date_mdy", "date_dmy")
CODED_TYPES = ("radio", "dropdown", "checkbox", "yesno", "truefalse")
_FIXED_CHOICES = {
    "yesno": (("1", "Yes"), ("0", "No")),
    "truefalse": (("1", "True"), ("0", "False")),
}


@dataclass(frozen=True)
class Field:
    """A field of the data dictionary; `identifier` fields hide from de-identified exports."""

    name: str
    form: str
    label: str = ""
    kind: str = "text"
    choices: tuple[tuple[str, str], ...] = ()
    validation: str = ""
    identifier: bool = False

    def options(self) -> tuple[tuple[str, str], ...]:
        """Code and label of each choice."""
        return _FIXED_CHOICES.get(self.kind, self.choices)

    def columns(self) -> list[str]:
        """The columns of an export: one, or one per choice of a check box (``race___1``)."""
        if self.kind != "checkbox":
            return [self.name]
        codes = (code.lower().replace("-", "_") for code, _ in self.choices)
        return [f"{self.name}___{code}" for code in codes]


@dataclass(frozen=True)
class Event:
    """An event of a longitudinal project and the instruments that are designated for it."""

    name: str
    forms: tuple[str, ...]
    arm_num: int = 1
    event_id: int = 0

    @property
    def unique_name(self) -> str:
        """The name in exports, such as ``t1_arm_1``."""
        stem = re.sub(r"[^a-z0-9]+", "_", self.name.lower()).strip("_")
        return f"{stem}_arm_{self.arm_num}"


class RowKey(NamedTuple):
    """Which row of a record: empty strings and 0 where it does not apply."""

    event: str = ""
    instrument: str = ""
    instance: int = 0


@dataclass(frozen=True)
class LogEntry:
    """A line of the project's log; `wall` is the server's local time, to the second."""

    instant: dt.datetime
    wall: dt.datetime
    username: str
    kind: str
    action: str
    details: str
    record: str = ""


@dataclass
class Rights:
    """What the token's user may do. `export` is ``full``, ``deidentified`` or ``none``."""

    export: str = "full"
    api: bool = True
    imports: bool = True
    delete: bool = True
    logging: bool = True
    dag: str = ""


P = ParamSpec("P")
R = TypeVar("R")


def _locked(method: Callable[Concatenate[Project, P], R]) -> Callable[Concatenate[Project, P], R]:
    """Carry out a change as a whole: no export sees half of it, or data without its log line."""

    @functools.wraps(method)
    def locked(self: Project, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self.lock:
            return method(self, *args, **kwargs)

    return locked


Values = dict[str, str]
Rows = dict[RowKey, Values]


@dataclass
class Project:
    """One project. Edit it through the methods: they write the log that date ranges read.

    Parameters
    ----------
    name : str
        Short name; names the project in routes and in the control door.
    fields : list of Field
        The first is the record-id field, whatever it is called.
    events : list of Event
        Empty for a classic project.
    repeating : set of (event, form)
        ``("", "mri")`` repeats a form of a classic project, ``("t1_arm_1", "mri")`` a form in an
        event, ``("t1_arm_1", "")`` the whole event.
    blank_instances : bool
        Export an instance although all requested fields of its form are blank. What REDCap does
        is not documented, so both can be had.
    max_rows : int, optional
        An export of more rows ends with the error of a server that ran out of memory.
    """

    name: str
    fields: list[Field]
    title: str = ""
    forms: dict[str, str] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    arms: dict[int, str] = field(default_factory=lambda: {1: "Arm 1"})
    repeating: set[tuple[str, str]] = field(default_factory=set)
    surveys: set[str] = field(default_factory=set)
    missing_data_codes: str = ""
    token: str = ""
    username: str = "api_user"
    project_id: int = 123
    rights: Rights = field(default_factory=Rights)
    blank_instances: bool = False
    max_rows: int | None = None
    clock: VirtualClock = field(default_factory=VirtualClock)
    records: dict[str, Rows] = field(default_factory=dict)
    dags: dict[str, str] = field(default_factory=dict)
    locked: set[str] = field(default_factory=set)
    log: list[LogEntry] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def __post_init__(self) -> None:
        """Fill in what follows from the rest."""
        self.title = self.title or self.name
        self.token = self.token or token_for(self.name)
        for item in self.fields:
            self.forms.setdefault(item.form, item.form.replace("_", " ").title())

    # Design --------------------------------------------------------------------------------

    @property
    def record_id_field(self) -> str:
        """Name of the first field."""
        return self.fields[0].name

    @property
    def longitudinal(self) -> bool:
        """Whether there are events."""
        return bool(self.events)

    def field_named(self, name: str) -> Field | None:
        """The field of that name; ``<form>_complete`` counts as one."""
        for item in self.fields:
            if item.name == name:
                return item
        form = name.removesuffix("_complete")
        if name.endswith("_complete") and form in self.forms:
            choices = (("0", "Incomplete"), ("1", "Unverified"), ("2", "Complete"))
            return Field(name, form, "Complete?", "dropdown", choices)
        return None

    def dictionary(self) -> list[Field]:
        """All fields in order, each form's ``<form>_complete`` after its last one."""
        ordered = []
        for form in self.forms:
            ordered += [item for item in self.fields if item.form == form]
            complete = self.field_named(f"{form}_complete")
            if complete is not None:
                ordered.append(complete)
        return ordered

    def event_named(self, unique_name: str) -> Event | None:
        """The event of that unique name."""
        return next((e for e in self.events if e.unique_name == unique_name), None)

    def event_order(self) -> dict[str, int]:
        """Place of each event; a classic project has the one nameless event."""
        names = [event.unique_name for event in self.events] or [""]
        return {name: place for place, name in enumerate(names)}

    def revoke_token(self) -> None:
        """Make the token unknown, as deleting it in the project does."""
        self.token = ""

    # Data ----------------------------------------------------------------------------------

    @_locked
    def put(
        self,
        record: str,
        values: Mapping[str, object],
        key: RowKey | None = None,
        *,
        username: str = "coord1",
        api: bool = False,
        at: dt.datetime | None = None,
    ) -> bool:
        """Create or edit a row of a record; a blank value clears the field.

        Returns whether anything changed. Only changes are logged.

        Raises
        ------
        LookupError
            No such field in the project.
        """
        self._check_fields(values)
        new = record not in self.records
        rows = self.records.setdefault(record, {})
        row = rows.setdefault(key or self.first_key(), {})
        texts = {k: "" if v is None else str(v) for k, v in values.items()}
        texts.pop(self.record_id_field, None)
        changed = {k: v for k, v in texts.items() if row.get(k, "") != v}
        for name, value in changed.items():
            if value:
                row[name] = value
            else:
                row.pop(name, None)
        if new or changed:
            self._log_change(record, "add" if new else "edit", changed, key, username, api, at)
        return new or bool(changed)

    @_locked
    def load(self, record: str, rows: Rows, at: dt.datetime) -> None:
        """Take over a whole new record as it is, with one line in the log."""
        self.records[record] = rows
        self._log_change(record, "add", {self.record_id_field: record}, None, "coord1", False, at)

    def first_key(self) -> RowKey:
        """The base row of the first event."""
        return RowKey(self.events[0].unique_name if self.events else "")

    @_locked
    def delete_row(self, record: str, key: RowKey, *, username: str = "coord1") -> None:
        """Delete one instance, or one event's base row; the record itself stays."""
        gone = self._rows(record).pop(key, None)
        if gone is None:
            raise LookupError(f"record {record!r} has no row {tuple(key)}")
        blanks = dict.fromkeys(gone, "")
        self._log_change(record, "edit", blanks, key, username, api=False, at=None)

    @_locked
    def delete_record(self, record: str, *, username: str = "coord1", api: bool = False) -> None:
        """Delete a record for good."""
        self._rows(record)
        del self.records[record]
        self.dags.pop(record, None)
        self._log_change(record, "delete", {}, None, username, api, None)

    @_locked
    def rename_record(self, record: str, new: str) -> None:
        """Give a record another id; the log calls it an update of the new one."""
        if new in self.records:
            raise LookupError(f"record {new!r} exists already")
        self._rows(record)
        self.records = {new if r == record else r: rows for r, rows in self.records.items()}
        if record in self.dags:
            self.dags[new] = self.dags.pop(record)
        changed = {self.record_id_field: new}
        self._log_change(new, "edit", changed, None, "coord1", api=False, at=None)

    @_locked
    def rename_event(self, unique_name: str, name: str) -> None:
        """Give an event another name, and so another unique one; the log names no record."""
        event = self.event_named(unique_name)
        if event is None:
            raise LookupError(f"no event {unique_name!r}")
        renamed = replace(event, name=name)
        new = {unique_name: renamed.unique_name}
        self.events = [renamed if each is event else each for each in self.events]
        self.repeating = {(new.get(of, of), form) for of, form in self.repeating}
        self.records = {
            record: {
                key._replace(event=new.get(key.event, key.event)): v for key, v in rows.items()
            }
            for record, rows in self.records.items()
        }
        self.write_log("manage", "Manage/Design", f"Rename event {name}")

    @_locked
    def write_log(
        self, kind: str, action: str, details: str, record: str = "", *, username: str = ""
    ) -> None:
        """Add a line to the project's log at the server's present time."""
        now = self.clock.now()
        who = username or self.username
        self.log.append(LogEntry(now, self._stamp(now), who, kind, action, details, record))

    @_locked
    def move_to(self, clock: VirtualClock) -> None:
        """Live by another clock; the lines of the log keep their age, in the new zone's time."""
        if clock is not self.clock:
            shift = clock.now() - self.clock.now()
            self.clock = clock
            aged = [replace(line, instant=line.instant + shift) for line in self.log]
            self.log = [replace(line, wall=self._stamp(line.instant)) for line in aged]

    def touched(self, begin: dt.datetime | None, end: dt.datetime | None) -> set[str]:
        """Records created or changed in a span of the server's wall time, by the log."""
        return {
            line.record
            for line in self.log
            if line.kind in {"record_add", "record_edit"}
            and (begin is None or line.wall >= begin)
            and (end is None or line.wall <= end)
        }

    def next_record(self) -> str:
        """The id that auto-numbering gives out next."""
        numbers = [int(r) for r in self.records if r.isdecimal()]
        return str(max(numbers, default=0) + 1)

    def _rows(self, record: str) -> Rows:
        if record not in self.records:
            raise LookupError(f"project {self.name!r} has no record {record!r}")
        return self.records[record]

    def _check_fields(self, names: Iterable[str]) -> None:
        known = {column for item in self.dictionary() for column in item.columns()}
        unknown = sorted(set(names) - known)
        if unknown:
            raise LookupError(f"project {self.name!r} has no field {unknown[0]!r}")

    def _log_change(
        self,
        record: str,
        verb: str,
        changed: Mapping[str, str],
        key: RowKey | None,
        username: str,
        api: bool,
        at: dt.datetime | None,
    ) -> None:
        word = {"add": "Create", "edit": "Update", "delete": "Delete"}[verb]
        action = f"{word} record {'(API) ' if api else ''}{record}"
        shown = [f"{name} = '{value}'" for name, value in changed.items()]
        if key is not None and key.instance:
            shown.insert(0, f"[instance = {key.instance}]")
        instant = at or self.clock.now()
        wall = self._stamp(instant)
        details = ",\n".join(shown)
        self.log.append(
            LogEntry(instant, wall, username, f"record_{verb}", action, details, record)
        )

    def _stamp(self, instant: dt.datetime) -> dt.datetime:
        return self.clock.to_wall(instant).replace(microsecond=0)


def token_for(name: str) -> str:
    """A token that is always the same for a name: 32 upper-case hex digits."""
    return hashlib.sha256(f"stand-in {name}".encode()).hexdigest()[:32].upper()
