"""What the database answers is what the standard says, whatever is stored and asked.

Twice: `ItemStore.find` equals the filter over all items; and on the keys it covers, both equal a
second reading of PS3.4 C.2.2.2 written here, which shares no code with the production matchers.
"""

from __future__ import annotations

import datetime as dt
import itertools
import shutil
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from tests.worklist.bookings import NOW, booking

from pylantir.worklist.attributes import BY_NAME
from pylantir.worklist.database import Database
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.query import (
    CodeKey,
    Key,
    Match,
    PersonName,
    Range,
    SingleValue,
    StartInterval,
    WildCard,
    WorklistQuery,
    any_of,
    fold_name,
    has_wild_card,
)
from pylantir.worklist.status import HIDDEN_BY_DEFAULT, ItemStatus
from pylantir.worklist.store import ItemStore

# Few letters, so that keys and values meet often; what SQL, LIKE and regular expressions read
# otherwise than DICOM; case, accents, kana, and a letter beyond the basic plane.
LETTERS = "aAä_%'𠮷"
NAME_LETTERS = "aAäßが山_%"
DAYS = [dt.date(2025, 7, 5) + dt.timedelta(days=n) for n in range(4)]
TIMES = [dt.time(0), dt.time(8), dt.time(8, 30), dt.time(8, 30, 15), dt.time(23, 59, 59, 999999)]
TITLES = ["MR1", "MR2", "mr1", "M_1", "M%1"]

words = st.text(LETTERS, max_size=2)
patterns = st.text(LETTERS + "*?*", min_size=1, max_size=4)
components = st.lists(st.text(NAME_LETTERS, max_size=2), min_size=1, max_size=3).map("^".join)
names = st.lists(components, min_size=1, max_size=3).map("=".join)
asked_names = st.lists(
    st.lists(st.text(NAME_LETTERS + "*?", max_size=2), min_size=1, max_size=3).map("^".join),
    min_size=1,
    max_size=2,
).map("=".join)


def item_values() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "patient_name": names.filter(lambda name: name.strip("^= ") != ""),
            "patient_id": st.text(LETTERS, min_size=1, max_size=2),
            "modality": st.sampled_from(["MR", "CT", "M_"]),
            "scheduled_station_ae_title": st.lists(st.sampled_from(TITLES), max_size=2),
            "scheduled_procedure_step_start_date": st.sampled_from(DAYS),
            "scheduled_procedure_step_start_time": st.sampled_from(TIMES),
            "accession_number": words,
            "study_instance_uid": st.sampled_from(["", "1.2.3", "1.2.30", "1.2.4"]),
            "status": st.sampled_from(list(ItemStatus)),
            "patient_birth_date": st.sampled_from([None, *DAYS]),
            "medical_alerts": st.lists(words, max_size=2),
            "requested_procedure_description": words,
            "scheduled_protocol_codes": st.lists(
                st.fixed_dictionaries(
                    {"value": st.sampled_from("ab"), "scheme": st.sampled_from("xy")}
                ),
                max_size=2,
            ),
        }
    )


@dataclass(frozen=True)
class Asked:
    """A key as a scanner writes it: what is asked of which attribute."""

    name: str
    text: str = ""
    texts: tuple[str, ...] = ()
    first: Any = None
    last: Any = None
    is_range: bool = False


def text_keys(name: str) -> st.SearchStrategy[Asked]:
    return st.builds(Asked, st.just(name), st.text(LETTERS, min_size=1, max_size=2) | patterns)


def range_keys(name: str, values: list[Any]) -> st.SearchStrategy[Asked]:
    ends = st.none() | st.sampled_from(values)
    return st.builds(
        lambda first, last: Asked(name, first=first, last=last, is_range=True), ends, ends
    ).filter(lambda asked: (asked.first, asked.last) != (None, None))


asked_keys = st.one_of(
    text_keys("patient_id"),
    text_keys("accession_number"),
    text_keys("medical_alerts"),
    text_keys("requested_procedure_description"),
    st.builds(Asked, st.just("patient_name"), asked_names).filter(
        lambda asked: asked.text.replace("*", "").strip("^=*") != ""
    ),
    st.builds(Asked, st.just("modality"), st.sampled_from(["MR", "CT", "M?", "*R", "M_"])),
    st.builds(
        Asked,
        st.just("scheduled_station_ae_title"),
        st.sampled_from([*TITLES, "MR*", "M?1", "XX"]),
    ),
    st.builds(
        Asked,
        st.just("study_instance_uid"),
        texts=st.lists(st.sampled_from(["1.2.3", "1.2.4", "9.9"]), min_size=1).map(tuple),
    ),
    range_keys("scheduled_procedure_step_start_date", DAYS),
    range_keys("scheduled_procedure_step_start_time", TIMES),
    range_keys("patient_birth_date", DAYS),
)


def match_of(asked: Asked) -> Match:
    if asked.is_range:
        return Range(asked.first, asked.last)
    if asked.texts:
        return any_of([SingleValue(text) for text in asked.texts])
    if asked.name == "patient_name":
        return PersonName(fold_name(asked.text))
    return WildCard(asked.text) if has_wild_card(asked.text) else SingleValue(asked.text)


# --- the second reading ---


def reads(asked: Asked, item: WorklistItem) -> bool:
    """Whether the item satisfies the key, word by word as C.2.2.2 puts it."""
    stored = getattr(item, asked.name)
    values = list(stored) if isinstance(stored, tuple) else [stored]
    if asked.name == "scheduled_station_ae_title" and not values:
        return True  # an item without a station is open to every scanner
    values = [value for value in values if value not in (None, "")]
    if asked.is_range:
        return any(
            not (asked.first is not None and value < asked.first)
            and not (asked.last is not None and asked.last < value)
            for value in values
        )
    if asked.texts:
        return any(value == text for value in values for text in asked.texts)
    if asked.name == "patient_name":
        return any(name_reads(asked.text, value) for value in values)
    return any(value in spelled_out(asked.text, value) for value in values)


def spelled_out(pattern: str, value: str) -> set[str]:
    """Every prefix-built text no longer than the value that the pattern can stand for."""
    possible = {""}
    for symbol in pattern:
        if symbol == "*":
            possible = {value[:n] for p in possible for n in range(len(p), len(value) + 1)}
        elif symbol == "?":
            possible = {value[: len(p) + 1] for p in possible if len(p) < len(value)}
        else:
            possible = {p + symbol for p in possible if value.startswith(p + symbol)}
    return possible


def plain_name(name: str) -> list[str]:
    """Component groups without case, accents and empty ends; kana keep their voicing."""
    groups = []
    for group in name.split("="):
        letters = []
        for letter in unicodedata.normalize("NFC", group):
            base = letter if letter == "が" else unicodedata.normalize("NFD", letter)[0]
            letters.append(base.lower())
        text = "".join(letters)
        while text.endswith("^"):
            text = text[:-1]
        groups.append(text)
    while groups and not groups[-1]:
        groups.pop()
    return groups


def name_reads(asked: str, stored: str) -> bool:
    keys, groups = plain_name(asked), plain_name(stored)
    whole_key, whole = "=".join(keys), "=".join(groups)
    if whole in spelled_out(whole_key, whole):
        return True
    if len(keys) == 1:
        return any(group and group in spelled_out(keys[0], group) for group in groups)
    padded = list(itertools.zip_longest(keys, groups[: max(len(keys), len(groups))]))
    return len(keys) <= len(groups) and all(
        not key or group in spelled_out(key, group) for key, group in padded[: len(keys)]
    )


# --- the properties ---


def seldom(strategy: st.SearchStrategy[Any], absent: Any = None) -> st.SearchStrategy[Any]:
    return st.one_of(st.just(absent), st.just(absent), st.just(absent), strategy)


queries = st.fixed_dictionaries(
    {
        "asked": st.lists(asked_keys, max_size=2, unique_by=lambda asked: asked.name),
        "combined": st.booleans(),
        "code": seldom(st.tuples(st.sampled_from("ab*"), st.sampled_from("xy"))),
        "status": seldom(st.sampled_from(list(ItemStatus))),
        "hide": st.booleans(),
        "only_statuses": seldom(st.just((ItemStatus.SCHEDULED, ItemStatus.IN_PROGRESS)), ()),
        "only_modalities": seldom(st.just(("MR",)), ()),
        "only_stations": seldom(st.just(("MR1",)), ()),
        "window": seldom(st.tuples(st.sampled_from(DAYS), st.sampled_from(DAYS))),
    }
)


def query_of(drawn: dict[str, Any]) -> WorklistQuery:
    keys = [Key(BY_NAME[a.name], match_of(a)) for a in drawn["asked"]]
    by_name = {key.attribute.name: key.match for key in keys}
    days = by_name.get("scheduled_procedure_step_start_date")
    times = by_name.get("scheduled_procedure_step_start_time")
    start = None
    if drawn["combined"] and isinstance(days, Range) and isinstance(times, Range):
        start = StartInterval.of(days, times)
        keys = [key for key in keys if "_start_" not in key.attribute.name]
    if drawn["status"]:
        keys.append(Key(BY_NAME["status"], SingleValue(drawn["status"])))
    codes = ()
    if drawn["code"]:
        value, scheme = drawn["code"]
        parts = (("value", WildCard(value)), ("scheme", SingleValue(scheme)))
        codes = (CodeKey(BY_NAME["scheduled_protocol_codes"], parts),)
    first_day, last_day = drawn["window"] or (None, None)
    return WorklistQuery(
        keys=tuple(keys),
        codes=codes,
        start=start,
        hidden=HIDDEN_BY_DEFAULT if drawn["hide"] else (),
        only_statuses=drawn["only_statuses"],
        only_modalities=drawn["only_modalities"],
        only_stations=drawn["only_stations"],
        first_day=first_day,
        last_day=last_day,
    )


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory, empty_worklist: Path) -> Iterator[Database]:
    path = tmp_path_factory.mktemp("property") / "worklist.db"
    shutil.copy(empty_worklist, path)
    database = Database(str(path))
    yield database
    database.close()


def fill(database: Database, drawn: list[dict[str, Any]]) -> list[WorklistItem]:
    """Exactly these items in the database, as the store gives them back."""
    with database.write() as connection:
        connection.exec_driver_sql("DELETE FROM worklist_items")
    store = ItemStore(database, now=lambda: NOW)
    store.put([booking(str(number), **values) for number, values in enumerate(drawn)])
    return store.find(WorklistQuery())


quickly = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@quickly
@given(st.lists(item_values(), min_size=1, max_size=6), st.lists(queries, min_size=5, max_size=12))
def test_the_database_answers_what_matches_and_in_order(
    scratch: Database, drawn: list[dict[str, Any]], asked: list[dict[str, Any]]
) -> None:
    everything = fill(scratch, drawn)
    assert len(everything) == len(drawn)
    assert everything == sorted(everything, key=lambda item: (item.start, item.item_id))
    store = ItemStore(scratch, now=lambda: NOW)
    for query in map(query_of, asked):
        expected = [item for item in everything if query.matches(item)]
        assert store.find(query) == expected
        event("some found" if expected else "none found")


@quickly
@given(st.lists(item_values(), min_size=1, max_size=6), st.lists(asked_keys, min_size=8))
def test_the_database_answers_what_a_second_reading_of_the_standard_says(
    scratch: Database, drawn: list[dict[str, Any]], asked: list[Asked]
) -> None:
    everything = fill(scratch, drawn)
    store = ItemStore(scratch, now=lambda: NOW)
    for one in asked:
        query = WorklistQuery(keys=(Key(BY_NAME[one.name], match_of(one)),))
        expected = [item for item in everything if reads(one, item)]
        assert store.find(query) == expected, one
        event("some found" if expected else "none found")
