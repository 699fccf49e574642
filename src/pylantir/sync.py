"""One round of a source: when to fetch, how a batch becomes the worklist.

The network is drained before any lock is taken. A batch, its cursor and its report are one
transaction; of a very large batch the cursor and the report are one with its last items. A source
that fails never empties the list.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pylantir.audit.events import Actor, AuditEvent, Kind, Role, booking
from pylantir.audit.trail import AuditTrail
from pylantir.errors import InvalidItem, SourceError, ValueProblem
from pylantir.sources import base
from pylantir.sources.base import Batch, BookingWindow, RejectedRecord, Source, SourceRecord
from pylantir.sources.rounds import SyncReport, run_of
from pylantir.worklist.applying import Part, apply_part, parts
from pylantir.worklist.item import WorklistItem, make_item
from pylantir.worklist.packed import PackedList
from pylantir.worklist.renaming import former_items, plan_renamed
from pylantir.worklist.schedule import (
    Claims,
    Known,
    Plan,
    absent,
    adoptable_items,
    as_scheduled,
    in_parts,
    known_in_parts,
    known_items,
    known_states,
    plan_items,
    plan_withdrawals,
)
from pylantir.worklist.sources import (
    FROZEN,
    SourceState,
    SourceStore,
    is_compared,
    note_rejections,
    note_run,
    reasons_text,
    save_state,
    state_of,
)
from pylantir.worklist.status import ItemStatus

if TYPE_CHECKING:
    from pylantir.clock import SiteClock
    from pylantir.worklist.database import Database

log = logging.getLogger(__name__)

_ROOM_FOR_OTHERS_S = 0.05
"""Between two transactions of one round."""

_NOT_TO_SCAN = frozenset({ItemStatus.CANCELLED, ItemStatus.DISCONTINUED, ItemStatus.COMPLETED})


class Synchronizer:
    """Brings one source's bookings into the worklist.

    Parameters
    ----------
    name : str
        Name of the source; owner of its items.
    source : Source
        Where the bookings come from.
    database : Database
        The worklist.
    clock : SiteClock
        The clock on the wall.
    audit : AuditTrail, optional
        Keeps what was changed.
    """

    def __init__(
        self,
        name: str,
        source: Source,
        database: Database,
        clock: SiteClock,
        audit: AuditTrail | None = None,
    ) -> None:
        self._audit = audit or AuditTrail(None)
        self.name = name
        self._source = source
        self._database = database
        self._clock = clock
        self.states = SourceStore(database)
        self.stopping = threading.Event()
        self._was_whole = (True, False)

    def run_once(
        self, *, dry_run: bool = False, full: bool = False, accept_withdrawals: bool = False
    ) -> SyncReport:
        """Fetch once and apply what came.

        Parameters
        ----------
        dry_run : bool
            Only say what would be done.
        full : bool
            Compare everything in the window.
        accept_withdrawals : bool
            Withdraw however much would go at once: a person has looked.

        Raises
        ------
        SourceError
            The source failed; the worklist is as it was.
        StoreError
            The database failed; neither items nor cursor have moved.
        """
        began = self._clock.now()
        state = self.states.state(self.name)
        window = self._window(state, began, full)
        batch = self._source.fetch(window)
        plan, rejected, unmentioned = self._plan(batch, window)
        self._confirm(plan, batch)
        self._withdraw_lost(plan, unmentioned)
        if self._source.keys_may_change and window.cursor:
            self._keep_renamed(plan)
        frozen = plan.is_mass_withdrawal and not accept_withdrawals
        notes = (*batch.notes, *self._source.notes())
        is_whole = (batch.complete, frozen)
        report = SyncReport(
            plan,
            tuple(rejected),
            batch.complete,
            frozen,
            len(batch.records),
            notes,
            unlike_before=is_whole != self._was_whole,
        )
        if not dry_run and not self.stopping.is_set():
            report = self._apply(report, batch, window, began)
            self._was_whole = is_whole
        return report

    def _window(self, state: SourceState, now: dt.datetime, full: bool) -> BookingWindow:
        today = self._clock.today()
        return BookingWindow(
            now=now,
            cursor=state.cursor or None,
            first_day=today - dt.timedelta(days=1),
            last_day=today + dt.timedelta(days=self._source.days_ahead),
            # The window moves at midnight: what it brings nobody has to have edited.
            full=full or not is_compared(state, self._clock),
        )

    def _plan(
        self, batch: Batch, window: BookingWindow
    ) -> tuple[Plan, list[RejectedRecord], list[str]]:
        """Compare the batch with the worklist, some records at a time: a project may be large.

        The last of what it returns are scheduled items that the batch says nothing of.
        """
        with self._database.read() as connection:
            states = known_states(connection, self.name)
            adoptable = [] if window.cursor else adoptable_items(connection)
        current = [s for s in states.values() if s.is_scheduled and s.day >= window.first_day]
        plan, rejected = Plan(scheduled=len(current)), list(batch.rejected)
        named = {record.record_id for record in batch.rejected}
        # Who may claim a row without a key is known only when all bookings are.
        done = 0
        for part in [batch.records] if adoptable else in_parts(batch.records):
            self._source.progress(done, len(batch.records))
            done += len(part)
            items, withdrawn = self._items(part, named, rejected)
            with self._database.read() as connection:
                known = known_items(connection, self.name, [*items, *withdrawn])
            plan_items(plan, known, items.values(), Claims(adoptable, list(items.values())))
            plan_withdrawals(plan, known, withdrawn)
        gone = absent(states, named, batch.scope.covers) if batch.complete else []
        plan.missing.extend(known_in_parts(self._database, self.name, gone))
        days = base.DaysCovered(window.first_day, window.last_day)
        return plan, rejected, absent(states, named.union(gone), days.covers)

    def _items(
        self, records: Sequence[SourceRecord], named: set[str], rejected: list[RejectedRecord]
    ) -> tuple[dict[str, WorklistItem], dict[str, str]]:
        """Bookings and withdrawals by record id; what is named twice counts once."""
        items: dict[str, WorklistItem] = {}
        withdrawn: dict[str, str] = {}
        for record in records:
            if record.record_id in named:
                continue
            named.add(record.record_id)
            if record.withdrawn:
                withdrawn[record.record_id] = record.withdrawn
                continue
            try:
                item = make_item(
                    self._source.values_of(record),
                    data_source=self.name,
                    source_record_id=_checked_id(record.record_id),
                    authority=self._source.authority,
                )
            except InvalidItem as error:
                rejected.append(RejectedRecord(record.record_id, error.problems))
                continue
            if item.status in _NOT_TO_SCAN:
                withdrawn[record.record_id] = f"its source says {item.status}"
            else:
                items[record.record_id] = as_scheduled(item)
        return items, withdrawn

    def _confirm(self, plan: Plan, batch: Batch) -> None:
        """Withdraw what is missing for certain: by its scope, by its source, or a second time."""
        if not plan.missing:
            return
        is_gone = self._is_gone(plan.missing, batch)
        missing, plan.missing = plan.missing, PackedList()
        for each in missing:
            if is_gone(each):
                plan.withdrawn.append((each, _GONE))
            else:
                plan.missing.append(each)

    def _withdraw_lost(self, plan: Plan, unmentioned: Sequence[str]) -> None:
        """Withdraw what is gone although no batch can tell so, such as a renamed record."""
        if not unmentioned:
            return
        revived = any("performed_procedure_step_status" in names for names in plan.changed_fields)
        lost = self._source.lost(unmentioned, newcomers=bool(plan.created) or revived)
        known = known_in_parts(self._database, self.name, sorted(lost))
        plan.withdrawn.extend((each, _GONE) for each in known)

    def _keep_renamed(self, plan: Plan) -> None:
        """Let a new booking be the item whose key is gone, when it certainly is the same."""
        with self._database.read() as connection:
            former = former_items(connection, self.name, plan.created) if plan.created else {}
        gone = {e.item.source_record_id for e, reason in plan.withdrawn if reason == _GONE}
        begun = [e.item.source_record_id for e in former.values() if not e.is_scheduled]
        if begun:
            gone |= set(begun) - self._source.still_there(begun)
        same = {k: v for k, v in former.items() if v.item.source_record_id in gone}
        plan_renamed(plan, same)

    def _is_gone(self, missing: Sequence[Known], batch: Batch) -> Callable[[Known], bool]:
        if batch.scope.certain:
            return lambda each: True
        try:
            there = self._source.still_there([each.item.source_record_id for each in missing])
        except NotImplementedError:
            return lambda each: bool(each.missing_since)
        except SourceError as error:
            log.debug("source %s: cannot confirm: %s", self.name, error.for_log)
            return lambda each: False
        unproven = self._source.unproven()
        new = {e.item.source_record_id for e in missing if not e.missing_since} & unproven
        return lambda each: each.item.source_record_id not in there | new

    def _apply(
        self, report: SyncReport, batch: Batch, window: BookingWindow, began: dt.datetime
    ) -> SyncReport:
        plan = report.plan
        if report.frozen:
            plan.missing.extend(each for each, _ in plan.withdrawn)
            plan.withdrawn = PackedList()
        rejected = {r.record_id: reasons_text(r.problems) for r in report.rejected}
        readable = {record.record_id for record in batch.records} - rejected.keys()
        ended = _stamp(self._clock.now())
        for part, is_last in _with_the_last_one_marked(parts(plan)):
            with self._database.write() as connection:
                apply_part(connection, part, ended)
                if is_last:
                    new = note_rejections(connection, self.name, rejected, readable, ended)
                    report = replace(report, newly_rejected=new)
                    if report.says_something:
                        note_run(connection, run_of(self.name, report, _stamp(began), ended))
                    present = state_of(connection, self.name)
                    save_state(connection, _after(present, report, batch, window, ended))
            self._audit.record_all(_changes(self.name, part))
            # Other processes look whether the database is free only every tenth of a second.
            if not is_last and self.stopping.wait(_ROOM_FOR_OTHERS_S):
                return replace(report, complete=False)
        return report


def _after(
    present: SourceState, report: SyncReport, batch: Batch, window: BookingWindow, ended: str
) -> SourceState:
    """What is remembered of a source after a round; the cursor stays when it was not all."""
    moves = batch.complete and not report.frozen
    return replace(
        present,
        cursor=(batch.next_cursor or "") if moves else present.cursor,
        last_attempt=ended,
        last_success=ended,
        last_full=ended if window.full and moves else present.last_full,
        last_error="",
        failures=0,
        notes=(*report.notes, *([FROZEN] if report.frozen else [])),
    )


_GONE = "no longer at its source"


def _with_the_last_one_marked(of_plan: Iterator[Part]) -> Iterator[tuple[Part, bool]]:
    part = next(of_plan)
    for following in of_plan:
        yield part, False
        part = following
    yield part, True


def _changes(source: str, plan: Part) -> Iterator[AuditEvent]:
    """What a source changed, booking by booking, for the audit trail."""
    who = Actor(source, "", "", Role.SOURCE, True)
    changed = zip(plan.changed, plan.changed_fields, strict=True)
    kinds: tuple[tuple[Kind, Iterator[tuple[WorklistItem, str, str]]], ...] = (
        (Kind.CREATED, ((item, "", "") for item in plan.created)),
        # Names, never values: the trail tells who changed what, the worklist what it is now.
        (Kind.UPDATED, ((item, ", ".join(names), "") for item, names in changed)),
        (Kind.DELETED, ((each.item, "", reason) for each, reason in plan.withdrawn)),
    )
    for kind, changes in kinds:
        for item, fields, reason in changes:
            details = {"Record": item.source_record_id} | ({"Fields": fields} if fields else {})
            yield booking(kind, who, item, details=details, reason=reason)


def _checked_id(record_id: str) -> str:
    if not record_id or len(record_id) > 255 or not record_id.isprintable():
        problem = ValueProblem(
            "record id", record_id[:80], "expected 1 to 255 printable characters"
        )
        raise InvalidItem([problem])
    return record_id


def _stamp(now: dt.datetime) -> str:
    return now.isoformat(timespec="milliseconds")
