"""From a query string to a WorklistQuery: the second door of the one query type."""

from __future__ import annotations

import datetime as dt
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from pylantir.clock import parse_date
from pylantir.errors import InvalidQuery, ValueProblem
from pylantir.worklist.attributes import BY_NAME, Attribute
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.people import patient_key
from pylantir.worklist.query import (
    START_DATE,
    STATION,
    STATUS,
    Key,
    Match,
    Range,
    SingleValue,
    WildCard,
    WorklistQuery,
    any_of,
    fold_name,
    has_wild_card,
)
from pylantir.worklist.status import ItemStatus, parse_status

MAX_PAGE = 1000
_DEFAULT_PAGE = 100
_DEFAULT_STATUSES = (ItemStatus.SCHEDULED, ItemStatus.IN_PROGRESS)
_ANY = "any"
_NAMED_DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}

_SORTS: dict[str, Callable[[WorklistItem], Any]] = {
    "scheduled_start": lambda item: item.start,
    "patient_name": lambda item: fold_name(item.patient_name),
    "patient_id": lambda item: item.patient_id,
    "accession_number": lambda item: item.accession_number,
    "modality": lambda item: item.modality,
    "station": lambda item: item.scheduled_station_ae_title,
    "status": lambda item: item.status,
    "id": lambda item: item.item_id,
    "changed": lambda item: item.version,
}


class ListParameters(BaseModel):
    """Which items, in which order, which page."""

    model_config = ConfigDict(extra="allow")

    status: list[str] = Field(
        [], description="repeatable; SCHEDULED and IN_PROGRESS when absent; any for all"
    )
    patient_id: str | None = Field(None, max_length=64, description="part of the patient id")
    patient: str | None = Field(
        None, max_length=64, description="patient name or id; * and ? are wild cards"
    )
    date: str | None = Field(None, description="day: YYYY-MM-DD, today, tomorrow, yesterday")
    date_from: str | None = Field(None, description="first day")
    date_to: str | None = Field(None, description="last day")
    modality: list[str] = Field([], description="repeatable")
    station: list[str] = Field([], description="AE title of the scanner; repeatable")
    source: list[str] = Field([], description="name of the source; repeatable")
    accession_number: str | None = Field(None, max_length=64, description="wild cards work")
    study_instance_uid: str | None = Field(None, max_length=64, description="exactly this study")
    q: str | None = Field(
        None, max_length=64, description="words in name, ids, accession number, descriptions"
    )
    sort: str = Field(
        "scheduled_start", description=f"{', '.join(_SORTS)}; with - in front the other way round"
    )
    limit: int = Field(_DEFAULT_PAGE, ge=1, le=MAX_PAGE, description="items in a page")
    offset: int = Field(0, ge=0, le=2**31 - 1, description="items to skip")


Listed = Annotated[ListParameters, Query()]


@dataclass(frozen=True, slots=True)
class Contains:
    """Matches text that holds a part, whatever its case and accents."""

    part: str

    def accepts(self, value: Any) -> bool:
        """Whether the part is in the value."""
        return self.part in folded(str(value))


@dataclass(frozen=True, slots=True)
class TextKey(Key):
    """A key that any text of an item satisfies which people look for."""

    def accepts(self, item: WorklistItem) -> bool:
        """Whether one of the texts holds what is looked for."""
        return self.match.accepts(searched_text(item))


def searched_text(item: WorklistItem) -> str:
    """Every text of an item that people look for, folded: a word has no line break."""
    texts = (
        item.patient_name,
        item.patient_name.replace("^", " "),
        item.patient_id,
        item.accession_number,
        item.requested_procedure_description,
        item.scheduled_procedure_step_description,
        item.study_description,
        item.study_instance_uid,
        item.source_record_id,
    )
    return folded("\n".join(filter(None, texts)))


def folded(text: str) -> str:
    """Text without case and accents."""
    if text.isascii():
        return text.lower()
    parts = unicodedata.normalize("NFD", text.casefold())
    return "".join(part for part in parts if not unicodedata.combining(part))


def query_of(asked: ListParameters, today: dt.date) -> WorklistQuery:
    """The query that the parameters stand for, without its page.

    Raises
    ------
    InvalidQuery
        A day, status or sort that is none.
    """
    keys: list[Key] = []
    days = _days(asked, today)
    if days is not None:
        keys.append(Key(START_DATE, days))
    keys += _statuses(asked.status)
    keys += _key(STATION, [_text(value) for value in asked.station])
    keys += _key(BY_NAME["modality"], [_text(value.upper()) for value in asked.modality])
    if asked.accession_number:
        keys += _key(BY_NAME["accession_number"], [_text(asked.accession_number)])
    if asked.study_instance_uid:
        keys += _key(BY_NAME["study_instance_uid"], [SingleValue(asked.study_instance_uid)])
    if asked.patient_id:
        keys.append(Key(BY_NAME["patient_id"], Contains(folded(asked.patient_id))))
    if asked.patient:
        keys.append(patient_key(asked.patient))
    if asked.q:
        keys += [TextKey(BY_NAME["patient_name"], Contains(w)) for w in folded(asked.q).split()]
    _order(asked.sort)
    return WorklistQuery(keys=tuple(keys), only_sources=tuple(asked.source))


def in_order(
    found: Sequence[WorklistItem],
    sort: str,
    folded_name: Callable[[WorklistItem], str] | None = None,
) -> list[WorklistItem]:
    """The items in the order that was asked for; those that are equal by their start.

    Parameters
    ----------
    found : sequence of WorklistItem
        By their start.
    sort : str
        See :data:`_SORTS`; with ``-`` in front the other way round.
    folded_name : callable, optional
        Knows the folded patient name of an item already.
    """
    key, is_reversed = _order(sort)
    if folded_name is not None and sort.removeprefix("-") == "patient_name":
        key = folded_name
    if sort == "scheduled_start":
        return list(found)
    return sorted(found, key=key, reverse=is_reversed)


def _order(sort: str) -> tuple[Callable[[WorklistItem], Any], bool]:
    key = _SORTS.get(sort.removeprefix("-"))
    if key is None:
        raise _invalid("sort", sort, f"expected one of {', '.join(_SORTS)}")
    return key, sort.startswith("-")


def _statuses(shown: Sequence[str]) -> list[Key]:
    if any(value.lower() == _ANY for value in shown):
        return []
    try:
        statuses = [parse_status(value) for value in shown] or list(_DEFAULT_STATUSES)
    except ValueError as error:
        raise _invalid("status", ", ".join(shown), str(error)) from None
    return _key(STATUS, [SingleValue(status) for status in statuses])


def _days(asked: ListParameters, today: dt.date) -> Range | None:
    if asked.date and (asked.date_from or asked.date_to):
        raise _invalid("date", asked.date, "expected either date, or date_from and date_to")
    if asked.date:
        day = _day("date", asked.date, today)
        return Range(day, day)
    first = _day("date_from", asked.date_from, today) if asked.date_from else None
    last = _day("date_to", asked.date_to, today) if asked.date_to else None
    if first and last and last < first:
        raise _invalid("date_to", str(last), "expected a day not before date_from")
    return Range(first, last) if first or last else None


def _day(name: str, shown: str, today: dt.date) -> dt.date:
    if shown.lower() in _NAMED_DAYS:
        return today + dt.timedelta(days=_NAMED_DAYS[shown.lower()])
    try:
        return parse_date(shown)
    except ValueError:
        expected = "expected YYYY-MM-DD, today, tomorrow or yesterday"
        raise _invalid(name, shown, expected) from None


def _text(shown: str) -> Match:
    return WildCard(shown) if has_wild_card(shown) else SingleValue(shown)


def _key(attribute: Attribute, matches: list[Match]) -> list[Key]:
    return [Key(attribute, any_of(matches))] if matches else []


def _invalid(name: str, shown: str, reason: str) -> InvalidQuery:
    return InvalidQuery([ValueProblem(name, shown[:80], reason)])
