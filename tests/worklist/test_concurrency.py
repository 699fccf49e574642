"""Several threads and processes on one database."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from tests.worklist.bookings import booking, performed, reference

from pylantir.errors import Conflict, DuplicateStep
from pylantir.worklist.database import Database
from pylantir.worklist.item import change_item
from pylantir.worklist.query import WorklistQuery
from pylantir.worklist.status import ItemStatus
from pylantir.worklist.steps import StepStore
from pylantir.worklist.store import ItemStore

EVERYTHING = WorklistQuery()


def at_once(number: int, work: Callable[[int], object]) -> list[object]:
    """Run the work in so many threads that all begin at the same moment."""
    barrier = threading.Barrier(number)

    def run(index: int) -> object:
        barrier.wait(10)
        return work(index)

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(run, range(number)))


def version_of(database: Database) -> int:
    with database.read() as connection:
        return int(connection.exec_driver_sql("SELECT version FROM changes").scalar_one())


def test_eight_threads_make_forty_updates_each_and_none_is_lost(
    items: ItemStore, database: Database
) -> None:
    items.put([booking(str(thread)) for thread in range(8)])
    before = version_of(database)

    def update(thread: int) -> None:
        for number in range(40):
            items.put([booking(str(thread), accession_number=f"A{number}")])

    at_once(8, update)
    found = items.find(EVERYTHING)
    assert [item.accession_number for item in found] == ["A39"] * 8
    assert version_of(database) == before + 8 * 40
    assert len({item.version for item in found}) == 8


def test_readers_never_wait_for_writers_nor_see_half_a_batch(items: ItemStore) -> None:
    items.put([booking(str(n), accession_number="A0") for n in range(5)])
    done = threading.Event()
    seen: list[set[str]] = []

    def read(_: int) -> None:
        while not done.is_set():
            seen.append({item.accession_number for item in items.find(EVERYTHING)})

    def write() -> None:
        for number in range(12):
            items.put([booking(str(n), accession_number=f"A{number}") for n in range(5)])
        done.set()

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read, n) for n in range(2)]
        write()
        for reader in readers:
            reader.result(30)
    assert seen
    assert all(len(numbers) == 1 for numbers in seen)


def test_of_several_replacements_of_one_version_exactly_one_succeeds(items: ItemStore) -> None:
    item = items.add(booking())

    def change(number: int) -> bool:
        try:
            items.replace(change_item(item, {"accession_number": f"A{number}"}))
        except Conflict:
            return False
        return True

    assert sum(bool(changed) for changed in at_once(6, change)) == 1


def test_of_several_moves_of_a_status_exactly_one_succeeds(items: ItemStore) -> None:
    item = items.add(booking(status="IN_PROGRESS"))

    def move(number: int) -> bool:
        status = ItemStatus.COMPLETED if number % 2 else ItemStatus.DISCONTINUED
        try:
            return items.set_status(item.item_id or 0, status).status is status
        except Conflict:
            return False

    results = at_once(2, move)
    assert sorted(map(bool, results)) == [False, True]


def test_of_four_creations_of_one_step_exactly_one_succeeds(
    items: ItemStore, steps: StepStore
) -> None:
    item = items.add(booking())
    step = performed(reference(item))

    def create(_: int) -> bool:
        try:
            steps.create(step)
        except DuplicateStep:
            return False
        return True

    assert sum(bool(created) for created in at_once(4, create)) == 1
    assert len(steps.all()) == 1


OTHER_PROCESS = """
import sys
from pylantir.worklist import database as databases
from pylantir.worklist.database import Database
from pylantir.worklist.store import ItemStore
from tests.worklist.bookings import booking

databases._SAY_AFTER_S = databases.WRITE_TIMEOUT_S  # a slow machine is no trouble
database = Database(sys.argv[1])
store = ItemStore(database)
print("ready", flush=True)
sys.stdin.readline()
for number in range(25):
    store.put([booking("theirs", accession_number=f"A{number}")])
    store.put([booking("shared", patient_comments=f"theirs {number}")])
database.close()
"""


def test_two_processes_write_at_the_same_time(items: ItemStore, db_path: Path) -> None:
    items.put([booking("shared")])
    with subprocess.Popen(
        [sys.executable, "-c", OTHER_PROCESS, str(db_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        assert other.stdin is not None
        other.stdin.write("go\n")
        other.stdin.flush()
        for number in range(25):
            items.put([booking("mine", accession_number=f"A{number}")])
            items.put([booking("shared", patient_comments=f"mine {number}")])
        _, errors = other.communicate(timeout=60)
    assert (other.returncode, errors) == (0, "")
    found = {item.source_record_id: item for item in items.find(EVERYTHING)}
    assert found["mine"].accession_number == found["theirs"].accession_number == "A24"
    assert found["shared"].patient_comments in ("mine 24", "theirs 24")
    versions = [item.version for item in found.values()]
    assert len(set(versions)) == 3
    assert max(versions) == 1 + 4 * 25


def test_a_write_waits_for_another_program_that_holds_the_lock(
    items: ItemStore, db_path: Path
) -> None:
    items.put([booking("1")])
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with closing(sqlite3.connect(db_path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            held.set()
            release.wait(30)
            other.execute("COMMIT")

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(30)
    assert len(items.find(EVERYTHING)) == 1
    assert holder.is_alive()  # readers do not wait
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(items.put, [booking("2")])
        with pytest.raises(TimeoutError):
            writing.result(0.5)
        release.set()
        writing.result(30)
    holder.join(30)
    assert len(items.find(EVERYTHING)) == 2


@pytest.mark.parametrize("writes", [1, 3])
def test_what_was_acknowledged_survives_a_killed_process(
    items: ItemStore, db_path: Path, writes: int
) -> None:
    code = (
        "import os, sys\n"
        "from pylantir.worklist.database import Database\n"
        "from pylantir.worklist.store import ItemStore\n"
        "from tests.worklist.bookings import booking\n"
        "store = ItemStore(Database(sys.argv[1]))\n"
        "for number in range(int(sys.argv[2])):\n"
        "    store.put([booking(str(number))])\n"
        "with store.database.write() as connection:\n"
        "    connection.exec_driver_sql('DELETE FROM worklist_items')\n"
        "    os._exit(9)\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", code, str(db_path), str(writes)],
        cwd=Path(__file__).parents[2],
        timeout=30,
        check=False,
    )
    assert killed.returncode == 9
    assert len(items.find(EVERYTHING)) == writes
