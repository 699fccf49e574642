"""Settings of TLS are checked when the configuration is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pylantir.config.load import load_config
from pylantir.config.schema import Config
from pylantir.errors import ConfigurationError


def load(folder: Path, **tls: Any) -> Config:
    path = folder / "site.json"
    path.write_text(json.dumps({"db_path": "x.db", "port": 4242, "tls": tls}))
    return load_config(path, environ={}).config


def test_what_is_not_said_is_the_port_of_the_standard_beside_the_plain_one(tmp_path: Path) -> None:
    tls = load(tmp_path, certificate="server.pem").tls

    assert tls is not None
    assert (tls.port, tls.plain, tls.mutual, tls.scanner_names) == (2762, True, False, {})


def test_without_the_plain_door_its_port_is_free(tmp_path: Path) -> None:
    tls = load(tmp_path, certificate="server.pem", port=4242, plain=False).tls

    assert tls is not None
    assert tls.port == 4242


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "tls.certificate: required, but missing"),
        ({"certificate": "a", "port": 4242}, "tls.port: expected another port than 4242"),
        ({"certificate": "a", "mutual": True}, "tls: mutual: expected ca as well"),
        (
            {"certificate": "a", "scanner_names": {"MR1": "x"}},
            "tls: scanner_names: expected ca as well",
        ),
        (
            {"certificate": "a", "ca": "b", "scanner_names": {"M" * 17: "x"}},
            "tls.scanner_names: expected 1 to 16 printable ASCII characters",
        ),
        ({"certificate": "a", "certifcate": "b"}, "(did you mean 'certificate'?)"),
    ],
)
def test_a_wrong_setting_names_key_and_way_out(
    tmp_path: Path, settings: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigurationError) as error:
        load(tmp_path, **settings)

    assert told in str(error.value)
