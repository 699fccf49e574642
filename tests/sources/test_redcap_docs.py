"""docs/redcap.md names every setting with its meaning, and its examples can be used."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from pylantir.sources.base import SourceSettings
from pylantir.sources.redcap import RedcapSource
from pylantir.sources.redcap_settings import Credentials, RedcapSettings, WriteBack

TEXT = (Path(__file__).parents[2] / "docs" / "redcap.md").read_text(encoding="utf-8")
ENVIRON = {"REDCAP_API_URL": "https://redcap.example.org/api/", "REDCAP_API_TOKEN": "A" * 32}


@pytest.mark.parametrize("model", [RedcapSettings, Credentials, WriteBack])
def test_every_setting_is_documented_with_its_meaning(model: type[BaseModel]) -> None:
    for name, field in model.model_fields.items():
        assert re.search(rf"\| `{name}` \| .* \| {re.escape(field.description or '?')} \|", TEXT)


def test_the_examples_are_accepted() -> None:
    entry, reports = re.findall(r"```json\n(.*?)```", TEXT, re.S)
    written = json.loads(entry)
    config = written["config"] | json.loads("{" + reports + "}")
    RedcapSource(
        SourceSettings(
            name=written["name"],
            config=config,
            field_mapping=written["field_mapping"],
            environ=ENVIRON,
        )
    )
