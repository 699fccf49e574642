"""Bookings in CSV files that another program leaves for us; the worked example of a source.

``docs/sources.md`` walks through this file. A snapshot holds every booking there is: what it does
not name any more is gone. A delta holds changes only and says nothing about the rest.
"""

from __future__ import annotations

import codecs
import datetime as dt
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from pylantir.errors import (
    ConfigProblem,
    ConfigurationError,
    InvalidItem,
    SourceUnavailable,
    ValueProblem,
)
from pylantir.sources.base import (
    DEFAULT_DAYS_AHEAD,
    Batch,
    BookingWindow,
    DaysCovered,
    NothingCovered,
    RejectedRecord,
    Source,
    SourceRecord,
    SourceSettings,
)
from pylantir.sources.csvrows import Row, Table, read_table
from pylantir.sources.dropfolder import DropFolder, Fingerprint
from pylantir.sources.mapping import (
    OPTION_KEYS,
    FieldMapping,
    Mapped,
    MappingOptions,
    Note,
    summarize,
)
from pylantir.sources.settings import read_settings
from pylantir.sources.targets import target_name
from pylantir.worklist.naming import RECORD_ID, canonical_name
from pylantir.worklist.textfiles import UnreadableText
from pylantir.worklist.values import date

log = logging.getLogger(__name__)

_START_DATE = "scheduled_procedure_step_start_date"
_NEEDED = (
    "patient_name",
    "patient_id",
    "modality",
    _START_DATE,
    "scheduled_procedure_step_start_time",
)
_SHOWN_DOUBTS = 5
_KEY_NAMES = ("booking_id", "bookingid", "appointment_id", "appointmentid", "order_id")
_WITHDRAWN = (
    "cancelled canceled cancel deleted denied rejected withdrawn no-show noshow no_show".split()
)
_SCHEDULED = "scheduled booked confirmed approved arrived ready".split()


def _codec(name: str) -> str:
    try:
        return codecs.lookup(name).name if name else ""
    except LookupError:
        raise ValueError("expected an encoding such as utf-8 or cp1252") from None


class CsvSettings(BaseModel):
    """The ``config`` object of a CSV source, without the keys of the field mapping."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    path: str = Field(min_length=1, description="the file, or the folder that files are left in")
    pattern: str = Field("*.csv", min_length=1, description="names that count in a folder")
    mode: Literal["snapshot", "delta"] = Field(
        "snapshot", description="snapshot: all bookings there are; delta: only changes"
    )
    files: Literal["newest", "all"] | None = Field(
        None, description="snapshot in a folder: the newest file is the snapshot, or all together"
    )
    record_id: tuple[str, ...] | str = Field(
        (), description="column, or columns, that identify a booking for ever"
    )
    encoding: Annotated[str, AfterValidator(_codec)] = Field(
        "", description="encoding; UTF-8, UTF-16 with byte order mark or Windows-1252 when absent"
    )
    separator: str = Field("", max_length=1, description="separator; guessed when absent")
    status_column: str = Field("", description="column that says whether a booking stands")
    withdrawn_statuses: tuple[str, ...] = Field(
        tuple(_WITHDRAWN), description="statuses of bookings that must not be scanned"
    )
    scheduled_statuses: tuple[str, ...] = Field(
        tuple(_SCHEDULED), description="statuses of bookings that stand"
    )
    settle_s: float = Field(5, ge=0, description="seconds a file must have stayed the same")
    needs_marker: bool = Field(False, description="only a .done file beside it makes a file whole")
    days_ahead: int = Field(
        DEFAULT_DAYS_AHEAD, ge=0, le=366, description="days after today that are taken"
    )


class CsvSource(Source):
    """Bookings in CSV files."""

    def __init__(self, settings: SourceSettings) -> None:
        super().__init__(settings)
        self._where = f"source {settings.name}"
        own = {key: value for key, value in settings.config.items() if key not in OPTION_KEYS}
        self._config = read_settings(CsvSettings, own, self._where)
        self._written = self.read_mapping(settings)
        for warning in self._written.warnings:
            log.warning("%s: %s", self._where, warning)
        self._by_header: dict[tuple[str, ...], FieldMapping] = {}
        self._folder = DropFolder(
            Path(self._config.path).expanduser(),
            self._config.pattern,
            dt.timedelta(seconds=self._config.settle_s),
            self._config.needs_marker,
        )
        self._withdrawn = frozenset(map(_folded, self._config.withdrawn_statuses))
        self._scheduled = frozenset(map(_folded, self._config.scheduled_statuses))
        self._last: tuple[object, Batch] | None = None

    @classmethod
    def read_mapping(cls, settings: SourceSettings, header: tuple[str, ...] = ()) -> FieldMapping:
        """The field mapping as written, to which a header row adds columns of worklist names."""
        where = f"source {settings.name}"
        return FieldMapping.read(
            settings.field_mapping,
            where=where,
            source_first=True,
            options=MappingOptions.read(settings.config, where),
            known_fields=header,
            more_fields=not header,
        )

    @property
    def days_ahead(self) -> int:
        """Days after today that are taken."""
        return self._config.days_ahead

    def explain(self) -> list[str]:
        """How the field mapping was understood; other columns map by their own names."""
        return [*self._written.explain(), "other columns with a worklist name map by themselves"]

    def values_of(self, record: SourceRecord) -> dict[str, Any]:
        """Worklist values of a row."""
        return self._mapped(record.fields).values

    def fetch(self, window: BookingWindow) -> Batch:
        """The bookings of the window in the files that are whole.

        Raises
        ------
        SourceUnavailable
            No file, one that cannot be read, or one that is no table with the expected columns.
        ConfigurationError
            Several files, and nothing says how a snapshot is made of them.
        """
        files = self._wanted(self._folder.files())
        whole = self._folder.whole(files, window.now)
        unfinished = [Path(each[0]).name for each in files if each not in whole]
        if unfinished and self._config.mode == "snapshot":
            note = f"{', '.join(unfinished)}: still being written, nothing was read"
            return Batch((), NothingCovered(), complete=False, notes=(note,))
        seen = (tuple(whole), window.first_day, window.last_day)
        if self._last is None or self._last[0] != seen:
            self._last = (seen, self._read(whole, window))
        notes = tuple(f"{name}: still being written, read later" for name in unfinished)
        batch = self._last[1]
        return replace(
            batch,
            complete=batch.complete and not unfinished,
            next_cursor=window.now.isoformat(),
            notes=batch.notes + notes,
        )

    def _wanted(self, files: list[Fingerprint]) -> list[Fingerprint]:
        if self._config.mode == "delta" or len(files) == 1:
            return files
        if not files:
            missing = f"no file like {self._config.pattern}"
            raise SourceUnavailable(f"{self._config.path}: {missing}")
        if self._config.files is None:
            message = f"expected newest or all, because {len(files)} files are in the folder"
            hint = "newest: each file holds everything; all: they do so together"
            raise ConfigurationError([ConfigProblem(self._where, "config.files", message, hint)])
        return files if self._config.files == "all" else files[-1:]

    def _read(self, files: Sequence[Fingerprint], window: BookingWindow) -> Batch:
        gathered = _Gathered(is_delta=self._config.mode == "delta")
        notes: list[Note] = []
        for each in files:
            try:
                self._read_file(each, gathered, window, notes)
            except UnreadableText as error:
                raise SourceUnavailable(f"{Path(each[0]).name}: {error}") from None
        if not gathered.seen and not gathered.is_delta:
            gathered.doubts.append("there are no bookings at all, which never cancels any")
        covered = DaysCovered(window.first_day, window.last_day)
        return Batch(
            records=tuple(gathered.settled()),
            scope=NothingCovered() if gathered.is_delta else covered,
            complete=not gathered.doubts,
            rejected=tuple(gathered.rejected.values()),
            notes=(*gathered.notes(), *summarize(notes)),
        )

    def _read_file(
        self, each: Fingerprint, gathered: _Gathered, window: BookingWindow, notes: list[Note]
    ) -> None:
        name, data = Path(each[0]).name, self._folder.read(each)
        table = read_table(data, self._config.encoding, self._config.separator, self._is_known)
        del data  # as large as the file
        keys = self._key_columns(name, table)
        used = {*self._mapping_for(table.header).source_fields, *keys}
        gathered.unused |= {c for c in table.header if c not in used and not canonical_name(c)}
        for row in table.rows:
            parts = [row.cells[key] for key in keys]
            record_id = "/".join(parts) if all(parts) else ""
            if gathered.accepts(name, row, record_id):
                record = SourceRecord(record_id, row.cells)
                gathered.keep(record_id, self._in_window(record, window, notes))

    def _is_known(self, column: str) -> bool:
        return bool(canonical_name(column)) or column in self._written.source_fields

    def _key_columns(self, name: str, table: Table) -> tuple[str, ...]:
        """Columns that identify a booking; checks on the way that the others are there."""
        mapping = self._mapping_for(table.header)
        given = self._config.record_id
        keys = (given,) if isinstance(given, str) else given
        wanted = {*self._written.source_fields, *keys, *filter(None, [self._config.status_column])}
        missing = sorted(wanted.difference(table.header))
        if missing:
            raise SourceUnavailable(f"{name}: the header row has no column {', '.join(missing)}")
        lacking = [target for target in _NEEDED if target not in mapping.targets]
        if lacking:
            raise SourceUnavailable(
                f"{name}: no column gives {', '.join(lacking)}; name one in field_mapping, or "
                "give a value in config.defaults"
            )
        keys = keys or self._usual_keys(table.header, mapping)
        if not keys:
            raise SourceUnavailable(
                f"{name}: no column identifies a booking; name one in config.record_id"
            )
        return keys

    @staticmethod
    def _usual_keys(header: Iterable[str], mapping: FieldMapping) -> tuple[str, ...]:
        by_name = {canonical_name(column): column for column in header}
        if RECORD_ID in by_name:
            return (by_name[RECORD_ID],)
        usual = [c for c in header if c.lower().replace(" ", "_") in _KEY_NAMES]
        return (*usual, *mapping.sources_of("accession_number"))[:1]

    def _mapping_for(self, header: tuple[str, ...]) -> FieldMapping:
        if header not in self._by_header:
            mapping = self._completed(header)
            for warning in sorted({*mapping.warnings} - {*self._written.warnings}):
                log.warning("%s: %s", self._where, warning)
            self._by_header[header] = mapping
        return self._by_header[header]

    def _completed(self, header: tuple[str, ...]) -> FieldMapping:
        """The configured mapping, and every other column with a worklist name by that name."""
        mapping = self.read_mapping(self.settings, header)
        more = {
            column: target
            for column in header
            if (target := target_name(column))
            and column not in mapping.source_fields
            and not mapping.sources_of(target)
        }
        if self._config.status_column in header and not mapping.sources_of("status"):
            more[self._config.status_column] = "status"
        if not more:
            return mapping
        written = {**self.settings.field_mapping, **more}
        return self.read_mapping(replace(self.settings, field_mapping=written), header)

    def _in_window(
        self, record: SourceRecord, window: BookingWindow, notes: list[Note]
    ) -> SourceRecord | None:
        """The record as the worklist shall see it; nothing when its day is over."""
        reason = self._why_withdrawn(record.fields)
        if reason:
            return replace(record, withdrawn=reason)
        try:
            mapped = self._mapped(record.fields)
        except InvalidItem:
            return record  # values_of says why
        day = date(mapped.values.get(_START_DATE))
        if day is None:
            return record  # the item says what it lacks
        if day < window.first_day:
            return None
        if day > window.last_day:
            return replace(record, withdrawn="moved to a day that is not kept yet")
        notes += (note for note in mapped.notes if note.field != "status")
        return record

    def _mapped(self, fields: Mapping[str, Any]) -> Mapped:
        """The values of a row, with its status checked.

        Raises
        ------
        InvalidItem
            The mapping rejects it, or nobody has said what its status means.
        """
        mapped = self._mapping_for(tuple(fields)).apply(fields)
        column, status = self._status(fields)
        if status and status not in self._scheduled and "status" not in mapped.values:
            reason = "expected a status that scheduled_statuses or withdrawn_statuses names"
            raise InvalidItem([ValueProblem(column, status, reason)])
        return mapped

    def _why_withdrawn(self, fields: Mapping[str, Any]) -> str:
        _, status = self._status(fields)
        return f"its status is {status}" if status in self._withdrawn else ""

    def _status(self, fields: Mapping[str, Any]) -> tuple[str, str]:
        """The column of the status and what it says; nothing without such a column."""
        mapped = self._mapping_for(tuple(fields)).sources_of("status")
        column = self._config.status_column or (mapped[-1] if mapped else "")
        return column, _folded(fields.get(column, ""))


def _folded(status: str) -> str:
    return " ".join(status.split()).casefold()


@dataclass(slots=True)
class _Gathered:
    """Rows of all files by what identifies them, and what keeps them from being everything.

    Of a row whose day is over only a mark stays, to know it again.
    """

    is_delta: bool
    records: dict[str, SourceRecord] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    rejected: dict[str, RejectedRecord] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)
    unused: set[str] = field(default_factory=set)
    _numbers: dict[str, int] = field(default_factory=dict)
    _first_file: str = ""
    _later_files: dict[str, str] = field(default_factory=dict)

    def accepts(self, file: str, row: Row, record_id: str) -> bool:
        """Whether a row counts. One that cannot be told apart puts the whole batch in doubt."""
        place = f"{file} row {row.number}"
        if row.problem or not record_id:
            problem = row.problem or "nothing identifies the booking"
            self.doubts.append(f"{place}: {problem}; until then nothing is withdrawn")
            return False
        mark = hash(tuple(row.cells.items()))
        if self.seen.get(record_id, mark) != mark and not self.is_delta:
            earlier = self._later_files.get(record_id, self._first_file)
            first = f"{earlier} row {self._numbers[record_id]}"
            reason = f"stands twice with different values: {first} and {place}"
            problem_of_id = ValueProblem("record id", record_id, reason)
            self.rejected[record_id] = RejectedRecord(record_id, (problem_of_id,))
        self.seen[record_id] = mark
        self._numbers[record_id] = row.number
        self._first_file = self._first_file or file
        if file != self._first_file:
            self._later_files[record_id] = file
        return True

    def keep(self, record_id: str, record: SourceRecord | None) -> None:
        """Take the record of a row; nothing when its day is over."""
        if record is None:
            self.records.pop(record_id, None)
        else:
            self.records[record_id] = record

    def notes(self) -> list[str]:
        """What a person should know; names of columns and places, no values."""
        unused = ", ".join(sorted(self.unused))
        about_columns = [f"columns that are not used: {unused}"] if unused else []
        return [*self.doubts[:_SHOWN_DOUBTS], *about_columns]

    def settled(self) -> list[SourceRecord]:
        """The records that stand only once; of a delta, the last of each."""
        return [each for key, each in self.records.items() if key not in self.rejected]


SOURCE = CsvSource
