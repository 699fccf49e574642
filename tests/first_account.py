"""The first account of a site, made with the set-up code that a server prints."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import requests

PASSWORD = "a quiet sentence about nothing"


def setup_code(banner: str) -> str:
    """The code that stands in a banner."""
    found = re.search(r"set-up code ([A-Z0-9-]{23})", banner)
    assert found is not None, banner
    return found[1]


@contextmanager
def first_account(banner: str) -> Iterator[tuple[str, requests.Session]]:
    """Make the account ``admin`` with the code of a banner, and sign in.

    Yields
    ------
    tuple of str and Session
        Where the REST API listens, and a session that is signed in.
    """
    url = re.search(r"REST API +(http://\S+) ", banner)
    assert url is not None, banner
    with requests.Session() as session:
        body = {"setup_code": setup_code(banner), "password": PASSWORD}
        assert session.post(f"{url[1]}/auth/setup", json=body, timeout=30).status_code == 201
        login = {"username": "admin", "password": PASSWORD}
        token = session.post(f"{url[1]}/auth/login", json=login, timeout=30).json()["access_token"]
        session.headers["Authorization"] = f"Bearer {token}"
        yield url[1], session
