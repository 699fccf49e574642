"""A REDCap server on a morning in March 2026 in Alberta, with the sample of the documentation."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator

import pytest
import requests
from tests.standins.clock import VirtualClock
from tests.standins.redcap import RedcapStandIn
from tests.standins.redcap_data import Project
from tests.standins.redcap_samples import sample_project

Ask = Callable[..., requests.Response]


@pytest.fixture
def redcap() -> Iterator[RedcapStandIn]:
    clock = VirtualClock("America/Edmonton", dt.datetime(2026, 3, 2, 8), frozen=True)
    with RedcapStandIn(clock=clock) as server:
        yield server


@pytest.fixture
def project(redcap: RedcapStandIn) -> Project:
    return redcap.add_project(sample_project())


@pytest.fixture
def ask(redcap: RedcapStandIn, project: Project) -> Iterator[Ask]:
    with requests.Session() as session:

        def post(content: str, **form: str) -> requests.Response:
            data = {"token": project.token, "content": content, "format": "json", **form}
            return session.post(redcap.api_url, data=data)

        yield post
