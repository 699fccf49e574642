"""Which items ``query-db`` and ``export`` mean."""

from __future__ import annotations

import argparse
import datetime as dt
from pathlib import Path

import pytest
from tests.worklist.bookings import NOW, booking

from pylantir.cli.filters import add_filters, query_of
from pylantir.errors import InvalidQuery
from pylantir.worklist.database import Database
from pylantir.worklist.schema import prepare
from pylantir.worklist.store import ItemStore

TODAY = dt.date(2025, 7, 7)
STATION, DAY = "scheduled_station_ae_title", "scheduled_procedure_step_start_date"
BOOKINGS = (
    booking("1", patient_name="García^José", patient_id="SUB001", accession_number="A-17"),
    booking("2", patient_name="GARCIA LOPEZ^ANA", patient_id="SUB002", status="COMPLETED"),
    booking("3", patient_id="garcia", modality="CT", **{DAY: "2025-07-08", STATION: "CT1"}),
    booking("4", patient_id="SUB004", **{DAY: "2025-07-06", STATION: "MR2\\MR3"}),
    booking("5", patient_id="SUB005", status="CANCELLED", **{DAY: "2025-07-10", STATION: ""}),
)


def parsed(*argv: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_filters(parser)
    return parser.parse_args(argv)


def found(*argv: str) -> str:
    """Records that the filters leave."""
    query = query_of(parsed(*argv), TODAY)
    return "".join(item.source_record_id for item in BOOKINGS if query.matches(item))


CASES = [
    ((), "12345"),
    (("--date", "any"), "12345"),
    (("--date", "today"), "12"),
    (("--date", "TOMORROW"), "3"),
    (("--date", "yesterday"), "4"),
    (("--date", "today+3"), "5"),
    (("--date", "today-1"), "4"),
    (("--date", "2025-07-08"), "3"),
    (("--date", "20250708"), "3"),
    (("--date", "2025-07-06..2025-07-07"), "124"),
    (("--date", "today..today+1"), "123"),
    (("--date", "2025-07-08.."), "35"),
    (("--date", ".. today"), "124"),
    (("--date", ".."), "12345"),
    (("--status", "completed"), "2"),
    (("--status", "COMPLETED", "--status", "canceled"), "25"),
    (("--patient", "SUB001"), "1"),
    (("--patient", "sub*"), "1245"),
    (("--patient", "garcia"), "13"),
    (("--patient", "GARCÍA*"), "123"),
    (("--patient", "garcia^jose"), "1"),
    (("--patient", "garcia^j?se"), "1"),
    (("--patient", "nobody"), ""),
    (("--station", "CT1"), "35"),
    (("--station", "MR3", "--date", "yesterday"), "4"),
    (("--station", "MR?", "--modality", "MR"), "1245"),
    (("--modality", "ct"), "3"),
    (("--modality", "CT", "--modality", "MR"), "12345"),
    (("--accession", "A-17"), "1"),
    (("--accession", "A-*"), "1"),
    (("--accession", "a-17"), ""),
    (("--modality", "MR", "--status", "SCHEDULED", "--date", "today"), "1"),
]


@pytest.mark.parametrize(("argv", "records"), CASES)
def test_filters_leave_what_they_say(argv: tuple[str, ...], records: str) -> None:
    assert found(*argv) == records


def test_the_store_agrees_with_every_filter(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "worklist.db"))
    prepare(database, now=NOW)
    items = ItemStore(database)
    items.put(BOOKINGS)
    for argv, records in CASES:
        answer = items.find(query_of(parsed(*argv), TODAY))
        assert "".join(sorted(item.source_record_id for item in answer)) == records, argv
    database.close()


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (("--date", "soon"), "--date: expected today, tomorrow, today+3, YYYY-MM-DD"),
        (("--date", "2025-02-30"), "--date: expected today"),
        (("--date", "today+99999"), "--date: expected today"),
        (("--date", "2025-07-08..2025-07-07"), "--date: expected a range that ends after"),
        (("--date", "today..soon"), "got 'soon'"),
        (("--status", "DONE"), "--status: expected one of SCHEDULED, ARRIVED"),
    ],
)
def test_a_filter_without_meaning_says_what_has_one(argv: tuple[str, ...], told: str) -> None:
    with pytest.raises(InvalidQuery) as raised:
        query_of(parsed(*argv), TODAY)
    assert told in str(raised.value)


@pytest.mark.parametrize("limit", ["0", "-1", "many", "²"])
def test_a_limit_is_a_number_of_items(limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parsed(f"--limit={limit}")
    assert "expected a number of items" in capsys.readouterr().err


def test_a_limit_limits_unless_all_are_asked() -> None:
    assert query_of(parsed("--limit", "2"), TODAY).limit == 2
    assert query_of(parsed("--limit", "2", "--all"), TODAY).limit is None
    assert query_of(parsed(), TODAY).limit is None


def test_a_day_at_the_end_of_the_calendar_is_no_accident() -> None:
    with pytest.raises(InvalidQuery):
        query_of(parsed("--date", "tomorrow"), dt.date.max)
