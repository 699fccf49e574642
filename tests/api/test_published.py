"""The examples of the published documentation, word for word, and what its clients rely on."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import Any

import pytest
import requests
from tests.api.conftest import PASSWORDS, USERNAMES, Api, MakeApi
from tests.conftest import REPOSITORY

from pylantir.users.roles import Role
from pylantir.worklist.status import ItemStatus

PUBLISHED_FIELDS = [
    "id",
    "study_instance_uid",
    "patient_name",
    "patient_id",
    "patient_birth_date",
    "patient_sex",
    "patient_weight_lb",
    "accession_number",
    "referring_physician_name",
    "modality",
    "study_description",
    "scheduled_station_aetitle",
    "scheduled_start_date",
    "scheduled_start_time",
    "performing_physician",
    "procedure_description",
    "protocol_name",
    "station_name",
    "performed_procedure_step_status",
    "data_source",
    "source_record_id",
]
DOE = {
    "patient_name": "Doe^John",
    "patient_id": "PATIENT001",
    "patient_birth_date": "19900101",
    "patient_sex": "M",
    "modality": "MR",
    "performed_procedure_step_status": "SCHEDULED",
}


def test_the_python_example_runs(api: Api) -> None:
    """Sign in, list, create: as the published README does it with requests."""
    url = api.part.url
    with requests.Session() as session:
        response = session.post(
            f"{url}/auth/login",
            json={
                "username": USERNAMES[Role.ADMIN],
                "password": PASSWORDS[Role.ADMIN],
                "access_token_expire_minutes": 120,
            },
            timeout=30,
        )
        token = response.json()["access_token"]
        assert response.json()["token_type"] == "bearer"
        assert response.json()["expires_in"] == 120 * 60
        headers = {"Authorization": f"Bearer {token}"}
        assert session.get(f"{url}/worklist", headers=headers, timeout=30).json() == []
        new_item = {
            "patient_name": "Smith^Jane",
            "patient_id": "PATIENT002",
            "modality": "CT",
            "performed_procedure_step_status": "SCHEDULED",
        }
        response = session.post(f"{url}/worklist", json=new_item, headers=headers, timeout=30)
        assert response.status_code == 200
        assert response.json().items() >= new_item.items()
        listed = session.get(f"{url}/worklist", headers=headers, timeout=30).json()
    assert [item["patient_id"] for item in listed] == ["PATIENT002"]


def curl(api: Api, command: str) -> tuple[int, Any]:
    """Run a curl command of the documentation against the API; returns status and body."""
    program = shutil.which("curl")
    if program is None:
        pytest.skip("curl is not installed")
    words = [program, "-s", "-w", "\n%{http_code}", *command.split()]
    words = [word.replace("http://localhost:8000", api.part.url) for word in words]
    ran = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    body, _, status = ran.stdout.rpartition("\n")
    return int(status), json.loads(body)


def test_the_curl_examples_run(api: Api) -> None:
    bearer = f"--oauth2-bearer {api.tokens[Role.WRITE]}"
    json_type = "-H Content-Type:application/json"
    doe = json.dumps(DOE, separators=(",", ":"))
    base = "http://localhost:8000/worklist"

    status, made = curl(api, f"-X POST {base} {bearer} {json_type} -d {doe}")
    assert (status, made["patient_birth_date"]) == (200, "1990-01-01")
    assert curl(api, f"-X GET {base} {bearer}")[1] == [made]
    assert curl(api, f"-X GET {base}?status=SCHEDULED&status=COMPLETED {bearer}")[1] == [made]
    assert curl(api, f"-X GET {base}?patient_id=PATIENT001 {bearer}")[1] == [made]
    update = '{"performed_procedure_step_status":"IN_PROGRESS"}'
    status, changed = curl(api, f"-X PUT {base}/{made['id']} {bearer} {json_type} -d {update}")
    assert (status, changed["performed_procedure_step_status"]) == (200, "IN_PROGRESS")
    assert changed["patient_name"] == "Doe^John", "PUT changes only what it names"


def test_an_item_has_the_published_fields_in_their_order_as_text_or_null(api: Api) -> None:
    made = api("POST", "/worklist", Role.WRITE, json=DOE).json()

    assert list(made)[: len(PUBLISHED_FIELDS)] == PUBLISHED_FIELDS
    assert isinstance(made["id"], int)
    others = [made[name] for name in PUBLISHED_FIELDS[1:]]
    assert all(value is None or (isinstance(value, str) and value) for value in others)


def test_weight_in_pounds_goes_in_and_comes_out(api: Api) -> None:
    made = api("POST", "/worklist", Role.WRITE, json={**DOE, "patient_weight_lb": "150"}).json()

    assert made["patient_weight_lb"] == "150"
    assert made["patient_weight_kg"] == pytest.approx(68.04, abs=0.01)


def test_nobody_weighs_a_hundred_pounds_for_want_of_a_weight(api: Api) -> None:
    assert api("POST", "/worklist", Role.WRITE, json=DOE).json()["patient_weight_lb"] is None


def test_no_study_is_minted_under_the_root_of_the_standard(api: Api) -> None:
    made = api("POST", "/worklist", Role.WRITE, json=DOE).json()

    assert made["study_instance_uid"].startswith("2.25.")


def test_a_whole_item_can_be_sent_back_with_one_value_changed(api: Api) -> None:
    made = api("POST", "/worklist", Role.WRITE, json={**DOE, "patient_weight_lb": "150"}).json()
    for name, value in (
        ("patient_weight_lb", "160"),
        ("protocol_name", "BRAIN_MRI_3T"),
        ("patient_weight_kg", 80),
        ("scheduled_station_aetitle", "PRISMA_1"),
        ("accession_number", None),
    ):
        made = api("GET", f"/worklist/{made['id']}").json()
        answer = api("PUT", f"/worklist/{made['id']}", Role.WRITE, json={**made, name: value})
        assert answer.status_code == 200, answer.text
        assert answer.json()[name] == value


def test_deleting_answers_as_it_did_and_takes_the_booking_off_the_list(api: Api) -> None:
    item = api.book()

    answer = api("DELETE", f"/worklist/{item.item_id}", Role.WRITE)

    assert answer.json() == {"message": f"Worklist item {item.item_id} deleted successfully"}
    assert api("GET", "/worklist").json() == []
    assert api("DELETE", f"/worklist/{item.item_id}", Role.WRITE).status_code == 404
    assert api.worklist.items.get(item.item_id or 0).status is ItemStatus.CANCELLED


def test_accounts_are_managed_as_they_were(api: Api) -> None:
    new = {"username": "newuser", "password": "a fourth quiet sentence", "role": "write"}

    made = api("POST", "/users", Role.ADMIN, json=new)
    assert made.status_code == 200
    assert set(made.json()) >= {
        *("id", "username", "email", "full_name", "role", "is_active", "created_at", "last_login")
    }
    number = made.json()["id"]
    changed = api("PUT", f"/users/{number}", Role.ADMIN, json={"role": "read", "email": "a@b.org"})
    assert (changed.json()["role"], changed.json()["email"]) == ("read", "a@b.org")
    assert "newuser" in [user["username"] for user in api("GET", "/users", Role.ADMIN).json()]
    deleted = api("DELETE", f"/users/{number}", Role.ADMIN)
    assert deleted.json() == {"message": "User newuser deleted successfully"}


def test_health_is_as_published(api: Api) -> None:
    answer = api("GET", "/health", None)

    assert answer.json()["status"] == "healthy"
    assert re.match(r"\d{4}-\d\d-\d\dT", answer.json()["timestamp"])


@pytest.mark.parametrize("page", ["/docs", "/redoc"])
def test_the_description_needs_no_other_host(api: Api, page: str) -> None:
    answer = api("GET", page, None)

    assert answer.status_code == 200
    for address in re.findall(r'(?:src|href|spec-url)="([^"]+)"', answer.text):
        assert address.startswith("/"), f"{address} is on another host"
        assert api("GET", address, None).status_code == 200
    assert (
        "unsafe-inline" not in answer.headers["content-security-policy"].partition("style-src")[0]
    )
    assert "<script>" not in answer.text


def test_accounts_of_the_published_release_sign_in(make_api: MakeApi, tmp_path: Any) -> None:
    data = REPOSITORY / "tests" / "worklist" / "data" / "published-0.4.6-users.db"
    shutil.copy(data, tmp_path / "old.db")
    api = make_api(with_accounts=False, users_db_path=str(tmp_path / "old.db"))
    body = {"username": "technologist", "password": "scan-and-go"}

    token = api("POST", "/auth/login", None, json=body).json()["access_token"]

    me = api("GET", "/auth/me", None, headers={"Authorization": f"Bearer {token}"}).json()
    assert me == {"id": 2, "username": "technologist", "role": "write"}
    for attempt in ({"username": "admin", "password": "admin123"},):
        answer = api("POST", "/auth/login", None, json=attempt)
        assert (answer.status_code, answer.json()["code"]) == (403, "password_change_required")
