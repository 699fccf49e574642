"""What is sent again is what would be sent now: byte for byte, whoever changed what."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pynetdicom.dsutils import encode
from tests.dicom.test_encoder import CHARACTER_SETS, ENCODINGS, return_keys
from tests.worklist.any_item import any_items
from tests.worklist.bookings import NOW, booking
from tests.worklist.test_query_property import queries, query_of

from pylantir.dicom import kept
from pylantir.dicom.charsets import ASCII
from pylantir.dicom.datasets import response_identifier
from pylantir.dicom.identifiers import whole_item
from pylantir.dicom.kept import Alike, KeptAnswers
from pylantir.dicom.stream import Cut
from pylantir.worklist.database import Database
from pylantir.worklist.item import WorklistItem, change_item
from pylantir.worklist.query import WorklistQuery
from pylantir.worklist.schema import prepare
from pylantir.worklist.store import ItemStore

EVERYTHING = WorklistQuery()
PLAIN = Alike(whole_item(), ENCODINGS[0], "MR1", ASCII, ASCII, Cut(3, 16378))

kinds = st.builds(
    Alike,
    asked=return_keys(),
    encoding=st.sampled_from(ENCODINGS),
    station=st.sampled_from(["", "MR1"]),
    character_set=st.sampled_from(CHARACTER_SETS),
    preferred=st.sampled_from(CHARACTER_SETS),
    cut=st.builds(Cut, st.sampled_from([1, 3]), st.sampled_from([58, 16378])),
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kept") / "worklist.db"
    database = Database(str(path))
    prepare(database, now=NOW)
    database.close()
    return path


@pytest.fixture
def store(path: Path, tmp_path: Path) -> Iterator[ItemStore]:
    shutil.copy(path, tmp_path / "worklist.db")
    database = Database(str(tmp_path / "worklist.db"))
    yield ItemStore(database, now=lambda: NOW)
    database.close()


def plain(items: list[WorklistItem], alike: Alike) -> list[bytes]:
    """The answer made item by item with pydicom, nothing kept."""
    encoding = alike.encoding
    answer = []
    for item in items:
        ds = response_identifier(
            item,
            alike.asked,
            station=alike.station,
            character_set=alike.character_set,
            preferred=alike.preferred,
        )
        encoded = encode(ds, encoding.implicit_vr, encoding.little_endian)
        assert encoded is not None
        answer.append(alike.cut.data(encoded))
    return answer


def told(
    answers: KeptAnswers, query: WorklistQuery = EVERYTHING, alike: Alike = PLAIN
) -> list[bytes]:
    whole = answers.whole(query, alike)
    return list(chain.from_iterable(answers.parts(query, alike))) if whole is None else whole


def put_all(store: ItemStore, items: list[WorklistItem]) -> None:
    with store.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM worklist_items")
    store.put([replace(i, data_source="s", source_record_id=str(n)) for n, i in enumerate(items)])


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    items=st.lists(any_items(), min_size=1, max_size=4, unique_by=lambda i: i.study_instance_uid),
    more=any_items(),
    asked=st.lists(queries, min_size=1, max_size=3),
    alike=kinds,
)
def test_every_answer_is_that_of_the_plain_path_first_again_and_after_a_change(
    store: ItemStore,
    items: list[WorklistItem],
    more: WorklistItem,
    asked: list[dict[str, Any]],
    alike: Alike,
) -> None:
    answers = KeptAnswers(store)
    put_all(store, items)
    wanted = [EVERYTHING, *map(query_of, asked)]

    def check() -> None:
        everything = ItemStore(store.database, now=lambda: NOW).find(EVERYTHING)
        for query in wanted:
            expected = plain([item for item in everything if query.matches(item)], alike)
            assert told(answers, query, alike) == expected
            assert told(answers, query, alike) == expected

    check()
    store.put([replace(more, data_source="s", source_record_id="0")])
    check()
    with closing(sqlite3.connect(store.database.path or "")) as foreign, foreign:
        foreign.execute("UPDATE worklist_items SET patient_name = 'Foreign^Hand'")
    check()


def by_ourselves(store: ItemStore) -> None:
    store.replace(change_item(store.find(EVERYTHING)[0], {"patient_name": "Roe^Jo"}))


def by_another_process(store: ItemStore) -> None:
    other = ItemStore(Database(str(store.database.path)))
    by_ourselves(other)
    other.database.close()


def by_another_program(store: ItemStore) -> None:
    with closing(sqlite3.connect(store.database.path or "")) as foreign, foreign:
        foreign.execute("UPDATE worklist_items SET patient_name = 'Roe^Jo' WHERE id = 1")


def by_restoring_a_copy(store: ItemStore) -> None:
    """The copy was changed as often as the original, otherwise."""
    path = store.database.path
    assert path is not None
    store.database.close()
    with closing(sqlite3.connect(path)) as copy, copy:
        version = copy.execute("SELECT version FROM worklist_items WHERE id = 1").fetchone()
        copy.execute("UPDATE worklist_items SET patient_name = 'Roe^Jo' WHERE id = 1")
        copy.execute("UPDATE changes SET version = ?", version)
        copy.execute("UPDATE worklist_items SET version = ? WHERE id = 1", version)
    store.database.reopen()


@pytest.mark.parametrize(
    "change", [by_ourselves, by_another_process, by_another_program, by_restoring_a_copy]
)
def test_a_change_is_told_in_the_very_next_answer(
    store: ItemStore, change: Callable[[ItemStore], None]
) -> None:
    store.put([booking("1", patient_name="Doe^Jo"), booking("2")])
    answers = KeptAnswers(store)
    for _ in range(3):
        assert b"Doe^Jo" in told(answers)[0]

    change(store)

    assert b"Roe^Jo" in told(answers)[0]
    assert b"Doe^Jo" not in b"".join(told(answers))


def test_without_a_commit_a_whole_answer_is_not_asked_of_the_database_again(
    store: ItemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put([booking("1"), booking("2")])
    answers = KeptAnswers(store)
    first = told(answers)
    monkeypatch.setattr(store, "parts", lambda query: pytest.fail("asked again"))

    assert told(answers) == first


def test_after_a_commit_only_what_changed_is_encoded_again(store: ItemStore) -> None:
    store.put([booking("1"), booking("2")])
    answers = KeptAnswers(store)
    before = told(answers)
    store.put([booking("2", patient_name="Roe^Jo")])
    after = told(answers)

    assert after[0] is before[0]
    assert after[1] != before[1]


def test_what_changes_while_it_is_told_is_not_kept(store: ItemStore) -> None:
    store.put([booking(str(n), start_time=f"{8 + n // 10}:0{n % 10}") for n in range(40)])
    answers = KeptAnswers(store)
    parts = answers.parts(EVERYTHING, PLAIN)
    next(parts)
    store.put([booking("0", start_time="23:00")])
    list(parts)

    assert told(answers) == plain(store.find(EVERYTHING), PLAIN)


def test_rows_that_nobody_could_check_are_looked_for_again(
    store: ItemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that could not be written is asked again, though nobody has committed."""
    from pylantir.errors import DatabaseUnavailable

    store.put([booking("1"), booking("2")])
    by_another_program(store)

    def fails() -> int:
        raise DatabaseUnavailable("the database cannot be written")

    answers = KeptAnswers(store)
    with monkeypatch.context() as patched:
        patched.setattr(store, "check_foreign_rows", fails)
        assert len(told(answers)) == 1
    assert len(told(answers)) == 2


def test_items_that_are_not_stored_are_never_taken_for_each_other(store: ItemStore) -> None:
    one, other = (booking(number) for number in "12")
    kind = kept._AnswersAlike(PLAIN)

    assert kind._answer(one) != kind._answer(other)


def test_no_more_is_kept_than_is_said(store: ItemStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MAX_ANSWERS", 10)
    monkeypatch.setattr(kept, "_MAX_ANSWERS_ALIKE", 3)
    store.put([booking(str(n)) for n in range(4)])
    answers = KeptAnswers(store)
    few = [WorklistQuery(limit=2, offset=offset) for offset in range(3)]
    for title in ("MR1", "MR2", "MR3"):
        alike = replace(PLAIN, station=title)
        for query in (EVERYTHING, *few) * 2:
            assert told(answers, query, alike) == plain(store.find(query), alike)

    kinds = answers._kinds.values()
    assert all(len(kind._answers) <= 3 for kind in kinds)
    assert all(sum(map(len, kind._whole[1].values())) <= 3 for kind in kinds)
    assert sum(map(len, kinds)) <= 10


def test_many_kinds_of_requests_do_not_add_up(store: ItemStore) -> None:
    """Whoever sends another set of keys each time, and finds nothing, fills no memory."""
    answers = KeptAnswers(store)
    for number in range(100):
        told(answers, alike=replace(PLAIN, station=str(number)))

    assert len(answers._kinds) <= kept._MAX_KINDS
