"""The contract of a source of bookings.

A source fetches raw records over its window and says what the batch covers; it knows neither the
database nor DICOM. The mapping turns each record into worklist values, the sync engine into items.

A new source is one file: a settings model, a class with :meth:`Source.fetch`, and ``SOURCE``.
"""

from __future__ import annotations

import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pylantir.clock import SiteClock
from pylantir.errors import SourceRefused, ValueProblem
from pylantir.worklist.outbox import PerformedReport

if TYPE_CHECKING:
    from pylantir.sources.mapping import FieldMapping

DEFAULT_DAYS_AHEAD = 30

Progress = Callable[[int, int], None]
"""Is told how many are done of how many."""


@dataclass(frozen=True, slots=True)
class BookingWindow:
    """What a source shall fetch.

    Parameters
    ----------
    now : datetime
        The present instant, aware, UTC.
    cursor : str or None
        What the last applied batch returned as ``next_cursor``; nothing at the first run, which
        fetches everything that is scheduled in the window.
    first_day, last_day : date
        Days of the site whose bookings belong into the worklist, inclusive.
    full : bool
        Fetch everything in the window even though there is a cursor: a periodic comparison that
        finds what was deleted.
    """

    now: dt.datetime
    cursor: str | None
    first_day: dt.date
    last_day: dt.date
    full: bool = False


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """One booking as its source gives it.

    Parameters
    ----------
    record_id : str
        The source's own stable key; the item's identity together with the source's name.
    fields : mapping
        Source field to raw value, dotted paths resolved by the mapping.
    withdrawn : str
        Why the booking must not be scanned (cancelled, denied, ...); empty when it may.
    """

    record_id: str
    fields: Mapping[str, Any] = field(hash=False)
    withdrawn: str = ""


@dataclass(frozen=True, slots=True)
class RejectedRecord:
    """A record that cannot become a booking, with every reason.

    Parameters
    ----------
    record_id : str
        The source's key.
    problems : tuple of ValueProblem
        What is wrong; shown to people, never logged with its values.
    """

    record_id: str
    problems: tuple[ValueProblem, ...]


class Scope(ABC):
    """What a complete batch claims to cover: an item in it that the batch does not name is gone."""

    certain: bool = False
    """The absence itself proves the deletion; otherwise it has to be confirmed."""

    @abstractmethod
    def covers(self, record_id: str, day: dt.date) -> bool:
        """Whether an item of this source, scheduled on that day, belongs to the scope."""


@dataclass(frozen=True, slots=True)
class NothingCovered(Scope):
    """A delta: what it does not name says nothing."""

    def covers(self, record_id: str, day: dt.date) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class DaysCovered(Scope):
    """Every booking of these days, inclusive."""

    first: dt.date
    last: dt.date

    def covers(self, record_id: str, day: dt.date) -> bool:
        return self.first <= day <= self.last


@dataclass(frozen=True, slots=True)
class RecordsCovered(Scope):
    """Whole snapshots of some records, each of which may hold several bookings.

    Parameters
    ----------
    parents : frozenset of str
        Keys of the records; a booking's ``record_id`` is its record's key, or starts with it and
        a slash.
    """

    parents: frozenset[str]
    certain = True

    def covers(self, record_id: str, day: dt.date) -> bool:
        return record_id in self.parents or record_id.partition("/")[0] in self.parents


@dataclass(frozen=True, slots=True)
class ScopeUnion(Scope):
    """Several scopes at once."""

    scopes: tuple[Scope, ...]

    @property
    def certain(self) -> bool:  # type: ignore[override]
        """Only when every part is."""
        return bool(self.scopes) and all(scope.certain for scope in self.scopes)

    def covers(self, record_id: str, day: dt.date) -> bool:
        return any(scope.covers(record_id, day) for scope in self.scopes)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one fetch brought.

    Parameters
    ----------
    records : sequence of SourceRecord
        Bookings, fully read: no network is touched after this.
    scope : Scope
        What the batch covers.
    complete : bool
        Nothing that belongs to the scope was left out; only a complete batch withdraws.
    next_cursor : str or None
        Where the next fetch continues; kept only together with the records.
    rejected : tuple of RejectedRecord
        Records that the source itself could not read.
    notes : tuple of str
        What a person should know, without any value of a record.
    """

    records: Sequence[SourceRecord]
    scope: Scope
    complete: bool
    next_cursor: str | None = None
    rejected: tuple[RejectedRecord, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSettings:
    """Everything a source is made from.

    Parameters
    ----------
    name : str
        Name of the source in the configuration; owner of its items.
    config : mapping
        Its ``config`` object, as written.
    field_mapping : mapping
        Its ``field_mapping``, from the entry or from ``config``.
    window_mode, daily_window : optional
        As in the configuration entry.
    sync_interval_s : float
        Seconds between two fetches.
    site, protocol : optional
        The configuration's root values, for sources that default to them.
    environ : mapping
        Environment variables with ``.env`` merged in; where secrets come from.
    clock : SiteClock
        The clock on the wall.
    """

    name: str
    config: Mapping[str, Any]
    field_mapping: Mapping[str, Any]
    window_mode: str | None = None
    daily_window: Any = None
    sync_interval_s: float = 60.0
    site: str | None = None
    protocol: Any = None
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    clock: SiteClock = field(default_factory=SiteClock)


def _nobody_watches(done: int, total: int) -> None:
    """Progress of a fetch in the background."""


class Source(ABC):
    """A source of bookings.

    The constructor checks its settings and touches no network.

    Parameters
    ----------
    settings : SourceSettings
        Of the configuration entry.

    Raises
    ------
    ConfigurationError
        A setting is wrong or missing; all of them at once.
    """

    keys_may_change: bool = False
    """A key holds names that people may change, such as that of a record: a new booking may be an
    old one."""

    def __init__(self, settings: SourceSettings) -> None:
        self.settings = settings
        self.progress: Progress = _nobody_watches
        """Called by a fetch that takes its time; shown to a person who waits."""

    @classmethod
    def read_mapping(cls, settings: SourceSettings) -> FieldMapping | None:
        """The field mapping of the settings, for who shows where a value came from.

        Works without the secrets of the source.

        Raises
        ------
        ConfigurationError
            A setting is wrong.
        """
        return None

    @property
    def authority(self) -> str:
        """Who issues the source's keys, such as the address of the remote system.

        Identifiers that we make depend on it, so it must not change while the bookings are the
        same.
        """
        return self.settings.site or ""

    @property
    def days_ahead(self) -> int:
        """How many days after today belong into the worklist (0 or more)."""
        return DEFAULT_DAYS_AHEAD

    def explain(self) -> list[str]:
        """How the settings were understood, one line each, for ``pylantir check-config``."""
        return []

    @abstractmethod
    def fetch(self, window: BookingWindow) -> Batch:
        """Read the bookings of a window, all of them, before returning.

        Raises
        ------
        SourceUnavailable
            Could not be reached, or answered nonsense.
        SourceRefused
            Refused our credentials or rights.
        """

    @abstractmethod
    def values_of(self, record: SourceRecord) -> dict[str, Any]:
        """Worklist values of a record, for :func:`~pylantir.worklist.item.make_item`.

        Raises
        ------
        InvalidItem
            The mapping rejects the record; its problems say why.
        """

    def notes(self) -> tuple[str, ...]:
        """What :meth:`values_of` left out since the last call, without any value of a record."""
        return ()

    def still_there(self, record_ids: Sequence[str]) -> frozenset[str]:
        """Of bookings that vanished from a complete batch, those that exist after all.

        A source that can ask for one booking by its key overrides this; without an answer a second
        complete batch decides.

        Raises
        ------
        SourceError
            Could not ask.
        NotImplementedError
            The source cannot ask for single bookings.
        """
        raise NotImplementedError

    def lost(self, record_ids: Sequence[str], *, newcomers: bool) -> frozenset[str]:
        """Of scheduled bookings that a batch neither names nor covers, those that are gone.

        Called after :meth:`fetch`, for a source whose bookings may go without a trace. What it
        names is withdrawn.

        Parameters
        ----------
        record_ids : sequence of str
            Keys of the bookings.
        newcomers : bool
            The batch brought bookings that were unknown: they may have had another key before.

        Raises
        ------
        SourceError
            Could not ask.
        """
        return frozenset()

    def unproven(self) -> frozenset[str]:
        """Of what :meth:`still_there` did not find the last time, what it cannot be sure of.

        A second complete batch decides on those.
        """
        return frozenset()

    def write_back(
        self, reports: Sequence[PerformedReport]
    ) -> Mapping[PerformedReport, str] | None:
        """Tell the source what scanners did with its bookings; saying it twice does no harm.

        Called only when the ``config`` of the source has a ``write_back`` object.

        Returns
        -------
        mapping, optional
            The reports that it would not take, each with the reason; it has all the others.

        Raises
        ------
        SourceError
            It would not take any of them.
        """
        raise SourceRefused("this type of source takes no reports of performed procedures")

    def close(self) -> None:  # noqa: B027 - most sources hold nothing
        """Let go of connections; called once, after the last fetch."""
