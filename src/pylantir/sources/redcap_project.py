"""PyCap's project with a session of its own: the only module that touches private parts of PyCap.

PyCap sends the requests of all projects through one session: cookies that one server sets would
go along to the next request, and several threads would share it. Checked against PyCap 2.7.0;
``tests/sources/test_redcap_project.py`` fails when an upgrade moves one of these parts.
"""

from __future__ import annotations

from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from redcap import Project  # type: ignore[attr-defined]
from redcap.request import _ContentConfig, _RCRequest

from pylantir.sources.deadline import WatchedAdapter


def held_session() -> requests.Session:
    """A session that keeps no cookie and whose connections a deadline can end."""
    session = requests.Session()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    for scheme in ("http://", "https://"):
        session.mount(scheme, WatchedAdapter())
    return session


class HeldProject(Project):
    """A project whose requests go through its own session.

    Parameters
    ----------
    session : Session
        Of this project alone.
    url, token : str
        As for PyCap.
    kept : mapping
        What PyCap hands on to :meth:`requests.Session.post`.
    """

    def __init__(self, session: requests.Session, url: str, token: str, **kept: Any) -> None:
        super().__init__(url, token, **kept)
        self._session = session

    def _call_api(self, payload: dict[str, Any], return_type: str, file: Any = None) -> Any:
        config = _ContentConfig(
            return_empty_json=return_type == "empty_json",
            return_bytes=return_type == "file_map",
        )
        request = _RCRequest(self.url, payload, config, self._session)
        return request.execute(
            verify_ssl=self.verify_ssl,
            return_headers=return_type == "file_map",
            file=file,
            **self._request_kwargs,
        )
