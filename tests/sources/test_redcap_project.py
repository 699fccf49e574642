"""PyCap's private parts are where they were, and every project has a session of its own."""

from __future__ import annotations

import inspect
from importlib.metadata import version

from redcap import Project
from redcap.request import _ContentConfig, _RCRequest

from pylantir.sources.redcap_project import HeldProject, held_session

MOVED = "PyCap has changed: check pylantir.sources.redcap_project against it"


def test_the_parts_that_are_touched_are_those_of_the_release_they_were_checked_against() -> None:
    assert int(version("PyCap").split(".")[0]) == 2, MOVED
    assert list(inspect.signature(Project._call_api).parameters) == [
        "self", "payload", "return_type", "file",
    ], MOVED  # fmt: skip
    assert list(inspect.signature(_RCRequest).parameters) == [
        "url", "payload", "config", "session",
    ], MOVED  # fmt: skip
    assert _ContentConfig._fields == ("return_empty_json", "return_bytes"), MOVED


def test_two_projects_share_no_session() -> None:
    url, token = "https://redcap.example.org/api/", "0" * 32
    one, other = (HeldProject(held_session(), url, token) for _ in range(2))
    assert one._session is not other._session
