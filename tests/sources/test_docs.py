"""``docs/sources.md`` is true: its examples run and no setting is missing."""

from __future__ import annotations

import json
import re
import sys
import types
from pathlib import Path

import pytest
from tests.bookable import NOW, TODAY, MovableClock

from pylantir.errors import ConfigurationError, SourceUnavailable
from pylantir.sources.base import BookingWindow, Source, SourceSettings
from pylantir.sources.csvfile import CsvSettings, CsvSource
from pylantir.sources.extraction import Extraction
from pylantir.sources.mapping import OPTION_KEYS, FieldMapping, MappingOptions
from pylantir.sources.options import NAME_FORMATS
from pylantir.sources.pairs import ROLE_ALIASES, ROLE_TARGETS
from pylantir.worklist.item import make_item

PAGE = (Path(__file__).parents[2] / "docs" / "sources.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize(
    "name",
    [
        *sorted(OPTION_KEYS),
        *CsvSettings.model_fields,
        *(name for name in Extraction.__dataclass_fields__ if not name.startswith("_")),
        *NAME_FORMATS,
        *ROLE_TARGETS,
        *ROLE_ALIASES.values(),
    ],
)
def test_every_setting_is_in_the_page(name: str) -> None:
    assert re.search(rf"`\"?{name}\b", PAGE)


def test_the_defaults_in_the_page_are_the_defaults() -> None:
    table = dict(re.findall(r"^\| `(\w+)` \| `?([^|`]+)`? \|", PAGE, re.MULTILINE))
    for name, described in CsvSettings.model_fields.items():
        if isinstance(described.default, bool | int | float):
            assert table[name].strip() == str(described.default).lower().removesuffix(".0")


def understood(pair: str) -> str:
    options = MappingOptions()
    roles = {"scheduled_date": "", "demo_sex": ""}
    mapping = FieldMapping.read(
        json.loads(f"{{{pair}}}"), where="page", source_first=True, options=options, roles=roles
    )
    (line,) = mapping.explain()
    return line


@pytest.mark.parametrize(
    ("pair", "field"), re.findall(r"^\| `(\"\w+\": \"\w+\")` \| .*?field `(\w+)`", PAGE, re.M)
)
def test_the_pairs_in_the_page_are_read_as_it_says(pair: str, field: str) -> None:
    assert f"field {field} ->" in understood(pair)
    row = next(line for line in PAGE.splitlines() if f"`{pair}`" in line)
    assert ("is a role" in understood(pair)) == ("| role" in row)


def test_the_objects_in_the_page_are_accepted() -> None:
    objects = re.findall(r"^\| `(\"\w+\": \{.*\})` \|", PAGE, re.MULTILINE)
    assert len(objects) == 4
    for each in objects:
        assert "not used" not in understood(each) if "_extract" not in each else True


def test_the_configuration_of_a_csv_source_in_the_page_is_accepted() -> None:
    written = [json.loads(block) for block in blocks("json")]
    (entry,) = [each for each in written if each.get("type") == "csv"]

    CsvSource(
        SourceSettings(
            name=entry["name"], config=entry["config"], field_mapping=entry["field_mapping"]
        )
    )


@pytest.fixture
def scheduler(tmp_path: Path) -> Source:
    """The source that the page writes, over a file with one booking of today."""
    (code,) = blocks("python")
    module = types.ModuleType("scheduler_of_the_page")
    sys.modules[module.__name__] = module
    exec(compile(code, "docs/sources.md", "exec"), module.__dict__)
    booking = {"id": 7, "who": "Doe^Jane", "code": "P7", "day": str(TODAY), "at": "10:00"}
    gone = {"id": 8, "cancelled": True}
    (tmp_path / "bookings.json").write_text(json.dumps([booking, gone]), encoding="utf-8")
    settings = SourceSettings(
        name="scheduler",
        config={"path": str(tmp_path / "bookings.json"), "defaults": {"modality": "MR"}},
        field_mapping={
            "who": "patient_name",
            "code": "patient_id",
            "day": "scheduled_start_date",
            "at": "scheduled_start_time",
        },
        clock=MovableClock(),
    )
    source: Source = module.SOURCE(settings)
    return source


def test_the_source_in_the_page_works(scheduler: Source, tmp_path: Path) -> None:
    window = BookingWindow(NOW, None, TODAY, TODAY)

    batch = scheduler.fetch(window)

    first, second = batch.records
    item = make_item(scheduler.values_of(first), data_source="x", source_record_id="7")
    assert (item.patient_name, item.patient_id) == ("Doe^Jane", "P7")
    assert second.withdrawn == "cancelled"
    (tmp_path / "bookings.json").write_text("[{", encoding="utf-8")
    with pytest.raises(SourceUnavailable):
        scheduler.fetch(window)


def test_the_source_in_the_page_refuses_what_it_does_not_know(scheduler: Source) -> None:
    settings = SourceSettings(name="s", config={"path": "x", "pth": "y"}, field_mapping={})

    with pytest.raises(ConfigurationError, match="did you mean 'path'"):
        type(scheduler)(settings)
