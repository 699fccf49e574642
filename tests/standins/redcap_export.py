"""``content=record``, the export: which rows, which columns, which values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.standins.redcap_data import Field, Project, RowKey, Values
from tests.standins.redcap_format import ApiError, Row, rows_reply
from tests.standins.redcap_structure import check_known, wall_time
from tests.standins.wire import Reply, Request

_OUT_OF_MEMORY = (
    "REDCap ran out of server memory. The request cannot be processed. Please try "
    "importing/exporting a smaller amount of data."
)
_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True)
class _Column:
    """A column of the export and the code its check box or choice stands for."""

    name: str
    item: Field
    label: str = ""


def export(project: Project, request: Request, form: str) -> Reply:
    """Export records flat or as entity-attribute-value rows."""
    if project.rights.export == "none":
        raise ApiError(403, "You do not have API Export privileges")
    if request.form.get("filterLogic"):
        raise ApiError(400, 'The value of the parameter "filterLogic" is not valid')
    if form == "odm":
        raise ApiError(400, 'The value of the parameter "format" is not valid')
    columns = _columns(project, request)
    lead = _lead(project, request, columns)
    found = _found(project, request)
    labelled = request.form.get("rawOrLabel") == "label"
    delimiter = request.form.get("csvDelimiter") or ","
    if request.form.get("type") == "eav":
        rows: list[Row] = list(_eav(project, found, columns, lead))
    else:
        flat = _flat(project, request, found, columns, lead)
        rows = [_labels(project, row, columns) for row in flat] if labelled else list(flat)
        if request.form.get("rawOrLabelHeaders") == "label" and form == "csv":
            rows = [_headed(row, columns) for row in rows]
    if project.max_rows is not None and len(rows) > project.max_rows:
        raise ApiError(400, _OUT_OF_MEMORY)
    project.write_log("export", "Data export (API)", f"{len(rows)} rows")
    return rows_reply(rows, form, delimiter=delimiter)


def _columns(project: Project, request: Request) -> list[_Column]:
    dictionary = project.dictionary()
    asked, forms = request.array("fields"), request.array("forms")
    check_known("fields", asked, {item.name for item in dictionary})
    check_known("forms", forms, set(project.forms))
    columns = []
    for item in dictionary:
        if (asked or forms) and item.name not in (asked or ()) and item.form not in (forms or ()):
            continue
        if item.identifier and project.rights.export == "deidentified":
            continue
        labels = [label for _, label in item.choices] if item.kind == "checkbox" else [""]
        for name, label in zip(item.columns(), labels, strict=True):
            columns.append(_Column(name, item, label))
    return columns


def _lead(project: Project, request: Request, columns: list[_Column]) -> list[str]:
    """The columns REDCap adds by itself when the record-id field is among those asked for."""
    if all(column.name != project.record_id_field for column in columns):
        return []
    lead = [project.record_id_field]
    if project.longitudinal:
        lead.append("redcap_event_name")
    if project.repeating:
        lead += ["redcap_repeat_instrument", "redcap_repeat_instance"]
    if request.flag("exportDataAccessGroups") and project.dags and not project.rights.dag:
        lead.append("redcap_data_access_group")
    if request.flag("exportSurveyFields") and project.surveys:
        lead.append("redcap_survey_identifier")
    return lead


def _found(project: Project, request: Request) -> Iterator[tuple[str, RowKey, Values]]:
    """The rows that fit the filters: by record, event, and base row before instances."""
    events = request.array("events")
    order = project.event_order()
    if project.longitudinal:
        check_known("events", events, set(order))
    names = set(project.records)
    asked = request.array("records")
    if asked:
        names &= set(asked)
    if project.rights.dag:
        names = {name for name in names if project.dags.get(name) == project.rights.dag}
    begin = wall_time(request.form.get("dateRangeBegin", ""), "dateRangeBegin")
    end = wall_time(request.form.get("dateRangeEnd", ""), "dateRangeEnd")
    if begin or end:
        names &= project.touched(begin, end)
    forms = ["", *project.forms]
    for name in sorted(names, key=_natural):
        rows = project.records[name]
        for key in sorted(
            rows, key=lambda k: (order.get(k.event, 0), forms.index(k.instrument), k.instance)
        ):
            if not events or key.event in events or not project.longitudinal:
                yield name, key, rows[key]


def _natural(name: str) -> tuple[object, ...]:
    return tuple((int(p), p) if p.isdecimal() else (-1, p) for p in _DIGITS.split(name))


def _emitted(
    project: Project, key: RowKey, values: Values, columns: list[_Column], with_id: bool
) -> bool:
    if not key.instrument:
        return with_id or any(column.name in values for column in columns)
    own = [column for column in columns if column.item.form == key.instrument]
    return any(project.blank_instances or column.name in values for column in own)


def _applies(project: Project, key: RowKey, form: str) -> bool:
    if key.instrument:
        return form == key.instrument
    event = project.event_named(key.event)
    return (event is None or form in event.forms) and (key.event, form) not in project.repeating


def _flat(
    project: Project,
    request: Request,
    found: Iterator[tuple[str, RowKey, Values]],
    columns: list[_Column],
    lead: list[str],
) -> Iterator[dict[str, object]]:
    gray = "" if request.flag("exportBlankForGrayFormStatus") else "0"
    templates: dict[tuple[str, str], dict[str, str]] = {}
    data = [column for column in columns if column.name != project.record_id_field]
    for record, key, values in found:
        if not _emitted(project, key, values, data, bool(lead)):
            continue
        kind = (key.event, key.instrument)
        if kind not in templates:
            templates[kind] = {c.name: _blank(project, key, c.item, gray) for c in data}
        row = dict(zip(lead, _lead_values(project, record, key, lead), strict=True))
        row.update({name: values.get(name, blank) for name, blank in templates[kind].items()})
        yield row


def _blank(project: Project, key: RowKey, item: Field, gray: str) -> str:
    if not _applies(project, key, item.form):
        return ""
    if item.kind == "checkbox":
        return "0"
    return gray if item.name == f"{item.form}_complete" else ""


def _lead_values(project: Project, record: str, key: RowKey, lead: list[str]) -> list[object]:
    told: dict[str, object] = {
        project.record_id_field: record,
        "redcap_event_name": key.event,
        "redcap_repeat_instrument": key.instrument,
        "redcap_repeat_instance": key.instance or "",
        "redcap_data_access_group": project.dags.get(record, ""),
        "redcap_survey_identifier": "",
    }
    return [told[name] for name in lead]


def _eav(
    project: Project,
    found: Iterator[tuple[str, RowKey, Values]],
    columns: list[_Column],
    lead: list[str],
) -> Iterator[Row]:
    for record, key, values in found:
        head: dict[str, object] = {"record": record}
        if project.longitudinal:
            head["redcap_event_name"] = key.event
        if project.repeating:
            head["redcap_repeat_instrument"] = key.instrument
            head["redcap_repeat_instance"] = key.instance or ""
        if lead and not key.instrument:
            yield {**head, "field_name": project.record_id_field, "value": record}
        for column in columns:
            value = values.get(column.name, "")
            if column.item.kind == "checkbox":
                if value == "1":
                    code = column.item.choices[column.item.columns().index(column.name)][0]
                    yield {**head, "field_name": column.item.name, "value": code}
            elif value:
                yield {**head, "field_name": column.name, "value": value}


def _labels(project: Project, row: dict[str, object], columns: list[_Column]) -> dict[str, object]:
    """The row with labels in place of codes."""
    labelled = dict(row)
    for column in columns:
        value = row.get(column.name)
        if column.item.kind == "checkbox" and value in ("0", "1"):
            labelled[column.name] = "Checked" if value == "1" else "Unchecked"
        elif column.item.kind != "text" and value:
            labelled[column.name] = dict(column.item.options()).get(str(value), value)
    event = project.event_named(str(row.get("redcap_event_name", "")))
    if event is not None:
        arms = f" (Arm {event.arm_num}: {project.arms[event.arm_num]})"
        labelled["redcap_event_name"] = event.name + (arms if len(project.arms) > 1 else "")
    instrument = str(row.get("redcap_repeat_instrument", ""))
    if instrument:
        labelled["redcap_repeat_instrument"] = project.forms[instrument]
    return labelled


def _headed(row: Row, columns: list[_Column]) -> Row:
    names = {
        c.name: (c.item.label or c.name) + (f" ({c.label})" if c.label else "") for c in columns
    }
    names |= {
        "redcap_event_name": "Event Name",
        "redcap_repeat_instrument": "Repeat Instrument",
        "redcap_repeat_instance": "Repeat Instance",
        "redcap_data_access_group": "Data Access Group",
        "redcap_survey_identifier": "Survey Identifier",
    }
    return {names.get(key, key): value for key, value in row.items()}
