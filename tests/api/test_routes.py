"""Accounts, sign-in, performed steps, sources: what the other routes answer."""

from __future__ import annotations

import datetime as dt
import os
import threading
from typing import Any

import pytest
from tests.api.conftest import PASSWORDS, USERNAMES, Api, MakeApi

from pylantir.daemon import Daemon, open_worklist
from pylantir.users.roles import Role
from pylantir.worklist.status import ItemStatus, StepStatus
from pylantir.worklist.step import PerformedProcedureStep, ScheduledStepReference

NEW = {"username": "newuser", "password": "a fourth quiet sentence"}


# --- sign-in ---


def test_a_token_is_renewed_and_shortened(api: Api) -> None:
    first = api.login(Role.READ, access_token_expire_minutes=5)
    assert first.json()["expires_in"] == 300
    headers = {"Authorization": f"Bearer {first.json()['access_token']}"}

    renewed = api("POST", "/auth/refresh", None, headers=headers)
    shorter = api(
        "POST",
        "/auth/refresh",
        None,
        headers=headers,
        json={"access_token_expire_minutes": 1},
    )

    assert renewed.json()["expires_in"] == 1800
    assert shorter.json()["expires_in"] == 60
    assert renewed.json()["access_token"] != first.json()["access_token"]


def test_more_than_the_longest_life_is_the_longest(api: Api) -> None:
    answer = api.login(Role.READ, access_token_expire_minutes=10_000_000)

    assert answer.json()["expires_in"] == 120 * 60


def test_signing_out_ends_every_token(api: Api) -> None:
    other = api.login(Role.READ).json()["access_token"]

    assert api("POST", "/auth/logout", Role.READ).status_code == 204

    for headers in ({}, {"Authorization": f"Bearer {other}"}):
        assert api("GET", "/auth/me", Role.READ, headers=headers).status_code == 401


def test_one_s_own_password_is_changed_with_the_present_one(api: Api) -> None:
    body = {
        "username": USERNAMES[Role.READ],
        "current_password": PASSWORDS[Role.READ],
        "new_password": "a fifth quiet sentence",
    }

    assert api("POST", "/auth/password", None, json=body).status_code == 204
    assert api.login(Role.READ).status_code == 401
    assert api("POST", "/auth/password", None, json=body).status_code == 401


def test_a_weak_new_password_is_refused(api: Api) -> None:
    body = {
        "username": USERNAMES[Role.READ],
        "current_password": PASSWORDS[Role.READ],
        "new_password": "password1234",
    }

    answer = api("POST", "/auth/password", None, json=body)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "password"
    assert "password1234" not in answer.text


def test_the_first_admin_is_made_with_the_code_that_was_printed(make_api: MakeApi) -> None:
    api = make_api(with_accounts=False)
    body = {"setup_code": api.part.setup_code, "password": "the first quiet sentence"}

    wrong = api("POST", "/auth/setup", None, json={**body, "setup_code": "AAAA"})
    made = api("POST", "/auth/setup", None, json=body)
    again = api("POST", "/auth/setup", None, json=body)

    assert wrong.status_code == 401
    assert (made.status_code, made.json()["role"]) == (201, "admin")
    assert again.status_code == 401
    login = {"username": "admin", "password": "the first quiet sentence"}
    assert api("POST", "/auth/login", None, json=login).status_code == 200


def test_no_code_is_printed_when_there_is_an_admin(api: Api) -> None:
    assert api.part.setup_code == ""


# --- accounts ---


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"password": "short"}, "password"),
        ({"password": "newuser and more"}, "password"),
        ({"username": "two words"}, "username"),
        ({"role": "root"}, "role"),
        ({"email": "nobody"}, "email"),
        ({"is_superuser": True}, "is_superuser"),
    ],
)
def test_an_account_with_a_wrong_value_is_not_made(
    api: Api, values: dict[str, Any], field: str
) -> None:
    answer = api("POST", "/users", Role.ADMIN, json={**NEW, **values})

    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"] == field
    assert len(api("GET", "/users", Role.ADMIN).json()) == 3


def test_a_name_is_taken_once(api: Api) -> None:
    assert api("POST", "/users", Role.ADMIN, json=NEW).status_code == 200
    assert api("POST", "/users", Role.ADMIN, json=NEW).status_code == 409


def test_no_answer_holds_a_password_or_its_hash(api: Api) -> None:
    made = api("POST", "/users", Role.ADMIN, json=NEW)
    listed = api("GET", "/users", Role.ADMIN)

    for answer in (made, listed):
        assert "argon2" not in answer.text
        assert "quiet" not in answer.text


def test_a_disabled_account_is_out_at_once(api: Api) -> None:
    number = api("GET", "/auth/me", Role.READ).json()["id"]
    api("PUT", f"/users/{number}", Role.ADMIN, json={"is_active": False})

    assert api("GET", "/worklist", Role.READ).status_code == 401
    assert api.login(Role.READ).status_code == 401


def test_the_last_admin_stays(api: Api) -> None:
    number = api("GET", "/auth/me", Role.ADMIN).json()["id"]

    answer = api("PUT", f"/users/{number}", Role.ADMIN, json={"role": "read"})

    assert answer.status_code == 409
    assert api("GET", "/users", Role.ADMIN).status_code == 200


def test_an_account_whose_password_has_to_change_can_do_only_that(api: Api) -> None:
    api("POST", "/users", Role.ADMIN, json={**NEW, "must_change_password": True})

    login = api("POST", "/auth/login", None, json=NEW)
    change = {
        "username": NEW["username"],
        "current_password": NEW["password"],
        "new_password": "a fifth quiet sentence",
    }

    assert (login.status_code, login.json()["code"]) == (403, "password_change_required")
    assert api("POST", "/auth/password", None, json=change).status_code == 204
    body = {**NEW, "password": "a fifth quiet sentence"}
    assert api("POST", "/auth/login", None, json=body).status_code == 200


# --- performed steps ---


def perform(api: Api, uid: str, **values: Any) -> None:
    usual: dict[str, Any] = {
        "sop_instance_uid": uid,
        "status": StepStatus.IN_PROGRESS,
        "performed_procedure_step_id": "P1",
        "performed_station_ae_title": "PRISMA_1",
        "calling_ae_title": "PRISMA_1",
        "modality": "MR",
        "patient_id": "walk-in",
        "patient_name": "Roe^Richard",
        "started": dt.datetime(2026, 11, 23, 9, 35),
        "references": (ScheduledStepReference(),),
        "attributes": {"00100020": {"vr": "LO", "Value": ["walk-in"]}},
    }
    api.worklist.steps.create(PerformedProcedureStep(**{**usual, **values}))


def test_a_step_without_a_booking_is_listed_and_linked(api: Api) -> None:
    item = api.book()
    perform(api, "1.2.3")

    listed = api("GET", "/performed-steps?unlinked=true")
    linked = api("POST", "/performed-steps/1.2.3/link", Role.WRITE, json={"item_id": item.item_id})

    assert [step["sop_instance_uid"] for step in listed.json()] == ["1.2.3"]
    assert listed.headers["x-total-count"] == "1"
    assert linked.json()["links"][0]["item_id"] == item.item_id
    assert linked.json()["attributes"]["00100020"]["Value"] == ["walk-in"]
    assert api("GET", "/performed-steps?unlinked=true").json() == []
    assert api.worklist.items.get(item.item_id or 0).status is ItemStatus.IN_PROGRESS
    found = api("GET", f"/performed-steps?item_id={item.item_id}&status=IN%20PROGRESS").json()
    assert len(found) == 1


@pytest.mark.parametrize(
    ("uid", "body", "status"),
    [
        ("9.9.9", {"item_id": 1}, 404),
        ("1.2.3", {"item_id": 999}, 404),
        ("1.2.3", {"item_id": 0}, 422),
        ("1.2.3", {}, 422),
        ("1.2.3", {"item_id": 1, "position": 5}, 404),
        ("1.2.3", {"item_id": 1, "force": True}, 422),
        ("not-a-uid", {"item_id": 1}, 422),
    ],
)
def test_a_link_that_makes_no_sense_is_refused(
    api: Api, uid: str, body: dict[str, Any], status: int
) -> None:
    api.book()
    perform(api, "1.2.3")

    answer = api("POST", f"/performed-steps/{uid}/link", Role.WRITE, json=body)

    assert answer.status_code == status
    assert len(api("GET", "/performed-steps?unlinked=true").json()) == 1


# --- sources ---


def csv_source(folder: Any, **more: Any) -> dict[str, Any]:
    return {
        "name": "csv",
        "type": "csv",
        "config": {"path": str(folder / "bookings.csv"), "record_id": "record_id"},
        **more,
    }


BOOKINGS = (
    "record_id,patient_name,patient_id,modality,start_date,start_time\n"
    "1,Doe^Jane,sub_001,MR,2026-11-23,09:30\n"
    "2,Roe^Richard,sub_002,MR,31.31.2026,09:30\n"
)


def wait_for_sync(api: Api) -> dict[str, Any]:
    pause = threading.Event()
    for _ in range(600):
        source = api("GET", "/sources").json()[0]
        if source["last_success"]:
            return dict(source)
        pause.wait(0.05)
    pytest.fail("no round was done")


def test_a_source_fetches_when_it_is_asked_to(make_api: MakeApi, tmp_path: Any) -> None:
    file = tmp_path / "bookings.csv"
    file.write_text(BOOKINGS, encoding="utf-8")
    os.utime(file, (1_700_000_000, 1_700_000_000))  # nobody is writing it any more
    api = make_api(data_sources=[csv_source(tmp_path)])
    assert api("GET", "/sources").json()[0]["state"] == "never run"

    asked = api("POST", "/sources/csv/sync", Role.WRITE)

    assert (asked.status_code, asked.json()["status"]) == (202, "requested")
    source = wait_for_sync(api)
    assert source["rejected"] == 1
    assert source["items"] == {"SCHEDULED": 1}
    assert [item["patient_id"] for item in api("GET", "/worklist").json()] == ["sub_001"]
    rejected = api("GET", "/rejected").json()
    assert [(each["kind"], each["source"]) for each in rejected] == [("record", "csv")]
    assert "31.31.2026" in rejected[0]["reasons"]
    checks = {check["name"]: check for check in api("GET", "/ready", None).json()["checks"]}
    assert checks["source csv"]["ok"]


def test_a_source_that_does_not_exist_or_is_off_is_not_found(
    make_api: MakeApi, tmp_path: Any
) -> None:
    api = make_api(data_sources=[csv_source(tmp_path, enabled=False)])

    for name in ("csv", "nothing", "..%2f..%2fetc"):
        assert api("POST", f"/sources/{name}/sync", Role.WRITE).status_code == 404
    assert api("GET", "/sources").json()[0]["state"] == "disabled"


def test_rows_that_cannot_be_served_are_listed_with_their_reason(api: Api) -> None:
    with api.worklist.database.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO worklist_items (patient_name, patient_id, modality, scheduled_start_date,"
            " scheduled_start_time) VALUES ('Old^Script', 'own', 'MR', 'someday', '10:00')"
        )

    rejected = api("GET", "/rejected").json()

    assert [each["kind"] for each in rejected] == ["row"]
    assert "someday" in rejected[0]["reasons"] or "date" in rejected[0]["reasons"]
    number = rejected[0]["item_id"]
    explained = api("GET", f"/worklist/{number}/explain?ae=PRISMA_1")
    assert explained.status_code == 404
    assert "cannot be shown" in explained.json()["detail"]


def test_ready_says_what_does_not_work(api: Api) -> None:
    assert api("GET", "/ready", None).json()["status"] == "ready"
    path = api.worklist.database.path
    assert path is not None
    api.part._checked = None
    api.worklist.database.close()
    for file in path.parent.glob(f"{path.name}*"):
        file.write_bytes(b"not a database" * 1000)

    answer = api("GET", "/ready", None)

    assert answer.status_code == 503
    assert answer.json()["checks"][0] == {
        "name": "database",
        "ok": False,
        "required": True,
        "detail": "cannot be read; the log says why",
    }


def test_explain_over_rest(make_api: MakeApi) -> None:
    api = make_api(scanners=[{"ae_title": "PRISMA_1", "modalities": ["CT"]}])
    item = api.book()

    found = api("GET", f"/worklist/{item.item_id}/explain").json()

    assert [each["ae_title"] for each in found] == ["PRISMA_1"]
    assert found[0]["shown"] is False
    assert found[0]["findings"][1]["what"] == "scanner profile: modalities"
    assert [each["ae_title"] for each in api("GET", "/scanners").json()] == ["PRISMA_1"]


def test_explain_names_the_port_of_the_server_beside_it(make_api: MakeApi) -> None:
    api = make_api(scanners=[{"ae_title": "PRISMA_1"}], port=4711)
    item = api.book()
    path = f"/worklist/{item.item_id}/explain"
    config = api.config.model_copy(update={"ip": "127.0.0.1", "port": 0, "allowed_aet": ("MR1",)})
    daemon = Daemon(open_worklist(config, to_serve=True))
    daemon.start()
    try:
        port = daemon.ae.address[1]
        beside = api("GET", path).json()[0]["summary"]
    finally:
        daemon.stop()

    assert beside.endswith(f"port {port}")
    assert api("GET", path).json()[0]["summary"].endswith("port 4711"), "it has stopped"
