"""The store of performed procedure steps: the only SQL about them.

A step, its links and the status of the items it is linked to change in one transaction, which is
on the disk before the scanner gets its answer.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select

from pylantir.clock import Now, utc_now
from pylantir.errors import Conflict, DuplicateStep, NotFound, StepClosed
from pylantir.worklist.database import Database
from pylantir.worklist.linking import BY_HAND, find_item
from pylantir.worklist.lookup import item_number, items_with
from pylantir.worklist.outbox import enqueue
from pylantir.worklist.progress import follow_steps
from pylantir.worklist.status import StepStatus
from pylantir.worklist.step import (
    TRANSITIONS,
    LinkedStep,
    PerformedProcedureStep,
    ScheduledStepReference,
    StepLink,
)
from pylantir.worklist.store import ItemStore, next_version
from pylantir.worklist.tables import performed_steps, step_links, worklist_items
from pylantir.worklist.values import Code

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
        """
        with self.database.write() as connection:
            self._items.check_within(connection)
            if _row(connection, step.sop_instance_uid) is not None:
                raise DuplicateStep(f"performed procedure step {step.sop_instance_uid} exists")
            stamp = self._stamp()
            version = next_version(connection)
            values = _row_of(step) | {"created_at": stamp, "updated_at": stamp, "version": version}
            connection.execute(performed_steps.insert().values(values))
            links = tuple(
                self._link(connection, step, position, reference)
                for position, reference in enumerate(step.references or _UNSCHEDULED)
            )
            linked = LinkedStep(replace(step, version=version), links)
            self._follow(connection, linked, stamp)
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
        """
        with self.database.write() as connection:
            self._items.check_within(connection)
            present = _linked_step(connection, sop_instance_uid)
            if present.step.is_final:
                raise StepClosed("Performed Procedure Step Object may no longer be updated")
            changed = change(present.step)
            if changed.status not in TRANSITIONS[present.step.status]:
                raise Conflict(f"{present.step.status} cannot become {changed.status}")
            stamp = self._stamp()
            changed = replace(changed, version=next_version(connection))
            values = _row_of(changed) | {"updated_at": stamp, "version": changed.version}
            connection.execute(
                performed_steps.update()
                .where(performed_steps.c.sop_instance_uid == sop_instance_uid)
                .values(values)
            )
            linked = LinkedStep(changed, present.links)
            self._follow(connection, linked, stamp)
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
            connection.execute(
                performed_steps.update()
                .where(performed_steps.c.sop_instance_uid == sop_instance_uid)
                .values(
                    violations=json.dumps((*step.violations, violation)),
                    version=next_version(connection),
                    updated_at=self._stamp(),
                )
            )

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
            return [LinkedStep(_step_of(row), _links(connection, _uid(row))) for row in rows]

    def newest_of_each(self) -> dict[str, dt.datetime]:
        """Start of the newest step of every scanner that has sent one, by its AE title."""
        table = performed_steps
        newest = select(table.c.calling_ae_title, func.max(table.c.started)).group_by(
            table.c.calling_ae_title
        )
        with self.database.read() as connection:
            rows = connection.execute(newest).all()
        return {title: dt.datetime.fromisoformat(started) for title, started in rows}

    def link(self, sop_instance_uid: str, item_id: int, position: int | None = None) -> LinkedStep:
        """Tie a reference of a step to an item by hand; the item follows the step.

        Parameters
        ----------
        sop_instance_uid : str
            Which step.
        item_id : int
            Which item.
        position : int, optional
            Which reference of the step; the first that has no item when absent.

        Raises
        ------
        NotFound
            No such step, item or reference.
        Conflict
            Every reference has an item already, and no position was given.
        """
        with self.database.write() as connection:
            self._items.check_within(connection)
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
            stamp = self._stamp()
            linked = _linked_step(connection, sop_instance_uid)
            self._follow(connection, linked, stamp)
            if before is not None:
                left = _steps_of(connection, before)
                follow_steps(connection, before, left, stamp, gone=linked.step)
        return linked

    def _link(
        self,
        connection: Connection,
        step: PerformedProcedureStep,
        position: int,
        reference: ScheduledStepReference,
    ) -> StepLink:
        item, rule = find_item(connection, step, reference)
        link = StepLink(position, item.item_id if item else None, rule)
        connection.execute(
            step_links.insert().values(sop_instance_uid=step.sop_instance_uid, **asdict(link))
        )
        return link

    def _follow(self, connection: Connection, linked: LinkedStep, stamp: str) -> None:
        for item_id in linked.item_ids:
            follow_steps(connection, item_id, _steps_of(connection, item_id), stamp)
            for item in items_with(connection, worklist_items.c.id == item_id):
                if item.data_source in self._report_to:
                    enqueue(connection, linked.step, item, stamp)

    def _stamp(self) -> str:
        return self._now().isoformat(timespec="milliseconds")


_UNSCHEDULED = (ScheduledStepReference(),)
"""What a step refers to that does not refer to anything."""


def _steps_of(connection: Connection, item_id: int) -> list[PerformedProcedureStep]:
    """All steps that are linked to an item."""
    statement = (
        select(performed_steps)
        .join(step_links, step_links.c.sop_instance_uid == performed_steps.c.sop_instance_uid)
        .where(step_links.c.item_id == item_id)
    )
    return [_step_of(row) for row in connection.execute(statement).mappings()]


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


def _row(connection: Connection, sop_instance_uid: str) -> Any:
    statement = select(performed_steps).where(
        performed_steps.c.sop_instance_uid == sop_instance_uid
    )
    return connection.execute(statement).mappings().first()


def _linked_step(connection: Connection, sop_instance_uid: str) -> LinkedStep:
    row = _row(connection, sop_instance_uid)
    if row is None:
        raise NotFound(f"no performed procedure step {sop_instance_uid}")
    return LinkedStep(_step_of(row), _links(connection, sop_instance_uid))


def _links(connection: Connection, sop_instance_uid: str) -> tuple[StepLink, ...]:
    statement = (
        select(step_links.c.position, step_links.c.item_id, step_links.c.rule)
        .where(step_links.c.sop_instance_uid == sop_instance_uid)
        .order_by(step_links.c.position)
    )
    return tuple(StepLink(*row) for row in connection.execute(statement))


def _after(day: dt.date) -> str:
    """What sorts after every moment of a day, as steps keep their start."""
    return f"{day.isoformat()}~"


def _uid(row: RowMapping) -> str:
    return str(row["sop_instance_uid"])


_TEXTS = (
    "sop_instance_uid",
    "performed_procedure_step_id",
    "performed_station_ae_title",
    "calling_ae_title",
    "modality",
    "patient_id",
    "patient_name",
)


def _row_of(step: PerformedProcedureStep) -> dict[str, Any]:
    reason = step.discontinuation_reason
    return {name: getattr(step, name) for name in _TEXTS} | {
        "status": step.status.value,
        "started": step.started.isoformat(" "),
        "ended": step.ended.isoformat(" ") if step.ended else "",
        "discontinuation_reason": json.dumps(asdict(reason)) if reason else "",
        "attributes": json.dumps(step.attributes, ensure_ascii=False),
        "violations": json.dumps(step.violations),
    }


def _step_of(row: RowMapping) -> PerformedProcedureStep:
    attributes = json.loads(row["attributes"])
    reason = row["discontinuation_reason"]
    return PerformedProcedureStep(
        **{name: row[name] for name in _TEXTS},
        status=StepStatus(row["status"]),
        started=dt.datetime.fromisoformat(row["started"]),
        ended=dt.datetime.fromisoformat(row["ended"]) if row["ended"] else None,
        discontinuation_reason=Code(**json.loads(reason)) if reason else None,
        references=references_in(attributes),
        attributes=attributes,
        violations=tuple(json.loads(row["violations"])),
        version=row["version"],
    )


def references_in(attributes: Mapping[str, Any]) -> tuple[ScheduledStepReference, ...]:
    """The items of the Scheduled Step Attributes Sequence of a data set in DICOM JSON."""
    sequence = attributes.get("00400270", {}).get("Value") or ()
    return tuple(
        ScheduledStepReference(
            study_instance_uid=_first(item, "0020000D"),
            accession_number=_first(item, "00080050"),
            requested_procedure_id=_first(item, "00401001"),
            scheduled_procedure_step_id=_first(item, "00400009"),
            referenced_study_uids=tuple(
                uid
                for study in item.get("00081110", {}).get("Value") or ()
                if (uid := _first(study, "00081155"))
            ),
        )
        for item in sequence
    )


def _first(item: Mapping[str, Any], tag: str) -> str:
    values = item.get(tag, {}).get("Value") or ("",)
    return str(values[0] or "").strip()
