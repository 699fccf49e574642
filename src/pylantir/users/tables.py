"""The tables of the accounts' database.

``users`` keeps the name and the columns of the published release; ours are added to it.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    text,
)

SCHEMA_VERSION = 2
"""Raised when these tables change."""

metadata = MetaData()

users = Table(
    "users",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("username", String(50), nullable=False),
    Column("email", String(100), unique=True),
    Column("full_name", String(100)),
    Column("hashed_password", String(255), nullable=False),
    Column("role", String(5), nullable=False),  # ADMIN, WRITE, READ
    Column("is_active", Boolean),
    Column("created_at", DateTime),  # UTC, naive, as the published release writes it
    Column("last_login", DateTime),
    Column("created_by", Integer),
    # A token names the version it was issued under; raising it ends all of them.
    Column("token_version", Integer, nullable=False, server_default=text("0")),
    Column("must_change_password", Boolean, nullable=False, server_default=text("0")),
    Index("ix_users_username", "username", unique=True),
    sqlite_autoincrement=True,  # the number of a deleted account is never given again
)

ADDED_COLUMNS = ("token_version", "must_change_password")
"""What the published release's table lacks."""

known_addresses = Table(
    "known_addresses",
    metadata,
    Column("user_id", Integer, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("address", String(64), primary_key=True),
    Column("last_used", DateTime, nullable=False),
)
"""Where an account has signed in from before: not hindered by what others do elsewhere."""

failed_attempts = Table(
    "failed_attempts",
    metadata,
    Column("place", String(64), primary_key=True),  # keyed hash: what was typed may be a password
    Column("number", Integer, nullable=False),
    Column("last", DateTime, nullable=False),
    Index("ix_failed_attempts_last", "last"),
)
"""Who has to wait before the next attempt, see :mod:`pylantir.users.throttle`."""

users_schema = Table("users_schema", metadata, Column("version", Integer, nullable=False))
"""One row."""
