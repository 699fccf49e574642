"""Where a configured project keeps its bookings, checked against what the project is like.

A misspelt instrument or event would empty the worklist without a word, and a field that is gone
would change who the patients are: both are said, and the list stays as it is.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection

from pylantir.errors import SourceUnavailable
from pylantir.sources.mapping import FieldMapping
from pylantir.sources.redcap_client import RedcapClient
from pylantir.sources.redcap_dictionary import Dictionary
from pylantir.sources.redcap_records import Layout
from pylantir.sources.redcap_settings import RedcapSettings

_SHOWN = 12


def read_layout(config: RedcapSettings, mapping: FieldMapping, client: RedcapClient) -> Layout:
    """The layout of the project.

    Raises
    ------
    SourceUnavailable
        The project has no such field, instrument or event; names the setting.
    SourceError
        The project's events cannot be read.
    """
    dictionary, roles = client.dictionary, mapping.roles
    date_field = roles.get("scheduled_date", config.date_field)
    _require_field(dictionary, date_field, "the date of a scan", "config.date_field")
    if not mapping.sources_of("patient_id"):
        study = roles.get("study_id", "study_id")
        _require_field(dictionary, study, "the study id", "study_id in field_mapping")
    if config.events or config.baseline_event:
        named = {*config.events, config.baseline_event} - {""}
        _require_known(named, client.events(), "event", "config.events and config.baseline_event")
    return Layout(
        record_id_field=dictionary.record_id_field,
        instrument=_instrument(config, dictionary, date_field),
        date_field=date_field,
        time_field=roles.get("scheduled_time", config.time_field),
        session_field=roles.get("session_id", config.session_field),
        events=config.events,
        baseline_event=config.baseline_event,
        missing_codes=dictionary.missing_codes,
    )


def _instrument(config: RedcapSettings, dictionary: Dictionary, date_field: str) -> str:
    """The instrument that holds bookings; unless it is set, the one that has the date."""
    forms = frozenset(dictionary.forms.values())
    if "instrument" in config.model_fields_set:
        _require_known({config.instrument}, forms, "instrument", "config.instrument")
    elif config.instrument not in forms:
        return dictionary.forms[dictionary.columns[date_field]]
    return config.instrument


def _require_field(dictionary: Dictionary, name: str, meaning: str, setting: str) -> None:
    if name not in dictionary.columns:
        near = _nearest(name, dictionary.columns)
        raise SourceUnavailable(
            f"the project has no field {name!r} for {meaning}; correct {setting}{near}"
        )


def _require_known(named: Collection[str], known: Collection[str], what: str, setting: str) -> None:
    unknown = sorted(set(named) - set(known))
    if unknown:
        there = ", ".join(sorted(known)[:_SHOWN]) or "none"
        raise SourceUnavailable(
            f"the project has no {what} {unknown[0]!r}; correct {setting} (it has {there})"
        )


def _nearest(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean {near[0]!r}?)" if near else ""
