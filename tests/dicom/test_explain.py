"""Why is my participant not on the scanner's list, asked after a real query of a real scanner."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pylantir.config.schema import Config
from pylantir.daemon import Daemon, open_worklist
from pylantir.dicom import scu
from pylantir.dicom.explain import Explanation, explain, scanners
from pylantir.worklist.item import WorklistItem, make_item
from pylantir.worklist.status import ItemStatus


class Room:
    """A daemon, a scanner that asks it, and what can be explained afterwards."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        values = {"db_path": str(folder / "worklist.db"), "ip": "127.0.0.1", "port": 0, **settings}
        self.daemon = Daemon(open_worklist(Config(**values)))
        self.daemon.start()
        self.worklist = self.daemon.worklist

    def book(self, **values: Any) -> WorklistItem:
        usual = {
            "patient_name": "Doe^Jane",
            "patient_id": "sub_001",
            "modality": "MR",
            "scheduled_start_date": self.worklist.clock.today(),
            "scheduled_start_time": "09:30",
        }
        record = str(self.worklist.items.count())
        made = make_item({**usual, **values}, data_source="manual", source_record_id=record)
        return self.worklist.items.add(made)

    def ask(self, calling: str, **keys: str) -> int:
        """Ask as a scanner would; returns how many items it was shown."""
        peer = replace(self.daemon.peer, calling_ae_title=calling)
        result = scu.find(peer, scu.build_identifier(keys))
        assert result.status.is_success
        return len(result.items)

    def explain(self, item: WorklistItem, ae_title: str) -> Explanation:
        """After what has been asked is written."""
        worklist = self.worklist
        worklist.journal.stop()
        worklist.journal.start()
        today = worklist.clock.today()
        return explain(worklist.config, worklist.items, worklist.journal, item, ae_title, today)


MakeRoom = Callable[..., Room]


@pytest.fixture
def make_room(tmp_path: Path) -> Iterator[MakeRoom]:
    made: list[Room] = []

    def make(**settings: Any) -> Room:
        made.append(Room(tmp_path, **settings))
        return made[-1]

    yield make
    for room in made:
        room.daemon.stop()


def test_a_booking_that_the_scanner_was_shown_is_shown(make_room: MakeRoom) -> None:
    room = make_room()
    item = room.book()
    assert room.ask("PRISMA_1", Modality="MR") == 1

    found = room.explain(item, "PRISMA_1")

    assert found.shown is True
    assert found.summary.startswith("shown: ")
    assert [each.what for each in found.findings] == ["hidden_statuses", "Modality"]
    assert [(each.asked, each.found, each.fits) for each in found.queries] == [
        (("Modality = MR",), 1, True)
    ]


@pytest.mark.parametrize(
    ("keys", "settings", "values", "what"),
    [
        ({"Modality": "CT"}, {}, {}, "Modality"),
        ({"ScheduledStationAETitle": "X"}, {}, {"station_aet": "Y"}, "ScheduledStationAETitle"),
        (
            {"ScheduledProcedureStepStartDate": "19990101"},
            {},
            {},
            "ScheduledProcedureStepStartDate",
        ),
        ({"PatientID": "somebody else"}, {}, {}, "PatientID"),
        ({"PatientName": "Meier^Eva"}, {}, {}, "PatientName"),
        ({}, {}, {"status": "COMPLETED"}, "hidden_statuses"),
        ({}, {"days_ahead": 1}, {"start_date": "2999-01-01"}, "days_back and days_ahead"),
        (
            {},
            {"scanners": [{"ae_title": "PRISMA_1", "modalities": ["CT"]}]},
            {},
            "scanner profile: modalities",
        ),
        (
            {},
            {"scanners": [{"ae_title": "PRISMA_1", "stations": ["X"]}]},
            {"station_aet": "Y"},
            "scanner profile: stations",
        ),
    ],
)
def test_what_hides_a_booking_is_named(
    make_room: MakeRoom,
    keys: dict[str, str],
    settings: dict[str, Any],
    values: dict[str, Any],
    what: str,
) -> None:
    room = make_room(**settings)
    item = room.book(**values)
    assert room.ask("PRISMA_1", **keys) == 0

    found = room.explain(item, "PRISMA_1")

    assert found.shown is False
    assert [each.what for each in found.findings if each.fits is False] == [what]
    assert what in found.summary


def test_a_pattern_about_a_person_leaves_it_open(make_room: MakeRoom) -> None:
    room = make_room()
    item = room.book()
    room.ask("PRISMA_1", PatientName="DOE*")

    assert room.explain(item, "PRISMA_1").shown is None


def test_a_scanner_that_has_not_asked_is_told_what_to_enter(make_room: MakeRoom) -> None:
    room = make_room(ae_title="WORKLIST")
    item = room.book()

    found = room.explain(item, "PRISMA_1")

    assert found.shown is None
    assert "AE title WORKLIST" in found.summary
    assert found.queries == ()


def test_a_scanner_that_may_not_connect_is_named_first(make_room: MakeRoom) -> None:
    room = make_room(allowed_aet=["SKYRA_2"])
    item = room.book()

    found = room.explain(item, "PRISMA_1")

    assert found.shown is False
    assert found.findings[0].what == "who may connect"
    assert "allowed_aet" in found.findings[0].remedy


def test_a_booking_beyond_the_most_that_a_scanner_gets_is_told_its_place(
    make_room: MakeRoom,
) -> None:
    room = make_room(max_answers=2)
    items = [room.book(scheduled_start_time=f"{9 + number}:00") for number in range(3)]
    assert room.ask("PRISMA_1") == 2

    assert room.explain(items[1], "PRISMA_1").shown is True
    last = room.explain(items[2], "PRISMA_1")
    assert last.shown is False
    assert last.findings[-1].has == "place 3 of 3"


def test_the_newest_query_decides_and_the_others_are_listed(make_room: MakeRoom) -> None:
    room = make_room()
    item = room.book()
    for modality in ("MR", "CT", "US"):
        room.ask("PRISMA_1", Modality=modality)
    room.ask("SKYRA_2", Modality="MR")

    found = room.explain(item, "PRISMA_1")

    assert found.shown is False
    assert [each.fits for each in found.queries] == [False, False, True]


def test_the_status_is_that_of_now(make_room: MakeRoom) -> None:
    room = make_room()
    item = room.book()
    assert room.ask("PRISMA_1") == 1
    done = room.worklist.items.set_status(item.item_id or 0, ItemStatus.COMPLETED)

    assert room.explain(done, "PRISMA_1").shown is False


def test_scanners_are_those_that_are_named_and_those_that_asked(make_room: MakeRoom) -> None:
    room = make_room(scanners=[{"ae_title": "PRISMA_1"}])
    room.ask("SKYRA_2")
    room.worklist.journal.stop()

    assert scanners(room.worklist.config, room.worklist.journal) == ["PRISMA_1", "SKYRA_2"]
