"""What the day says to people: what needs them, and how to begin when it is empty."""

from __future__ import annotations

import pytest
from tests.api.conftest import MakeApi
from tests.web.conftest import Visit, text_of

from pylantir.users.roles import Role
from pylantir.worklist.instance import InstanceLock


def test_what_needs_somebody_goes_away_once_it_is_mended(make_api: MakeApi, visit: Visit) -> None:
    from pylantir.worklist.sources import note_rejections

    site = make_api(data_sources=[{"name": "main", "type": "redcap"}])
    visitor, at = visit(Role.READ, site), "2026-11-21T10:00:00+00:00"
    with site.worklist.database.write() as connection:
        note_rejections(connection, "main", {"41": "patient_birth_date: got '31/02'"}, [], at)
    before = text_of(visitor.get("/page/"))
    with site.worklist.database.write() as connection:
        note_rejections(connection, "main", {}, ["41"], at)

    assert "Record 41 of main" in before
    assert "Record 41 of main" not in text_of(visitor.get("/page/"))


def test_an_empty_day_says_how_to_begin(make_api: MakeApi, visit: Visit) -> None:
    site = make_api(ae_title="RESEARCH_MWL", port=11112)
    shown = text_of(visit(Role.READ, site).get("/page/"))

    assert "No source of bookings is configured yet" in shown
    assert "On its console enter AE title RESEARCH_MWL, the address of this machine" in shown
    assert "port 11112" in shown


@pytest.mark.parametrize("path", ["/page/", "/page/health"])
def test_the_port_to_enter_is_the_one_on_which_the_server_listens(
    make_api: MakeApi, visit: Visit, path: str
) -> None:
    site = make_api(port=11112)
    visitor, database = visit(Role.READ, site), site.worklist.database.path
    assert database is not None
    lock = InstanceLock(database)
    lock.acquire()
    try:
        lock.say({"port": 11113})
        served = text_of(visitor.get(path))
    finally:
        lock.release()

    assert "port 11113" in served
    assert "port 11112" in text_of(visitor.get(path)), "it has stopped"
