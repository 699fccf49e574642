"""From a query to SQL, for databases that are not at hand: what the statement says."""

from __future__ import annotations

import pytest
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.engine.interfaces import Dialect

from pylantir.worklist import narrow
from pylantir.worklist.attributes import BY_NAME
from pylantir.worklist.query import Key, PersonName, SingleValue, WorklistQuery, fold_name


def conditions(dialect: Dialect, name: str, match: SingleValue | PersonName) -> str:
    query = WorklistQuery(keys=(Key(BY_NAME[name], match),))
    compiled = [
        condition.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
        for condition in narrow.conditions(query)
    ]
    return " AND ".join(map(str, compiled))


@pytest.mark.parametrize("dialect", [sqlite.dialect(), postgresql.dialect()])
def test_a_backslash_in_a_pattern_is_no_escape_in_any_dialect(dialect: Dialect) -> None:
    # PostgreSQL reads LIKE '%\%' as "ends with a percent sign" unless an escape is named.
    sql = conditions(dialect, "scheduled_station_ae_title", SingleValue("MR1"))
    assert "\\" in sql
    assert sql.count("LIKE") == sql.count("ESCAPE '/'") == 1


@pytest.mark.parametrize("dialect", [sqlite.dialect(), postgresql.dialect(), mysql.dialect()])
def test_like_characters_of_a_key_are_escaped(dialect: Dialect) -> None:
    sql = conditions(dialect, "patient_name", PersonName(fold_name("a%b_c/*")))
    assert "a/%" in sql.replace("%%", "%")
    assert "b/_c//" in sql


def test_what_is_said_to_a_database_is_no_more_than_the_index_needs() -> None:
    sql = conditions(sqlite.dialect(), "accession_number", SingleValue("A1"))
    assert "worklist_items.accession_number IN ('A1')" in sql
