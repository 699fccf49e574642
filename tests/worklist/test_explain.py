"""An explanation says the same as the query: test by test, with words."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from hypothesis import given, settings
from tests.worklist.bookings import booking
from tests.worklist.test_asked import ITEM, KEY
from tests.worklist.test_query_property import item_values, queries, query_of

from pylantir.worklist.asked import kept, revived
from pylantir.worklist.attributes import BY_NAME
from pylantir.worklist.explain import findings, is_shown
from pylantir.worklist.query import Key, PersonName, SingleValue, WorklistQuery
from pylantir.worklist.status import ItemStatus


@settings(max_examples=300, deadline=None)
@given(item_values(), queries)
def test_the_explanation_says_what_the_query_does(
    values: dict[str, Any], asked: dict[str, Any]
) -> None:
    item, query = booking(**values), query_of(asked)

    found = findings(item, query)

    assert is_shown(found) is query.matches(item)
    assert all(bool(each.remedy) is not each.fits for each in found)


@settings(max_examples=300, deadline=None)
@given(item_values(), queries)
def test_what_the_journal_gives_back_is_never_wrong(
    values: dict[str, Any], asked: dict[str, Any]
) -> None:
    """It may not know any more, but it never says the opposite."""
    item, query = booking(**values), query_of(asked)
    whole = WorklistQuery(keys=query.keys, codes=query.codes, start=query.start)
    known = revived(json.loads(json.dumps(kept(whole, KEY))), KEY)

    assert is_shown(findings(item, known)) in (whole.matches(item), None)


def test_what_is_wrong_is_named_with_both_values_and_a_way_out() -> None:
    query = WorklistQuery(
        keys=(
            Key(BY_NAME["modality"], SingleValue("CT")),
            Key(BY_NAME["scheduled_station_ae_title"], SingleValue("SKYRA_2")),
        ),
        hidden=(ItemStatus.SCHEDULED,),
        last_day=dt.date(2026, 11, 22),
    )

    found = {each.what: each for each in findings(ITEM, query)}

    assert set(found) == {
        "hidden_statuses",
        "days_back and days_ahead",
        "Modality",
        "ScheduledStationAETitle",
    }
    for each in found.values():
        assert each.fits is False
        assert each.remedy
    assert (found["Modality"].asked, found["Modality"].has) == ("CT", "MR")


def test_a_key_that_is_not_kept_leaves_it_open() -> None:
    query = WorklistQuery(keys=(Key(BY_NAME["patient_name"], PersonName("mull*")),))

    known = revived(kept(query, KEY), KEY)

    assert is_shown(findings(ITEM, known)) is None
