"""How Calpendo is asked, and what is done without an answer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.sources.calpendo_site import TODAY, Site, at, calpendo_site, ids, ignore_paths

from pylantir.errors import SourceRefused, SourceUnavailable


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with calpendo_site(tmp_path) as made:
        yield made


def test_a_server_that_is_ill_for_a_moment_is_asked_for_all_at_once_the_next_time(
    site: Site,
) -> None:
    site.book("SUB001_A_B", at(9))
    cursor = site.fetch().next_cursor
    site.server.fault("query", status=500, times=2)
    assert len(site.fetch(cursor).records) == 1
    asked = site.server.journal.last_number
    assert len(site.fetch(cursor).records) == 1
    assert site.server.journal.count("*", asked) == 1


@pytest.mark.parametrize("style", ["flat", "nested"])
def test_one_query_brings_all_where_paths_work(site: Site, style: str) -> None:
    site.server.style.paths_style = style
    for number in range(30):
        site.book(f"SUB{number}_A_B", at(9, days=number % 7))
    assert len(site.values()) == 30
    assert site.server.journal.count() == 1


@pytest.mark.parametrize("version", [10, 11])
@pytest.mark.parametrize("status", [400, 500])
def test_a_server_that_refuses_a_property_is_asked_for_details(
    tmp_path: Path, version: int, status: int
) -> None:
    with calpendo_site(tmp_path, version=version, refuses_with=status) as site:
        site.mapping["patient_comments"] = "colour"
        booking = site.book("SUB001_A_B", at(9))
        (values,) = site.values()
        assert values["scheduled_procedure_step_start_date"] == TODAY
        assert site.server.journal.count(f"*/b/Calpendo.Booking/{booking.id}") == 1


@pytest.mark.parametrize("version", [10, 11])
def test_a_server_that_ignores_paths_is_asked_for_details(tmp_path: Path, version: int) -> None:
    with calpendo_site(tmp_path, version=version) as site:
        ignore_paths(site)
        site.book("SUB001_A_B", at(9)), site.book("SUB002_A_B", at(10), status="Denied")
        assert ids(site) == ["SUB001"]
        assert site.server.journal.count("detail") == 2


def test_no_more_than_five_details_are_asked_for_at_once(site: Site) -> None:
    ignore_paths(site)
    for number in range(12):
        site.book(f"SUB{number}_A_B", at(9))
    busy, most = set(), 0
    site.server.fault("detail", latency_s=0.05)

    def count(entry: Any) -> None:
        nonlocal most
        busy.add(entry)
        most = max(most, sum(e.took_s is None for e in site.server.journal.of("detail")))

    site.server.before = lambda entry: count(entry.number)
    assert len(site.values()) == 12
    assert 2 <= most <= 5


def test_far_days_are_read_only_now_and_then_where_details_are_needed(site: Site) -> None:
    ignore_paths(site)
    for number in range(30):
        site.book(f"SUB{number}_A_B", at(9, days=6))
    site.book("NEAR_A_B", at(9))
    cursor = site.fetch().next_cursor
    asked = site.server.journal.last_number
    site.later(seconds=5)
    batch = site.fetch(cursor)
    assert len(batch.records) == 1
    assert not batch.scope.covers("x", TODAY + dt.timedelta(days=6))
    assert site.server.journal.count("detail", asked) == 1
    site.later(seconds=11)  # 31 bookings at two a second
    assert len(site.fetch(cursor).records) == 31


def test_one_detail_that_fails_costs_no_other_booking(site: Site) -> None:
    ignore_paths(site)
    made = [site.book(f"SUB{number}_A_B", at(9)) for number in range(50)]
    site.server.fault(f"*/b/Calpendo.Booking/{made[7].id}", status=500)
    batch = site.fetch()
    assert len(batch.records) == 49
    assert not batch.complete
    assert batch.notes == ("1 bookings could not be read this time: Calpendo answered HTTP 500",)


def test_a_page_in_place_of_every_detail_is_a_failure_never_an_empty_day(site: Site) -> None:
    ignore_paths(site)
    site.book("SUB001_A_B", at(9)), site.book("SUB002_A_B", at(10))
    site.server.fault("detail", html="login")
    with pytest.raises(SourceUnavailable, match=r"none of 2 bookings could be read: .*text/html"):
        site.fetch()


def test_a_page_in_place_of_some_details_is_an_incomplete_batch_that_says_why(site: Site) -> None:
    ignore_paths(site)
    bad, _ = site.book("SUB001_A_B", at(9)), site.book("SUB002_A_B", at(10))
    site.server.fault(f"*/b/Calpendo.Booking/{bad.id}", html="login")
    batch = site.fetch()
    assert len(batch.records) == 1
    assert not batch.complete
    assert "text/html" in batch.notes[0]


def test_details_that_all_fail_are_given_up(site: Site) -> None:
    ignore_paths(site)
    for number in range(40):
        site.book(f"SUB{number}_A_B", at(9))
    site.server.fault("detail", status=500)
    with pytest.raises(SourceUnavailable, match=r"none of 40 bookings .*HTTP 500"):
        site.fetch()
    assert site.server.journal.count("detail") <= 30


def test_a_booking_that_only_we_may_not_see_is_rejected(site: Site) -> None:
    ignore_paths(site)
    hidden, _ = site.book("SUB001_A_B", at(9)), site.book("SUB002_A_B", at(10))
    site.server.fault(f"*/b/Calpendo.Booking/{hidden.id}", status=403)
    batch = site.fetch()
    assert batch.complete
    assert len(batch.records) == 1
    assert [r.record_id for r in batch.rejected] == [str(hidden.id)]


@pytest.mark.parametrize("status", [401, 403])
def test_an_account_that_may_see_no_detail_is_refused(site: Site, status: int) -> None:
    ignore_paths(site)
    site.book("SUB001_A_B", at(9))
    site.server.fault("detail", status=status)
    with pytest.raises(SourceRefused):
        site.fetch()


@pytest.mark.parametrize("encoded_slash", ["allow", "reject", "decode"])
def test_a_resource_with_a_slash_is_read_through_every_proxy(
    tmp_path: Path, encoded_slash: str
) -> None:
    with calpendo_site(tmp_path, encoded_slash=encoded_slash) as site:
        site.config = {"resources": ["PET/MR", "3T Diagnostic"]}
        for number, resource in enumerate(("PET/MR", "3T Diagnostic", "9.4T Animal")):
            site.book(f"SUB00{number}_A_B", at(9 + number), resource=resource)
        assert ids(site) == ["SUB000", "SUB001"]


@pytest.mark.parametrize("field", ["operator", "Operator.name", "properties.Operator.name"])
def test_operators_of_scans_take_one_more_query_for_all(site: Site, field: str) -> None:
    site.mapping["operators_name"] = field
    site.mapping["patient_comments"] = field
    for number in range(3):
        booking = site.book(f"SUB{number}_A_B", at(9 + number))
        site.server.bookings.edit(booking.id, operator="Jane Smith")
    assert {v["patient_comments"] for v in site.values()} == {"Jane Smith"}
    assert site.server.journal.count() == 2


def test_a_site_without_operators_is_read_all_the_same(site: Site) -> None:
    site.mapping["patient_comments"] = "operator"
    site.server.account.forbidden_types.add("MRIScan")
    site.book("SUB001_A_B", at(9))
    batch = site.fetch()
    assert batch.complete
    assert len(batch.records) == 1
    assert "operators of MRIScan" in batch.notes[0]
