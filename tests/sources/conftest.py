"""What every test of a source relies on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.sources.redcap_asked import NOW, client_of
from tests.standins.clock import VirtualClock
from tests.standins.redcap import RedcapStandIn
from tests.standins.redcap_samples import sample_project

from pylantir.sources import patience
from pylantir.sources.redcap_client import RedcapClient


@pytest.fixture(autouse=True)
def nobody_waits_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that is made once more is made soon."""
    monkeypatch.setattr(patience, "FIRST_WAIT_S", 0.005)


@pytest.fixture
def server() -> Iterator[RedcapStandIn]:
    """REDCap with the sample project; tests of Calpendo have a server of their own."""
    clock = VirtualClock("America/Edmonton", NOW, frozen=True)
    with RedcapStandIn(clock=clock, per_minute=None) as server:
        server.add_project(sample_project())
        yield server


@pytest.fixture
def client(server: RedcapStandIn) -> RedcapClient:
    """Has read what the project is like."""
    client = client_of(server)
    client.learn(NOW)
    return client
