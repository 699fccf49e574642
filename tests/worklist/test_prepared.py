"""A prepared statement does what SQLAlchemy would have done with it."""

from __future__ import annotations

import logging

import pytest
from sqlalchemy import Integer, MetaData, Table, Text, bindparam, create_engine, select
from sqlalchemy.schema import Column
from tests.worklist.bookings import begin, booking

from pylantir.errors import DatabaseUnavailable
from pylantir.worklist.database import Database
from pylantir.worklist.prepared import Prepared
from pylantir.worklist.steps import StepStore
from pylantir.worklist.store import ItemStore
from pylantir.worklist.versions import RAISE_VERSION

NOTES = Table(
    "notes",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("said", Text),
    Column("by", Text),
)
ADD = Prepared(NOTES.insert())
CHANGE = Prepared(NOTES.update().where(NOTES.c.id == bindparam("number")))
FIND = Prepared(select(NOTES).where(NOTES.c.id >= bindparam("first"), NOTES.c.by != "nobody"))
RAISE = Prepared(RAISE_VERSION)
REMOVE = Prepared(NOTES.delete().where(NOTES.c.id == bindparam("number")))


@pytest.mark.parametrize("echo", [False, True], ids=["by the driver", "by SQLAlchemy"])
def test_both_ways_say_and_keep_the_same(echo: bool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "sqlalchemy.engine.Engine")
    engine = create_engine("sqlite://", echo=echo)
    with engine.connect() as connection:
        NOTES.create(connection)
        assert ADD.rows(connection, id=1, said="Möller", by=None) == []
        ADD.rows(connection, id=2, said="two", by="rivera")
        ADD.rows(connection, id=3, said="", by="nobody")
        assert FIND.rows(connection, first=1) == [(2, "two", "rivera")]
        assert FIND.first(connection, first=3) is None
        CHANGE.rows(connection, number=2, said=None)
        assert FIND.first(connection, first=2) == (2, None, "rivera")
        CHANGE.rows(connection, number=2, said="again", by="chen")
        assert FIND.first(connection, first=2) == (2, "again", "chen")
        REMOVE.rows(connection, number=2)
        assert FIND.rows(connection, first=1) == []
        connection.rollback()
        assert FIND.rows(connection, first=1) == []
    engine.dispose()


def test_what_fails_takes_the_whole_transaction_with_it(
    database: Database, items: ItemStore, steps: StepStore
) -> None:
    uid = begin(steps, items.add(booking()))
    remove = Prepared(NOTES.delete())

    def fail() -> None:
        with database.write() as connection:
            RAISE.rows(connection)
            remove.rows(connection)

    with pytest.raises(DatabaseUnavailable, match="no such table: notes"):
        fail()
    assert steps.get(uid).step.sop_instance_uid == uid
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT version FROM changes").scalar() == 2


def test_a_parameter_without_a_value_is_not_taken_for_nothing() -> None:
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        NOTES.create(connection)
        with pytest.raises(KeyError, match="first"):
            FIND.rows(connection)
    engine.dispose()
