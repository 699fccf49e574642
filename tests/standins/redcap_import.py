"""``content=record`` with data, and ``action=delete``: what REDCap takes and what it refuses."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import NoReturn

from tests.standins.redcap_data import CODED_TYPES, DATE_TYPES, Field, Project, RowKey
from tests.standins.redcap_format import ApiError, parse_rows, quoted, value_reply
from tests.standins.wire import Reply, Request

_PSEUDO = frozenset(
    {
        "redcap_event_name",
        "redcap_repeat_instrument",
        "redcap_repeat_instance",
        "redcap_data_access_group",
        "redcap_survey_identifier",
    }
)
_DATE_ORDERS = {"YMD": "%Y-%m-%d", "MDY": "%m/%d/%Y", "DMY": "%d/%m/%Y"}


@dataclass(frozen=True)
class _Change:
    record: str
    key: RowKey
    values: dict[str, str]


def import_records(project: Project, request: Request, form: str, answer_form: str) -> Reply:
    """Take all rows, or none: the error has a line for the first refused cell of each row."""
    if not project.rights.imports:
        raise ApiError(403, "You do not have API Import/Update privileges")
    rows = parse_rows(request.form["data"], form)
    given = [row.get(project.record_id_field, "") for row in rows]
    if request.flag("forceAutoNumber"):
        _renumber(project, rows)
    overwrite = request.form.get("overwriteBehavior") == "overwrite"
    order = request.form.get("dateFormat") or "YMD"
    changes = _changes(project, rows, overwrite, order)
    for change in changes:
        project.put(change.record, change.values, change.key, username=project.username, api=True)
    imported = list(dict.fromkeys(change.record for change in changes))
    content = request.form.get("returnContent") or "count"
    if content == "ids":
        return value_reply(imported, answer_form, "ids")
    if content == "auto_ids":
        pairs = zip((c.record for c in changes), given, strict=True)
        return value_reply([f"{new},{old}" for new, old in pairs], answer_form, "ids")
    if content == "nothing":
        return Reply()
    return value_reply({"count": len(imported)}, answer_form, "count")


def delete(project: Project, request: Request, answer_form: str) -> Reply:
    """Delete records, or one form, event or instance of them; answers how many."""
    if not project.rights.delete:
        raise ApiError(403, "You do not have Delete Record privileges")
    asked = request.array("records") or []
    if not asked:
        raise ApiError(400, "The parameter 'records' is missing")
    missing = [name for name in asked if name not in project.records]
    if missing:
        raise ApiError(
            400,
            "One or more of the records provided cannot be deleted because they do not exist in "
            f"the project. The following records do not exist: {', '.join(missing)}",
        )
    for name in asked:
        _delete_one(project, name, request)
    return value_reply(len(asked), answer_form, "count")


def _delete_one(project: Project, record: str, request: Request) -> None:
    form = request.form
    instrument, event, arm = form.get("instrument"), form.get("event"), form.get("arm")
    instance = int(form.get("repeat_instance") or 0)
    if not (instrument or event or arm or instance):
        project.delete_record(record, username=project.username, api=True)
        return
    if instrument and project.longitudinal and not event:
        raise ApiError(400, 'The parameter "event" is required when deleting an instrument')
    in_arm = {e.unique_name for e in project.events if str(e.arm_num) == arm}
    for key in list(project.records[record]):
        if (event and key.event != event) or (arm and key.event not in in_arm):
            continue
        if instance and key.instance != instance:
            continue
        if instrument and key.instrument != instrument:
            _clear_form(project, record, key, instrument)
        else:
            project.delete_row(record, key, username=project.username)


def _clear_form(project: Project, record: str, key: RowKey, instrument: str) -> None:
    held = project.records[record][key]
    names = {c for f in project.dictionary() if f.form == instrument for c in f.columns()}
    project.put(record, dict.fromkeys(names & set(held), ""), key, username=project.username)


def _renumber(project: Project, rows: list[dict[str, str]]) -> None:
    number = int(project.next_record())
    for row in rows:
        row[project.record_id_field] = str(number)
        number += 1


def _changes(
    project: Project, rows: list[dict[str, str]], overwrite: bool, order: str
) -> list[_Change]:
    changes, refused = [], []
    for row in rows:
        try:
            changes.append(_change(project, row, overwrite, order))
        except ApiError as error:
            refused.append(error.message)
    if refused:
        raise ApiError(400, "\n".join(dict.fromkeys(refused)))
    return changes


def _change(project: Project, row: dict[str, str], overwrite: bool, order: str) -> _Change:
    record = row.get(project.record_id_field, "").strip()
    if not record:
        raise ApiError(400, f"The record ID field '{project.record_id_field}' has no value")
    known = {c: item for item in project.dictionary() for c in item.columns()}
    unknown = [name for name in row if name not in known and name not in _PSEUDO]
    if unknown:
        names = ", ".join(unknown)
        raise ApiError(
            400,
            f"The following fields were not found in the project as real data fields: {names}",
        )
    key = _key(project, record, row)
    missing_codes = {c.split(",")[0].strip() for c in project.missing_data_codes.split("|")}
    values = {}
    for name, value in row.items():
        if name in _PSEUDO or name == project.record_id_field or (not value and not overwrite):
            continue
        _check_place(project, record, key, known[name], value)
        missing = value in missing_codes
        values[name] = value if missing else _checked(record, name, known[name], value, order)
    if record in project.locked and values:
        cell = next(iter(values))
        _refuse(
            record,
            cell,
            values[cell],
            "This field is located on a form that is locked. You must "
            "first unlock this form for this record.",
        )
    return _Change(record, key, values)


def _key(project: Project, record: str, row: dict[str, str]) -> RowKey:
    event = row.get("redcap_event_name", "")
    instrument = row.get("redcap_repeat_instrument", "")
    number = row.get("redcap_repeat_instance", "")
    if project.longitudinal and project.event_named(event) is None:
        _refuse(record, "redcap_event_name", event, "Invalid event name")
    if not project.longitudinal and event:
        _refuse(record, "redcap_event_name", event, "This project is not longitudinal")
    if number and not number.isdecimal():
        _refuse(record, "redcap_repeat_instance", number, "Invalid instance number")
    if (number or instrument) and (event, instrument) not in project.repeating:
        name = "redcap_repeat_instance" if number else "redcap_repeat_instrument"
        _refuse(
            record,
            name,
            number or instrument,
            f"{name} cannot have a value since this instrument or event is not a repeating "
            "instrument or repeating event, respectively.",
        )
    if instrument and not number:
        _refuse(record, "redcap_repeat_instance", "", "The instance number has no value")
    if not number and (event, "") in project.repeating:
        number = "1"
    return RowKey(event, instrument, int(number or 0))


def _check_place(project: Project, record: str, key: RowKey, item: Field, value: str) -> None:
    """Refuse a value in an event or row where its instrument has no place."""
    event = project.event_named(key.event)
    if event is not None and item.form not in event.forms:
        arm = project.arms[event.arm_num]
        _refuse(
            record,
            item.name,
            value,
            f"This field ('{item.name}') exists on an instrument that is not designated for the "
            f"event named '{event.name} (Arm {event.arm_num}: {arm})'. You are not allowed to "
            "import data for this field into this event.",
        )
    if (key.event, item.form) in project.repeating and key.instrument != item.form:
        _refuse(
            record,
            item.name,
            value,
            f"This field exists on a Repeating Instrument named '{item.form}'. However, the "
            "fields 'redcap_repeat_instance' and/or 'redcap_repeat_instrument' in your data have "
            "no value, so the value cannot be imported.",
        )
    if key.instrument and item.form != key.instrument:
        _refuse(
            record,
            item.name,
            value,
            f"This field does not exist on the Repeating Instrument '{key.instrument}'.",
        )


def _checked(record: str, name: str, item: Field, value: str, order: str) -> str:
    if not value:
        return value
    if item.kind in CODED_TYPES:
        codes = {"0", "1"} if item.kind == "checkbox" else {code for code, _ in item.options()}
        if value not in codes:
            _refuse(record, name, value, f"The value is not a valid category for {name}")
    if item.validation in DATE_TYPES:
        try:
            day = dt.datetime.strptime(value, _DATE_ORDERS.get(order, "%Y-%m-%d"))
        except ValueError:
            _refuse(
                record,
                name,
                value,
                "The value you provided could not be validated because it "
                "does not follow the expected format. Please try again.",
            )
        return day.strftime("%Y-%m-%d")
    return value


def _refuse(record: str, name: str, value: str, sentence: str) -> NoReturn:
    raise ApiError(400, quoted(record, name, value, sentence))
