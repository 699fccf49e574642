"""A plan that is remembered is the one that would be made again."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.dsutils import encode as encode_data_set
from tests.dicom.serving import query
from tests.faults.pdus import BIG_ENDIAN, EXPLICIT, IMPLICIT

from pylantir.config.schema import Config
from pylantir.dicom.elements import Encoding
from pylantir.dicom.plans import Plan, make_plan, plan_again
from pylantir.dicom.scanners import Scanner, remembered, scanner_for
from pylantir.dicom.stream import Cut
from pylantir.errors import InvalidQuery

TODAY = dt.date(2026, 11, 21)
SYNTAXES = {IMPLICIT: (True, True), EXPLICIT: (False, True), BIG_ENDIAN: (False, False)}


def identifier(syntax: str, **keys: str) -> bytes:
    return bytes(encode_data_set(query(**keys), *SYNTAXES[syntax]) or b"")


def arguments(syntax: str = IMPLICIT, **given: Any) -> tuple[Any, ...]:
    usual = {
        "identifier": identifier(syntax),
        "transfer_syntax": syntax,
        "cut": Cut(3, 16_378),
        "scanner": Scanner("MR1", days_back=0, days_ahead=1),
        "today": TODAY,
    }
    return tuple((usual | given).values())


OTHERS: tuple[dict[str, Any], ...] = (
    {"cut": Cut(5, 16_378)},
    {"cut": Cut(3, 100)},
    {"scanner": Scanner("MR2", days_back=0, days_ahead=1)},
    {"scanner": Scanner("MR1", modalities=("CT",))},
    {"today": TODAY + dt.timedelta(days=1)},
    {"identifier": identifier(IMPLICIT, PatientID="4711")},
)


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_what_a_plan_depends_on_makes_another(other: dict[str, Any]) -> None:
    usual, changed = plan_again(*arguments()), plan_again(*arguments(**other))
    assert changed == make_plan(*arguments(**other))
    assert changed != usual


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_the_transfer_syntax_is_that_of_the_context(syntax: str) -> None:
    plan = plan_again(*arguments(syntax))
    assert plan.alike.encoding == Encoding(*SYNTAXES[syntax])
    assert plan is plan_again(*arguments(syntax))


def test_the_same_words_in_another_encoding_ask_the_same() -> None:
    plans = [plan_again(*arguments(syntax)) for syntax in SYNTAXES]
    assert {plan.query for plan in plans} == {plans[0].query}


def test_a_query_that_cannot_be_understood_is_refused_each_time() -> None:
    for _ in range(3):
        with pytest.raises(InvalidQuery):
            plan_again(*arguments(identifier=b"\x10\x00"))


@given(
    st.binary(max_size=30),
    st.integers(0, 400),
    st.sampled_from(sorted(SYNTAXES)),
    st.sampled_from(({}, *OTHERS)),
)
def test_a_remembered_plan_is_the_one_that_would_be_made(
    noise: bytes, at: int, syntax: str, other: dict[str, Any]
) -> None:
    whole = identifier(syntax)
    changed = whole[:at] + noise + whole[at + len(noise) :]
    given = arguments(syntax, **({"identifier": changed} | other))
    assert outcome(plan_again, given) == outcome(make_plan, given) == outcome(plan_again, given)


def outcome(make: Any, given: tuple[Any, ...]) -> Plan | str:
    try:
        plan: Plan = make(*given)
    except InvalidQuery as error:
        return error.for_log
    return plan


def test_requests_that_ask_alike_have_one_hash() -> None:
    """And others are told apart, though the return keys are not part of it."""
    one, same = make_plan(*arguments()).alike, make_plan(*arguments()).alike
    assert one.asked is not same.asked
    assert (one == same, hash(one) == hash(same)) == (True, True)
    more = make_plan(*arguments(identifier=identifier(IMPLICIT, PatientComments=""))).alike
    assert more != one


def test_the_settings_of_a_scanner_are_remembered_by_its_title() -> None:
    config = Config(
        db_path="w.db", scanners=[{"ae_title": "MR2", "modalities": ["CT"]}], days_back=3
    )
    of = remembered(config)
    for title in ("MR1", "MR2", "MR1", "ANYBODY", "MR2"):
        assert of(title) == scanner_for(config, title)
