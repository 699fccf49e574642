"""Bringing a database to the newest schema: new, migrated, or refused untouched."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from tests.worklist.bookings import booking
from tests.worklist.prepared import COPY, DATA, backups, opened, served
from tests.worklist.published import dump

import pylantir.worklist.migrations
from pylantir.errors import DatabaseIncompatible
from pylantir.worklist.database import Database
from pylantir.worklist.query import WorklistQuery
from pylantir.worklist.schema import KNOWN_VERSIONS
from pylantir.worklist.status import ItemStatus
from pylantir.worklist.store import ItemStore
from pylantir.worklist.tables import SCHEMA_VERSION, metadata

# --- a new database ---


def test_a_new_database_is_ready_at_once(tmp_path: Path) -> None:
    with opened(tmp_path / "worklist.db") as database:
        store = ItemStore(database)
        store.put([booking()])
        assert len(store.find(WorklistQuery())) == 1
    assert backups(tmp_path) == []


def test_preparing_again_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "worklist.db"
    with opened(path) as database:
        ItemStore(database).put([booking()])
    before = path.read_bytes()
    with opened(path):
        pass
    assert path.read_bytes() == before
    assert backups(tmp_path) == []


def test_an_empty_file_is_a_new_database(tmp_path: Path) -> None:
    path = tmp_path / "worklist.db"
    path.touch()
    assert served(path) == []


def test_a_made_database_is_what_the_tables_say(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == SCHEMA_VERSION


def test_the_newest_migration_is_the_version_of_the_schema() -> None:
    config = Config()
    (folder,) = pylantir.worklist.migrations.__path__
    config.set_main_option("script_location", folder)
    script = ScriptDirectory.from_config(config)
    assert script.get_heads() == [SCHEMA_VERSION]
    revisions = [revision.revision for revision in script.walk_revisions()]
    assert list(reversed(revisions)) == list(KNOWN_VERSIONS)


# --- an older one of ours ---


def test_a_database_without_a_history_of_changes_gets_one_and_keeps_everything(
    tmp_path: Path,
) -> None:
    path = tmp_path / "worklist.db"
    with opened(path) as database:
        ItemStore(database).put([booking("1"), booking("2")])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TABLE item_changes")
        connection.execute("DROP TRIGGER worklist_items_foreign_delete_changes")
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    before = dump(path, "id, patient_id, version, study_instance_uid")

    with opened(path) as database:
        items = ItemStore(database)
        with database.engine.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert dump(path, "id, patient_id, version, study_instance_uid") == before
        items.set_status(1, ItemStatus.ARRIVED, by="rivera")
        assert [each.who for each in items.history(1).changes] == ["rivera"]
    assert backups(tmp_path) == [COPY]


# --- what is refused ---


def test_a_newer_database_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "worklist.db"
    with opened(path):
        pass
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0999'")
    refused_untouched(path, "newer release of pylantir .*0999")


@pytest.mark.parametrize("version", ["0000", "abc", "-1"])
def test_a_version_that_nobody_knows_is_refused_untouched(tmp_path: Path, version: str) -> None:
    path = tmp_path / "worklist.db"
    with opened(path):
        pass
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (version,))
    refused_untouched(path, version)


def test_a_text_file_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "worklist.db"
    path.write_text("patient,date\n" * 200)
    refused_untouched(path, "not a database")


@pytest.mark.parametrize(
    "statements",
    [
        ["CREATE TABLE bookings (id INTEGER PRIMARY KEY)"],
        [
            "CREATE TABLE alembic_version (version_num VARCHAR(32))",
            "INSERT INTO alembic_version VALUES ('0001')",
            "CREATE TABLE dag (id INTEGER PRIMARY KEY)",
        ],
        [
            "CREATE TABLE alembic_version (version_num VARCHAR(32))",
            "INSERT INTO alembic_version VALUES ('1507a7289a2f')",
            "CREATE TABLE dag (id INTEGER PRIMARY KEY)",
        ],
        ["CREATE TABLE worklist_items (id INTEGER PRIMARY KEY, task TEXT)"],
    ],
)
def test_somebody_elses_database_is_refused_untouched(
    tmp_path: Path, statements: list[str]
) -> None:
    path = tmp_path / "worklist.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    refused_untouched(path, "belongs to something else")


def test_the_accounts_of_a_published_release_are_no_worklist(tmp_path: Path) -> None:
    path = tmp_path / "worklist.db"
    path.write_bytes((DATA / "published-0.4.6-users.db").read_bytes())
    refused_untouched(path, "belongs to something else")


def refused_untouched(path: Path, reason: str) -> None:
    before = path.read_bytes()
    with pytest.raises(DatabaseIncompatible, match=reason) as caught, opened(path):
        pass
    assert path.name in str(caught.value)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]
