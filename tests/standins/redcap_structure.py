"""What REDCap tells about a project: dictionary, events, arms, repeats, log, info."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from tests.standins.redcap_data import Field, LogEntry, Project
from tests.standins.redcap_format import ApiError, Row
from tests.standins.wire import Request

_STAMPS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d")
_LOG_KINDS = {
    "export": ("export",),
    "manage": ("manage",),
    "user": ("user",),
    "record": ("record_add", "record_edit", "record_delete"),
    "record_add": ("record_add",),
    "record_edit": ("record_edit",),
    "record_delete": ("record_delete",),
    "lock_record": ("lock_record",),
    "page_view": ("page_view",),
}


def wall_time(text: str, name: str) -> dt.datetime | None:
    """A time parameter, naive and meant in the server's zone; None when blank.

    Raises
    ------
    ApiError
        400 for another form than ``YYYY-MM-DD[ HH:MM[:SS]]``.
    """
    for form in _STAMPS:
        try:
            return dt.datetime.strptime(text, form)
        except ValueError:
            continue
    if text.strip():
        raise ApiError(400, f'The value of the parameter "{name}" is not valid')
    return None


def check_known(parameter: str, asked: list[str] | None, known: set[str]) -> None:
    """Refuse names the project does not have, in the words REDCap uses."""
    unknown = [name for name in asked or [] if name not in known]
    if unknown:
        names = ", ".join(f"'{name}'" for name in unknown)
        raise ApiError(
            400, f"The following values in the parameter {parameter} are not valid: {names}"
        )


def metadata(project: Project, request: Request) -> list[Row]:
    """The data dictionary, 18 text columns; the record-id field comes first."""
    asked, forms = request.array("fields"), request.array("forms")
    check_known("fields", asked, {item.name for item in project.fields})
    check_known("forms", forms, set(project.forms))
    wanted = [
        item
        for item in project.fields
        if (not asked and not forms) or item.name in (asked or ()) or item.form in (forms or ())
    ]
    return [_dictionary_row(item) for item in wanted]


def _dictionary_row(item: Field) -> Row:
    choices = " | ".join(f"{code}, {label}" for code, label in item.choices)
    return {
        "field_name": item.name,
        "form_name": item.form,
        "section_header": "",
        "field_type": item.kind,
        "field_label": item.label or item.name,
        "select_choices_or_calculations": choices,
        "field_note": "",
        "text_validation_type_or_show_slider_number": item.validation,
        "text_validation_min": "",
        "text_validation_max": "",
        "identifier": "y" if item.identifier else "",
        "branching_logic": "",
        "required_field": "",
        "custom_alignment": "",
        "question_number": "",
        "matrix_group_name": "",
        "matrix_ranking": "",
        "field_annotation": "",
    }


def info(project: Project) -> Row:
    """``content=project``: one object, numbers as numbers."""
    return {
        "project_id": project.project_id,
        "project_title": project.title,
        "creation_time": "2024-01-08 09:00:00",
        "production_time": "2024-02-01 09:00:00",
        "in_production": 1,
        "project_language": "English",
        "purpose": 2,
        "purpose_other": "",
        "project_notes": "",
        "custom_record_label": "",
        "secondary_unique_field": "",
        "is_longitudinal": int(project.longitudinal),
        "has_repeating_instruments_or_events": int(bool(project.repeating)),
        "surveys_enabled": int(bool(project.surveys)),
        "scheduling_enabled": 0,
        "record_autonumbering_enabled": 1,
        "randomization_enabled": 0,
        "ddp_enabled": 0,
        "project_irb_number": "",
        "project_grant_number": "",
        "project_pi_firstname": "",
        "project_pi_lastname": "",
        "display_today_now_button": 1,
        "missing_data_codes": project.missing_data_codes,
        "external_modules": "",
        "bypass_branching_erase_field_prompt": 0,
    }


def instruments(project: Project, request: Request) -> list[Row]:
    """The forms in order."""
    return [{"instrument_name": n, "instrument_label": label} for n, label in project.forms.items()]


def events(project: Project, request: Request) -> list[Row]:
    """The events, of some arms or of all; an error for a classic project."""
    _longitudinal_only(project, "events")
    arms = request.array("arms")
    return [
        {
            "event_name": event.name,
            "arm_num": event.arm_num,
            "unique_event_name": event.unique_name,
            "custom_event_label": "",
            "event_id": event.event_id or 2889 + place,
        }
        for place, event in enumerate(project.events)
        if not arms or str(event.arm_num) in arms
    ]


def arms(project: Project, request: Request) -> list[Row]:
    """The arms; an error for a classic project."""
    _longitudinal_only(project, "arms")
    asked = request.array("arms")
    return [
        {"arm_num": number, "name": name}
        for number, name in project.arms.items()
        if not asked or str(number) in asked
    ]


def form_events(project: Project, request: Request) -> list[Row]:
    """Which form is designated for which event; an error for a classic project."""
    _longitudinal_only(project, "form/event mappings")
    return [
        {"arm_num": event.arm_num, "unique_event_name": event.unique_name, "form": form}
        for event in project.events
        for form in event.forms
    ]


def repeating(project: Project, request: Request) -> list[Row]:
    """What repeats; a whole event has an empty form name."""
    if not project.repeating:
        raise ApiError(
            400,
            "You cannot export repeating instruments and events because the project does not "
            "contain any repeating instruments and events",
        )
    rows: list[Row] = []
    for event, form in sorted(project.repeating):
        row: dict[str, object] = {"event_name": event} if project.longitudinal else {}
        rows.append({**row, "form_name": form, "custom_form_label": ""})
    return rows


def export_names(project: Project, request: Request) -> list[Row]:
    """The columns of an export; check boxes have one per choice."""
    asked = request.form.get("field") or None
    known = {item.name for item in project.dictionary()}
    check_known("field", [asked] if asked else None, known)
    rows: list[Row] = []
    for item in project.dictionary():
        if asked in (None, item.name):
            codes = [code for code, _ in item.choices] if item.kind == "checkbox" else [""]
            rows += [
                {
                    "original_field_name": item.name,
                    "choice_value": code,
                    "export_field_name": column,
                }
                for code, column in zip(codes, item.columns(), strict=True)
            ]
    return rows


def log(project: Project, request: Request) -> list[Row]:
    """The log, newest first, in server time to the minute."""
    if not project.rights.logging:
        raise ApiError(403, "You do not have permissions to use the API (Logging privileges)")
    form = request.form
    kinds = _LOG_KINDS.get(form.get("logtype", ""))
    if form.get("logtype") and kinds is None:
        raise ApiError(400, 'The value of the parameter "logtype" is not valid')
    begin = _minute(wall_time(form.get("beginTime", ""), "beginTime"))
    end = _minute(wall_time(form.get("endTime", ""), "endTime"))
    wanted: list[Callable[[LogEntry], bool]] = [
        lambda e: kinds is None or e.kind in kinds,
        lambda e: begin is None or e.wall >= begin,
        lambda e: end is None or (_minute(e.wall) or e.wall) <= end,
        lambda e: form.get("user", "") in ("", e.username),
        lambda e: form.get("record", "") in ("", e.record),
    ]
    return [
        {
            "timestamp": line.wall.strftime("%Y-%m-%d %H:%M"),
            "username": line.username,
            "action": line.action,
            "details": line.details,
            "record": line.record,
        }
        for line in reversed(project.log)
        if all(test(line) for test in wanted)
    ]


def _minute(stamp: dt.datetime | None) -> dt.datetime | None:
    return stamp.replace(second=0, microsecond=0) if stamp else None


def _longitudinal_only(project: Project, what: str) -> None:
    if not project.longitudinal:
        raise ApiError(400, f"You cannot export {what} for classic projects")
