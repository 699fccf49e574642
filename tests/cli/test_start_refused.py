"""``pylantir start`` that fails closed: at once, with what is wrong and the way out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.cli.starting import configuration, fails_closed, peer_of, pylantir
from tests.conftest import StartDaemon

from pylantir.dicom import scu

# --- beside another server ---


def test_a_second_server_on_the_port_says_so(tmp_path: Path, daemon_process: StartDaemon) -> None:
    daemon = daemon_process("--config", configuration(tmp_path))
    (tmp_path / "other").mkdir()
    config = configuration(tmp_path / "other", port=daemon.port)

    told = fails_closed(tmp_path, "--config", config)

    assert f"port {daemon.port} on 127.0.0.1 is taken" in told
    assert "--port" in told
    assert scu.echo(peer_of(daemon)).is_success, "the first one goes on"


def test_a_second_server_on_the_database_says_so(
    tmp_path: Path, daemon_process: StartDaemon
) -> None:
    config = configuration(tmp_path)
    daemon = daemon_process("--config", config)

    told = fails_closed(tmp_path, "--config", config, "--port", "0")
    code, _, err, _ = pylantir(tmp_path, "add", "--config", config, "--phantom")

    assert f"is served by another pylantir (process {daemon.process.pid} on " in told
    assert "db_path" in told
    assert code == 0, f"a command beside the server is fine: {err}"
    daemon.process.kill()
    daemon.process.wait(20)
    daemon_process("--config", config)


# --- by its configuration ---


def test_a_missing_configuration_is_named_with_both_ways_out(tmp_path: Path) -> None:
    told = fails_closed(tmp_path)

    assert str(tmp_path) in told
    assert "pylantir init" in told
    assert "pylantir start --demo" in told


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    told = fails_closed(tmp_path, "--pylantir_config", "nowhere.json")

    assert "nowhere.json" in told
    assert "pylantir init" in told


def test_bad_json_names_file_line_and_column(tmp_path: Path) -> None:
    (tmp_path / "site.json").write_text('{"db_path": "w.db",\n "port": }')

    told = fails_closed(tmp_path, "--config", "site.json")

    assert "site.json: line 2 column 10" in told


WRONG: tuple[tuple[dict[str, Any], tuple[str, ...]], ...] = (
    (
        {"alowed_aet": ["MR1"], "port": "4242"},
        ("alowed_aet: unknown key", "'allowed_aet'", "port: expected", '"4242"', "site.json"),
    ),
    (
        {"data_sources": [{"name": "a", "type": "csv", "sync_interval": "60s"}]},
        ('data_sources[0].sync_interval: expected seconds > 0, got "60s"',),
    ),
    ({"db_path": "/path/to/worklist.db"}, ("db_path", "placeholder")),
    ({"db_path": "site.json/worklist.db"}, ("cannot create the database", "site.json", "db_path")),
    ({"db_path": "site.json"}, ("the database site.json", "not a database")),
    ({"ip": "203.0.113.7"}, ("203.0.113.7", "--ip")),
)


@pytest.mark.parametrize(("settings", "named"), WRONG, ids=[next(iter(s)) for s, _ in WRONG])
def test_what_cannot_be_used_is_named(
    tmp_path: Path, settings: dict[str, Any], named: tuple[str, ...]
) -> None:
    told = fails_closed(tmp_path, "--config", configuration(tmp_path, **settings))

    for part in named:
        assert part in told


def test_no_secret_stands_in_a_message(tmp_path: Path) -> None:
    config = configuration(
        tmp_path,
        db_path="nosuchdb://worklist:s3cr3t@db.example/worklist",
        data_sources=[{"name": "a", "type": "redcap", "config": {"api_token": "S3CR3T"}}],
    )

    told = fails_closed(tmp_path, "--config", config)
    configuration(tmp_path, token="S3CR3T", data_sources=[{"type": "a", "api_token": "S3CR3T"}])
    told_too = fails_closed(tmp_path, "--config", "site.json")

    assert "nosuchdb://" in told
    assert "s3cr3t" not in told.lower()
    assert "token: unknown key" in told_too
    assert "data_sources[0].api_token: unknown key" in told_too
    assert "S3CR3T" not in told_too


def test_a_log_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    config = configuration(tmp_path)

    told = fails_closed(tmp_path, "--config", config, "--log-file", f"{config}/pylantir.log")

    assert "cannot write the log file" in told
    assert "--log-file" in told


def test_a_configuration_beside_the_demonstration_is_refused(tmp_path: Path) -> None:
    told = fails_closed(tmp_path, "--demo", "--config", configuration(tmp_path))

    assert "--config" in told
    assert "leave out" in told
