"""Items that were read before are kept until their row changes, whoever changes it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.bookable import NOW

from pylantir.worklist import finder
from pylantir.worklist.cache import ItemCache
from pylantir.worklist.database import Database
from pylantir.worklist.item import change_item, make_item
from pylantir.worklist.query import WorklistQuery
from pylantir.worklist.schema import prepare
from pylantir.worklist.store import ItemStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ItemStore]:
    database = Database(str(tmp_path / "worklist.db"))
    prepare(database, now=NOW)
    store = ItemStore(database)
    for number in range(5):
        values = {
            "patient_name": f"Doe^{number}",
            "patient_id": f"P{number}",
            "modality": "MR",
            "start_date": "2026-03-02",
            "start_time": f"1{number}:00",
        }
        store.add(make_item(values, data_source="s", source_record_id=str(number)))
    yield store
    database.close()


def names(store: ItemStore) -> list[str]:
    return [item.patient_name for item in store.find(WorklistQuery())]


def test_an_unchanged_item_is_read_once(store: ItemStore) -> None:
    first, second = store.find(WorklistQuery()), store.find(WorklistQuery())
    assert all(one is other for one, other in zip(first, second, strict=True))


def test_a_changed_item_is_read_again_and_the_others_are_not(store: ItemStore) -> None:
    before = store.find(WorklistQuery())
    store.replace(change_item(before[2], {"patient_name": "Roe^2"}))
    after = store.find(WorklistQuery())
    assert after[2].patient_name == "Roe^2"
    assert [one is other for one, other in zip(before, after, strict=True)].count(False) == 1


def test_what_another_process_changes_is_seen_at_once(store: ItemStore) -> None:
    assert names(store)[0] == "Doe^0"
    assert store.database.path is not None
    other = ItemStore(Database(str(store.database.path)))
    item = other.find(WorklistQuery())[0]
    other.replace(change_item(item, {"patient_name": "Elsewhere^0"}))
    assert names(store)[0] == "Elsewhere^0"
    with closing(sqlite3.connect(store.database.path)) as foreign, foreign:
        foreign.execute("UPDATE worklist_items SET patient_name = 'Foreign^1' WHERE id = 2")
    assert names(store)[1] == "Foreign^1"
    other.database.close()


def test_more_items_than_are_kept_are_all_answered(
    store: ItemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store._finder, "_cache", ItemCache(limit=3))
    monkeypatch.setattr(finder, "_BEGINNING", 2)
    monkeypatch.setattr(finder, "_PART", 2)
    assert names(store) == names(store) == [f"Doe^{number}" for number in range(5)]


def test_a_cache_keeps_no_more_than_its_limit(store: ItemStore) -> None:
    items = store.find(WorklistQuery())
    places = [(item.item_id or 0, item.version) for item in items]
    small = ItemCache(limit=3)
    small.keep(items[:2])
    assert len(small.known(places)) == 2
    small.keep(items[2:4])
    assert set(small.known(places).values()) == set(items[2:4])
    small.keep(items)
    assert len(small.known(places)) <= 3
