"""A booking over time, what each scanner gets of it, and which booking a scan may belong to."""

from __future__ import annotations

import datetime as dt

from tests.api.conftest import Api, MakeApi
from tests.api.test_routes import perform

from pylantir.users.roles import Role
from pylantir.worklist.status import StepStatus
from pylantir.worklist.step import ScheduledStepReference

DOE = {"patient_name": "Doe^John", "patient_id": "PATIENT001"}


def told(api: Api, number: int) -> list[tuple[str, str, list[str]]]:
    events = api("GET", f"/worklist/{number}/history").json()["events"]
    return [(each["kind"], each["who"], each["fields"]) for each in events]


def test_whoever_made_changed_and_cancelled_a_booking_stands_in_its_history(api: Api) -> None:
    number = api("POST", "/worklist", Role.WRITE, json=DOE).json()["id"]
    change = {"patient_sex": "M", "patient_weight_lb": "150", "patient_name": "Doe^John"}
    api("PATCH", f"/worklist/{number}", Role.ADMIN, json=change)
    api("PATCH", f"/worklist/{number}", Role.WRITE, json=change)
    api("DELETE", f"/worklist/{number}", Role.WRITE)

    assert told(api, number) == [
        ("created", "rivera", []),
        ("changed", "boss", ["patient_sex", "patient_weight_kg"]),
        ("cancelled", "rivera", ["performed_procedure_step_status"]),
    ]


def test_names_of_fields_are_kept_and_never_a_value(api: Api) -> None:
    number = api("POST", "/worklist", Role.WRITE, json=DOE).json()["id"]
    api("PATCH", f"/worklist/{number}", Role.WRITE, json={"patient_id": "PLANTED"})
    api("PATCH", f"/worklist/{number}", Role.WRITE, json={"patient_id": "PATIENT002"})

    answer = api("GET", f"/worklist/{number}/history")

    assert "patient_id" in answer.text
    assert "PLANTED" not in answer.text
    path = api.worklist.database.path
    assert path is not None
    with api.worklist.database.read() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM item_changes").all()
    assert "PLANTED" not in repr(rows)


def test_a_booking_of_a_source_says_so(api: Api) -> None:
    item = api.book(data_source="redcap_main")

    assert told(api, item.item_id or 0) == [("created", "redcap_main", [])]


def test_what_a_scanner_did_and_who_linked_it_stand_there_too(api: Api) -> None:
    item = api.book()
    perform(
        api,
        "1.2.3",
        status=StepStatus.COMPLETED,
        started=dt.datetime(2031, 1, 5, 9, 35),
        ended=dt.datetime(2031, 1, 5, 10, 5),
    )
    body = {"item_id": item.item_id}
    assert api("POST", "/performed-steps/1.2.3/link", Role.WRITE, json=body).status_code == 200

    assert told(api, item.item_id or 0) == [
        ("created", "manual", []),
        ("linked", "rivera", []),
        ("begun", "PRISMA_1", []),
        ("ended", "PRISMA_1", []),
    ]


def test_there_is_no_history_of_what_is_not_there(api: Api) -> None:
    for path in ("/worklist/99/history", "/worklist/99/data-sets"):
        answer = api("GET", path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_each_scanner_s_data_set_is_what_it_gets(make_api: MakeApi) -> None:
    """With its own station in a booking that names none, and its own character set."""
    scanners = [
        {"ae_title": "PRISMA_1", "response_character_set": "ISO_IR 100"},
        {"ae_title": "SKYRA"},
    ]
    api = make_api(scanners=scanners)
    item = api.book(patient_name="Müller^Jörg", patient_weight_kg="72.5")

    found = api("GET", f"/worklist/{item.item_id}/data-sets").json()

    by_title = {each["ae_title"]: each["data_set"] for each in found}
    assert set(by_title) == {"PRISMA_1", "SKYRA"}
    for title, ds in by_title.items():
        (step,) = ds["00400100"]["Value"]
        assert step["00400001"]["Value"] == [title]
        assert ds["00100010"]["Value"] == [{"Alphabetic": "Müller^Jörg"}]
        assert ds["0020000D"]["Value"] == [item.study_instance_uid]
        assert ds["00101030"]["Value"] == [72.5]
    assert by_title["PRISMA_1"]["00080005"]["Value"] == ["ISO_IR 100"]
    (one,) = api("GET", f"/worklist/{item.item_id}/data-sets?ae=OTHER").json()
    assert one["data_set"]["00400100"]["Value"][0]["00400001"]["Value"] == ["OTHER"]


def test_the_likeliest_booking_of_a_scan_comes_first_with_what_differs(api: Api) -> None:
    other = api.book(patient_id="sub_009", patient_name="Roe^Richard", modality="CT")
    likely = api.book(patient_id="walk-in", patient_name="Roe^Richard")
    api.book(patient_id="sub_010", scheduled_start_date="2026-12-24")
    perform(api, "1.2.3", references=(ScheduledStepReference(accession_number="A1"),))

    found = api("GET", "/performed-steps/1.2.3/candidates").json()

    assert [each["item"]["id"] for each in found] == [likely.item_id, other.item_id]
    compared = {each["what"]: each for each in found[1]["compared"]}
    assert compared["PatientID"] == {
        "what": "PatientID",
        "said": "walk-in",
        "booked": "sub_009",
        "same": False,
    }
    assert compared["PatientName"]["same"] is True
    assert compared["AccessionNumber"]["same"] is None
    assert found[0]["agreement"] > found[1]["agreement"]
    assert api("GET", "/performed-steps/9.9/candidates").status_code == 404
