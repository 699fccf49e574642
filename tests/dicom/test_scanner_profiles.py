"""What a scanner may see and who may connect: profiles by calling AE title (PS3.8 Table 9-21)."""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.dicom.modality import MPPS, Refused
from tests.dicom.serving import Server, query
from tests.worklist.bookings import DAY, booking

from pylantir.config.schema import Config
from pylantir.dicom.scanners import scanner_for

MakeServer = Callable[..., Server]


def sees(
    server: Server, calling: str, step: dict[str, str] | None = None, **keys: Any
) -> list[str]:
    """Records that a scanner finds."""
    with server.scanner(calling=calling) as scanner:
        answer = scanner.find(query(step, **keys))
    assert answer.status == 0x0000
    return [str(item.PatientID).removeprefix("PID-") for item in answer.items]


def with_profile(make_server: MakeServer, /, **profile: Any) -> Server:
    return make_server(scanners=[{"ae_title": "MR1", **profile}])


# --- What it sees ---


def test_without_profiles_every_scanner_sees_the_same(server: Server) -> None:
    server.book("1")
    server.book("2", modality="CT", scheduled_station_ae_title="CT1")
    assert sees(server, "MR1") == sees(server, "CT1") == sees(server, "NOBODY") == ["1", "2"]


def test_an_empty_profile_changes_nothing(make_server: MakeServer) -> None:
    server = with_profile(make_server)
    server.items.put([booking("1"), booking("2", modality="CT"), booking("3", status="COMPLETED")])
    assert sees(server, "MR1") == sees(server, "OTHER") == ["1", "2"]


def test_a_profile_holds_for_its_calling_ae_title_only(make_server: MakeServer) -> None:
    server = with_profile(make_server, modalities=["MR"])
    server.items.put([booking("1"), booking("2", modality="CT")])
    assert sees(server, "MR1") == ["1"]
    assert sees(server, "CT1") == ["1", "2"]
    assert sees(server, "mr1") == ["1", "2"]


@pytest.mark.parametrize("step", [{}, {"Modality": "CT"}, {"Modality": "*"}])
def test_other_modalities_stay_out_of_sight_whatever_is_asked(
    make_server: MakeServer, step: dict[str, str]
) -> None:
    server = with_profile(make_server, modalities=["MR", "PT"])
    server.items.put([booking("1"), booking("2", modality="CT"), booking("3", modality="PT")])
    expected = [] if step.get("Modality") == "CT" else ["1", "3"]
    assert sees(server, "MR1", step) == expected


def test_a_scanner_sees_its_stations_and_what_names_none(make_server: MakeServer) -> None:
    server = with_profile(make_server, stations=["MR1", "MR2"])
    stations = {"1": "MR1", "2": "MR3\\MR2", "3": "MR3", "4": ""}
    server.items.put([booking(r, scheduled_station_ae_title=s) for r, s in stations.items()])
    assert sees(server, "MR1") == ["1", "2", "4"]
    assert sees(server, "MR1", {"ScheduledStationAETitle": "MR3"}) == ["2", "4"]


def test_a_scanner_sees_its_statuses_hidden_ones_too(make_server: MakeServer) -> None:
    server = with_profile(make_server, statuses=["SCHEDULED", "COMPLETED"])
    for status in ("SCHEDULED", "ARRIVED", "COMPLETED", "CANCELLED"):
        server.book(status, status=status)
    assert sees(server, "MR1") == ["SCHEDULED", "COMPLETED"]
    assert sees(server, "MR1", {"ScheduledProcedureStepStatus": "CANCELED"}) == []
    assert sees(server, "MR2") == ["SCHEDULED", "ARRIVED"]


def book_days(server: Server) -> None:
    """One item on each of five days around today, named by its distance."""
    for days in (-2, -1, 0, 1, 2):
        day = DAY + dt.timedelta(days=days)
        server.book(f"{days:+}", scheduled_procedure_step_start_date=day)


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ({"days_back": 1}, ["-1", "+0", "+1", "+2"]),
        ({"days_ahead": 1}, ["-2", "-1", "+0", "+1"]),
        ({"days_back": 0, "days_ahead": 0}, ["+0"]),
        ({}, ["-2", "-1", "+0", "+1", "+2"]),
    ],
)
def test_a_query_without_a_date_sees_the_days_of_the_window(
    make_server: MakeServer, window: dict[str, int], expected: list[str]
) -> None:
    by_site = make_server(**window)
    book_days(by_site)
    assert sees(by_site, "MR1") == expected
    assert sees(with_profile(make_server, **window), "MR1") == expected


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ({"ScheduledProcedureStepStartDate": "20250709"}, ["+2"]),
        ({"ScheduledProcedureStepStartDate": "20250708-"}, ["+1", "+2"]),
        (
            {
                "ScheduledProcedureStepStartDate": "20250705-20250706",
                "ScheduledProcedureStepStartTime": "0000-2359",
            },
            ["-2", "-1"],
        ),
        ({"ScheduledProcedureStepStartTime": "0000-2359"}, ["+0"]),
    ],
)
def test_a_query_with_a_date_is_not_narrowed(
    make_server: MakeServer, step: dict[str, str], expected: list[str]
) -> None:
    server = with_profile(make_server, days_back=0, days_ahead=0)
    book_days(server)
    assert sees(server, "MR1", step) == expected


def test_a_profile_beats_the_site(make_server: MakeServer) -> None:
    server = make_server(
        days_back=0,
        days_ahead=0,
        max_answers=1,
        response_character_set="ISO_IR 192",
        scanners=[
            {
                "ae_title": "MR1",
                "days_back": 2,
                "days_ahead": 2,
                "max_answers": 3,
                "response_character_set": "ISO_IR 100",
            }
        ],
    )
    book_days(server)
    server.book("+0", patient_name="Müller")
    assert sees(server, "MR1") == ["-2", "-1", "+0"]
    assert sees(server, "MR2") == ["+0"]
    for calling, expected in (("MR1", "ISO_IR 100"), ("MR2", "ISO_IR 192")):
        with server.scanner(calling=calling) as scanner:
            items = scanner.find(query(PatientName="M*")).items
        assert [item.SpecificCharacterSet for item in items] == [expected]


def test_the_maximum_takes_the_first_by_start(make_server: MakeServer) -> None:
    server = with_profile(make_server, max_answers=2)
    book_days(server)
    assert sees(server, "MR1") == ["-2", "-1"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"config": {"mwl_days_ahead": 1}}, ["+0", "+1"]),
        ({"window_mode": "today"}, ["+0"]),
        ({"config": {"window_mode": "today"}}, ["+0"]),
        ({"daily_window": {"start_time": [7, 0], "end_time": [18, 0]}}, ["+0"]),
        ({"config": {"daily_window": {"start_time": [22, 0], "end_time": [6, 0]}}}, ["+0", "+1"]),
        ({"config": {"daily_window": "all day"}}, ["-2", "-1", "+0", "+1", "+2"]),
        ({}, ["-2", "-1", "+0", "+1", "+2"]),
    ],
)
def test_a_source_may_show_its_items_for_some_days_only(
    make_server: MakeServer, settings: dict[str, Any], expected: list[str]
) -> None:
    server = make_server(data_sources=[{"name": "test", "type": "calpendo", **settings}])
    book_days(server)
    server.items.put(
        [booking("by hand", source="other", scheduled_procedure_step_start_date="2025-12-24")]
    )
    assert sees(server, "MR1") == [*expected, "by hand"]
    assert sees(server, "MR1", {"ScheduledProcedureStepStartDate": "20250709"}) == ["+2"]


@pytest.mark.parametrize(
    ("config", "site", "expected"),
    [
        ({"timezone": "Pacific/Auckland"}, None, "+1"),
        ({"timezone": "Pacific/Auckland"}, "UTC", "+0"),
        ({"timezone": "Nowhere/At_All"}, None, "+0"),
        ({"timezone": 7}, None, "+0"),
        ({}, None, "+0"),
    ],
)
def test_today_of_a_source_is_that_of_its_zone_unless_the_site_has_its_own(
    make_server: MakeServer, config: dict[str, Any], site: str | None, expected: str
) -> None:
    """As the days whose bookings it reads: else what it brought would not be shown."""
    entry = {"name": "test", "type": "calpendo", "window_mode": "today", "config": config}
    server = make_server(data_sources=[entry], timezone=site)
    book_days(server)
    assert sees(server, "MR1") == [expected]


def test_a_calpendo_source_without_a_zone_has_the_published_one() -> None:
    config = Config(
        db_path="w.db", data_sources=[{"name": "cal", "type": "calpendo", "window_mode": "today"}]
    )
    scanner = scanner_for(config, "MR1")
    early = dt.datetime(2026, 3, 2, 5, tzinfo=dt.UTC)
    assert scanner.elsewhere(early) == (("America/Edmonton", dt.date(2026, 3, 1)),)
    assert scanner_for(Config(db_path="w.db"), "MR1").elsewhere(early) == ()


# --- Who may connect ---


def test_anybody_may_connect_where_nobody_is_named(server: Server) -> None:
    with server.scanner(calling="ANYBODY", called="ANYTHING") as scanner:
        assert scanner.echo().status == 0x0000


def test_an_unknown_calling_ae_title_is_rejected_by_1_1_3(
    make_server: MakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    server = make_server(allowed_aet=["MR1", "MR2"])
    with server.scanner(calling="MR1") as scanner:
        assert scanner.echo().status == 0x0000
    with caplog.at_level(logging.WARNING), pytest.raises(Refused) as refused:
        server.scanner(calling="MR9").open()
    assert refused.value.args == (1, 1, 3)
    assert "'MR9' refused: calling AE title not recognised" in caplog.text


def test_calling_ae_titles_are_compared_without_padding_and_with_case(
    make_server: MakeServer,
) -> None:
    server = make_server(allowed_aet=[" MR1 "])
    with server.scanner(calling=" MR1") as scanner:
        assert scanner.echo().status == 0x0000
    with pytest.raises(Refused):
        server.scanner(calling="mr1").open()


def test_an_unknown_called_ae_title_is_rejected_by_1_1_7(make_server: MakeServer) -> None:
    server = with_profile(make_server, called_ae_titles=["RIS", "RIS_OLD"])
    for called in ("RIS", "RIS_OLD", " RIS"):
        with server.scanner(called=called) as scanner:
            assert scanner.echo().status == 0x0000
    with pytest.raises(Refused) as refused:
        server.scanner(called="MWL_SERVER").open()
    assert refused.value.args == (1, 1, 7)
    with server.scanner(calling="MR2", called="MWL_SERVER") as scanner:
        assert scanner.echo().status == 0x0000


def test_who_may_not_connect_is_not_told_which_called_title_is_right(
    make_server: MakeServer,
) -> None:
    server = make_server(
        allowed_aet=["MR1"], scanners=[{"ae_title": "MR1", "called_ae_titles": ["RIS"]}]
    )
    with pytest.raises(Refused) as refused:
        server.scanner(calling="MR9", called="RIS").open()
    assert refused.value.args == (1, 1, 3)


def test_a_rejected_scanner_leaves_room_for_others(make_server: MakeServer) -> None:
    server = make_server(allowed_aet=["MR1"], maximum_associations=2)
    for _ in range(6):
        with pytest.raises(Refused):
            server.scanner(calling="MR9").open()
    deadline = time.monotonic() + 5
    while True:  # the threads of the rejected ones end a moment after their connections
        try:
            with server.scanner(calling="MR1") as one, server.scanner(calling="MR1") as two:
                assert one.echo().status == two.echo().status == 0x0000
            return
        except Refused:
            assert time.monotonic() < deadline, "rejected scanners keep their places"


def test_what_is_not_offered_is_answered_context_by_context(server: Server) -> None:
    ct_storage, implicit = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2"
    with server.scanner(proposals=[(ct_storage, [implicit]), (MPPS, [implicit])]) as scanner:
        assert scanner.results[ct_storage][0] == 3  # abstract syntax not supported
        assert scanner.results[MPPS] == (0, implicit)
