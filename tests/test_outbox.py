"""What scanners did goes back to the sources that want to know, through restarts and refusals."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.bookable import NOW, BookableSource, MovableClock, booking
from tests.worklist.bookings import begun

from pylantir.config.schema import Config, DataSource
from pylantir.errors import SourceUnavailable
from pylantir.polling import SourcePoller, settings_for
from pylantir.sources import register_source
from pylantir.worklist.database import Database
from pylantir.worklist.outbox import Outbox, PerformedReport
from pylantir.worklist.query import WorklistQuery
from pylantir.worklist.schema import prepare
from pylantir.worklist.sources import SourceStore
from pylantir.worklist.status import StepStatus
from pylantir.worklist.steps import StepStore
from pylantir.worklist.store import ItemStore
from pylantir.worklist.values import Code

SERIES = {
    "00400340": {
        "vr": "SQ",
        "Value": [
            {"00081070": {"vr": "PN", "Value": [{"Alphabetic": "Tech^Terry"}]}},
            {"00081070": {"vr": "PN"}},
        ],
    }
}


class Listening(BookableSource):
    """A source that wants to know what scanners did."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[PerformedReport] = []
        self.deaf = False
        self.defect: Exception | None = None
        self.not_taken: dict[str, str] = {}
        self.while_sending: Callable[[], None] | None = None

    def write_back(self, reports: Sequence[PerformedReport]) -> dict[PerformedReport, str]:
        meanwhile, self.while_sending = self.while_sending, None
        if meanwhile is not None:
            meanwhile()
        if self.deaf:
            raise SourceUnavailable("not now")
        if self.defect is not None:
            raise self.defect
        refused = {r: self.not_taken[r.record_id] for r in reports if r.record_id in self.not_taken}
        self.heard += [each for each in reports if each not in refused]
        return refused


@dataclass
class Room:
    database: Database
    source: Listening
    clock: MovableClock
    wanted: bool = True

    def poller(self) -> SourcePoller:
        register_source("listening", lambda _: self.source)
        config = {"write_back": {"status": "x"}} if self.wanted else {}
        entry = DataSource(name="book", type="listening", config=config)
        settings = settings_for(entry, Config(db_path="x.db"), {}, self.clock)
        return SourcePoller(entry, settings, self.database, self.clock)

    def steps(self) -> StepStore:
        report_to = ["book"] if self.wanted else []
        return StepStore(self.database, report_to=report_to, now=self.clock.now)

    def begin(self) -> str:
        (item,) = ItemStore(self.database).find(WorklistQuery())
        step = begun(item, dt.datetime(2026, 3, 2, 10, 1, 5), sop_instance_uid="2.25.7")
        self.steps().create(step)
        return step.sop_instance_uid

    def end(self, uid: str, reason: Code | None = None) -> None:
        status = StepStatus.DISCONTINUED if reason else StepStatus.COMPLETED
        ended = dt.datetime(2026, 3, 2, 10, 53)
        self.steps().update(
            uid,
            lambda step: replace(
                step,
                status=status,
                ended=ended,
                attributes={**step.attributes, **SERIES},
                discontinuation_reason=reason,
            ),
        )


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    database = Database(str(tmp_path / "worklist.db"))
    prepare(database, now=NOW)
    room = Room(database, Listening(), MovableClock())
    room.source.records = [booking("41/t1/mri/1")]
    yield room
    database.close()


def test_a_report_is_sent_in_the_round_after_the_scan(room: Room) -> None:
    room.poller().round()
    room.end(room.begin())
    room.poller().round()
    (report,) = room.source.heard
    assert report.record_id == "41/t1/mri/1"
    assert (report.status, report.station) == ("COMPLETED", "MR1")
    assert (report.started, report.ended) == ("2026-03-02 10:01:05", "2026-03-02 10:53:00")
    assert (report.operator, report.series_count) == ("Tech^Terry", 2)


def test_only_the_newest_report_of_a_step_waits(room: Room) -> None:
    room.poller().round()
    uid = room.begin()
    assert Outbox(room.database).waiting() == {"book": 1}
    room.end(uid)
    assert Outbox(room.database).waiting() == {"book": 1}


def test_a_report_is_sent_once(room: Room) -> None:
    room.poller().round()
    room.end(room.begin())
    for _ in range(3):
        room.poller().round()
    assert len(room.source.heard) == 1
    assert Outbox(room.database).waiting() == {}


def test_a_scan_that_ends_while_its_beginning_is_being_sent_is_reported_too(room: Room) -> None:
    room.poller().round()
    uid = room.begin()
    room.source.while_sending = lambda: room.end(uid)
    room.poller().round()
    assert Outbox(room.database).waiting() == {"book": 1}
    room.poller().round()
    assert [report.status for report in room.source.heard] == ["IN PROGRESS", "COMPLETED"]
    assert Outbox(room.database).waiting() == {}


def test_a_scan_that_ends_while_its_beginning_is_refused_is_reported_at_once(room: Room) -> None:
    room.poller().round()
    uid = room.begin()
    room.source.while_sending = lambda: room.end(uid)
    room.source.deaf = True
    room.poller().round()
    room.source.deaf = False
    room.poller().round()
    assert [report.status for report in room.source.heard] == ["COMPLETED"]


def test_a_source_that_does_not_take_it_is_asked_again_later(room: Room) -> None:
    asked = room.poller()
    asked.round()
    room.end(room.begin())
    room.source.deaf = True
    asked.round()
    room.source.deaf = False
    asked.round()
    assert room.source.heard == []  # not yet due
    room.clock.instant += dt.timedelta(minutes=2)
    asked.round()
    assert len(room.source.heard) == 1


def test_bookings_go_on_arriving_when_a_defect_keeps_reports_from_leaving(room: Room) -> None:
    asked = room.poller()
    asked.round()
    room.end(room.begin())
    room.source.defect = ZeroDivisionError("a patient's name")
    room.source.records.append(booking("42/t1/mri/1"))
    asked.round()
    assert len(ItemStore(room.database).find(WorklistQuery())) == 2
    state = SourceStore(room.database).state("book")
    assert (state.failures, state.last_error) == (0, "")
    assert Outbox(room.database).waiting() == {"book": 1}


def test_a_report_survives_a_restart(room: Room) -> None:
    room.poller().round()
    room.end(room.begin())
    assert room.database.path is not None
    room.database.close()
    room.database = Database(str(room.database.path))
    room.poller().round()
    assert len(room.source.heard) == 1


def test_a_wrongly_picked_entry_is_reported_as_scheduled_again(room: Room) -> None:
    room.poller().round()
    room.end(room.begin(), Code("110514", "DCM"))
    room.poller().round()
    assert room.source.heard[-1].status == "SCHEDULED"


def test_nothing_is_reported_unless_the_site_wants_it(room: Room) -> None:
    room.wanted = False
    room.poller().round()
    room.end(room.begin())
    room.poller().round()
    assert room.source.heard == []
    assert Outbox(room.database).waiting() == {}


def test_what_a_source_would_not_take_waits_with_its_reason_and_keeps_no_other(room: Room) -> None:
    asked = room.poller()
    asked.round()
    room.end(room.begin())
    room.source.not_taken = {"41/t1/mri/1": "the record is locked"}
    with room.database.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO outbox (source, record_id, sop_instance_uid, created_at,"
            " payload, attempts, next_attempt, last_error)"
            " SELECT source, '42/t1/mri/1', '2.25.9', created_at,"
            " replace(payload, '41/t1', '42/t1'), 0, next_attempt, '' FROM outbox"
        )
    asked.round()
    assert [report.record_id for report in room.source.heard] == ["42/t1/mri/1"]
    (words,) = Outbox(room.database).troubles().values()
    assert words == "reports of performed steps not taken, 1 wait: the record is locked"
    room.source.not_taken = {}
    room.clock.instant += dt.timedelta(minutes=2)
    asked.round()
    assert (len(room.source.heard), Outbox(room.database).troubles()) == (2, {})
