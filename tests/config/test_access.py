"""Rules about who may connect are checked when the configuration is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pylantir.config.load import load_config
from pylantir.config.schema import Config
from pylantir.errors import ConfigurationError


def load(folder: Path, **settings: Any) -> Config:
    path = folder / "site.json"
    path.write_text(json.dumps({"db_path": "x.db", **settings}))
    return load_config(path, environ={}).config


def test_a_rule_has_every_right_unless_it_says_which(tmp_path: Path) -> None:
    (rule,) = load(tmp_path, access=[{"ae_title": " MR1 ", "address": "10.1.2.3"}]).access

    assert rule.rights == ("worklist", "mpps")
    assert (rule.ae_title, rule.address) == ("MR1", "10.1.2.3/32")


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({}, "access[0]: expected ae_title or address: a rule without lets everybody in"),
        ({"called_ae_title": "X"}, "access[0]: expected ae_title or address"),
        (
            {"address": "scanner.local"},
            "access[0].address: expected an IP address or a network such as 10.1.2.0/24; names "
            'are not looked up, got "scanner.local"',
        ),
        ({"address": "10.1.2.3/24"}, "did you mean 10.1.2.0/24?, got"),
        ({"address": "10.1.2.0/33"}, "access[0].address: expected an IP address or a network"),
        ({"ae_title": ""}, "access[0].ae_title: expected 1 to 16 printable ASCII characters"),
        ({"ae_title": "A" * 17}, "access[0].ae_title: expected 1 to 16"),
        ({"ae_title": "MR\n1"}, "access[0].ae_title: expected 1 to 16"),
        ({"ae_title": "MR1", "rights": ["write"]}, "access[0].rights[0]: expected 'worklist'"),
        ({"ae_title": "MR1", "adress": "10.1.2.3"}, "(did you mean 'address'?)"),
        ({"ae_title": "OLD"}, "access[0].ae_title: expected a title that allowed_aet does not"),
    ],
)
def test_a_bad_rule_names_key_value_and_way_out(
    tmp_path: Path, rule: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigurationError) as error:
        load(tmp_path, allowed_aet=["OLD"], access=[rule])

    assert told in str(error.value)
