"""Adopting the database of a published release: every row stays, is served, and has its copy."""

from __future__ import annotations

import datetime as dt
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.worklist.bookings import booking
from tests.worklist.prepared import COPY, DATA, backups, opened, served
from tests.worklist.published import BARE, BROKEN, ROW, SHAPES, build, definition, dump

from pylantir.errors import DatabaseUnavailable
from pylantir.worklist.query import WorklistQuery
from pylantir.worklist.status import ItemStatus
from pylantir.worklist.store import ItemStore

RELEASES = [*SHAPES]
KEPT = sorted(path for path in DATA.glob("published-*.db") if "users" not in path.name)


# --- databases as the published releases made them ---


@pytest.mark.parametrize("release", RELEASES)
def test_no_row_of_a_published_database_is_lost_or_changed(tmp_path: Path, release: str) -> None:
    path = build(tmp_path / "worklist.db", release, [ROW, BARE, BROKEN])
    columns = ", ".join(["id", *ROW])
    before = dump(path, columns)
    with opened(path):
        assert dump(path, columns) == before
    copy = tmp_path / COPY
    assert backups(tmp_path) == [COPY]
    assert dump(copy, columns) == before
    assert definition(copy)[0].startswith("CREATE TABLE worklist_items")
    if sys.platform != "win32":
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600


@pytest.mark.parametrize("release", RELEASES)
def test_rows_of_a_published_database_are_served(tmp_path: Path, release: str) -> None:
    path = build(tmp_path / "worklist.db", release, [ROW, BARE, BROKEN])
    full, bare = served(path)
    assert full.study_instance_uid == ROW["study_instance_uid"]
    assert (full.patient_name, full.patient_id, full.patient_sex) == ("Doe^Jane", "P1", "F")
    assert str(full.patient_weight_kg) == "72.57"
    assert full.patient_birth_date == dt.date(1980, 2, 29)
    assert full.start == dt.datetime(2025, 7, 7, 8, 30)
    assert full.scheduled_protocol_codes[0].value == "BRAIN"
    assert bare.status is ItemStatus.IN_PROGRESS
    assert (bare.patient_weight_kg, bare.patient_birth_date, bare.patient_sex) == (None, None, "")
    assert bare.modality == "MR"
    assert bare.study_instance_uid.startswith("2.25.")
    assert served(path) == [full, bare]
    with opened(path) as database:
        (rejected,) = ItemStore(database).rejected()
    assert "scheduled_procedure_step_start_date" in rejected.reason


@pytest.mark.parametrize("release", RELEASES)
def test_an_adopted_database_has_the_columns_and_indexes_of_a_new_one(
    tmp_path: Path, release: str, empty_worklist: Path
) -> None:
    path = build(tmp_path / "worklist.db", release, [ROW])
    with opened(path):
        pass
    assert shape(path) == shape(empty_worklist)
    assert foreign_keys(path) == foreign_keys(empty_worklist)


def shape(path: Path) -> dict[str, tuple[set[str], dict[str, object], list[str], list[str]]]:
    """Columns, indexes, unique constraints, triggers and keys of every table."""
    engine = sa.create_engine(f"sqlite:///{path.as_posix()}")
    inspector = sa.inspect(engine)
    found = {}
    for table in inspector.get_table_names():
        indexes: dict[str, object] = {
            str(index["name"]): (index["column_names"], bool(index["unique"]))
            for index in inspector.get_indexes(table)
            # The published table's own constraint says the same as our index.
            if index["name"] != "uq_worklist_source_record"
        }
        found[table] = (
            {column["name"] for column in inspector.get_columns(table)},
            indexes,
            inspector.get_pk_constraint(table)["constrained_columns"],
            triggers(path, table),
        )
    engine.dispose()
    return found


def triggers(path: Path, table: str) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ? ORDER BY 1"
        return [row[0] for row in connection.execute(query, (table,))]


def foreign_keys(path: Path) -> list[object]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA foreign_key_list(performed_step_links)").fetchall()


def test_a_source_finds_its_bookings_in_an_adopted_database(tmp_path: Path) -> None:
    row = {**ROW, "data_source": "main_redcap", "source_record_id": "7"}
    path = build(tmp_path / "worklist.db", "0.4.6", [row])
    with opened(path) as database:
        store = ItemStore(database)
        store.put([booking("7", source="main_redcap", accession_number="A1")])
        (item,) = store.find(WorklistQuery())
    assert item.accession_number == "A1"
    assert item.study_instance_uid == ROW["study_instance_uid"]


def test_rows_of_a_calpendo_source_without_a_name_are_found_under_its_name_here(
    tmp_path: Path,
) -> None:
    """Else an upgrade would show each booking twice, and offer what has been scanned again."""
    keyed = {**ROW, "data_source": "unknown", "source_record_id": "300004157686785"}
    done = {
        **keyed,
        "source_record_id": "300004157687809",
        "performed_procedure_step_status": "COMPLETED",
    }
    of_redcap = {**ROW, "patient_id": "P2", "data_source": "unknown"}
    path = build(tmp_path / "worklist.db", "0.4.6", [keyed, done, of_redcap])
    with opened(path) as database:
        store = ItemStore(database)
        items = store.find(WorklistQuery())
        assert [(i.data_source, i.source_record_id) for i in items[:2]] == [
            ("calpendo", "300004157686785"),
            ("calpendo", "300004157687809"),
        ]
        assert items[2].data_source == "unknown"
        store.put([booking("300004157686785", source="calpendo", accession_number="A1")])
        found = store.find(WorklistQuery())
    assert len(found) == 3
    assert {i.study_instance_uid for i in found} == {ROW["study_instance_uid"]}
    assert [i.accession_number for i in found if i.source_record_id == "300004157686785"] == ["A1"]


def test_two_rows_of_one_booking_are_both_kept(tmp_path: Path) -> None:
    twice = {**ROW, "data_source": "main_redcap", "source_record_id": "7"}
    rows = [twice, {**twice, "scheduled_start_time": "09:30"}, {**ROW, "patient_id": "P9"}]
    path = build(tmp_path / "worklist.db", "0.4.6 by hand", rows)
    found = served(path)
    assert [item.start.hour for item in found] == [8, 8, 9]
    records = [item.source_record_id for item in found if item.data_source == "main_redcap"]
    assert sorted(records)[0] == "7"
    assert len(set(records)) == 2


def test_a_record_id_twice_without_a_source_hides_neither_row(tmp_path: Path) -> None:
    rows = [{**ROW, "patient_id": str(n), "source_record_id": "7"} for n in range(2)]
    path = build(tmp_path / "worklist.db", "0.4.6", rows)
    assert [item.patient_id for item in served(path)] == ["0", "1"]


def test_a_users_table_beside_the_worklist_stays(tmp_path: Path) -> None:
    path = build(tmp_path / "worklist.db", "0.4.6", [ROW])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE users (name TEXT)")
        connection.execute("INSERT INTO users VALUES ('admin')")
    assert len(served(path)) == 1
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM users").fetchall() == [("admin",)]


def test_each_adoption_makes_a_copy_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "worklist.db"
    for _ in range(3):
        build(path, "0.4.6", [ROW])
        with opened(path):
            pass
        path.unlink()
    stem = COPY.removesuffix(".bak")
    assert backups(tmp_path) == sorted([COPY, f"{stem}-2.bak", f"{stem}-3.bak"])


def test_two_servers_that_start_at_once_adopt_it_once(tmp_path: Path) -> None:
    path = build(
        tmp_path / "worklist.db", "0.4.6", [{**ROW, "patient_id": str(n)} for n in range(50)]
    )
    code = (
        "import datetime as dt, sys\n"
        "from pylantir.worklist.database import Database\n"
        "from pylantir.worklist.query import WorklistQuery\n"
        "from pylantir.worklist.schema import prepare\n"
        "from pylantir.worklist.store import ItemStore\n"
        "sys.stdin.readline()\n"
        "database = Database(sys.argv[1])\n"
        "prepare(database, now=dt.datetime.now(dt.UTC))\n"
        "print(len(ItemStore(database).find(WorklistQuery())))\n"
        "database.close()\n"
    )
    command = [sys.executable, "-c", code, str(path)]
    pipe = subprocess.PIPE
    both = [
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) for _ in range(2)
    ]
    for process in both:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60) for process in both]
    assert [out for out, _ in answers] == ["50\n", "50\n"]
    # On a slow machine the one that waits says so.
    waits = "the database is locked by another program; writes wait for it\n"
    assert {err for _, err in answers} <= {"", waits}


# --- databases that the published releases themselves wrote ---


@pytest.mark.parametrize("kept", KEPT, ids=[path.stem for path in KEPT])
def test_a_database_of_a_published_release_is_adopted_whole(tmp_path: Path, kept: Path) -> None:
    path = tmp_path / "worklist.db"
    path.write_bytes(kept.read_bytes())
    columns = ", ".join(["id", *ROW])
    before = dump(kept, columns)
    assert before
    with opened(path) as database:
        assert dump(path, columns) == before
        store = ItemStore(database)
        found = store.find(WorklistQuery())
        rejected = store.rejected()
        assert len(found) + len(rejected) == len(before)
        assert store.count() == len(before)
        assert len(found) > len(before) / 2
        assert all(row.reason for row in rejected)
    by_number = {row[0]: dict(zip(["id", *ROW], row, strict=True)) for row in before}
    for item in found:
        row = by_number[item.item_id or 0]
        assert item.patient_id == row["patient_id"]
        assert row["study_instance_uid"] in (item.study_instance_uid, None, "")
        if row["patient_weight_lb"] == "100":
            assert item.patient_weight_kg is None


def test_the_databases_of_the_published_releases_are_there() -> None:
    assert [path.stem for path in KEPT] == [f"published-{v}" for v in ("0.2.3", "0.3.5", "0.4.6")]


# --- what goes wrong ---


def test_an_adoption_that_fails_half_way_leaves_the_old_database(tmp_path: Path) -> None:
    path = build(tmp_path / "worklist.db", "0.4.6", [ROW, BARE])
    with closing(sqlite3.connect(path)) as connection, connection:
        # In the way of the last thing that the migration makes.
        connection.execute("CREATE TABLE changes (wrong TEXT)")
    before = dump(path), definition(path)
    with pytest.raises(DatabaseUnavailable, match="changes"), opened(path):
        pass
    assert (dump(path), definition(path)) == before
    assert backups(tmp_path) == [COPY]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TABLE changes")
    assert len(served(path)) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_a_disk_too_full_for_the_copy_leaves_the_old_database(tmp_path: Path) -> None:
    import resource

    path = build(
        tmp_path / "worklist.db", "0.4.6", [{**ROW, "patient_id": str(n)} for n in range(400)]
    )
    before = dump(path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size // 2, hard))
    try:
        with pytest.raises(DatabaseUnavailable, match="cannot copy the database"), opened(path):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert dump(path) == before
    assert backups(tmp_path) == []
