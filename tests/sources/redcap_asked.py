"""A REDCap server to ask, and a client that asks it."""

from __future__ import annotations

import datetime as dt

from tests.standins.redcap import RedcapStandIn

from pylantir.sources.redcap_client import RedcapClient

NOW = dt.datetime(2026, 3, 2, 15, tzinfo=dt.UTC)


def client_of(
    server: RedcapStandIn, verify: bool | str = True, url: str = "", token: str = ""
) -> RedcapClient:
    """A client of the server's project, unless another address or token is given."""
    token = token or next(iter(server.projects.values())).token
    return RedcapClient(url or server.api_url, token, verify, "source rc")
