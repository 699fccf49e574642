"""Calpendo's bookings on the worklist, hour after hour, over a real server and a real database."""

from __future__ import annotations

import datetime as dt
import logging
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests.sources.calpendo_site import Site, at, begin_scan, calpendo_site, ignore_paths

from pylantir.errors import SourceError, SourceRefused, SourceUnavailable
from pylantir.worklist.status import ItemStatus


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with calpendo_site(tmp_path) as made:
        yield made


def test_bookings_appear_once_and_an_unchanged_round_writes_nothing(site: Site) -> None:
    site.book("SUB001_A_B", at(9)), site.book("SUB002_A_B", at(10))
    assert len(site.sync().plan.created) == 2
    before = site.items()
    site.later(minutes=1)
    assert not site.sync().says_something
    assert site.items() == before


@pytest.mark.parametrize("protocol", ["BRAIN_3T", {"792": "BRAIN_3T", "mapping": "GEHC"}, None])
def test_a_protocol_of_any_form_in_the_configuration_costs_no_booking(
    site: Site, protocol: Any
) -> None:
    site.entry = {"protocol": protocol, "site": "792"}
    site.book("SUB001_A_B", at(9))
    site.sync()
    assert site.scheduled() == ["SUB001"]


def test_two_bookings_of_one_person_on_one_day_are_two_items(site: Site) -> None:
    first, second = site.book("SUB001_A_B", at(9)), site.book("SUB001_A_B", at(15))
    site.sync()
    one, other = site.item(first), site.item(second)
    assert (one.start, other.start) == (at(9), at(15))
    assert one.study_instance_uid != other.study_instance_uid


@pytest.mark.parametrize("status", ["Denied", "Requested", "Tentative", "Cancelled"])
def test_a_booking_that_loses_its_approval_is_withdrawn_and_comes_back(
    site: Site, status: str
) -> None:
    booking = site.book("SUB001_A_B", at(9))
    site.sync()
    uid = site.item(booking).study_instance_uid
    site.server.bookings.edit(booking.id, status=status)
    site.sync()
    assert site.item(booking).status is ItemStatus.CANCELLED
    site.server.bookings.edit(booking.id, status="Approved")
    site.sync()
    assert site.item(booking).status is ItemStatus.SCHEDULED
    assert site.item(booking).study_instance_uid == uid


def test_a_cancellation_is_seen_under_a_status_filter(site: Site) -> None:
    site.config = {"status_filter": "Approved"}
    booking = site.book("SUB001_A_B", at(9))
    site.sync()
    site.server.bookings.cancel(booking.id)
    site.sync()
    assert site.scheduled() == []


def test_a_deleted_booking_is_withdrawn_at_once(site: Site) -> None:
    booking = site.book("SUB001_A_B", at(9))
    site.book("SUB002_A_B", at(10))
    site.sync()
    site.server.bookings.delete(booking.id)
    site.sync()
    assert site.item(booking).status is ItemStatus.CANCELLED
    assert site.scheduled() == ["SUB002"]


def test_a_booking_that_moves_to_another_resource_is_withdrawn_at_once(site: Site) -> None:
    booking = site.book("SUB001_A_B", at(9))
    site.sync()
    site.server.bookings.move(booking.id, resource="9.4T Animal")
    site.sync()
    assert site.scheduled() == []
    site.server.bookings.move(booking.id, resource="3T Diagnostic")
    site.sync()
    assert site.scheduled() == ["SUB001"]


def test_a_booking_that_moves_to_our_other_scanner_keeps_its_row_and_uid(site: Site) -> None:
    site.config = {
        "resources": ["3T Diagnostic", "3T Research"],
        "resource_station_mapping": {"3T Diagnostic": "MR1", "3T Research": "MR2"},
    }
    booking = site.book("SUB001_A_B", at(9))
    site.sync()
    before = site.item(booking)
    site.server.bookings.move(booking.id, resource="3T Research")
    site.sync()
    after = site.item(booking)
    assert (before.scheduled_station_ae_title, after.scheduled_station_ae_title) == (
        ("MR1",),
        ("MR2",),
    )
    assert after.item_id == before.item_id
    assert after.study_instance_uid == before.study_instance_uid


def test_a_booking_that_is_rescheduled_twice_is_one_row_at_the_last_time(site: Site) -> None:
    booking = site.book("SUB001_A_B", at(9))
    site.sync()
    uid = site.item(booking).study_instance_uid
    for hour in (11, 15):
        site.server.bookings.move(booking.id, start=at(hour))
        site.sync()
    assert len(site.items()) == 1
    assert site.item(booking).start == at(15)
    assert site.item(booking).study_instance_uid == uid


@pytest.mark.parametrize("with_paths", [True, False])
def test_a_booking_that_moves_out_of_the_window_goes_and_comes_back_with_its_uid(
    site: Site, with_paths: bool
) -> None:
    if not with_paths:
        ignore_paths(site)
    booking = site.book("SUB001_A_B", at(9))
    site.sync()
    uid = site.item(booking).study_instance_uid
    site.server.bookings.move(booking.id, start=at(9, days=30))
    site.sync()
    assert site.scheduled() == []
    site.server.bookings.move(booking.id, start=at(11))
    site.sync()
    assert site.scheduled() == ["SUB001"]
    assert site.item(booking).start == at(11)
    assert site.item(booking).study_instance_uid == uid


@pytest.mark.parametrize("what", ["cancel", "delete", "move", "deny"])
def test_what_happens_to_a_booking_during_its_scan_does_not_touch_the_scan(
    site: Site, what: str
) -> None:
    booking = site.book("SUB001_A_B", at(9))
    site.sync()
    begin_scan(site, site.item(booking))
    desk = site.server.bookings
    if what == "cancel":
        desk.cancel(booking.id)
    elif what == "delete":
        desk.delete(booking.id)
    elif what == "move":
        desk.move(booking.id, start=at(15))
    else:
        desk.edit(booking.id, status="Denied")
    site.sync()
    item = site.item(booking)
    assert item.status is ItemStatus.IN_PROGRESS
    assert item.start == at(9)


def test_a_listed_booking_that_is_hidden_next_time_stays(site: Site) -> None:
    booking = site.book("SUB001_A_B", at(9))
    site.sync()
    site.server.account.hidden = {"status"}
    report = site.sync()
    assert [r.record_id for r in report.rejected] == [str(booking.id)]
    assert site.scheduled() == ["SUB001"]


def test_a_title_that_can_no_longer_be_read_leaves_the_item_as_it_was(site: Site) -> None:
    booking = site.book("SUB001_A_B", at(9))
    site.sync()
    site.server.bookings.edit(booking.id, title="see me")
    assert len(site.sync().rejected) == 1
    assert site.scheduled() == ["SUB001"]


# --- Failures ---


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"html": "login"}, SourceUnavailable),
        ({"html": "maintenance"}, SourceUnavailable),
        ({"redirect": "/login"}, SourceRefused),
        ({"status": 401}, SourceRefused),
        ({"status": 403}, SourceRefused),
        ({"status": 404}, SourceUnavailable),
        ({"status": 407}, SourceUnavailable),
        ({"status": 500}, SourceUnavailable),
        ({"status": 503}, SourceUnavailable),
        ({"retry_after": "60"}, SourceUnavailable),
        ({"status": 500, "keep_body": True}, SourceUnavailable),
        ({"body": '{"error":"busy"}'}, SourceUnavailable),
        ({"body": "{}"}, SourceUnavailable),
        ({"body": "null"}, SourceUnavailable),
        ({"body": ""}, SourceUnavailable),
        ({"cut": "reset"}, SourceUnavailable),
        ({"truncate_after": 30}, SourceUnavailable),
        ({"gzip_garbage": True}, SourceUnavailable),
        ({"hang": True}, SourceUnavailable),
        ({"drip_s": 0.05}, SourceUnavailable),
    ],
    ids=str,
)
def test_no_failure_of_the_server_empties_or_freezes_the_list(
    site: Site, fault: dict[str, Any], kind: type[SourceError]
) -> None:
    site.config = {"request_timeout": 0.5}
    booking = site.book("SUB001_A_B", at(9))
    site.sync()
    before = site.items()
    site.server.bookings.move(booking.id, start=at(14))
    site.server.fault("*", **fault)
    with pytest.raises(kind):
        site.sync()
    assert site.items() == before
    site.server.faults.clear()
    site.restart()
    site.sync()
    assert site.item(booking).start == at(14)


def test_one_detail_of_fifty_that_fails_withdraws_nothing_and_comes_next_time(site: Site) -> None:
    ignore_paths(site)
    made = [site.book(f"SUB{n:03d}_A_B", at(9)) for n in range(50)]
    fault = site.server.fault(f"*/b/Calpendo.Booking/{made[7].id}", status=500)
    report = site.sync()
    assert len(report.plan.created) == 49
    assert not report.complete
    site.server.faults.remove(fault)
    site.server.fault(f"*/b/Calpendo.Booking/{made[9].id}", status=500)
    report = site.sync()
    assert len(report.plan.created) == 1
    assert report.plan.withdrawn == []
    assert len(site.scheduled()) == 50


def test_a_login_page_in_place_of_every_detail_withdraws_nothing(site: Site) -> None:
    ignore_paths(site)
    site.book("SUB001_A_B", at(9))
    site.sync()
    site.server.fault("detail", html="login")
    with pytest.raises(SourceUnavailable, match="none of 1 bookings"):
        site.sync()
    assert site.scheduled() == ["SUB001"]


def test_a_deletion_that_cannot_be_confirmed_waits(site: Site) -> None:
    booking = site.book("SUB001_A_B", at(9))
    site.sync()
    site.server.bookings.delete(booking.id)
    fault = site.server.fault("detail", status=503)
    site.sync()
    assert site.scheduled() == ["SUB001"]
    site.server.faults.remove(fault)
    site.sync()
    assert site.scheduled() == []


@pytest.mark.parametrize("with_paths", [True, False])
def test_a_proxy_that_answers_404_to_every_booking_withdraws_nothing(
    site: Site, with_paths: bool
) -> None:
    if not with_paths:
        ignore_paths(site)
    made = [site.book(f"SUB{n:03d}_A_B", at(9)) for n in range(8)]
    site.sync()
    site.server.bookings.delete(made[0].id)
    fault = site.server.fault("detail", status=404)
    for _ in range(3):
        if with_paths:
            assert any("answers 404 to others" in note for note in site.sync().notes)
        else:
            with pytest.raises(SourceUnavailable, match="lists a booking that it does not know"):
                site.sync()
        assert len(site.scheduled()) == 8
    site.server.faults.remove(fault)
    site.sync()
    assert site.scheduled() == [f"SUB{n:03d}" for n in range(1, 8)]


def test_a_404_to_a_booking_that_the_list_names_is_no_deletion(site: Site) -> None:
    ignore_paths(site)
    made = [site.book(f"SUB{n:03d}_A_B", at(9)) for n in range(3)]
    site.sync()
    site.server.fault(f"*/b/Calpendo.Booking/{made[1].id}", status=404)
    report = site.sync()
    assert not report.complete
    assert "lists a booking that it does not know" in report.notes[0]
    assert len(site.scheduled()) == 3


def test_the_last_booking_of_all_is_withdrawn_when_its_resource_can_be_read(site: Site) -> None:
    booking = site.book("SUB001_A_B", at(9))
    site.sync()
    site.server.bookings.delete(booking.id)
    fault = site.server.fault("detail/Calpendo.Resource", status=404)
    site.sync()
    assert site.scheduled() == ["SUB001"]
    site.server.faults.remove(fault)
    site.sync()
    assert site.scheduled() == []


@pytest.mark.parametrize("status", [None, 403, 404])
def test_without_anything_that_exists_a_404_counts_when_it_comes_twice(
    site: Site, status: int | None
) -> None:
    booking = site.book("SUB001_A_B", at(9))
    site.sync()
    site.server.bookings.delete(booking.id)
    if status is None:
        site.server.fault("query/Calpendo.Resource", body='{"biskits":[]}')
    else:
        site.server.fault("*/Calpendo.Resource", status=status)
    report = site.sync()
    assert any("withdrawn when it says so twice" in note for note in report.notes)
    assert site.scheduled() == ["SUB001"]
    site.restart()
    assert [reason for _, reason in site.sync().plan.withdrawn] == ["no longer at its source"]
    assert site.scheduled() == []


def test_a_booking_that_was_missing_once_and_came_back_is_not_missing_twice(site: Site) -> None:
    booking = site.book("SUB001_A_B", at(9))
    site.sync()
    site.server.fault("*/Calpendo.Resource", status=404)
    gone = site.server.fault("query", body='{"biskits":[]}')
    missing = site.server.fault("detail", status=404)
    site.sync()
    site.server.faults.remove(gone)
    site.server.faults.remove(missing)
    site.sync()
    site.server.bookings.delete(booking.id)
    site.sync()
    assert site.scheduled() == ["SUB001"]


def test_without_a_witness_most_bookings_do_not_vanish_either(site: Site) -> None:
    for number in range(6):
        site.book(f"SUB{number:03d}_A_B", at(9))
    site.sync()
    site.server.fault("query", body='{"biskits":[]}')
    site.server.fault("detail", status=404)
    for _ in range(3):
        report = site.sync()
    assert report.frozen
    assert len(site.scheduled()) == 6


def test_a_list_that_leaves_a_booking_out_by_mistake_withdraws_nothing(site: Site) -> None:
    site.book("SUB001_A_B", at(9))
    site.sync()
    site.server.fault("query", body='{"biskits":[]}', times=1)
    assert any("the server's list leaves them out" in note for note in site.sync().notes)
    assert site.scheduled() == ["SUB001"]


def test_most_bookings_do_not_vanish_at_once(site: Site) -> None:
    made = [site.book(f"SUB{n:03d}_A_B", at(9)) for n in range(10)]
    site.sync()
    for booking in made[:6]:
        site.server.bookings.delete(booking.id)
    assert site.sync().frozen
    assert len(site.scheduled()) == 10
    site.sync(accept_withdrawals=True)
    assert len(site.scheduled()) == 4


def test_a_list_of_three_days_ago_is_brought_up_to_date_after_a_restart(site: Site) -> None:
    moved = site.book("SUB001_A_B", at(9, days=4))
    gone = site.book("SUB002_A_B", at(10, days=4))
    site.sync()
    site.restart()
    site.server.bookings.move(moved.id, start=at(15, days=4))
    site.server.bookings.delete(gone.id)
    site.later(days=3)
    site.sync()
    assert site.item(moved).start == at(15, days=4)
    assert site.scheduled() == ["SUB001"]


# --- Clocks, secrets ---


@pytest.mark.parametrize("day", [dt.datetime(2026, 3, 7, 12), dt.datetime(2026, 10, 31, 12)])
def test_a_change_of_the_clocks_moves_no_booking(site: Site, day: dt.datetime) -> None:
    site.config = {"timezone": "America/Toronto"}
    site.site_zone = "America/Toronto"
    site.server.clock.set_zone("America/Toronto")
    site.server.clock.set(day)
    made = {
        h: site.book(f"S{h}_A_B", day.replace(hour=h) + dt.timedelta(days=1)) for h in (1, 2, 9)
    }
    site.sync()
    for _ in range(30):
        site.later(hours=1)
        report = site.sync()
        assert not report.plan.changed
        assert not report.plan.withdrawn
    for hour, booking in made.items():
        assert site.item(booking).start == booking.start
        assert site.item(booking).start.hour == hour


def test_a_private_authority_is_trusted_by_the_source_too(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    bundle = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(bundle))
    with calpendo_site(tmp_path, ssl_context=context) as site:
        site.book("SUB001_A_B", at(9))
        with pytest.raises(SourceUnavailable, match="set ca_bundle"):
            site.sync()
        site.restart(ca_bundle=str(bundle))
        site.sync()
        assert site.scheduled() == ["SUB001"]


def test_no_password_and_no_title_is_logged(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.server.account.password = "hunter2-hunter2"
    booking = site.book("SUB001_Lovelace", at(9))
    with caplog.at_level(logging.INFO):
        site.sync()
        site.server.bookings.edit(booking.id, title="a secret remark")
        site.sync()
        site.server.fault("*", status=500)
        with pytest.raises(SourceUnavailable) as caught:
            site.sync()
    for secret in ("hunter2", "Lovelace", "SUB001", "remark"):
        assert secret not in caplog.text
        assert secret not in str(caught.value)
    assert site.server.journal.secrets_in_urls() == []
