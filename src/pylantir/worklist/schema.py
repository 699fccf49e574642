"""Bringing a database to the newest schema: create, adopt, migrate; a copy is made first."""

from __future__ import annotations

import datetime as dt
import logging
import sqlite3
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from pylantir.errors import DatabaseIncompatible, DatabaseUnavailable
from pylantir.worklist.database import Database, backup_sqlite
from pylantir.worklist.rows import FOREIGN_COLUMNS
from pylantir.worklist.tables import SCHEMA_VERSION, changes, metadata
from pylantir.worklist.triggers import install_triggers

log = logging.getLogger(__name__)

KNOWN_VERSIONS = ("0001", "0002", SCHEMA_VERSION)
"""Every migration in ``worklist/migrations/versions``, the newest last."""

_PUBLISHED_COLUMNS = {"id", "patient_id", "patient_name", "scheduled_start_date"}
"""What no table of ours lacks."""


def prepare(database: Database, *, now: dt.datetime) -> None:
    """Make the database ready: new, adopted from the published release, or migrated.

    Parameters
    ----------
    database : Database
        Where the worklist is or will be.
    now : datetime
        Names the copy that is made before anything is changed.

    Raises
    ------
    DatabaseUnavailable
        It cannot be opened or written.
    DatabaseIncompatible
        It is no worklist, is damaged, or was written by a newer release.
    """
    database.create_file()
    with database.read() as connection:
        present = _schema_of(connection, database)
    database.use_wal()
    if present == SCHEMA_VERSION:
        return
    if present is not None and database.path is not None:
        copy = _copy(database.path, now)
        log.info("database %s: migrating, copy kept as %s", database.path.name, copy.name)
    with database.write() as connection:
        # Another process may have been faster while this one waited for the lock.
        present = _schema_of(connection, database)
        if present is None:
            _create(connection)
        elif present != SCHEMA_VERSION:
            _migrate(connection)
        install_triggers(connection, list(FOREIGN_COLUMNS))


def _schema_of(connection: Connection, database: Database) -> str | None:
    """Version of the schema: nothing for an empty database, empty text for a published one.

    Raises
    ------
    DatabaseIncompatible
        Tables of something else, or a version this release does not know.
    """
    inspector = inspect(connection)
    tables = set(inspector.get_table_names())
    if not tables:
        return None
    if (
        "worklist_items" not in tables
        or not {column["name"] for column in inspector.get_columns("worklist_items")}
        >= _PUBLISHED_COLUMNS
    ):
        raise DatabaseIncompatible(
            f"the database {database.name} belongs to something else "
            f"(tables {', '.join(sorted(tables)[:5])}). Choose another db_path."
        )
    if "alembic_version" not in tables:
        return ""
    version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if version is None or version in KNOWN_VERSIONS:
        return version or ""
    raise DatabaseIncompatible(
        f"the database {database.name} was written by a newer release of pylantir "
        f"(schema {version}, this release knows {SCHEMA_VERSION}). Install that release, "
        "or choose another db_path."
    )


def _create(connection: Connection) -> None:
    metadata.create_all(connection)
    connection.execute(changes.insert().values(id=1, version=0))
    connection.execute(
        text(
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL,"
            " CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
        )
    )
    connection.execute(
        text("INSERT INTO alembic_version (version_num) VALUES (:v)"), {"v": SCHEMA_VERSION}
    )


def _migrate(connection: Connection) -> None:
    from alembic import command  # 0.1 s to import, and only needed on the day of an upgrade
    from alembic.config import Config as AlembicConfig

    config = AlembicConfig(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    command.upgrade(config, "head")


def _copy(path: Path, now: dt.datetime) -> Path:
    target = path.with_name(f"{path.name}.before-{SCHEMA_VERSION}-{now:%Y%m%dT%H%M%S}.bak")
    number = 1
    while target.exists():
        number += 1
        target = target.with_name(
            f"{path.name}.before-{SCHEMA_VERSION}-{now:%Y%m%dT%H%M%S}-{number}.bak"
        )
    try:
        backup_sqlite(path, target)
    except (OSError, sqlite3.Error) as error:
        target.unlink(missing_ok=True)
        raise DatabaseUnavailable(
            f"cannot copy the database to {target} before migrating it: {error}"
        ) from error
    return target
