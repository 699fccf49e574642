"""Files of the published releases go on working."""

from __future__ import annotations

from pathlib import Path

from pylantir.config.legacy import LEGACY_SOURCE, modernize
from pylantir.config.load import load_config, read_json

CONFIG = Path(__file__).parents[2] / "config"


def test_the_first_form_becomes_one_redcap_source_with_the_quoted_warning() -> None:
    loaded = load_config(CONFIG / "legacy_config_example.json", environ={})
    (source,) = loaded.config.data_sources
    assert (source.name, source.type, source.sync_interval) == (LEGACY_SOURCE, "redcap", 60)
    assert source.config["site"] == "792"
    assert source.config["protocol"] == {"792": "BRAIN_MRI_3T", "mapping": "GEHC"}
    assert source.field_mapping["scheduled_date"] == "mri_date"
    (warning,) = loaded.warnings
    assert warning.splitlines()[0] == "Legacy configuration format detected."
    assert "Consider migrating to 'data_sources' format for better flexibility." in warning


def test_an_empty_list_of_sources_beside_the_first_form_changes_nothing() -> None:
    values = read_json(CONFIG / "legacy_config_example.json") | {"data_sources": []}
    modern, warnings = modernize(values)
    assert [source["name"] for source in modern["data_sources"]] == [LEGACY_SOURCE]
    assert warnings


def test_named_sources_win_over_the_first_form() -> None:
    values = {"redcap2wl": {"a": "b"}, "data_sources": [{"name": "new", "type": "redcap"}]}
    modern, warnings = modernize(values)
    assert [source["name"] for source in modern["data_sources"]] == ["new"]
    assert not warnings


def test_sources_without_a_name_get_different_ones() -> None:
    sources = [{"type": "redcap"}, {"type": "redcap"}, {"name": "redcap_3", "type": "redcap"}]
    modern, _ = modernize({"data_sources": sources})
    names = [source["name"] for source in modern["data_sources"]]
    assert names == ["redcap", "redcap_2", "redcap_3"]


def test_a_field_mapping_inside_config_counts_as_the_sources() -> None:
    source = {"type": "calpendo", "config": {"base_url": "x", "field_mapping": {"a": "b"}}}
    modern, _ = modernize({"data_sources": [source]})
    (entry,) = modern["data_sources"]
    assert entry["field_mapping"] == {"a": "b"}
    assert entry["config"] == {"base_url": "x"}


def test_the_values_that_were_given_are_left_as_they_are() -> None:
    source = {"type": "calpendo", "config": {"field_mapping": {}}}
    values = {"data_sources": [source]}
    modernize(values)
    assert source == {"type": "calpendo", "config": {"field_mapping": {}}}
