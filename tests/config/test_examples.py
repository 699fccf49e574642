"""Every example loads, and the documentation is up to date."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pylantir.config.example import write_example
from pylantir.config.load import json_schema, load_config
from pylantir.config.reference import reference
from pylantir.config.schema import Config
from pylantir.errors import ConfigurationError

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.json")), ids=lambda p: p.name)
def test_every_example_loads(path: Path) -> None:
    assert load_config(path, environ={}).config.db_path


def test_the_readme_of_the_examples_names_each_of_them() -> None:
    text = (ROOT / "config" / "README.md").read_text(encoding="utf-8")
    assert all(path.name in text for path in (ROOT / "config").glob("*.json"))


def test_what_init_writes_loads(tmp_path: Path) -> None:
    written = write_example(tmp_path / "new")
    assert [path.name for path in written] == ["pylantir.json", ".env.example"]
    assert load_config(written[0], environ={}).config.ae_title == "MWL_SERVER"


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    path = tmp_path / "pylantir.json"
    path.write_text("mine")
    with pytest.raises(ConfigurationError, match="not overwritten"):
        write_example(tmp_path)
    assert path.read_text() == "mine"
    assert not (tmp_path / ".env.example").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_what_init_writes_is_private(tmp_path: Path) -> None:
    assert {path.stat().st_mode & 0o777 for path in write_example(tmp_path)} == {0o600}


def test_the_reference_in_the_documentation_is_up_to_date() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert text.endswith(reference()), "append pylantir.config.reference.reference() again"


def test_every_setting_is_documented() -> None:
    text = reference()
    assert all(f"`{name}`" in text for name in Config.model_fields)
    assert "| None |" not in text


def test_the_json_schema_describes_every_setting() -> None:
    schema = json_schema()
    assert set(schema["properties"]) == set(Config.model_fields)
    assert all("description" in entry for entry in schema["properties"].values())
