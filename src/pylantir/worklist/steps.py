"""The store of performed procedure steps: the only SQL about them.

A step, its links and the status of the items it is linked to change in one transaction, which is
on the disk before the scanner gets its answer.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection
from dataclasses import replace
from itertools import chain

from sqlalchemy import Connection, func, select

from pylantir.clock import Now, utc_now
from pylantir.errors import Conflict, DuplicateStep, NotFound, StepClosed
from pylantir.worklist import step_rows
from pylantir.worklist.database import Database
from pylantir.worklist.history import ChangeKind, ItemChange, note_changes
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.linking import BY_HAND, find_item
from pylantir.worklist.lookup import item_number, items_of_number
from pylantir.worklist.outbox import enqueue
from pylantir.worklist.progress import Mark, follow_steps
from pylantir.worklist.step import (
    TRANSITIONS,
    LinkedStep,
    PerformedProcedureStep,
    ScheduledStepReference,
    StepLink,
)
from pylantir.worklist.store import ItemStore
from pylantir.worklist.tables import performed_steps, step_links

Change = Callable[[PerformedProcedureStep], PerformedProcedureStep]


class StepStore:
    """Performed procedure steps in the same database as the items.

    Parameters
    ----------
    database : Database
        Where the steps are.
    report_to : collection of str
        Sources that want to know what scanners did with their bookings.
    items : ItemStore, optional
        Checks rows of other programs before a step is linked to them; one with no authority and
        no default station when absent.
    now : Now
        The clock.
    """

    def __init__(
        self,
        database: Database,
        *,
        report_to: Collection[str] = (),
        items: ItemStore | None = None,
        now: Now = utc_now,
    ) -> None:
        self.database = database
        self._items = items or ItemStore(database, now=now)
        self._report_to = frozenset(report_to)
        self._now = now

    def create(self, step: PerformedProcedureStep) -> LinkedStep:
        """Keep a new step, link it, and move its items to IN_PROGRESS.

        Raises
        ------
        DuplicateStep
            The SOP Instance UID is taken.
        StepTooLarge
            No step that was performed has that much in it.
        """
        with self.database.write() as connection:
            mark = self._begin(connection)
            if step_rows.is_taken(connection, step.sop_instance_uid):
                raise DuplicateStep(f"performed procedure step {step.sop_instance_uid} exists")
            marked = replace(step, version=mark.version)
            step_rows.add_step(connection, marked, mark.stamp)
            linked = _linked_by_rule(connection, marked)
            step_rows.add_links(connection, step.sop_instance_uid, linked.links)
            self._follow(connection, linked, mark)
        return linked

    def update(self, sop_instance_uid: str, change: Change) -> LinkedStep:
        """Change a step that still runs; its items follow.

        Parameters
        ----------
        sop_instance_uid : str
            Which step.
        change : callable
            Gets the present step and returns the changed one; what it raises leaves everything
            as it was.

        Raises
        ------
        NotFound
            No such step.
        StepClosed
            It is COMPLETED or DISCONTINUED.
        Conflict
            The new status is not reachable from the present one.
        StepTooLarge
            No step that was performed has that much in it.
        """
        with self.database.write() as connection:
            mark = self._begin(connection)
            present = _linked_step(connection, sop_instance_uid)
            if present.step.is_final:
                raise StepClosed("Performed Procedure Step Object may no longer be updated")
            changed = change(present.step)
            if changed.status not in TRANSITIONS[present.step.status]:
                raise Conflict(f"{present.step.status} cannot become {changed.status}")
            changed = replace(changed, version=mark.version)
            step_rows.change_step(connection, changed, mark.stamp)
            linked = _with_items(connection, LinkedStep(changed, present.links))
            self._follow(connection, linked, mark)
        return linked

    def note_violation(self, sop_instance_uid: str, violation: str) -> None:
        """Record a message that was tolerated and changed nothing, such as one after the end.

        Parameters
        ----------
        sop_instance_uid : str
            Which step; also a final one.
        violation : str
            The rule that the scanner broke; kept once, however often it does.

        Raises
        ------
        NotFound
            No such step.
        """
        with self.database.write() as connection:
            step = _linked_step(connection, sop_instance_uid).step
            if violation in step.violations:
                return
            mark = self._begin(connection)
            violations = (*step.violations, violation)
            noted = replace(step, violations=violations, version=mark.version)
            step_rows.change_step(connection, noted, mark.stamp)

    def get(self, sop_instance_uid: str) -> LinkedStep:
        """The step of that SOP Instance UID.

        Raises
        ------
        NotFound
            There is none.
        """
        with self.database.read() as connection:
            return _linked_step(connection, sop_instance_uid)

    def all(
        self,
        *,
        unlinked: bool = False,
        first_day: dt.date | None = None,
        last_day: dt.date | None = None,
        item_id: int | None = None,
    ) -> list[LinkedStep]:
        """All steps, newest start first; or those that started from one day to another, are linked
        to one item, or have a reference that no item belongs to.
        """
        table = performed_steps
        statement = select(table).order_by(table.c.started.desc())
        if unlinked:
            open_links = select(step_links.c.sop_instance_uid).where(step_links.c.item_id.is_(None))
            statement = statement.where(table.c.sop_instance_uid.in_(open_links))
        if item_id is not None:
            of_item = select(step_links.c.sop_instance_uid).where(step_links.c.item_id == item_id)
            statement = statement.where(table.c.sop_instance_uid.in_(of_item))
        if first_day is not None:
            statement = statement.where(table.c.started >= first_day.isoformat())
        if last_day is not None:
            statement = statement.where(table.c.started < _after(last_day))
        with self.database.read() as connection:
            rows = connection.execute(statement).mappings().all()
            steps = [step_rows.step_of(row) for row in rows]
            return [
                LinkedStep(step, step_rows.links_of(connection, step.sop_instance_uid))
                for step in steps
            ]

    def newest_of_each(self) -> dict[str, dt.datetime]:
        """Start of the newest step of every scanner that has sent one, by its AE title."""
        table = performed_steps
        newest = select(table.c.calling_ae_title, func.max(table.c.started)).group_by(
            table.c.calling_ae_title
        )
        with self.database.read() as connection:
            rows = connection.execute(newest).all()
        return {title: dt.datetime.fromisoformat(started) for title, started in rows}

    def link(
        self, sop_instance_uid: str, item_id: int, position: int | None = None, *, by: str = ""
    ) -> LinkedStep:
        """Tie a reference of a step to an item by hand; the item follows the step.

        Parameters
        ----------
        sop_instance_uid : str
            Which step.
        item_id : int
            Which item.
        position : int, optional
            Which reference of the step; the first that has no item when absent.
        by : str
            Who wants it, for the history of the item.

        Raises
        ------
        NotFound
            No such step, item or reference.
        Conflict
            Every reference has an item already, and no position was given.
        """
        with self.database.write() as connection:
            mark = self._begin(connection)
            present = _linked_step(connection, sop_instance_uid)
            item_number(connection, item_id)
            if item_id in present.item_ids:
                raise Conflict(f"step {sop_instance_uid} is linked to item {item_id} already")
            place = _place(present, position)
            before = present.links[place].item_id
            connection.execute(
                step_links.update()
                .where(
                    step_links.c.sop_instance_uid == sop_instance_uid,
                    step_links.c.position == place,
                )
                .values(item_id=item_id, rule=BY_HAND)
            )
            linked = _with_items(connection, _linked_step(connection, sop_instance_uid))
            self._follow(connection, linked, mark)
            if before is not None and before not in linked.item_ids:
                left = step_rows.progress_of_item(connection, before)
                follow_steps(connection, before, left, mark, gone=linked.step.started)
            note_changes(connection, [ItemChange(item_id, ChangeKind.LINKED, by)], mark.stamp)
        return linked

    def _follow(self, connection: Connection, linked: LinkedStep, mark: Mark) -> None:
        items = {item.item_id: item for item in linked.items}
        for item_id in dict.fromkeys(linked.item_ids):
            item = items.get(item_id)
            steps = step_rows.progress_of_item(connection, item_id)
            follow_steps(connection, item_id, steps, mark, item=item)
            if item is not None and item.data_source in self._report_to:
                enqueue(connection, linked.step, item, mark.stamp)

    def _begin(self, connection: Connection) -> Mark:
        version = self._items.begin_change(connection)
        return Mark(version, self._now().isoformat(timespec="milliseconds"))


_UNSCHEDULED = (ScheduledStepReference(),)
"""What a step refers to that does not refer to anything."""


def _linked_by_rule(connection: Connection, step: PerformedProcedureStep) -> LinkedStep:
    """A new step with the items that its references mean."""
    links: list[StepLink] = []
    items: list[WorklistItem] = []
    for position, reference in enumerate(step.references or _UNSCHEDULED):
        item, rule = find_item(connection, step, reference)
        links.append(StepLink(position, item.item_id if item else None, rule))
        items += [item] if item else []
    return LinkedStep(step, tuple(links), tuple(items))


def _with_items(connection: Connection, linked: LinkedStep) -> LinkedStep:
    """The same with its items; one whose row was set aside is none."""
    found = (items_of_number(connection, number) for number in linked.item_ids)
    return replace(linked, items=tuple(chain.from_iterable(found)))


def _place(present: LinkedStep, position: int | None) -> int:
    if position is None:
        free = [link.position for link in present.links if link.item_id is None]
        if not free:
            raise Conflict(
                f"every reference of step {present.step.sop_instance_uid} is linked already; "
                "say which position to change"
            )
        return free[0]
    if not 0 <= position < len(present.links):
        raise NotFound(f"the step has references 0 to {len(present.links) - 1}, not {position}")
    return position


def _linked_step(connection: Connection, sop_instance_uid: str) -> LinkedStep:
    found = step_rows.find_step(connection, sop_instance_uid)
    if found is None:
        raise NotFound(f"no performed procedure step {sop_instance_uid}")
    return found


def _after(day: dt.date) -> str:
    """What sorts after every moment of a day, as steps keep their start."""
    return f"{day.isoformat()}~"
