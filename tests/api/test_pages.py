"""Pages of the worklist are what the store finds, whatever is kept and whoever changes what."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.worklist.bookings import DAY, booking

from pylantir.api.listing import ListParameters, in_order, query_of
from pylantir.api.pages import Pages
from pylantir.config.schema import Config
from pylantir.daemon import Worklist, open_worklist
from pylantir.worklist import whole
from pylantir.worklist.query import WorklistQuery
from pylantir.worklist.status import ItemStatus
from pylantir.worklist.whole import WholeList

NAMES = ("Doe^Jane", "Müller ^ Jörg", "Straße^Ina", "DOE^john", "Ōta^Yuki", "O'Neil^", "山田^太郎")
ASKED: tuple[dict[str, object], ...] = (
    {},
    {"status": ["any"]},
    {"status": ["COMPLETED", "ARRIVED"]},
    {"q": "doe"},
    {"q": "muller j"},
    {"q": "strasse"},
    {"q": "pid-1"},
    {"patient": "doe"},
    {"patient": "*o?n*"},
    {"patient": "müller^j*"},
    {"patient": "straße"},
    {"patient": "=x*"},
    {"patient": "*"},
    {"patient": "pid-7"},
    {"patient_id": "D-1"},
    {"station": ["MR1"]},
    {"modality": ["CT"], "status": ["any"]},
    {"source": ["other"]},
    {"date": "2025-07-08"},
    {"date_from": "2025-07-08", "status": ["any"]},
    {"status": ["any"], "sort": "patient_name"},
    {"status": ["any"], "sort": "-patient_name"},
    {"status": ["any"], "sort": "-scheduled_start"},
)


@pytest.fixture
def worklist(tmp_path: Path) -> Iterator[Worklist]:
    with closing(open_worklist(Config(db_path=str(tmp_path / "worklist.db")))) as made:
        chance = random.Random(4)
        made.items.put(
            [
                booking(
                    str(number),
                    source=chance.choice(["test", "other"]),
                    patient_name=chance.choice(NAMES),
                    modality=chance.choice(["MR", "CT"]),
                    scheduled_station_ae_title=chance.choice(["MR1", "MR2", ""]),
                    scheduled_procedure_step_start_date=DAY.replace(day=chance.choice([7, 8, 9])),
                    scheduled_procedure_step_start_time=chance.choice(
                        ["08:30", "08:30:15", "11:00"]
                    ),
                )
                for number in range(40)
            ]
        )
        yield made


def numbers_of(pages: Pages, asked: dict[str, object]) -> list[int | None]:
    parameters = ListParameters.model_validate(asked)
    found = pages.page(query_of(parameters, DAY), parameters.sort, 0, 1000)
    return [item.item_id for item in found.items]


def found_by(worklist: Worklist, asked: dict[str, object]) -> list[int | None]:
    parameters = ListParameters.model_validate(asked)
    found = worklist.items.find(query_of(parameters, DAY))
    return [item.item_id for item in in_order(found, parameters.sort)]


def assert_same(worklist: Worklist, pages: Pages) -> None:
    for asked in ASKED:
        assert numbers_of(pages, asked) == found_by(worklist, asked), asked


def test_a_page_is_what_the_store_finds(worklist: Worklist) -> None:
    assert_same(worklist, Pages(worklist.items))


def test_it_stays_so_through_every_kind_of_change(worklist: Worklist) -> None:
    """By this process, by another, by a program that knows nothing of versions, and by deletion."""
    pages, items = Pages(worklist.items), worklist.items
    path = worklist.database.path
    assert path is not None
    assert_same(worklist, pages)
    items.add(booking("new", scheduled_procedure_step_start_time="08:45"))
    assert_same(worklist, pages)
    items.set_status(3, ItemStatus.CANCELLED)
    items.replace(replace(items.get(5), patient_name="Aaa^Aaa"))
    items.replace(replace(items.get(6), scheduled_procedure_step_start_date=DAY.replace(day=20)))
    assert_same(worklist, pages)
    for statement in (
        "UPDATE worklist_items SET patient_name = 'Foreign^Name' WHERE id = 7",
        "UPDATE worklist_items SET scheduled_start_date = 'someday' WHERE id = 8",
        "UPDATE worklist_items SET scheduled_start_date = '2025-07-09' WHERE id = 8",
        "DELETE FROM worklist_items WHERE id = 9",
        "DELETE FROM worklist_items WHERE id > 30",
        "INSERT INTO worklist_items (patient_name, patient_id, modality, scheduled_start_date, "
        "scheduled_start_time) VALUES ('Late^Comer', 'L1', 'MR', '2025-07-08', '07:00')",
        "DELETE FROM worklist_items",
    ):
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(statement)
        assert_same(worklist, pages)


def test_many_changes_at_once_are_read_with_everything_else(
    worklist: Worklist, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = Pages(worklist.items)
    assert_same(worklist, pages)
    monkeypatch.setattr(whole, "_MOST_CHANGES", 3)
    for number in range(1, 12):
        worklist.items.set_status(number, ItemStatus.ARRIVED)

    assert_same(worklist, pages)


def test_one_change_is_one_row_to_read(worklist: Worklist) -> None:
    kept = WholeList(worklist.database)
    before = kept.items()
    assert before is not None
    worklist.items.set_status(3, ItemStatus.ARRIVED)

    after = kept.items()

    assert after is not None
    assert after is not before, "who holds the old one sees no change"
    assert sum(new is not old for new, old in zip(after, before, strict=True)) == 1
    assert kept.items() is after
    assert after == worklist.items.find(WorklistQuery())


def test_of_a_long_worklist_nothing_is_kept(worklist: Worklist) -> None:
    assert WholeList(worklist.database, limit=39).items() is None
    assert WholeList(worklist.database, limit=40).items() is not None


def test_a_long_worklist_is_answered_by_the_store(
    worklist: Worklist, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = Pages(worklist.items)
    monkeypatch.setattr(pages._whole, "_limit", 10)

    assert_same(worklist, pages)
