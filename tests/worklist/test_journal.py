"""The journal of queries: kept beside the worklist, bounded, and never in anybody's way."""

from __future__ import annotations

import datetime as dt
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pylantir.worklist import journal as room
from pylantir.worklist.attributes import BY_NAME
from pylantir.worklist.journal import QueryJournal
from pylantir.worklist.query import Key, SingleValue, WorklistQuery

NOW = dt.datetime(2026, 11, 21, 10, 0, tzinfo=dt.UTC)
MR = WorklistQuery(keys=(Key(BY_NAME["modality"], SingleValue("MR")),))
JANE = WorklistQuery(keys=(Key(BY_NAME["patient_id"], SingleValue("sub_001")),))


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[QueryJournal]:
    made = QueryJournal(tmp_path / "site" / "worklist.queries.db")
    yield made
    made.close()


def test_queries_come_out_newest_first(journal: QueryJournal) -> None:
    journal.start()
    for number in range(5):
        journal.note(NOW, "PRISMA_1", "192.0.2.1", MR, number)
    journal.note(NOW, "SKYRA_2", "192.0.2.2", JANE, 1)
    journal.stop()

    assert [each.found for each in journal.last("PRISMA_1", 3)] == [4, 3, 2]
    newest = journal.last()[0]
    assert (newest.ae_title, newest.address, newest.at) == ("SKYRA_2", "192.0.2.2", NOW)
    assert [each.ae_title for each in journal.last_of_each()] == ["PRISMA_1", "SKYRA_2"]


def test_what_is_not_started_keeps_nothing_and_makes_no_file(journal: QueryJournal) -> None:
    journal.note(NOW, "PRISMA_1", "", MR, 1)

    assert journal.last() == []
    assert journal.last_of_each() == []
    assert journal.key() == b""
    assert not journal.path.exists()


def test_only_the_newest_are_kept(journal: QueryJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "KEPT_QUERIES", 10)
    journal.start()
    for number in range(30):
        journal.note(NOW, "PRISMA_1", "", MR, number)
    journal.stop()

    assert [each.found for each in journal.last(limit=100)] == list(range(29, 19, -1))


def test_it_is_written_while_it_runs_and_read_by_others(journal: QueryJournal) -> None:
    other = QueryJournal(journal.path)
    journal.start()
    journal.note(NOW, "PRISMA_1", "", MR, 1)
    deadline = threading.Event()
    for _ in range(300):
        if other.last():
            break
        deadline.wait(0.1)

    assert [each.found for each in other.last()] == [1]
    other.close()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_its_file_is_private_and_names_nobody(journal: QueryJournal) -> None:
    journal.start()
    journal.note(NOW, "PRISMA_1", "", JANE, 1)
    journal.stop()

    for file in journal.path.parent.iterdir():
        assert file.stat().st_mode & 0o077 == 0
        assert b"sub_001" not in file.read_bytes()


def test_a_file_that_cannot_be_written_is_said_once_and_hinders_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "worklist.queries.db").mkdir()
    journal = QueryJournal(tmp_path / "worklist.queries.db")
    journal.start()
    for _ in range(3):
        journal.note(NOW, "PRISMA_1", "", MR, 1)
    journal.stop()
    journal.start()
    journal.note(NOW, "PRISMA_1", "", MR, 1)
    journal.close()

    assert len([r for r in caplog.records if "journal" in r.getMessage()]) == 1


def test_the_hashes_have_one_key(journal: QueryJournal) -> None:
    journal.start()
    journal.note(NOW, "PRISMA_1", "", JANE, 1)
    journal.stop()
    key = journal.key()
    journal.start()
    journal.note(NOW, "PRISMA_1", "", JANE, 2)
    journal.stop()

    assert len(key) == 32
    assert journal.key() == key
    first, second = journal.last(limit=2)
    assert first.keys == second.keys
