"""``/worklist``: booked, changed, cancelled."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.api.conftest import Api, MakeApi

from pylantir.users.roles import Role

JANE = {"patient_name": "Doe^Jane", "patient_id": "sub_001"}


# --- booked ---


def test_a_walk_in_starts_now(api: Api) -> None:
    made = api("POST", "/worklist", Role.WRITE, json=JANE)

    assert made.status_code == 200
    assert made.json()["modality"] == "MR"
    assert made.json()["scheduled_start_date"] == api.worklist.clock.today().isoformat()
    assert made.json()["data_source"] == "api"
    assert made.headers["location"] == f"/worklist/{made.json()['id']}"


@pytest.mark.parametrize(
    "start",
    [
        {"scheduled_start_date": "2026-12-24", "scheduled_start_time": "08:15"},
        {
            "scheduled_procedure_step_start_date": "20261224",
            "scheduled_procedure_step_start_time": "081500",
        },
        {
            "ScheduledProcedureStepStartDate": "20261224",
            "ScheduledProcedureStepStartTime": "0815",
        },
        {"start_date": "2026-12-24", "start_time": "08:15"},
    ],
)
def test_a_start_is_taken_in_every_spelling(api: Api, start: dict[str, str]) -> None:
    made = api("POST", "/worklist", Role.WRITE, json={**JANE, **start}).json()

    assert (made["scheduled_start_date"], made["scheduled_start_time"]) == ("2026-12-24", "08:15")


def test_dicom_keywords_and_extras_are_taken(api: Api) -> None:
    body = {**JANE, "RequestedProcedurePriority": "HIGH", "PatientReligiousPreference": "none"}

    made = api("POST", "/worklist", Role.WRITE, json=body).json()

    assert made["requested_procedure_priority"] == "HIGH"
    assert made["extras"] == {"PatientReligiousPreference": "none"}
    again = api("PUT", f"/worklist/{made['id']}", Role.WRITE, json=made)
    assert again.json() == made


def test_the_same_record_is_booked_once(api: Api) -> None:
    body = {**JANE, "data_source": "ris", "source_record_id": "17"}

    assert api("POST", "/worklist", Role.WRITE, json=body).status_code == 200
    assert api("POST", "/worklist", Role.WRITE, json=body).status_code == 409


# --- what is refused ---


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"patient_name": ""}, "patient_name"),
        ({"patient_id": None}, "patient_id"),
        ({"patient_sex": "X1"}, "patient_sex"),
        ({"patient_birth_date": "31/02/1990"}, "patient_birth_date"),
        ({"scheduled_start_time": "25:00"}, "scheduled_procedure_step_start_time"),
        ({"patient_weight_lb": "150 stone"}, "patient_weight_lb"),
        ({"study_instance_uid": "1.02.3"}, "study_instance_uid"),
        ({"accession_number": "x" * 17}, "accession_number"),
        ({"patient_name": "a\u0000b"}, "patient_name"),
        ({"patient_name": "Doe\\Jane"}, "patient_name"),
        ({"performed_procedure_step_status": "LOST"}, "status"),
        ({"patient_nmae": "Doe"}, "patient_nmae"),
        ({"patient_name": ["Doe"]}, "patient_name"),
        ({"patient_name": {"family": "Doe"}}, "patient_name"),
        ({"scheduled_protocol_codes": [{"value": "X"}]}, "scheduled_protocol_codes"),
        ({"extras": "x"}, "extras"),
        ({"extras": {"NoSuchKeyword": "x"}}, "NoSuchKeyword"),
        ({"data_source": "x" * 256}, "data_source"),
    ],
)
def test_a_value_that_no_scanner_could_show_is_named_and_nothing_is_stored(
    api: Api, values: dict[str, Any], field: str
) -> None:
    item = api.book()
    before = api("GET", f"/worklist/{item.item_id}").json()

    made = api("POST", "/worklist", Role.WRITE, json={**JANE, **values})
    changed = api("PUT", f"/worklist/{item.item_id}", Role.WRITE, json=values)

    for answer in (made, changed):
        assert answer.status_code == 422, answer.text
        assert any(error["field"].startswith(field) for error in answer.json()["errors"])
    assert api.worklist.items.count() == 1
    assert api("GET", f"/worklist/{item.item_id}").json() == before


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"[" * 20_000, b"\xff\xfe", b"null"])
def test_a_body_that_is_no_object_is_refused(api: Api, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}

    answer = api("POST", "/worklist", Role.WRITE, data=body, headers=headers)

    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert api.worklist.items.count() == 0


@pytest.mark.parametrize("number", ["0", "-1", "99999999999999999999", "x", "1.5"])
def test_a_number_that_is_none_is_refused(api: Api, number: str) -> None:
    assert api("GET", f"/worklist/{number}").status_code == 422


def test_an_item_that_is_not_there_is_not_found(api: Api) -> None:
    for method in ("GET", "PUT", "DELETE"):
        answer = api(method, "/worklist/999", Role.WRITE, json={})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


# --- changed and cancelled ---


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_only_what_is_named_changes_and_null_empties(api: Api, method: str) -> None:
    item = api.book(accession_number="A1", referring_physician_name="Rivera^L")
    body = {"accession_number": None, "study_description": "Sleep"}

    changed = api(method, f"/worklist/{item.item_id}", Role.WRITE, json=body).json()

    assert changed["accession_number"] is None
    assert changed["study_description"] == "Sleep"
    assert changed["referring_physician_name"] == "Rivera^L"


@pytest.mark.parametrize(
    "change",
    [{"data_source": "elsewhere"}, {"source_record_id": "2"}, {"id": 99}],
)
def test_whose_item_it_is_never_changes(api: Api, change: dict[str, Any]) -> None:
    item = api.book()

    answer = api("PUT", f"/worklist/{item.item_id}", Role.WRITE, json=change)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["message"] == "never changes"


def test_the_study_never_changes(api: Api) -> None:
    item = api.book()

    answer = api("PUT", f"/worklist/{item.item_id}", Role.WRITE, json={"study_instance_uid": "1.2"})

    assert answer.status_code == 409


@pytest.mark.parametrize("status", ["IN_PROGRESS", "COMPLETED", "DISCONTINUED"])
def test_what_a_scanner_has_begun_is_not_cancelled(api: Api, status: str) -> None:
    item = api.book(performed_procedure_step_status=status)

    answer = api("DELETE", f"/worklist/{item.item_id}", Role.WRITE)

    assert answer.status_code == 409
    assert api.worklist.items.get(item.item_id or 0).status == status


def test_a_move_that_the_table_does_not_have_is_refused(api: Api) -> None:
    item = api.book(performed_procedure_step_status="COMPLETED")
    body = {"performed_procedure_step_status": "SCHEDULED"}

    assert api("PUT", f"/worklist/{item.item_id}", Role.WRITE, json=body).status_code == 409


# --- by several at once ---


def test_a_change_of_what_was_seen_wins_and_one_of_an_older_version_does_not(api: Api) -> None:
    item = api.book()
    path = f"/worklist/{item.item_id}"
    seen = api("GET", path).headers["etag"]

    first = api(
        "PUT", path, Role.WRITE, json={"study_description": "1"}, headers={"If-Match": seen}
    )
    second = api(
        "PUT", path, Role.WRITE, json={"study_description": "2"}, headers={"If-Match": seen}
    )
    cancel = api("DELETE", path, Role.WRITE, headers={"If-Match": seen})

    assert first.status_code == 200
    assert first.headers["etag"] != seen
    assert (second.status_code, second.json()["code"]) == (412, "changed_meanwhile")
    assert cancel.status_code == 412
    assert api("GET", path).json()["study_description"] == "1"
    known = api("GET", path, headers={"If-None-Match": first.headers["etag"]})
    assert (known.status_code, known.text) == (304, "")


def test_of_many_changes_of_one_version_one_wins(api: Api) -> None:
    """Cancelling as well: what somebody else has just corrected is not cancelled unseen."""
    item = api.book()
    path, seen = (
        f"/worklist/{item.item_id}",
        api("GET", f"/worklist/{item.item_id}").headers["etag"],
    )

    def change(number: int) -> int:
        headers = {"If-Match": seen}
        if number % 2:
            return api("DELETE", path, Role.WRITE, headers=headers).status_code
        body = {"patient_comments": str(number)}
        return api("PATCH", path, Role.WRITE, headers=headers, json=body).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(change, range(16)))

    assert statuses == [200] + [412] * 15


def test_many_changes_at_once_all_arrive(api: Api) -> None:
    """Each of another field: none is lost, because each change names only its own."""
    item = api.book()
    fields = [
        *("accession_number", "study_description", "referring_physician_name"),
        *("performing_physician", "patient_state", "special_needs", "admission_id"),
    ]
    statuses: dict[str, int] = {}

    def change(field: str) -> None:
        for _ in range(20):
            answer = api("PATCH", f"/worklist/{item.item_id}", Role.WRITE, json={field: "X"})
            statuses[field] = answer.status_code
            if answer.status_code != 409:
                return

    threads = [threading.Thread(target=change, args=(field,)) for field in fields]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert set(statuses.values()) == {200}
    shown = api("GET", f"/worklist/{item.item_id}").json()
    assert {shown[field] for field in fields} == {"X"}


# --- what belongs to a source ---


SOURCE = {
    "name": "main",
    "type": "csv",
    "config": {"path": "nowhere.csv"},
}


def test_nobody_books_in_the_name_of_a_source(make_api: MakeApi) -> None:
    api = make_api(data_sources=[SOURCE])

    answer = api("POST", "/worklist", Role.WRITE, json={**JANE, "data_source": "main"})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "data_source"


def test_a_change_that_the_source_may_undo_says_so(make_api: MakeApi) -> None:
    api = make_api(data_sources=[SOURCE])
    item = api.book(data_source="main")

    answer = api("PUT", f"/worklist/{item.item_id}", Role.WRITE, json={"study_description": "x"})

    assert "may change it again" in answer.headers["x-pylantir-note"]
