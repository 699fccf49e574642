"""Accounts in a folder of the test's own, with a clock that stands still until it is moved."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import REPOSITORY

from pylantir.users.schema import prepare_users
from pylantir.users.signin import SignIn
from pylantir.users.store import UserStore
from pylantir.users.throttle import Throttle
from pylantir.users.tokens import Tokens
from pylantir.worklist.database import Database

PUBLISHED = REPOSITORY / "tests" / "worklist" / "data" / "published-0.4.6-users.db"
PASSWORD = "a quiet sentence about nothing"
OTHER = "another quiet sentence"


class Clock:
    """Wall clock and monotonic clock in one; moves when told to."""

    def __init__(self) -> None:
        self.moment = dt.datetime(2026, 11, 21, 10, 0, tzinfo=dt.UTC)

    def __call__(self) -> dt.datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()

    def move(self, seconds: float) -> None:
        self.moment += dt.timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def opened(path: Path, clock: Clock) -> UserStore:
    database = Database(str(path))
    prepare_users(database, now=clock())
    return UserStore(database, clock)


@pytest.fixture
def users(tmp_path: Path, clock: Clock) -> Iterator[UserStore]:
    """An empty store."""
    store = opened(tmp_path / "users.db", clock)
    yield store
    store.close()


@pytest.fixture
def published(tmp_path: Path, clock: Clock) -> Iterator[UserStore]:
    """The accounts that the published release wrote, adopted."""
    shutil.copy(PUBLISHED, tmp_path / "published.db")
    store = opened(tmp_path / "published.db", clock)
    yield store
    store.close()


def sign_in_for(users: UserStore, clock: Clock) -> SignIn:
    return SignIn(users, Tokens(b"k" * 32, clock), Throttle(clock.monotonic), now=clock)
