"""Making the accounts' database ready: new, or adopted from the published release."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import sqlite3
import sys
from pathlib import Path

from sqlalchemy import Connection, inspect, select, text
from sqlalchemy.schema import CreateColumn

from pylantir.errors import DatabaseIncompatible, DatabaseUnavailable
from pylantir.users.passwords import PUBLISHED_DEFAULT, is_published, matches
from pylantir.users.tables import ADDED_COLUMNS, SCHEMA_VERSION, metadata, users, users_schema
from pylantir.worklist.database import Database, backup_sqlite

log = logging.getLogger(__name__)

_PUBLISHED_COLUMNS = {"id", "username", "hashed_password", "role", "is_active"}


def prepare_users(database: Database, *, now: dt.datetime) -> None:
    """Make the database ready; one of the published release is copied before it is touched.

    Parameters
    ----------
    database : Database
        Where the accounts are or will be.
    now : datetime
        Names the copy.

    Raises
    ------
    DatabaseUnavailable
        It cannot be opened or written.
    DatabaseIncompatible
        It holds something else, or was written by a newer release.
    """
    database.create_file()
    with database.read() as connection:
        present = _schema_of(connection, database)
    database.use_wal()
    if present == SCHEMA_VERSION:
        return
    if present == 0 and database.path is not None:
        copy = _copy(database.path, now)
        log.info("accounts %s: adopted, copy kept as %s", database.path.name, copy.name)
        _make_private(database.path)
    with database.write() as connection:
        present = _schema_of(connection, database)  # another process may have been faster
        if present == SCHEMA_VERSION:
            return
        if present == 0:
            _add_columns(connection)
        metadata.create_all(connection)  # later schemas have added tables, and nothing else
        connection.execute(users_schema.delete())
        connection.execute(users_schema.insert().values(version=SCHEMA_VERSION))
        if not present:
            _distrust_published_default(connection)


def _schema_of(connection: Connection, database: Database) -> int | None:
    """Version of the tables: nothing for an empty database, 0 for a published one."""
    inspector = inspect(connection)
    tables = set(inspector.get_table_names())
    if not tables or (database.path is None and "users" not in tables):
        return None  # a server's database may hold the worklist as well
    if (
        "users" not in tables
        or not {column["name"] for column in inspector.get_columns("users")} >= _PUBLISHED_COLUMNS
    ):
        raise DatabaseIncompatible(
            f"the database {database.name} holds no accounts "
            f"(tables {', '.join(sorted(tables)[:5])}). Choose another users_db_path."
        )
    if "users_schema" not in tables:
        return 0
    version = connection.execute(select(users_schema.c.version)).scalar() or 0
    if version > SCHEMA_VERSION:
        raise DatabaseIncompatible(
            f"the accounts {database.name} were written by a newer release of pylantir "
            f"(schema {version}, this release knows {SCHEMA_VERSION}). Install that release, "
            "or choose another users_db_path."
        )
    return int(version)


def _add_columns(connection: Connection) -> None:
    present = {column["name"] for column in inspect(connection).get_columns("users")}
    for name in ADDED_COLUMNS:
        if name not in present:
            column = CreateColumn(users.c[name]).compile(dialect=connection.dialect)
            connection.execute(text(f"ALTER TABLE users ADD COLUMN {column}"))


def _distrust_published_default(connection: Connection) -> None:
    """An account with the password that stands in the published README must change it."""
    statement = select(users.c.id, users.c.hashed_password).where(users.c.username == "admin")
    for number, stored in connection.execute(statement).all():
        if is_published(stored) and matches(PUBLISHED_DEFAULT, stored):
            connection.execute(
                users.update().where(users.c.id == number).values(must_change_password=True)
            )
            log.warning(
                "account admin still has the password of the published release's README: it "
                "cannot sign in until it is changed with pylantir admin-password"
            )


def _make_private(path: Path) -> None:
    """The published release leaves its file readable by everybody on the machine."""
    if sys.platform != "win32":
        with contextlib.suppress(PermissionError):  # somebody else's file, such as root's
            path.chmod(0o600)


def _copy(path: Path, now: dt.datetime) -> Path:
    stem = f"{path.name}.before-{SCHEMA_VERSION:04d}-{now:%Y%m%dT%H%M%S}"
    target, number = path.with_name(f"{stem}.bak"), 1
    while target.exists():
        number += 1
        target = path.with_name(f"{stem}-{number}.bak")
    try:
        backup_sqlite(path, target)
    except (OSError, sqlite3.Error) as error:
        target.unlink(missing_ok=True)
        raise DatabaseUnavailable(
            f"cannot copy the accounts to {target} before changing them: {error}"
        ) from error
    return target
