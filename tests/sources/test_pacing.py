"""How often a server may be asked."""

from __future__ import annotations

import pytest
from tests.sources.redcap_asked import client_of
from tests.standins.redcap import RedcapStandIn

from pylantir.errors import SourceUnavailable
from pylantir.sources import pacing
from pylantir.sources.pacing import RequestBudget, budget_of
from pylantir.sources.redcap_client import RedcapClient


def test_a_budget_stays_far_below_the_limit_in_every_minute() -> None:
    now = 0.0
    budget = RequestBudget(monotonic=lambda: now)
    asked = []
    for _ in range(2000):
        now += budget.reserve()
        asked.append(now)
    busiest = max(sum(start <= at < start + 60 for at in asked) for start in asked)
    assert busiest <= pacing.BURST + 60 * pacing.PER_SECOND <= 200


def test_a_budget_does_not_delay_the_few_requests_of_a_round() -> None:
    now = 100.0
    budget = RequestBudget(monotonic=lambda: now)
    assert [budget.reserve() for _ in range(pacing.BURST)] == [0.0] * pacing.BURST
    assert budget.reserve() > 0


def test_a_pause_fills_the_budget_but_saves_nothing_up() -> None:
    now = 0.0
    budget = RequestBudget(burst=2, per_second=1, monotonic=lambda: now)
    now = 1000.0
    assert [budget.reserve() for _ in range(3)] == [0.0, 0.0, 1.0]


def test_two_sources_at_one_host_share_its_budget(server: RedcapStandIn) -> None:
    assert client_of(server)._budget is client_of(server)._budget
    assert budget_of("a.example.org") is not budget_of("b.example.org")
    assert budget_of("A.example.org") is budget_of("a.example.org")


def test_who_waits_for_the_budget_can_be_stopped(client: RedcapClient) -> None:
    client._budget = RequestBudget(burst=1, per_second=0.001)
    client.rows(fields=["record_id"])
    client.close()
    with pytest.raises(SourceUnavailable, match="stopped"):
        client.rows(fields=["record_id"])
