"""Accounts: made, changed, adopted from the published release."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.users.conftest import OTHER, PASSWORD, PUBLISHED, Clock, opened

from pylantir.config.schema import Config
from pylantir.errors import Conflict, DatabaseIncompatible, InvalidAccount, NotFound
from pylantir.users.passwords import matches
from pylantir.users.roles import Role
from pylantir.users.store import UserStore, open_users, users_location


def test_a_new_account_may_read_unless_more_is_said(users: UserStore) -> None:
    user = users.create({"username": "rivera"}, PASSWORD)

    assert (user.username, user.role, user.is_active) == ("rivera", Role.READ, True)
    assert users.get(user.user_id) == users.named("rivera") == user
    assert PASSWORD not in repr(user)
    assert user.password_hash not in repr(user)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"username": ""}, "username"),
        ({"username": "two words"}, "username"),
        ({"username": "x" * 51}, "username"),
        ({"username": "ok", "role": "root"}, "role"),
        ({"username": "ok", "email": "nobody"}, "email"),
        ({"username": "ok", "full_name": "line\nbreak"}, "full_name"),
        ({"username": "ok", "is_active": "yes"}, "is_active"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_and_nothing_is_kept(
    users: UserStore, values: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidAccount, match=field):
        users.create(values, PASSWORD)

    assert users.all() == []


def test_a_weak_password_makes_no_account(users: UserStore) -> None:
    with pytest.raises(InvalidAccount, match="password"):
        users.create({"username": "rivera"}, "password1234")

    assert users.all() == []


@pytest.mark.parametrize("name", ["rivera", "Rivera", "RIVERA"])
def test_a_name_belongs_to_one_account_whatever_its_case(users: UserStore, name: str) -> None:
    users.create({"username": "rivera"}, PASSWORD)

    with pytest.raises(Conflict):
        users.create({"username": name}, PASSWORD)


def test_an_address_belongs_to_one_account(users: UserStore) -> None:
    users.create({"username": "a1", "email": "x@example.org"}, PASSWORD)
    other = users.create({"username": "b1"}, PASSWORD)

    with pytest.raises(Conflict):
        users.change(other.user_id, {"email": "x@example.org"})


@pytest.mark.parametrize("change", [{"role": "write"}, {"is_active": False}])
def test_tokens_end_with_the_role_and_with_the_activity(
    users: UserStore, change: dict[str, object]
) -> None:
    before = users.create({"username": "rivera"}, PASSWORD)

    after = users.change(before.user_id, change)

    assert after.token_version > before.token_version


def test_tokens_end_with_the_password_but_not_with_the_address(users: UserStore) -> None:
    before = users.create({"username": "rivera"}, PASSWORD)

    assert users.change(before.user_id, {"email": "x@example.org"}).token_version == (
        before.token_version
    )
    after = users.change(before.user_id, {}, password=OTHER)
    assert after.token_version > before.token_version
    assert matches(OTHER, after.password_hash)


def test_a_change_that_changes_nothing_ends_no_token(users: UserStore) -> None:
    before = users.create({"username": "rivera", "role": "write"}, PASSWORD)

    assert users.change(before.user_id, {"role": "write", "is_active": True}) == before


def test_the_next_account_of_a_name_has_other_tokens(users: UserStore, clock: Clock) -> None:
    first = users.create({"username": "rivera"}, PASSWORD)
    users.delete(first.user_id)
    clock.move(60)
    second = users.create({"username": "rivera"}, PASSWORD)

    assert (first.user_id, first.token_version) != (second.user_id, second.token_version)
    assert second.token_version > first.token_version


def demote(users: UserStore, admin: int) -> None:
    users.change(admin, {"role": "read"})


def disable(users: UserStore, admin: int) -> None:
    users.change(admin, {"is_active": False})


@pytest.mark.parametrize("take_away", [demote, disable, UserStore.delete])
def test_the_last_admin_stays(
    users: UserStore, take_away: Callable[[UserStore, int], object]
) -> None:
    admin = users.create({"username": "boss", "role": "admin"}, PASSWORD)
    users.create({"username": "rivera"}, PASSWORD)

    with pytest.raises(Conflict, match="last admin"):
        take_away(users, admin.user_id)

    assert users.get(admin.user_id) == admin


def test_an_admin_may_go_when_there_is_another(users: UserStore) -> None:
    admin = users.create({"username": "boss", "role": "admin"}, PASSWORD)
    users.create({"username": "deputy", "role": "admin"}, PASSWORD)

    users.delete(admin.user_id)

    with pytest.raises(NotFound):
        users.get(admin.user_id)


def test_the_first_admin_is_made_once(users: UserStore) -> None:
    users.create_first_admin({"username": "boss"}, PASSWORD)

    with pytest.raises(Conflict):
        users.create_first_admin({"username": "intruder"}, PASSWORD)


def test_a_published_database_is_adopted_with_every_account_and_a_copy(
    tmp_path: Path, clock: Clock
) -> None:
    path = tmp_path / "users.db"
    shutil.copy(PUBLISHED, path)
    before = path.read_bytes()

    with closing(opened(path, clock)) as users:
        assert [(u.username, u.role, u.is_active) for u in users.all()] == [
            ("admin", Role.ADMIN, True),
            ("technologist", Role.WRITE, True),
            ("viewer", Role.READ, True),
        ]
        assert users.all()[0].created_at is not None
    copies = list(tmp_path.glob("users.db.before-*.bak"))
    assert len(copies) == 1
    if sys.platform != "win32":
        assert path.stat().st_mode & 0o077 == 0
        assert copies[0].stat().st_mode & 0o077 == 0
    with closing(sqlite3.connect(copies[0])) as copy, closing(sqlite3.connect(PUBLISHED)) as old:
        assert list(copy.iterdump()) == list(old.iterdump())
    assert before == PUBLISHED.read_bytes()


def test_it_is_adopted_once(tmp_path: Path, clock: Clock) -> None:
    shutil.copy(PUBLISHED, tmp_path / "users.db")
    opened(tmp_path / "users.db", clock).close()

    opened(tmp_path / "users.db", clock).close()

    assert len(list(tmp_path.glob("*.bak"))) == 1


def test_the_published_default_password_has_to_be_changed(published: UserStore) -> None:
    must = {user.username: user.must_change_password for user in published.all()}

    assert must == {"admin": True, "technologist": False, "viewer": False}
    assert not published.has_admin()


def test_an_admin_who_had_changed_it_is_left_alone(tmp_path: Path, clock: Clock) -> None:
    import bcrypt

    path = tmp_path / "users.db"
    shutil.copy(PUBLISHED, path)
    with closing(sqlite3.connect(path)) as database:
        own = bcrypt.hashpw(b"our own choice", bcrypt.gensalt(4)).decode()
        database.execute("UPDATE users SET hashed_password = ? WHERE username = 'admin'", (own,))
        database.commit()

    with closing(opened(path, clock)) as users:
        assert users.has_admin()


def test_accounts_of_an_earlier_schema_get_what_they_lack_and_keep_the_rest(
    tmp_path: Path, clock: Clock
) -> None:
    path = tmp_path / "users.db"
    first = opened(path, clock)
    first.create({"username": "rivera"}, PASSWORD)
    first.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TABLE failed_attempts")
        connection.execute("UPDATE users_schema SET version = 1")

    again = opened(path, clock)

    assert [user.username for user in again.all()] == ["rivera"]
    with again.database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM failed_attempts").scalar() == 0
        assert connection.exec_driver_sql("SELECT version FROM users_schema").all() == [(2,)]
    again.close()
    assert list(tmp_path.glob("*.bak")) == []


def test_another_database_is_left_alone(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE invoices (id INTEGER)")
        database.commit()

    with pytest.raises(DatabaseIncompatible, match="users_db_path"):
        opened(path, clock)


def test_a_newer_release_is_not_guessed_at(tmp_path: Path, clock: Clock) -> None:
    opened(tmp_path / "users.db", clock).close()
    with closing(sqlite3.connect(tmp_path / "users.db")) as database:
        database.execute("UPDATE users_schema SET version = 99")
        database.commit()

    with pytest.raises(DatabaseIncompatible, match="newer release"):
        opened(tmp_path / "users.db", clock)


def test_it_lies_beside_the_worklist_unless_it_is_said_where(tmp_path: Path) -> None:
    worklist = str(tmp_path / "site" / "worklist.db")

    assert users_location(Config(db_path=worklist)) == str(tmp_path / "site" / "users.db")
    assert users_location(Config(db_path=worklist, users_db_path="/x/a.db")) == "/x/a.db"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_a_new_file_is_readable_by_its_own_account_only(tmp_path: Path) -> None:
    with closing(open_users(Config(db_path=str(tmp_path / "site" / "worklist.db")))):
        pass

    assert (tmp_path / "site" / "users.db").stat().st_mode & 0o077 == 0


def test_only_so_many_addresses_are_remembered(users: UserStore, clock: Clock) -> None:
    user = users.create({"username": "rivera"}, PASSWORD)
    for number in range(25):
        clock.move(1)
        users.note_sign_in(user, f"192.0.2.{number}")

    assert not users.is_known_address("rivera", "192.0.2.4")
    assert users.is_known_address("rivera", "192.0.2.5")
    assert users.is_known_address("rivera", "192.0.2.24")
    assert not users.is_known_address("weber", "192.0.2.24")
