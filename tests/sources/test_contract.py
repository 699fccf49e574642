"""What every source promises, tried with each type that there is, and how types are found."""

from __future__ import annotations

import datetime as dt
import importlib.util
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.bookable import NOW, TODAY, BookableSource, MovableClock
from tests.conftest import REPOSITORY, clean_environment
from tests.sources.places import PLACES, Place

from pylantir import sources
from pylantir.errors import ConfigurationError, SourceError
from pylantir.sources import known_types, make_source, register_source
from pylantir.sources.base import Batch, BookingWindow, Scope, Source, SourceSettings
from pylantir.sync import Synchronizer
from pylantir.worklist.database import Database
from pylantir.worklist.item import make_item
from pylantir.worklist.query import WorklistQuery
from pylantir.worklist.schema import prepare
from pylantir.worklist.store import ItemStore

BUILT_IN = {
    source_type: module
    for source_type, module in sources._BUILT_IN.items()
    if importlib.util.find_spec(module) is not None
}


def test_every_built_in_type_has_a_place_where_it_is_tried() -> None:
    assert BUILT_IN.keys() <= PLACES.keys()


@pytest.fixture(params=[*BUILT_IN, "registered"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    folder = tmp_path / "place"
    folder.mkdir()
    with PLACES[request.param](folder) as found:
        yield found


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(str(tmp_path / "worklist.db"))
    prepare(database, now=NOW)
    yield database
    database.close()


@pytest.fixture
def cut_the_network(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From the moment it is called, whoever looks up a host or connects fails."""

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError(f"touched the network: {args}")

    def cut() -> None:
        for name in ("connect", "connect_ex", "sendto", "bind"):
            monkeypatch.setattr(socket.socket, name, refuse)
        for name in ("getaddrinfo", "gethostbyname", "create_connection"):
            monkeypatch.setattr(socket, name, refuse)

    return cut


def window(source: Source, cursor: str | None = None) -> BookingWindow:
    last_day = TODAY + dt.timedelta(days=source.days_ahead)
    return BookingWindow(NOW, cursor, TODAY - dt.timedelta(days=1), last_day, cursor is None)


def fetched(source: Source) -> Batch:
    batch = source.fetch(window(source))
    assert batch.records, "the place has bookings"
    return batch


# --- what every source promises ---


def test_a_source_is_made_and_explained_without_the_network(
    place: Place, cut_the_network: Callable[[], None]
) -> None:
    cut_the_network()

    source = place.source()

    assert all(isinstance(line, str) and line for line in source.explain())
    assert isinstance(source.authority, str)
    assert source.days_ahead >= 0


def test_the_network_can_be_cut(cut_the_network: Callable[[], None]) -> None:
    cut_the_network()

    with pytest.raises(AssertionError, match="touched the network"):
        socket.create_connection(("127.0.0.1", 9))


def test_every_booking_becomes_a_valid_item_in_the_window(place: Place) -> None:
    source = place.source()
    batch = fetched(source)

    for record in batch.records:
        if not record.withdrawn:
            item = make_item(
                source.values_of(record),
                data_source="tried",
                source_record_id=record.record_id,
                authority=source.authority,
            )
            day = item.scheduled_procedure_step_start_date
            assert window(source).first_day <= day <= window(source).last_day


def test_every_booking_has_a_key_of_its_own(place: Place) -> None:
    keys = [record.record_id for record in fetched(place.source()).records]

    assert len(set(keys)) == len(keys)
    assert all(key and key.isprintable() and len(key) <= 255 for key in keys)


def test_a_complete_batch_covers_what_it_names_and_nothing_far_away(place: Place) -> None:
    source = place.source()
    batch = fetched(source)

    assert isinstance(batch.scope, Scope)
    assert batch.complete
    for record in batch.records:
        if not record.withdrawn:
            day = source.values_of(record).get("scheduled_procedure_step_start_date", TODAY)
            day = day if isinstance(day, dt.date) else dt.date.fromisoformat(str(day))
            assert batch.scope.covers(record.record_id, day)
    assert not batch.scope.covers("of another one", TODAY + dt.timedelta(days=3000))


def test_nothing_is_fetched_after_the_fetch(
    place: Place, cut_the_network: Callable[[], None]
) -> None:
    source = place.source()
    batch = fetched(source)
    cut_the_network()

    assert [source.values_of(each) for each in batch.records if not each.withdrawn]


def test_the_same_record_has_the_same_values_every_time(place: Place) -> None:
    source = place.source()
    record = next(each for each in fetched(source).records if not each.withdrawn)

    assert source.values_of(record) == source.values_of(record)


def test_a_place_that_is_gone_is_a_source_error_without_secrets(place: Place) -> None:
    source = place.source()
    place.take_away()

    with pytest.raises(SourceError) as raised:
        source.fetch(window(source))

    assert str(raised.value)
    assert not any(secret in str(raised.value) for secret in place.secrets)


def test_secrets_are_in_no_description_of_a_source(place: Place) -> None:
    source = place.source()

    shown = [repr(source), repr(source.settings), *source.explain()]

    assert not any(secret in text for secret in place.secrets for text in shown)


@pytest.mark.parametrize("place", BUILT_IN, indirect=True)
def test_an_unknown_setting_is_refused_with_the_nearest_known_one(place: Place) -> None:
    misspelt = place.setting[:-2] + place.setting[-1]

    with pytest.raises(ConfigurationError) as raised:
        place.source(**{misspelt: "x"})

    assert any(
        "tried" in problem.where and misspelt in problem.path and place.setting in problem.hint
        for problem in raised.value.problems
    )


def test_syncing_twice_changes_nothing_the_second_time(place: Place, database: Database) -> None:
    source = place.source()
    sync = Synchronizer("tried", source, database, MovableClock())

    first, second = sync.run_once(), sync.run_once()

    assert first.plan.created
    assert [second.plan.created, second.plan.changed, second.plan.withdrawn] == [[], [], []]
    source.close()


def test_after_a_restart_the_bookings_are_the_same_items(place: Place, database: Database) -> None:
    uids = []
    for _ in range(2):
        source = place.source()
        report = Synchronizer("tried", source, database, MovableClock()).run_once(full=True)
        found = ItemStore(database).find(WorklistQuery())
        uids.append({item.source_record_id: item.study_instance_uid for item in found})
        source.close()

    assert not report.plan.created
    assert uids[0] == uids[1] != {}


def test_a_failure_leaves_the_worklist_as_it_was(place: Place, database: Database) -> None:
    sync = Synchronizer("tried", place.source(), database, MovableClock())
    sync.run_once()
    before = ItemStore(database).find(WorklistQuery())
    place.take_away()

    with pytest.raises(SourceError):
        sync.run_once()

    assert ItemStore(database).find(WorklistQuery()) == before


# --- how types are found ---


def in_subprocess(code: str, home: Path) -> str:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=clean_environment(home),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return ran.stdout.strip()


def test_importing_the_registry_imports_no_source_and_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys, pylantir.sources as s; s.known_types()\n"
        f"heavy = {list(BUILT_IN.values())!r} + ['requests', 'redcap', 'pydantic', 'regex']\n"
        "print([name for name in heavy if name in sys.modules])"
    )

    assert in_subprocess(code, tmp_path) == "[]"


@pytest.mark.parametrize("name", ["csvv", "redcap2", "something else"])
def test_an_unknown_type_names_the_known_ones(name: str) -> None:
    settings = SourceSettings(name="main", config={}, field_mapping={})

    with pytest.raises(ConfigurationError) as raised:
        make_source(name, settings)
    assert "source main" in str(raised.value)
    assert all(known in str(raised.value) for known in sources._BUILT_IN)


def test_an_unknown_type_gets_the_nearest_known_one() -> None:
    settings = SourceSettings(name="main", config={}, field_mapping={})
    with pytest.raises(ConfigurationError, match=r"did you mean calpendo\?"):
        make_source("calpendoo", settings)


def test_a_type_can_be_registered_in_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_registered", {})
    register_source("mine", BookableSource)

    made = make_source("mine", SourceSettings(name="x", config={}, field_mapping={}))

    assert isinstance(made, BookableSource)
    assert "mine" in known_types()


def test_a_source_is_one_file_in_the_folder_of_the_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(sources.__file__).parent
    monkeypatch.setattr(sources, "__file__", str(tmp_path / "__init__.py"))
    monkeypatch.setattr(sources, "__path__", [str(tmp_path), str(folder)])
    (tmp_path / "parchment.py").write_text(PAPER, encoding="utf-8")
    (tmp_path / "no_source.py").write_text("RESOURCE = 1", encoding="utf-8")

    made = make_source("parchment", SourceSettings(name="x", config={}, field_mapping={}))
    sys.modules.pop("pylantir.sources.parchment")

    assert type(made).__module__ == "pylantir.sources.parchment"
    assert "parchment" in known_types()
    assert "no_source" not in known_types()


def test_a_built_in_source_is_known_by_its_type_only() -> None:
    assert not {"csvfile", "__init__"} & set(known_types())


PAPER = """
from pylantir.sources.base import Batch, NothingCovered, Source

class PaperSource(Source):
    def fetch(self, window):
        return Batch((), NothingCovered(), complete=True)

    def values_of(self, record):
        return dict(record.fields)

SOURCE = PaperSource
"""


@pytest.fixture
def paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Another package, installed, that brings a source of its own."""
    site = tmp_path / "site"
    info = site / "paper_bookings-1.0.dist-info"
    info.mkdir(parents=True)
    metadata = "Metadata-Version: 2.1\nName: paper-bookings\nVersion: 1.0\n"
    (info / "METADATA").write_text(metadata, encoding="utf-8")
    (info / "entry_points.txt").write_text(
        "[pylantir.sources]\npaper = paper_bookings:SOURCE\n", encoding="utf-8"
    )
    (site / "paper_bookings.py").write_text(PAPER, encoding="utf-8")
    monkeypatch.syspath_prepend(site)
    yield site
    sys.modules.pop("paper_bookings", None)


@pytest.mark.usefixtures("paper")
def test_a_package_brings_its_source_by_an_entry_point_and_is_imported_only_when_used() -> None:
    assert "paper" in known_types()
    assert "paper_bookings" not in sys.modules

    made = make_source("paper", SourceSettings(name="x", config={}, field_mapping={}))

    assert type(made).__module__ == "paper_bookings"
    assert made.fetch(window(made)).complete


@pytest.mark.usefixtures("paper")
def test_a_source_of_a_package_goes_through_the_synchronizer(database: Database) -> None:
    made = make_source("paper", SourceSettings(name="x", config={}, field_mapping={}))

    report = Synchronizer("x", made, database, MovableClock()).run_once()

    assert (report.fetched, report.complete) == (0, True)


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [("import no_such_sdk", "No module named 'no_such_sdk'"), ("1 / 0", "ZeroDivisionError")],
)
def test_a_package_that_cannot_be_loaded_is_named(paper: Path, spoilt: str, said: str) -> None:
    (paper / "paper_bookings.py").write_text(spoilt, encoding="utf-8")

    with pytest.raises(ConfigurationError) as raised:
        make_source("paper", SourceSettings(name="x", config={}, field_mapping={}))

    assert "source x: type: the package paper-bookings cannot be loaded" in str(raised.value)
    assert said in str(raised.value)
