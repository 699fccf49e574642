"""What is kept of a query: the schedule in the clear, people as hashes, and it still matches."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pylantir.worklist.asked import is_certain, kept, revived, words
from pylantir.worklist.attributes import BY_NAME
from pylantir.worklist.item import make_item
from pylantir.worklist.query import (
    AnyOf,
    CodeKey,
    Key,
    Match,
    PersonName,
    Range,
    SingleValue,
    StartInterval,
    WildCard,
    WorklistQuery,
    fold_name,
)
from pylantir.worklist.status import ItemStatus

KEY = b"k" * 32
ITEM = make_item(
    {
        "patient_name": "Müller^Änne=山田^太郎",
        "patient_id": "PATIENT-1",
        "patient_birth_date": "1990-01-01",
        "accession_number": "ACC-9",
        "modality": "MR",
        "scheduled_station_aetitle": "PRISMA_1",
        "scheduled_start_date": "2026-11-23",
        "scheduled_start_time": "09:30",
        "scheduled_protocol_codes": [{"value": "BRAIN", "scheme": "99X", "meaning": "Brain"}],
    },
    data_source="manual",
    source_record_id="1",
)

CASES: list[tuple[str, Match, bool]] = [
    ("modality", SingleValue("MR"), True),
    ("modality", SingleValue("CT"), False),
    ("modality", AnyOf((SingleValue("CT"), WildCard("M*"))), True),
    ("scheduled_station_ae_title", SingleValue("PRISMA_1"), True),
    ("scheduled_procedure_step_start_date", SingleValue(dt.date(2026, 11, 23)), True),
    ("scheduled_procedure_step_start_date", Range(dt.date(2026, 11, 24), None), False),
    ("scheduled_procedure_step_start_time", Range(dt.time(9), dt.time(10)), True),
    ("status", SingleValue(ItemStatus.SCHEDULED), True),
    ("status", SingleValue(None), False),
    ("patient_id", SingleValue("PATIENT-1"), True),
    ("patient_id", SingleValue("PATIENT-2"), False),
    ("patient_birth_date", SingleValue(dt.date(1990, 1, 1)), True),
    ("patient_name", PersonName(fold_name("MULLER^ANNE")), True),
    ("patient_name", PersonName(fold_name("山田^太郎")), True),
    ("patient_name", PersonName(fold_name("Meier^Anne")), False),
    ("accession_number", AnyOf((SingleValue("ACC-8"), SingleValue("ACC-9"))), True),
]


def through(query: WorklistQuery) -> WorklistQuery:
    """The query as it comes out of the journal."""
    return revived(json.loads(json.dumps(kept(query, KEY))), KEY)


@pytest.mark.parametrize(("name", "match", "fits"), CASES)
def test_a_kept_key_matches_as_it_did(name: str, match: Match, fits: bool) -> None:
    query = WorklistQuery(keys=(Key(BY_NAME[name], match),))
    assert query.matches(ITEM) is fits

    assert through(query).matches(ITEM) is fits


def test_codes_and_the_start_match_as_they_did() -> None:
    code = CodeKey(BY_NAME["scheduled_protocol_codes"], (("value", SingleValue("BRAIN")),))
    other = CodeKey(BY_NAME["scheduled_protocol_codes"], (("value", SingleValue("KNEE")),))
    start = StartInterval(dt.datetime(2026, 11, 23), dt.datetime(2026, 11, 23, 9, 0))

    assert through(WorklistQuery(codes=(code,))).matches(ITEM)
    assert not through(WorklistQuery(codes=(other,))).matches(ITEM)
    assert not through(WorklistQuery(start=start)).matches(ITEM)


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("patient_id", SingleValue("PATIENT-1")),
        ("patient_name", PersonName("muller^anne")),
        ("patient_name", PersonName("mull*")),
        ("patient_id", WildCard("PATIENT*")),
        ("patient_id", AnyOf((WildCard("PATIENT*"), SingleValue("X")))),
        ("patient_birth_date", Range(dt.date(1990, 1, 1), None)),
        ("accession_number", SingleValue("ACC-9")),
        ("study_instance_uid", SingleValue("1.2.3.4")),
        ("scheduled_performing_physician_name", PersonName("rivera")),
        ("requested_procedure_comments", WildCard("*anxious*")),
    ],
)
def test_nothing_about_a_person_is_kept_in_the_clear(name: str, match: Match) -> None:
    text = json.dumps(kept(WorklistQuery(keys=(Key(BY_NAME[name], match),)), KEY)).lower()

    for planted in ("patient-1", "patient*", "muller", "mull", "1990", "acc-9", "1.2.3", "rivera"):
        assert planted not in text
    assert "anxious" not in text


def test_a_pattern_about_a_person_cannot_be_told_any_more_and_says_so() -> None:
    query = WorklistQuery(keys=(Key(BY_NAME["patient_name"], PersonName("mull*")),))

    match = through(query).keys[0].match

    assert not is_certain(match)
    assert "not kept" in words(match)


def test_another_key_gives_another_hash() -> None:
    query = WorklistQuery(keys=(Key(BY_NAME["patient_id"], SingleValue("PATIENT-1")),))

    assert kept(query, b"a" * 32) != kept(query, b"b" * 32)


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20))
def test_any_text_comes_back_as_hash_or_as_itself(text: str) -> None:
    for name in ("patient_id", "modality"):
        query = WorklistQuery(keys=(Key(BY_NAME[name], SingleValue(text)),))
        accepts = through(query).keys[0].match.accepts
        assert accepts(text)
        assert not accepts(text + "x")
