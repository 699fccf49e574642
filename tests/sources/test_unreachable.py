"""Servers that nobody can talk to: a failure of that source, said without its address."""

from __future__ import annotations

import ssl
import warnings
from pathlib import Path
from typing import Any

import pytest
from tests.authority import Authority
from tests.bookable import NOW, TODAY, MovableClock
from tests.desks import ZONE, CalpendoDesk, Desk, RedcapDesk
from tests.standins.clock import VirtualClock
from tests.waiting import eventually

from pylantir.errors import SourceUnavailable
from pylantir.sources import make_source, patience
from pylantir.sources.base import BookingWindow, Source, SourceSettings

WINDOW = BookingWindow(NOW, None, TODAY, TODAY, full=True)


@pytest.fixture(params=[RedcapDesk, CalpendoDesk])
def desk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(patience, "FIRST_WAIT_S", 0.005)
    made: Desk = request.param(VirtualClock(ZONE))
    return made


def source_at(desk: Desk, url: str, **config: Any) -> Source:
    """The desk's source, with the server at another address."""
    settings = desk.settings()
    if desk.source_type == "redcap":
        settings["environ"]["REDCAP_API_URL"] = f"{url}/api/"
    else:
        settings["config"]["base_url"] = url
    settings["config"] |= config
    return make_source(desk.source_type, SourceSettings(**settings, clock=MovableClock()))


def test_a_name_that_no_longer_resolves_is_a_failure_without_the_name(desk: Desk) -> None:
    source = source_at(desk, "https://redcap.invalid")

    with pytest.raises(SourceUnavailable, match="its name is not known") as raised:
        source.fetch(WINDOW)
    assert "redcap.invalid" not in raised.value.for_log


def test_a_server_that_is_switched_off_is_said_with_what_to_check(desk: Desk) -> None:
    source = source_at(desk, "http://127.0.0.1:1")

    with pytest.raises(SourceUnavailable, match=r"connection refused; check .*, and whether"):
        source.fetch(WINDOW)


def test_a_server_that_speaks_only_old_tls_is_not_talked_to(desk: Desk, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.issue("127.0.0.1"))
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # which is what it is about
        context.maximum_version = ssl.TLSVersion.TLSv1
        context.minimum_version = ssl.TLSVersion.TLSv1
    desk.server.ssl_context = context
    with desk.server as server:
        with pytest.raises(SourceUnavailable, match="agree on no secure connection"):
            source_at(desk, server.url, ca_bundle=authority.path).fetch(WINDOW)
        eventually(lambda: server.failed_handshakes)
        assert server.journal.count() == 0
