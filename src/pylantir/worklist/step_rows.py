"""Between rows and performed steps: how a step and its links stand in the database."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, select

from pylantir.errors import StepTooLarge
from pylantir.worklist.prepared import Prepared
from pylantir.worklist.status import StepStatus
from pylantir.worklist.step import (
    LinkedStep,
    PerformedProcedureStep,
    ScheduledStepReference,
    StepLink,
    StepProgress,
)
from pylantir.worklist.tables import performed_steps, step_links
from pylantir.worklist.values import Code

_steps, _links = performed_steps.c, step_links.c

MAX_CHARACTERS = 2**22
"""Of the attributes of a step; a scanner could go on for ever to add to them."""

_LINK = (_links.position, _links.item_id, _links.rule)
_STEP_COLUMNS = tuple(column.key for column in performed_steps.columns)
_STEP = Prepared(
    select(performed_steps, *_LINK)
    .outerjoin(step_links, _links.sop_instance_uid == _steps.sop_instance_uid)
    .where(_steps.sop_instance_uid == bindparam("uid"))
    .order_by(_links.position)
)
_TAKEN = Prepared(
    select(_steps.sop_instance_uid).where(_steps.sop_instance_uid == bindparam("uid"))
)
_ADD = Prepared(performed_steps.insert())
_CHANGE = Prepared(performed_steps.update().where(_steps.sop_instance_uid == bindparam("uid")))
_ADD_LINK = Prepared(step_links.insert())
_LINKS = select(*_LINK).where(_links.sop_instance_uid == bindparam("uid")).order_by(_links.position)
_PROGRESS = Prepared(
    select(_steps.status, _steps.started, _steps.discontinuation_reason)
    .join(step_links, _links.sop_instance_uid == _steps.sop_instance_uid)
    .where(_links.item_id == bindparam("number"))
)


def is_taken(connection: Connection, sop_instance_uid: str) -> bool:
    """Whether there is a step of that SOP Instance UID.

    Asked, not concluded from an insert that fails: that may have other reasons, and a scanner that
    hears of a duplicate takes its step for kept.
    """
    return _TAKEN.first(connection, uid=sop_instance_uid) is not None


def find_step(connection: Connection, sop_instance_uid: str) -> LinkedStep | None:
    """The step of that SOP Instance UID and its links, if there is one."""
    rows = _STEP.rows(connection, uid=sop_instance_uid)
    if not rows:
        return None
    links = (StepLink(*row[len(_STEP_COLUMNS) :]) for row in rows)
    step = step_of(dict(zip(_STEP_COLUMNS, rows[0], strict=False)))
    return LinkedStep(step, tuple(link for link in links if link.position is not None))


def add_step(connection: Connection, step: PerformedProcedureStep, stamp: str) -> None:
    """Write a new step.

    Raises
    ------
    StepTooLarge
        Its attributes are longer than :data:`MAX_CHARACTERS`.
    """
    row = {name: getattr(step, name) for name in _TEXTS} | _changing(step, stamp)
    row["started"] = step.started.isoformat(" ")
    _ADD.rows(connection, **row, created_at=stamp)


def change_step(connection: Connection, step: PerformedProcedureStep, stamp: str) -> None:
    """Write what a message may change of the step of that SOP Instance UID (PS3.4 F.7.2.2).

    Raises
    ------
    StepTooLarge
        Its attributes are longer than :data:`MAX_CHARACTERS`.
    """
    _CHANGE.rows(connection, **_changing(step, stamp), uid=step.sop_instance_uid)


def add_links(connection: Connection, sop_instance_uid: str, links: Sequence[StepLink]) -> None:
    """Write what a new step is linked to."""
    for link in links:
        _ADD_LINK.rows(
            connection,
            sop_instance_uid=sop_instance_uid,
            position=link.position,
            item_id=link.item_id,
            rule=link.rule,
        )


def links_of(connection: Connection, sop_instance_uid: str) -> tuple[StepLink, ...]:
    """What a step is linked to, by position."""
    return tuple(StepLink(*row) for row in connection.execute(_LINKS, {"uid": sop_instance_uid}))


def progress_of_item(connection: Connection, item_id: int) -> list[StepProgress]:
    """How far each step is that is linked to an item."""
    return [
        StepProgress(StepStatus(status), dt.datetime.fromisoformat(started), _reason(reason))
        for status, started, reason in _PROGRESS.rows(connection, number=item_id)
    ]


_TEXTS = (
    "sop_instance_uid",
    "performed_procedure_step_id",
    "performed_station_ae_title",
    "calling_ae_title",
    "modality",
    "patient_id",
    "patient_name",
)


def _changing(step: PerformedProcedureStep, stamp: str) -> dict[str, Any]:
    """Columns of what may change. Who did what for whom, and since when, stays as it was created:
    to write it again would renew its indexes and look for links to another SOP Instance UID.
    """
    attributes = json.dumps(step.attributes, ensure_ascii=False)
    if len(attributes) > MAX_CHARACTERS:
        raise StepTooLarge("the performed step has become too large")
    reason = step.discontinuation_reason
    return {
        "status": step.status.value,
        "ended": step.ended.isoformat(" ") if step.ended else "",
        "discontinuation_reason": json.dumps(asdict(reason)) if reason else "",
        "attributes": attributes,
        "violations": json.dumps(step.violations),
        "version": step.version,
        "updated_at": stamp,
    }


def step_of(row: Mapping[str, Any] | RowMapping) -> PerformedProcedureStep:
    """The step of a row."""
    attributes = json.loads(row["attributes"])
    return PerformedProcedureStep(
        **{name: row[name] for name in _TEXTS},
        status=StepStatus(row["status"]),
        started=dt.datetime.fromisoformat(row["started"]),
        ended=dt.datetime.fromisoformat(row["ended"]) if row["ended"] else None,
        discontinuation_reason=_reason(row["discontinuation_reason"]),
        references=references_in(attributes),
        attributes=attributes,
        violations=tuple(json.loads(row["violations"])),
        version=row["version"],
    )


def _reason(stored: str) -> Code | None:
    return Code(**json.loads(stored)) if stored else None


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
