"""Calpendo as it is asked, for the tests of its client."""

from __future__ import annotations

import datetime as dt
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.standins.calpendo import CalpendoStandIn

from pylantir.errors import SourceError
from pylantir.sources.calpendo_client import (
    CalpendoClient,
)

DAY = dt.datetime(2026, 3, 2)
NEXT = DAY + dt.timedelta(days=1)


def client(server: CalpendoStandIn, **how: Any) -> CalpendoClient:
    name, password = server.auth
    verify = how.pop("verify", True)
    path = how.pop("api_path", server.api_path)
    user, secret = how.pop("user", name), how.pop("password", password)
    how.setdefault("request_timeout_s", 5.0)
    return CalpendoClient(server.base_url, path, user, secret, verify, **how)


def ask(server: CalpendoStandIn, **how: Any) -> list[dict[str, Any]]:
    asking = client(server, **how)
    try:
        return asking.bookings(DAY, NEXT, ["3T Diagnostic"])
    finally:
        asking.close()


def refused(server: CalpendoStandIn, kind: type[SourceError], **how: Any) -> str:
    with pytest.raises(kind) as caught:
        ask(server, **how)
    told = str(caught.value)
    assert server.account.password not in told
    assert "3T" not in told
    assert "127.0.0.1" not in told
    return told


@contextmanager
def dripping(text: bytes, then: bytes = b"") -> Iterator[str]:
    """A server that sends the same few bytes for ever, so that no time-out of a socket fires."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        over = threading.Event()

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                sending = text
                while not over.wait(0.05):
                    try:
                        connection.sendall(sending)
                    except OSError:
                        return
                    sending = then or text

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        over.set()
        thread.join(2)
