"""Bookings on the page: entered, corrected, cancelled, explained; scans are linked to them."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from typing import Any

import pytest
from tests.api.conftest import Api, MakeApi
from tests.web.conftest import Visit, Visitor, text_of
from tests.web.test_board import performed

from pylantir.users.roles import Role
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.query import STATION, Key, SingleValue, WorklistQuery
from pylantir.worklist.status import ItemStatus
from pylantir.worklist.step import LinkedStep

WALK_IN = {
    "patient_name": "Tremblay, Zoé",
    "patient_id": "sub_014",
    "patient_weight_kg": "62.5",
    "modality": "MR",
    "scheduled_start_date": "2026-11-23",
    "scheduled_start_time": "11:00",
    "scheduled_station_aetitle": "PRISMA_1",
}


def items_of(api: Api) -> list[WorklistItem]:
    return api.worklist.items.find(WorklistQuery())


def typed_into(page: str) -> dict[str, str]:
    """What the form of a page would send as it stands."""
    form = page[page.index('<form class="panel"') :]
    fields = re.findall(r'<input [^>]*name="([^"]+)"[^>]*value="([^"]*)"', form)
    chosen = re.findall(
        r'<select [^>]*name="([^"]+)".*?<option value="([^"]*)" selected', form, re.DOTALL
    )
    return {name: html.unescape(value) for name, value in (*fields, *chosen)}


@pytest.fixture
def writer(visit: Visit) -> Visitor:
    return visit(Role.WRITE)


def test_a_walk_in_is_booked(api: Api, writer: Visitor) -> None:
    answer = writer.post("/page/items/new", **WALK_IN)

    (made,) = items_of(api)
    assert answer.headers["Location"] == f"/page/items/{made.item_id}?done=created"
    assert made.patient_name == "Tremblay^Zoé"
    assert str(made.patient_weight_kg) == "62.5"
    assert made.scheduled_station_ae_title == ("PRISMA_1",)
    assert "The booking was made" in text_of(writer.get(answer.headers["Location"]))


def test_a_phantom_needs_nothing_but_a_click(api: Api, writer: Visitor) -> None:
    shown = writer.get("/page/items/new?phantom")
    answer = writer.post(
        "/page/items/new", **typed_into(shown.text) | {"form": ""} | _proof(writer)
    )

    assert answer.status_code == 303, text_of(answer)
    (made,) = items_of(api)
    assert made.patient_name == "PHANTOM^QA"
    assert made.patient_id.startswith("PHANTOM-")


def _proof(visitor: Visitor) -> dict[str, str]:
    return {"form": visitor.session.cookies["pylantir_form"]}


def test_what_is_wrong_is_said_beside_the_field_and_nothing_is_kept(
    api: Api, writer: Visitor
) -> None:
    answer = writer.post(
        "/page/items/new", **{**WALK_IN, "patient_id": "", "patient_birth_date": "1990-02-31"}
    )

    assert answer.status_code == 422
    assert items_of(api) == []
    assert re.search(r'name="patient_id"[^>]*aria-invalid="true"', answer.text)
    assert "expected a day of the calendar" in text_of(answer)
    assert "Tremblay^Zoé" in answer.text, "what was typed stays"


def test_a_correction_changes_what_was_typed_and_nothing_else(api: Api, writer: Visitor) -> None:
    before = api.book(patient_weight_kg="62", allergies=["latex", "nuts"])
    fields = typed_into(writer.get(f"/page/items/{before.item_id}/edit").text)
    answer = writer.post(
        f"/page/items/{before.item_id}/edit", **{**fields, "patient_weight_kg": "64"}
    )

    assert answer.status_code == 303, text_of(answer)
    after = api.worklist.items.get(before.item_id or 0)
    assert str(after.patient_weight_kg) == "64"
    assert {n: v for n, v in after.content().items() if n != "patient_weight_kg"} == {
        n: v for n, v in before.content().items() if n != "patient_weight_kg"
    }


def test_a_correction_over_somebody_elses_is_refused(api: Api, writer: Visitor) -> None:
    item = api.book()
    fields = typed_into(writer.get(f"/page/items/{item.item_id}/edit").text)
    api.worklist.items.set_status(item.item_id or 0, ItemStatus.ARRIVED)
    answer = writer.post(f"/page/items/{item.item_id}/edit", **{**fields, "patient_id": "other"})

    assert answer.status_code == 412
    assert "changed meanwhile" in text_of(answer)
    assert api.worklist.items.get(item.item_id or 0).patient_id == item.patient_id


def test_a_booking_is_cancelled_and_stays_to_be_seen(api: Api, writer: Visitor) -> None:
    item = api.book()
    writer.post(f"/page/items/{item.item_id}/cancel")

    assert api.worklist.items.get(item.item_id or 0).status is ItemStatus.CANCELLED
    assert "cancelled" in text_of(writer.get(f"/page/items/{item.item_id}"))


def test_a_status_is_set_by_hand(api: Api, writer: Visitor) -> None:
    item = api.book()
    writer.post(f"/page/items/{item.item_id}/status", status="COMPLETED")

    assert api.worklist.items.get(item.item_id or 0).status is ItemStatus.COMPLETED


def test_what_a_status_does_not_allow_is_refused_with_the_reason(api: Api, writer: Visitor) -> None:
    item = api.book()
    api.worklist.items.set_status(item.item_id or 0, ItemStatus.COMPLETED)
    answer = writer.post(f"/page/items/{item.item_id}/cancel")

    assert answer.status_code == 409
    assert "COMPLETED" in text_of(answer)


def test_names_are_shown_as_text_whatever_they_are(api: Api, writer: Visitor) -> None:
    name = "<script>alert(1)</script>^<b>"
    today = api.worklist.clock.today().isoformat()
    item = api.book(patient_name=name, scheduled_start_date=today)

    for path in ("/page/", f"/page/items/{item.item_id}", f"/page/items/{item.item_id}/edit"):
        page = writer.get(path)
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert "&lt;script&gt;alert(1)" in page.text


def test_a_booking_shows_the_data_set_of_each_scanner_and_why(
    make_api: MakeApi, visit: Visit
) -> None:
    site = make_api(
        allowed_aet=["PRISMA_1", "SKYRA_2"],
        scanners=[{"ae_title": "SKYRA_2", "modalities": ["CT"]}],
    )
    item = site.book(patient_name="Tremblay^Zoé", scheduled_station_aetitle="PRISMA_1")
    visitor = visit(Role.READ, site)

    own = text_of(visitor.get(f"/page/items/{item.item_id}?ae=PRISMA_1"))
    other = text_of(visitor.get(f"/page/items/{item.item_id}?ae=SKYRA_2"))

    assert "(0040,0001) ScheduledStationAETitle AE PRISMA_1" in own
    assert "(0010,0010) PatientName PN Tremblay^Zoé" in own
    assert "scanner profile: modalities" in other


def test_each_value_says_the_field_it_came_from(make_api: MakeApi, visit: Visit) -> None:
    mapping = {
        "study_id": "subject",
        "scheduled_time": "visit_time",
        "weight": "patient_weight_lb",
    }
    config = {"site_id": "792", "date_field": "visit_date"}
    source = {"name": "main", "type": "redcap", "config": config, "field_mapping": mapping}
    site = make_api(data_sources=[source])
    item = site.book(data_source="main", source_record_id="41", patient_weight_lb="150")

    shown = text_of(visit(Role.READ, site).get(f"/page/items/{item.item_id}"))

    assert "Kept by source main, record 41" in shown
    template = "sub_{study}_ses_{session}_fam_{family}_site_{site}"
    assert f"PatientID sub_001 ← subject, mri_instance, family_id, site ({template})" in shown
    assert "ScheduledProcedureStepStartDate 2026-11-23 ← visit_date" in shown
    assert re.search(r"ScheduledProcedureStepStartTime [0-9:]+ ← visit_time", shown)
    assert "PatientWeight 68.04 ← weight" in shown


@pytest.mark.parametrize("source_type", ["calpendo", "csv", "nobodys"])
def test_the_fields_are_said_of_every_source_that_can_tell(
    make_api: MakeApi, visit: Visit, source_type: str
) -> None:
    mapping = {"patient_id": {"source_field": "title", "_extract": {"pattern": "[a-z]+_[0-9]+"}}}
    source = {"name": "main", "type": source_type, "field_mapping": mapping}
    site = make_api(data_sources=[source])
    item = site.book(data_source="main", source_record_id="41")

    shown = text_of(visit(Role.READ, site).get(f"/page/items/{item.item_id}"))

    assert ("PatientID sub_001 ← title" in shown) == (source_type != "nobodys")


@pytest.fixture
def loose(api: Api) -> LinkedStep:
    step = performed(None, "09:20", "09:48").step
    return api.worklist.steps.create(step)


def test_a_scan_without_a_booking_is_linked_after_both_identities_were_shown(
    api: Api, writer: Visitor, loose: LinkedStep
) -> None:
    right = api.book(scheduled_station_aetitle="PRISMA_1", patient_id="sub_001")
    api.book(scheduled_station_aetitle="SKYRA_2", patient_id="sub_002")
    uid = loose.step.sop_instance_uid
    first = writer.get(f"/page/steps/{uid}")
    shown = text_of(writer.get(f"/page/steps/{uid}?item={right.item_id}"))
    answer = writer.post(f"/page/steps/{uid}/link", item=str(right.item_id))

    assert first.text.index("sub_001") < first.text.index("sub_002"), "the likelier one first"
    assert "Is this the same person?" in shown
    assert "sub_001" in shown
    assert answer.headers["Location"] == f"/page/items/{right.item_id}?done=linked"
    assert api.worklist.items.get(right.item_id or 0).status is ItemStatus.COMPLETED
    assert not api.worklist.steps.get(uid).is_unlinked


def test_whose_name_agrees_comes_before_whoever_was_there_at_the_time(
    api: Api, writer: Visitor
) -> None:
    step = performed(None, "09:20", "09:48").step
    scan = api.worklist.steps.create(replace(step, patient_name="Tremblay^Zoe", patient_id="z"))
    place = {"scheduled_station_aetitle": "PRISMA_1"}
    api.book(patient_name="Hansen^Søren", scheduled_start_time="09:20", **place)
    api.book(patient_name="Tremblay^Zoé", scheduled_start_time="17:20", **place)

    shown = text_of(writer.get(f"/page/steps/{scan.step.sop_instance_uid}"))

    assert shown.index("Choose Tremblay, Zoé") < shown.index("Choose Hansen, Søren")


def test_a_scan_that_was_linked_wrongly_goes_to_the_right_booking(
    api: Api, writer: Visitor, loose: LinkedStep
) -> None:
    wrong, right = api.book(patient_id="sub_001"), api.book(patient_id="sub_002")
    uid = loose.step.sop_instance_uid
    for item in (wrong, right):
        writer.post(f"/page/steps/{uid}/link", item=str(item.item_id))

    assert api.worklist.steps.get(uid).item_ids == (right.item_id,)
    assert api.worklist.items.get(wrong.item_id or 0).status is ItemStatus.SCHEDULED


def test_the_day_names_what_needs_somebody(api: Api, visit: Visit, loose: LinkedStep) -> None:
    clock = api.worklist.clock
    api.book(
        patient_name="Late^Lena",
        scheduled_start_date=clock.today().isoformat(),
        scheduled_start_time="00:00",
    )

    shown = text_of(visit(Role.READ).get("/page/"))

    assert "A scan without a booking" in shown
    if clock.local_now().hour or clock.local_now().minute > 15:
        assert "Late, Lena is late by" in shown


def test_a_search_finds_whatever_its_day(api: Api, visit: Visit) -> None:
    api.book(patient_name="Tremblay^Zoé", scheduled_start_date="2027-03-01")
    visitor = visit(Role.READ)

    here = text_of(visitor.get("/page/?q=tremblay"))
    everywhere = text_of(visitor.get("/page/?q=tremblay&days=all"))

    assert "Nothing matches" in here
    assert "Mon 1 Mar 2027" in everywhere


@pytest.mark.parametrize(
    "query",
    [
        "day=2026-02-31",
        "day=soon",
        "day=9999-12-31",
        "day=0001-01-01",
        "status=NONE",
        f"q={'x' * 65}",
    ],
)
def test_a_filter_that_is_none_is_said_and_shows_today(visit: Visit, query: str) -> None:
    answer = visit(Role.READ).get(f"/page/?{query}")

    assert answer.status_code == 422
    assert 'role="alert">' in answer.text
    assert "Bookings" in text_of(answer)


def test_the_list_is_a_spreadsheet_too(api: Api, visit: Visit) -> None:
    api.book(patient_id="sub_001")
    api.book(patient_id="sub_002", scheduled_start_date="2026-11-24")

    answer = visit(Role.READ).get("/page/worklist.csv?day=2026-11-23")

    assert answer.headers["Content-Type"].startswith("text/csv")
    assert "sub_001" in answer.text
    assert "sub_002" not in answer.text


def test_a_rejected_record_says_what_is_wrong_and_where_to_correct_it(
    make_api: MakeApi, visit: Visit
) -> None:
    from pylantir.worklist.sources import note_rejections

    site = make_api(data_sources=[{"name": "main", "type": "redcap"}])
    reason = "patient_birth_date: expected a day of the calendar, got '31/02'"
    with site.worklist.database.write() as connection:
        note_rejections(connection, "main", {"41": reason}, [], "2026-11-21T10:00:00+00:00")

    shown = text_of(visit(Role.READ, site).get("/page/rejected"))

    assert "31/02" in html.unescape(shown)
    assert "Record 41 in redcap (source main)" in shown


def test_admins_make_change_and_delete_accounts(api: Api, visit: Visit) -> None:
    admin = visit(Role.ADMIN)
    fields = {"username": "lena", "password": "a quiet sentence", "role": "read"}
    admin.post("/page/accounts", **fields)
    made = _account(admin, api, "lena")
    admin.post(f"/page/accounts/{made['id']}", role="write", is_active="1")
    changed = _account(admin, api, "lena")
    admin.post(f"/page/accounts/{made['id']}/delete")

    assert (made["role"], made["must_change_password"]) == ("read", True)
    assert changed["role"] == "write"
    assert _account(admin, api, "lena") == {}


def _account(admin: Visitor, api: Api, name: str) -> dict[str, Any]:
    found = api("GET", "/users", Role.ADMIN).json()
    return next((each for each in found if each["username"] == name), {})


def test_a_password_that_is_too_short_is_refused_with_the_reason(visit: Visit) -> None:
    answer = visit(Role.ADMIN).post("/page/accounts", username="lena", password="short")

    assert answer.status_code == 422
    assert "12" in text_of(answer)


def test_a_new_owner_chooses_a_password_before_anything_else(visit: Visit) -> None:
    visit(Role.ADMIN).post("/page/accounts", username="lena", password="a quiet sentence")
    owner = visit()
    owner.get("/page/sign-in")
    answer = owner.post("/page/sign-in", username="lena", password="a quiet sentence")

    assert answer.status_code == 403
    assert "Choose another one" in text_of(answer)
    assert "pylantir_session" not in owner.session.cookies


@pytest.mark.parametrize("status", list(ItemStatus))
def test_every_status_can_be_shown(api: Api, visit: Visit, status: ItemStatus) -> None:
    item = api.book(scheduled_start_date=api.worklist.clock.today().isoformat())
    api.worklist.items.set_status(item.item_id or 0, status)
    visitor = visit(Role.WRITE)

    for path in ("/page/", f"/page/items/{item.item_id}", "/page/steps", "/page/health"):
        assert visitor.get(path).status_code == 200


def asked_by(api: Api, ae_title: str) -> None:
    """A scanner asks for what is booked on it."""
    query = WorklistQuery(keys=(Key(STATION, SingleValue(ae_title)),))
    journal = api.worklist.journal
    journal.start()
    journal.note(api.worklist.clock.now(), ae_title, "127.0.0.1", query, 1)
    journal.stop()


def test_the_list_says_which_scanner_has_seen_a_booking(api: Api, visit: Visit) -> None:
    today = api.worklist.clock.today().isoformat()
    place = {"scheduled_start_date": today, "scheduled_start_time": "23:59"}
    api.book(scheduled_station_aetitle="PRISMA_1", **place)
    api.book(scheduled_station_aetitle="SKYRA_2", **place)
    asked_by(api, "PRISMA_1")

    shown = text_of(visit(Role.READ).get("/page/"))

    assert shown.count("seen by PRISMA_1") == 1


def test_what_was_booked_or_changed_after_a_query_was_not_seen_by_it(
    api: Api, visit: Visit
) -> None:
    asked_by(api, "PRISMA_1")
    today = api.worklist.clock.today().isoformat()
    item = api.book(scheduled_station_aetitle="PRISMA_1", scheduled_start_date=today)
    visitor = visit(Role.READ)

    assert "seen by" not in text_of(visitor.get("/page/"))
    assert "on the list of" not in text_of(visitor.get(f"/page/items/{item.item_id}"))


def test_a_display_at_a_scanner_shows_who_is_next_there(api: Api, visit: Visit) -> None:
    clock = api.worklist.clock
    place = {"scheduled_start_date": clock.today().isoformat(), "scheduled_start_time": "23:59"}
    api.book(patient_name="Hansen^Søren", scheduled_station_aetitle="SKYRA_2", **place)
    api.book(patient_name="Tremblay^Zoe", scheduled_station_aetitle="PRISMA_1", **place)

    page = visit(Role.READ).get("/page/?kiosk&station=PRISMA_1").text

    coming = page[page.index('id="next"') : page.index('id="running"')]
    assert "Tremblay" in coming
    assert "Hansen" not in coming
