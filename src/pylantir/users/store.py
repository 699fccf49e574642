"""The only SQL about accounts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, RowMapping, delete, func, or_, select

from pylantir.clock import Now, utc_now
from pylantir.errors import Conflict, NotFound
from pylantir.users.account import User, checked
from pylantir.users.passwords import hashed, require_usable
from pylantir.users.roles import Role
from pylantir.users.schema import prepare_users
from pylantir.users.tables import known_addresses, users
from pylantir.worklist.database import Database, database_url

if TYPE_CHECKING:
    from pylantir.config.schema import Config

USERS_FILE = "users.db"
_KEPT_ADDRESSES = 20
_VOIDS_TOKENS = frozenset({"hashed_password", "role", "is_active"})
"""A change of these ends every token of the account."""


def users_location(config: Config) -> str:
    """Where the accounts are: as configured, else beside the worklist.

    The environment variable ``USERS_DB_PATH`` has become part of the configuration already, where
    the file has no ``users_db_path``.
    """
    if config.users_db_path:
        return config.users_db_path
    worklist = database_url(config.db_path)
    if worklist.get_backend_name() == "sqlite" and worklist.database:
        return str(Path(worklist.database).parent / USERS_FILE)
    return config.db_path


class UserStore:
    """Accounts in a database that :func:`open_users` made ready.

    Parameters
    ----------
    database : Database
        Where they are.
    now : Now
        The clock.
    """

    def __init__(self, database: Database, now: Now = utc_now) -> None:
        self.database = database
        self._now = now

    def all(self) -> list[User]:
        """Every account, in the order in which they were made."""
        with self.database.read() as connection:
            rows = connection.execute(select(users).order_by(users.c.id)).mappings()
            return [_user_of(row) for row in rows]

    def get(self, user_id: int) -> User:
        """The account of that number.

        Raises
        ------
        NotFound
            There is none.
        """
        with self.database.read() as connection:
            return _numbered(connection, user_id)

    def named(self, username: str) -> User | None:
        """The account of that name, if there is one."""
        statement = select(users).where(users.c.username == username)
        with self.database.read() as connection:
            row = connection.execute(statement).mappings().first()
        return _user_of(row) if row is not None else None

    def has_admin(self) -> bool:
        """Whether anybody could sign in as admin."""
        return any(_may_administer(user) for user in self.all())

    def create(
        self, values: Mapping[str, Any], password: str, *, created_by: int | None = None
    ) -> User:
        """Make an account.

        Parameters
        ----------
        values : mapping
            ``username``, and if wanted ``role`` (read), ``email``, ``full_name``, ``is_active``,
            ``must_change_password``.
        password : str
            See :func:`~pylantir.users.passwords.require_usable`.

        Raises
        ------
        InvalidAccount
            A value or the password cannot be used.
        Conflict
            The name or the address belongs to another account.
        """
        kept: dict[str, Any] = {"role": Role.READ, "is_active": True, **checked(values)}
        require_usable(password, kept["username"])
        kept["hashed_password"] = hashed(password)
        kept |= {
            "role": kept["role"].name,
            "created_by": created_by,
            "created_at": self._stamp(),
            # Not 0: a token of a deleted account is none of the next account of that name.
            "token_version": int(self._now().timestamp()),
        }
        with self.database.write() as connection:
            _require_free(connection, kept)
            result = connection.execute(users.insert().values(kept))
            number = result.inserted_primary_key
            assert number is not None
            return _numbered(connection, int(number[0]))

    def create_first_admin(self, values: Mapping[str, Any], password: str) -> User:
        """Make the admin account of a database in which nobody can sign in as admin.

        An account of that name that must change its password gets the new one instead.

        Raises
        ------
        InvalidAccount, Conflict
            As :meth:`create`; also when there is an admin already.
        """
        if self.has_admin():
            raise Conflict("there is an admin account already")
        present = self.named(str(values.get("username", "")))
        if present is not None and present.role is Role.ADMIN:
            return self.change(present.user_id, {"is_active": True}, password=password)
        return self.create({**values, "role": Role.ADMIN}, password)

    def change(
        self, user_id: int, values: Mapping[str, Any], *, password: str | None = None
    ) -> User:
        """Change an account; its tokens end when password, role or activity changes.

        Raises
        ------
        NotFound
            No such account.
        InvalidAccount
            A value or the password cannot be used.
        Conflict
            The address belongs to another account, or nobody could administer any more.
        """
        kept = checked(values)
        with self.database.read() as connection:
            present = _numbered(connection, user_id)
        if password is not None:
            require_usable(password, present.username)
            kept |= {"hashed_password": hashed(password), "must_change_password": False}
        if isinstance(kept.get("role"), Role):
            kept["role"] = kept["role"].name
        with self.database.write() as connection:
            row = connection.execute(select(users).where(users.c.id == user_id)).mappings().first()
            if row is None:
                raise NotFound(f"no account {user_id}")
            changed = {name: value for name, value in kept.items() if row[name] != value}
            _require_free(connection, changed, but=user_id)
            if _VOIDS_TOKENS & changed.keys():
                changed["token_version"] = row["token_version"] + 1
            if changed:
                connection.execute(users.update().where(users.c.id == user_id).values(changed))
            after = _numbered(connection, user_id)
            _require_an_admin(connection, lost=_may_administer(present), kept=after)
        return after

    def delete(self, user_id: int) -> User:
        """Delete an account; returns what it was.

        Raises
        ------
        NotFound
            No such account.
        Conflict
            Nobody could administer any more.
        """
        with self.database.write() as connection:
            present = _numbered(connection, user_id)
            connection.execute(delete(users).where(users.c.id == user_id))
            _require_an_admin(connection, lost=_may_administer(present))
        return present

    def void_tokens(self, user_id: int) -> None:
        """End every token of an account."""
        with self.database.write() as connection:
            connection.execute(
                users.update()
                .where(users.c.id == user_id)
                .values(token_version=users.c.token_version + 1)
            )

    def note_sign_in(self, user: User, address: str, *, new_hash: str = "") -> None:
        """Remember a sign-in, where it came from, and a hash of today's kind."""
        stamp = self._stamp()
        values: dict[str, Any] = {"last_login": stamp}
        if new_hash:
            values["hashed_password"] = new_hash
        same = (known_addresses.c.user_id == user.user_id) & (known_addresses.c.address == address)
        with self.database.write() as connection:
            unchanged = users.c.hashed_password == user.password_hash
            connection.execute(
                users.update().where(users.c.id == user.user_id, unchanged).values(values)
            )
            connection.execute(delete(known_addresses).where(same))
            connection.execute(
                known_addresses.insert().values(
                    user_id=user.user_id, address=address, last_used=stamp
                )
            )
            _forget_oldest(connection, user.user_id)

    def is_known_address(self, username: str, address: str) -> bool:
        """Whether the account of that name has signed in from an address before."""
        statement = (
            select(func.count())
            .select_from(known_addresses.join(users, users.c.id == known_addresses.c.user_id))
            .where(users.c.username == username, known_addresses.c.address == address)
        )
        with self.database.read() as connection:
            return connection.execute(statement).scalar_one() > 0

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    def _stamp(self) -> dt.datetime:
        return self._now().replace(tzinfo=None)


def open_users(config: Config, now: Now = utc_now) -> UserStore:
    """Open the accounts of a configuration; made or adopted as needed.

    Raises
    ------
    StoreError
        They cannot be used.
    """
    database = Database(users_location(config), echo=config.db_echo)
    prepare_users(database, now=now())
    return UserStore(database, now)


def _may_administer(user: User) -> bool:
    return user.role is Role.ADMIN and user.is_active and not user.must_change_password


def _require_an_admin(connection: Connection, *, lost: bool, kept: User | None = None) -> None:
    """Refuse what takes the last admin away."""
    if not lost or (kept is not None and _may_administer(kept)):
        return
    rows = connection.execute(select(users)).mappings()
    if not any(_may_administer(_user_of(row)) for row in rows):
        raise Conflict("this is the last admin account; make another one first")


def _require_free(connection: Connection, values: Mapping[str, Any], *, but: int = 0) -> None:
    taken = []
    if values.get("username"):
        taken.append(func.lower(users.c.username) == values["username"].lower())
    if values.get("email"):
        taken.append(users.c.email == values["email"])
    if not taken:
        return
    statement = select(users.c.username).where(users.c.id != but, or_(*taken))
    if connection.execute(statement).first() is not None:
        raise Conflict("username or email belongs to another account already")


def _forget_oldest(connection: Connection, user_id: int) -> None:
    own = known_addresses.c.user_id == user_id
    newest = (
        select(known_addresses.c.address)
        .where(own)
        .order_by(known_addresses.c.last_used.desc())
        .limit(_KEPT_ADDRESSES)
    )
    connection.execute(delete(known_addresses).where(own, known_addresses.c.address.not_in(newest)))


def _numbered(connection: Connection, user_id: int) -> User:
    row = connection.execute(select(users).where(users.c.id == user_id)).mappings().first()
    if row is None:
        raise NotFound(f"no account {user_id}")
    return _user_of(row)


def _user_of(row: RowMapping) -> User:
    return User(
        user_id=row["id"],
        username=row["username"],
        role=Role(row["role"].lower()),
        email=row["email"],
        full_name=row["full_name"],
        is_active=bool(row["is_active"]),
        must_change_password=bool(row["must_change_password"]),
        created_at=_aware(row["created_at"]),
        last_login=_aware(row["last_login"]),
        created_by=row["created_by"],
        token_version=row["token_version"],
        password_hash=row["hashed_password"],
    )


def _aware(stored: dt.datetime | None) -> dt.datetime | None:
    return stored.replace(tzinfo=dt.UTC) if stored is not None else None
