"""The Calpendo stand-in over HTTP."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
import requests
from tests.standins.calpendo import CalpendoStandIn
from tests.standins.calpendo_data import Account, Repeat, fill
from tests.standins.calpendo_format import Style
from tests.standins.calpendo_samples import live_day, probe
from tests.standins.clock import VirtualClock

DAY = dt.date(2026, 3, 2)
NINE = dt.datetime(2026, 3, 2, 9)
WINDOW = "dateRange.start/GE/20260302-0000/dateRange.start/LT/20260303-0000"
Get = Callable[..., requests.Response]


@pytest.fixture
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.headers["Accept"] = "application/json"
        yield session


@pytest.fixture
def calpendo() -> Iterator[CalpendoStandIn]:
    clock = VirtualClock("America/Edmonton", dt.datetime(2026, 3, 2, 7), frozen=True)
    with CalpendoStandIn(clock=clock) as server:
        yield server


@pytest.fixture
def get(calpendo: CalpendoStandIn, http: requests.Session) -> Get:
    def ask(path: str, **kwargs: Any) -> requests.Response:
        return http.get(calpendo.api_url + path, auth=calpendo.auth, **kwargs)

    return ask


def titles(answer: requests.Response) -> list[str]:
    return [row["title"] for row in answer.json()["biskits"]]


def test_status_inside_the_or_finds_cancelled_denied_and_other_scanners(
    calpendo: CalpendoStandIn, get: Get
) -> None:
    probe(calpendo.bookings, DAY)
    wrong = f"/q/Calpendo.Booking/AND/{WINDOW}/OR/resource.name/EQ/3T%20Diagnostic"
    right = (
        f"/q/Calpendo.Booking/AND/{WINDOW}/status/EQ/Approved/OR/resource.name/EQ/3T%20Diagnostic"
    )
    asked = "?paths=title"
    assert [t[:6] for t in titles(get(f"{wrong}/status/EQ/Approved{asked}"))] == [
        "SUB001",
        "SUB002",
        "SUB003",
        "SUB004",
    ]
    assert [t[:6] for t in titles(get(f"{wrong}/CLOSE/status/EQ/Approved{asked}"))] == ["SUB001"]
    assert [t[:6] for t in titles(get(right + asked))] == ["SUB001"]


def test_lists_and_details_before_release_11(
    calpendo: CalpendoStandIn, get: Get, http: requests.Session
) -> None:
    calpendo.style.version = 10
    booking = calpendo.bookings.create("SUB001_John_Doe", NINE, minutes=90)
    assert calpendo.api_path == "/webdav"
    created = "2026-03-02T14:00Z"
    top = {
        "id": booking.id,
        "formattedName": "[2026-03-02 09:00:00.0, 2026-03-02 10:30:00.0]",
        "title": "SUB001_John_Doe",
        "status": "Approved",
        "biskitType": "MRIScan",
        "created": created,
    }
    assert get("/q/Calpendo.Booking").json() == {"biskits": [top]}
    detail = get(f"/b/Calpendo.Booking/{booking.id}").json()
    below = detail.pop("properties")
    assert detail == top
    assert below["resource"]["name"] == "3T Diagnostic"
    assert (below["durationInMinutes"], below["modified"]) == (90, created)
    assert (below["cancelled"], below["cancellationReason"]) == (False, None)
    assert not {"title", "status", "dateRange"} & set(below)
    assert http.get(f"{calpendo.base_url}/api/q/Calpendo.Booking").status_code == 404


def test_lists_and_details_from_release_11_on(calpendo: CalpendoStandIn, get: Get) -> None:
    booking = calpendo.bookings.create("SUB001_John_Doe", NINE, minutes=90)
    row = {"id": booking.id, "biskitType": "MRIScan"}
    assert get("/q/Calpendo.Booking").json() == {"biskits": [row]}
    detail = get(f"/b/Calpendo.Booking/{booking.id}").json()
    below = detail.pop("properties")
    assert detail == {**row, "formattedName": "[2026-03-02 09:00:00.0, 2026-03-02 10:30:00.0]"}
    assert (below["title"], below["status"]) == ("SUB001_John_Doe", "Approved")
    assert below["dateRange"] == {"start": "2026-03-02T09:00:00", "finish": "2026-03-02T10:30:00"}
    assert below["resource"] == {"formattedName": "3T Diagnostic", "id": booking.resource.id}


@pytest.mark.parametrize(("dead_root", "status"), [("404", 404), ("spa", 200)])
def test_webdav_is_gone_with_release_11(
    calpendo: CalpendoStandIn, http: requests.Session, dead_root: str, status: int
) -> None:
    calpendo.dead_root = dead_root
    answer = http.get(f"{calpendo.base_url}/webdav/q/Calpendo.Booking", auth=calpendo.auth)
    assert answer.status_code == status
    assert answer.headers["Content-Type"].startswith("text/html")


def test_paths_come_flat_or_nested(calpendo: CalpendoStandIn, get: Get) -> None:
    booking = calpendo.bookings.create("SUB001", NINE, operator="Jane Smith")
    assert booking.operator is not None
    asked = f"/q/MRIScan/id/eq/{booking.id}?paths=resource.name,Operator.name,dateRange.start"
    assert get(asked).json()["biskits"][0] == {
        "id": booking.id,
        "biskitType": "MRIScan",
        "resource.name": "3T Diagnostic",
        "Operator.name": {"formattedName": "Jane Smith", "id": booking.operator.id},
        "dateRange.start": "2026-03-02T09:00:00",
    }
    calpendo.style.paths_style = "nested"
    assert get(asked).json()["biskits"][0]["properties"] == {
        "resource": {"name": "3T Diagnostic"},
        "Operator": {"name": "Jane Smith"},
        "dateRange": {"start": "2026-03-02T09:00:00"},
    }


def test_the_operator_is_a_property_of_the_subtype(calpendo: CalpendoStandIn, get: Get) -> None:
    calpendo.bookings.create("SUB001", NINE)
    calpendo.bookings.create("SUB002", NINE, biskit_type="EEGScan")
    asked = "/q/Calpendo.Booking?paths=Operator.name"
    assert get(asked).status_code == 400
    calpendo.subtype_properties = True
    assert [row["Operator.name"] is None for row in get(asked).json()["biskits"]] == [False, True]
    assert len(get("/q/EEGScan").json()["biskits"]) == 1


@pytest.mark.parametrize("auth", [None, ("pylantir", "wrong"), ("nobody", "stand-in")])
def test_wrong_credentials_are_401_with_a_challenge(
    calpendo: CalpendoStandIn, http: requests.Session, auth: tuple[str, str] | None
) -> None:
    answer = http.get(f"{calpendo.api_url}/q/Calpendo.Booking", auth=auth)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="Calpendo"'


def test_accounts_of_the_single_sign_on_cannot_use_the_api(
    calpendo: CalpendoStandIn, http: requests.Session
) -> None:
    calpendo.accounts["sso"] = Account("sso", "secret", local=False)
    url = f"{calpendo.api_url}/q/Calpendo.Booking"
    assert http.get(url, auth=("sso", "secret")).status_code == 401


def test_what_an_account_may_not_see_is_hidden(calpendo: CalpendoStandIn, get: Get) -> None:
    booking = calpendo.bookings.create("SUB001", NINE, project="SECRET")
    calpendo.bookings.create("SUB002", NINE, project="BRISKP")
    calpendo.account.hidden_projects = {"SECRET"}
    calpendo.account.hidden = {"resource.name"}
    below = get(f"/b/Calpendo.Booking/{booking.id}").json()["properties"]
    assert (below["title"], below["project"]) == ("<Hidden>", "<Hidden>")
    assert below["status"] == "Approved"
    rows = get("/q/Calpendo.Booking?paths=title,resource.name").json()["biskits"]
    assert [row["title"] for row in rows] == ["<Hidden>", "SUB002"]
    assert [row["resource.name"] for row in rows] == ["<Hidden>", "<Hidden>"]
    assert get("/q/Calpendo.Booking/title/EQ/SUB001").json() == {"biskits": []}


def test_a_forbidden_type_is_403_and_an_unknown_one_404(
    calpendo: CalpendoStandIn, get: Get
) -> None:
    calpendo.account.forbidden_types = {"Calpendo.User"}
    assert get("/b/Calpendo.User").status_code == 403
    assert get("/b/Calpendo.Nonsense").status_code == 404
    assert get("/b/Calpendo.Resource").status_code == 200


def test_a_cancelled_booking_stays_and_a_deleted_one_is_404(
    calpendo: CalpendoStandIn, get: Get
) -> None:
    booking = calpendo.bookings.create("SUB001", NINE)
    path = f"/b/Calpendo.Booking/{booking.id}"
    calpendo.bookings.cancel(booking.id, reason=3)
    below = get(path).json()["properties"]
    assert (below["status"], below["cancelled"], below["cancellationReason"]) == (
        "Cancelled",
        True,
        3,
    )
    calpendo.bookings.delete(booking.id)
    assert get(path).status_code == 404
    assert get(path).headers["Content-Type"].startswith("text/html")
    assert get("/b/Calpendo.Booking/abc").status_code == 404


def test_the_last_change_can_be_asked_for_in_wall_time(calpendo: CalpendoStandIn, get: Get) -> None:
    booking = calpendo.bookings.create("SUB001", NINE)
    calpendo.bookings.create("SUB002", NINE)
    calpendo.clock.advance(3600)
    calpendo.bookings.move(booking.id, start=NINE + dt.timedelta(hours=2))
    assert titles(get("/q/Calpendo.Booking/modified/GT/20260302T0730?paths=title")) == ["SUB001"]
    calpendo.style.modified_name = "updated"
    assert get("/q/Calpendo.Booking/modified/GT/20260302T0730").status_code == 400
    assert len(get("/q/Calpendo.Booking/updated/GT/20260302T0730").json()["biskits"]) == 1


def test_a_slash_in_a_name_must_be_encoded(calpendo: CalpendoStandIn, get: Get) -> None:
    calpendo.bookings.create("SUB001", NINE, resource="PET/MR")
    asked = f"/q/Calpendo.Booking/resource.name/EQ/{quote('PET/MR', safe='')}"
    assert len(get(asked).json()["biskits"]) == 1
    assert get("/q/Calpendo.Booking/resource.name/EQ/PET/MR").status_code == 400
    for treatment in ("reject", "decode"):
        calpendo.encoded_slash = treatment
        assert get(asked).status_code == 400


def test_a_wrong_value_is_refused_even_when_there_are_no_bookings(get: Get) -> None:
    answer = get("/q/Calpendo.Booking/OR/status/EQ/Approved/dateRange.start/GE/soon")
    assert answer.status_code == 400
    assert answer.json()["error"] == "'soon' is not a valid date or time"


def test_a_repeat_booking_is_found_by_its_first_day_or_by_each(
    calpendo: CalpendoStandIn, get: Get
) -> None:
    booking = calpendo.bookings.create("QA", NINE, repeat=Repeat(every_days=7, times=3))
    later = "/q/Calpendo.Booking/dateRange.start.date/EQ/20260309?paths=dateRange.start"
    assert get(later).json() == {"biskits": []}
    calpendo.repeats = "expanded"
    rows = get(later).json()["biskits"]
    assert [(r["id"], r["dateRange.start"]) for r in rows] == [(booking.id, "2026-03-09T09:00:00")]
    below = get(f"/b/Calpendo.Booking/{booking.id}").json()["properties"]
    assert below["repeat"] == {"everyDays": 7, "times": 3}


def test_the_name_on_display_is_the_administrators_choice() -> None:
    style = Style(display="{title} on {resource}", status_case="upper", finish_name="end")
    with CalpendoStandIn(style=style) as server, requests.Session() as http:
        booking = server.bookings.create("SUB001", NINE)
        http.headers["Accept"] = "application/json"
        url = f"{server.api_url}/b/Calpendo.Booking/{booking.id}"
        detail = http.get(url, auth=server.auth).json()
        assert detail["formattedName"] == "SUB001 on 3T Diagnostic"
        assert detail["properties"]["status"] == "APPROVED"
        assert detail["properties"]["dateRange"]["end"] == "2026-03-02T10:00:00"


def test_without_an_accept_header_the_answer_is_html(calpendo: CalpendoStandIn, get: Get) -> None:
    calpendo.bookings.create("SUB001", NINE)
    plain = get("/q/Calpendo.Booking", headers={"Accept": "*/*"})
    assert (plain.status_code, plain.text[:15]) == (200, "<!DOCTYPE html>")
    xml = get("/q/Calpendo.Booking", headers={"Accept": "application/xml"})
    assert "<biskit><id>" in xml.text
    calpendo.answer_format = "xml"
    assert get("/q/Calpendo.Booking").headers["Content-Type"].startswith("text/xml")


def test_the_api_is_read_only(calpendo: CalpendoStandIn, http: requests.Session) -> None:
    answer = http.post(f"{calpendo.api_url}/b/Calpendo.Booking/1", auth=calpendo.auth)
    assert answer.status_code == 405


def test_a_fault_can_hit_one_booking_among_many(calpendo: CalpendoStandIn, get: Get) -> None:
    first, second = (calpendo.bookings.create(f"SUB{n}", NINE) for n in (1, 2))
    calpendo.fault(f"*/b/Calpendo.Booking/{second.id}", status=500)
    assert get(f"/b/Calpendo.Booking/{first.id}").status_code == 200
    assert get(f"/b/Calpendo.Booking/{second.id}").status_code == 500
    get("/q/Calpendo.Booking")
    assert calpendo.journal.count("detail") == 2
    assert calpendo.journal.count("query/Calpendo.Booking") == 1
    assert {e.account for e in calpendo.journal.entries} == {"pylantir"}


def test_a_password_in_the_url_is_told(calpendo: CalpendoStandIn, get: Get) -> None:
    get("/q/Calpendo.Booking?paths=title")
    assert calpendo.journal.secrets_in_urls() == []
    get("/q/Calpendo.Booking?password=stand-in")
    assert len(calpendo.journal.secrets_in_urls()) == 1


def test_a_booking_ends_on_its_day_after_it_starts(calpendo: CalpendoStandIn) -> None:
    with pytest.raises(ValueError, match="on the day it starts"):
        calpendo.bookings.create("SUB001", NINE, finish=NINE + dt.timedelta(days=1))
    with pytest.raises(ValueError, match="after it starts"):
        calpendo.bookings.create("SUB001", NINE, finish=NINE)
    with pytest.raises(ValueError, match="'Done': expected one of"):
        calpendo.bookings.create("SUB001", NINE, status="Done")
    assert not calpendo.bookings.items


def test_bookings_are_driven_through_the_control_door(
    calpendo: CalpendoStandIn, http: requests.Session
) -> None:
    door = f"{calpendo.url}/__control__"
    made = http.post(f"{door}/create", data={"title": "SUB001", "start": "2026-03-02T09:00"})
    number = made.json()["id"]
    steps = [
        ("move", {"start": "2026-03-02T13:00"}, ("start", "2026-03-02T13:00")),
        ("move", {"resource": "9.4T Animal"}, ("resource", "9.4T Animal")),
        ("edit", {"title": "SUB002"}, ("title", "SUB002")),
        ("deny", {}, ("status", "Denied")),
        ("approve", {}, ("status", "Approved")),
        ("cancel", {"reason": "2"}, ("status", "Cancelled")),
    ]
    for action, arguments, (name, value) in steps:
        shown = http.post(f"{door}/{action}", data={"id": number, **arguments}).json()
        assert shown[name] == value, action
    assert calpendo.bookings.get(number).finish == dt.datetime(2026, 3, 2, 14)
    assert http.post(f"{door}/delete", data={"id": number}).status_code == 200
    gone = http.post(f"{door}/delete", data={"id": number})
    assert gone.status_code == 400
    assert gone.json()["error"] == f"no booking {number}"


def test_permissions_and_style_are_driven_through_the_control_door(
    calpendo: CalpendoStandIn, http: requests.Session, get: Get
) -> None:
    door = f"{calpendo.url}/__control__"
    booking = calpendo.bookings.create("SUB001", NINE)
    http.post(f"{door}/hide", data={"path": "title"})
    http.post(f"{door}/set_style", data={"version": "10"})
    assert get(f"/b/Calpendo.Booking/{booking.id}").json()["title"] == "<Hidden>"
    assert "no style 'colour'" in http.post(f"{door}/set_style?colour=red").json()["error"]
    http.post(f"{door}/set_password", data={"password": "new"})
    assert get("/q/Calpendo.Booking", timeout=5).status_code == 200
    assert http.get(f"{calpendo.api_url}/q/MRIScan", auth=("pylantir", "old")).status_code == 401


def test_generated_bookings_are_the_same_for_the_same_seed(calpendo: CalpendoStandIn) -> None:
    first = fill(calpendo.bookings, 50, seed=3, first_day=DAY)
    again = CalpendoStandIn(clock=calpendo.clock)
    second = fill(again.bookings, 50, seed=3, first_day=DAY)
    assert first == second
    assert {b.status for b in first} > {"Approved", "Cancelled"}
    assert {b.start.date() - DAY for b in first} <= {dt.timedelta(days=n) for n in range(14)}


def test_a_live_day_books_moves_and_deletes(calpendo: CalpendoStandIn) -> None:
    day = live_day(calpendo)
    told = [next(day) for _ in range(10)]
    assert told[0] == "SUB001_John_Doe is booked for 09:00 on 3T Diagnostic"
    assert told[-1] == "SUB001_John_Doe is deleted"
    left = {b.title: (b.status, b.resource.name) for b in calpendo.bookings.items.values()}
    assert left == {
        "SUB002_Zoë_García (repeat)": ("Cancelled", "3T Diagnostic"),
        "SUB003_Wei_Zhang": ("Approved", "9.4T Animal"),
    }
