"""Older forms of the configuration file, read as the present one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LEGACY_SOURCE = "redcap_legacy"

DEPRECATED = (
    "Legacy configuration format detected.\n"
    "Consider migrating to 'data_sources' format for better flexibility. "
    "See config/mwl_config_multi_source_example.json."
)

Values = dict[str, Any]


def modernize(values: Mapping[str, Any]) -> tuple[Values, list[str]]:
    """The values in the present form, and what to tell the user about them.

    The form of release 0.1 (``redcap2wl``) becomes one data source; a data source without a name
    gets one; a field mapping inside ``config`` moves to its entry.
    """
    modern = dict(values)
    warnings: list[str] = []
    if modern.get("redcap2wl") and not modern.get("data_sources"):
        modern["data_sources"] = [_legacy_source(modern)]
        warnings.append(DEPRECATED)
    sources = modern.get("data_sources")
    if isinstance(sources, list):
        modern["data_sources"] = _named(sources)
    return modern, warnings


def _legacy_source(values: Mapping[str, Any]) -> Values:
    source: Values = {
        "name": LEGACY_SOURCE,
        "type": "redcap",
        "config": {key: values[key] for key in ("site", "protocol") if values.get(key) is not None},
        "field_mapping": values["redcap2wl"],
    }
    for old, new in (
        ("db_update_interval", "sync_interval"),
        ("operation_interval", "operation_interval"),
    ):
        if values.get(old) is not None:
            source[new] = values[old]
    return source


def _named(sources: list[Any]) -> list[Any]:
    taken = {source.get("name") for source in sources if isinstance(source, Mapping)}
    named: list[Any] = []
    for source in sources:
        if not isinstance(source, Mapping):
            named.append(source)
            continue
        entry = dict(source)
        if "name" not in entry and isinstance(entry.get("type"), str):
            entry["name"] = _free_name(entry["type"], taken)
            taken.add(entry["name"])
        config = entry.get("config")
        if isinstance(config, Mapping) and "field_mapping" in config:
            entry["config"] = {k: v for k, v in config.items() if k != "field_mapping"}
            entry["field_mapping"] = entry.get("field_mapping") or config["field_mapping"]
        named.append(entry)
    return named


def _free_name(source_type: str, taken: set[Any]) -> str:
    name, number = source_type, 1
    while name in taken:
        number += 1
        name = f"{source_type}_{number}"
    return name
