"""Which events are meant."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import time_machine
from tests.audit.trails import Item, write

from pylantir.audit import events
from pylantir.audit.events import Actor, Kind
from pylantir.audit.files import TrailFiles
from pylantir.audit.reading import Selection, read

DAY = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@pytest.fixture
def trail(tmp_path: Path) -> TrailFiles:
    """An event a day, each in a file of its own."""
    files = TrailFiles(tmp_path, max_bytes=1)
    made = [
        lambda: events.booking(Kind.CREATED, Actor("anna"), Item("P-1", "2.25.1")),
        lambda: events.query("MR1", "MWL", "10.0.0.5", b"", transfer_syntax="", found=1),
        lambda: events.booking(Kind.UPDATED, Actor("bert"), Item("P-2", "2.25.2")),
        lambda: events.refused("EVIL", "MWL", "10.0.0.66", "unknown"),
    ]
    with time_machine.travel(DAY, tick=False) as moment:
        for make in made:
            files.append([make()], sync=True)
            moment.shift(dt.timedelta(days=1))
    return files


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ({}, [1, 2, 3, 4]),
        ({"since": DAY + dt.timedelta(days=2)}, [3, 4]),
        ({"until": DAY + dt.timedelta(days=2)}, [1, 2]),
        ({"since": DAY, "until": DAY}, []),
        ({"kinds": (Kind.QUERY, Kind.REFUSED)}, [2, 4]),
        ({"user": "ANNA"}, [1]),
        ({"user": "?e*"}, [3]),
        ({"user": "mr1"}, [2]),
        ({"user": "10.0.0.*"}, [2, 4]),
        ({"user": "a.na"}, []),
        ({"patient": "P-2"}, [3]),
        ({"patient": "P-*"}, [1, 3]),
        ({"after": 2}, [3, 4]),
        ({"after": 4}, []),
    ],
)
def test_a_selection_takes_what_it_says(
    trail: TrailFiles, selection: dict[str, Any], expected: list[int]
) -> None:
    assert [record.number for record in read(trail, Selection(**selection))] == expected


def test_what_is_no_event_is_passed_over(tmp_path: Path) -> None:
    files = write(tmp_path, 1, 2)
    (path,) = files.files()
    path.write_bytes(b"rubbish\n" + path.read_bytes() + b'{"n":3')

    assert [record.number for record in read(files)] == [1, 2]
