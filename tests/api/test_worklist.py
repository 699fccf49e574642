"""``/worklist`` as a list: filters, order, pages, and the forms it is given in."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from tests.api.conftest import Api

from pylantir.users.roles import Role
from pylantir.worklist.status import ItemStatus


def ids(api: Api, query: str = "", role: Role = Role.READ) -> list[str]:
    answer = api("GET", f"/worklist{query}", role)
    assert answer.status_code == 200, answer.text
    return [item["patient_id"] for item in answer.json()]


@pytest.fixture
def booked(api: Api) -> Api:
    """An API over six bookings that differ in everything a filter looks at."""
    today = api.worklist.clock.today()
    values: list[dict[str, Any]] = [
        {"patient_id": "a", "scheduled_start_time": "08:00", "station_aet": "PRISMA_1"},
        {"patient_id": "b", "scheduled_start_time": "07:00", "patient_name": "Müller^Änne"},
        {"patient_id": "c", "modality": "CT", "station_aet": "SKYRA_2"},
        {"patient_id": "d", "scheduled_start_date": today, "accession_number": "ACC-77"},
        {"patient_id": "e", "performed_procedure_step_status": "IN_PROGRESS"},
        {"patient_id": "f", "performed_procedure_step_status": "COMPLETED"},
    ]  # fmt: skip
    for number, each in enumerate(values):
        api.book(**each, data_source="redcap" if number % 2 else "manual")
    return api


# --- what is found ---


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "abcde"),
        ("?status=COMPLETED", "f"),
        ("?status=completed&status=IN%20PROGRESS", "ef"),
        ("?status=any", "abcdef"),
        ("?modality=ct", "c"),
        ("?modality=CT&modality=MR&status=SCHEDULED", "abcd"),
        ("?station=SKYRA_2", "bcde"),  # a booking without a station is open to every scanner
        ("?source=redcap", "bd"),
        ("?date=today", "d"),
        ("?date=2026-11-23", "abce"),
        ("?date_from=2026-11-23&date_to=20261123", "abce"),
        ("?accession_number=ACC*", "d"),
        ("?patient_id=A", "a"),
        ("?patient=muller*", "b"),
        ("?q=muller", "b"),
        ("?q=anne%20MULLER", "b"),
        ("?q=acc-7", "d"),
        ("?q=nobody", ""),
        ("?_=1700000000", "abcde"),
    ],
)
def test_a_filter_leaves_what_it_names(booked: Api, query: str, expected: str) -> None:
    if booked.worklist.clock.today().isoformat() == "2026-11-23" and "date" in query:
        pytest.skip("the day of the bookings is today")

    assert sorted(ids(booked, query)) == sorted(expected)


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("patient_id", "abcdef"),
        ("-patient_id", "fedcba"),
        ("id", "abcdef"),
        ("-changed", "fedcba"),
        ("modality", "cdbaef"),
    ],
)
def test_the_order_is_the_one_asked_for(booked: Api, sort: str, expected: str) -> None:
    found = ids(booked, f"?status=any&date_from=2026-11-23&sort={sort}")

    assert found == [each for each in expected if each in found]


def test_a_scanner_s_order_is_the_usual_one(booked: Api) -> None:
    assert ids(booked, "?date=2026-11-23&status=SCHEDULED") == ["b", "a", "c"]


def test_pages_are_whole_and_say_where_the_next_is(booked: Api) -> None:
    seen: list[str] = []
    address = "/worklist?limit=2&sort=patient_id"
    while address:
        answer = booked("GET", address)
        assert answer.headers["x-total-count"] == "5"
        seen += [item["patient_id"] for item in answer.json()]
        address = answer.links.get("next", {}).get("url", "")

    assert seen == list("abcde")
    assert "prev" in answer.links


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?stauts=SCHEDULED", "stauts"),
        ("?status=LOST", "status"),
        ("?date=31.02.2026", "date"),
        ("?date=2026-02-31", "date"),
        ("?date_from=2026-12-01&date_to=2026-11-01", "date_to"),
        ("?date=today&date_to=2026-11-01", "date"),
        ("?sort=colour", "sort"),
        ("?limit=0", "limit"),
        ("?limit=1001", "limit"),
        ("?offset=-1", "offset"),
        ("?offset=99999999999999999999", "offset"),
        (f"?q={'x' * 65}", "q"),
    ],
)
def test_a_parameter_without_a_meaning_is_named(api: Api, query: str, field: str) -> None:
    answer = api("GET", f"/worklist{query}")

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_a_change_shows_at_once_whoever_made_it(api: Api) -> None:
    assert ids(api) == []
    item = api.book(patient_id="x")
    assert ids(api) == ["x"]
    api.worklist.items.set_status(item.item_id or 0, ItemStatus.COMPLETED)
    assert ids(api) == []


def test_a_row_of_another_program_shows_too(api: Api) -> None:
    assert ids(api) == []
    with api.worklist.database.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO worklist_items (patient_name, patient_id, modality, scheduled_start_date,"
            " scheduled_start_time) VALUES ('Old^Script', 'own', 'MR', '2026-11-23', '10:00')"
        )

    assert ids(api) == ["own"]


# --- in which form ---


def test_csv_is_for_spreadsheets(booked: Api) -> None:
    answer = booked("GET", "/worklist?status=any", headers={"Accept": "text/csv"})
    rows = list(csv.DictReader(io.StringIO(answer.text)))

    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    assert sorted(row["patient_id"] for row in rows) == list("abcdef")


def test_a_cell_is_no_formula(api: Api) -> None:
    api.book(study_description="=HYPERLINK(1)")

    answer = api("GET", "/worklist", headers={"Accept": "text/csv"})

    assert "'=HYPERLINK" in answer.text


def test_dicom_json_is_what_a_scanner_would_get(api: Api) -> None:
    item = api.book()
    accept = {"Accept": "application/dicom+json"}

    for path in ("/worklist", f"/worklist/{item.item_id}"):
        answer = api("GET", path, headers=accept)
        assert answer.headers["content-type"] == "application/dicom+json"
        assert answer.json()[0]["00100020"]["Value"] == ["sub_001"]


@pytest.mark.parametrize(
    ("accept", "given"),
    [
        ("*/*", "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "application/json"),
        ("text/csv;q=0.5, application/json;q=0.4", "text/csv"),
        ("text/*", "text/csv"),
        ("application/*", "application/json"),
        ("text/csv;q=0, */*", "application/json"),
    ],
)
def test_the_form_is_the_one_the_client_likes_best(api: Api, accept: str, given: str) -> None:
    answer = api("GET", "/worklist", headers={"Accept": accept})

    assert answer.headers["content-type"].partition(";")[0] == given


@pytest.mark.parametrize("accept", ["image/png", "application/xml;q=1", "text/csv;q=0", "nonsense"])
def test_a_form_that_is_not_offered_is_said(api: Api, accept: str) -> None:
    answer = api("GET", "/worklist", headers={"Accept": accept})

    assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")
