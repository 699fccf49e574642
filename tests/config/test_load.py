"""Where settings come from, and what a file that cannot be used ends in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pylantir.config.load import load_config
from pylantir.errors import ConfigurationError


def write(folder: Path, values: Any, name: str = "pylantir.json") -> Path:
    path = folder / name
    path.write_text(values if isinstance(values, str) else json.dumps(values), encoding="utf-8")
    return path


def problems(path: Path | None, **keywords: Any) -> list[str]:
    keywords.setdefault("environ", {})
    with pytest.raises(ConfigurationError) as caught:
        load_config(path, **keywords)
    return [str(problem) for problem in caught.value.problems]


def test_a_missing_file_names_the_file_and_the_way_out(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path / "gone.json")
    assert "gone.json" in problem
    assert "pylantir init" in problem


def test_without_any_file_the_places_looked_at_and_both_ways_out_are_named(tmp_path: Path) -> None:
    (problem,) = problems(None, search=[tmp_path])
    assert str(tmp_path) in problem
    assert "pylantir init" in problem
    assert "--demo" in problem


def test_bad_json_names_line_and_column(tmp_path: Path) -> None:
    (problem,) = problems(write(tmp_path, '{"db_path": "a.db",\n "port": }'))
    assert "line 2 column 10" in problem


@pytest.mark.parametrize("text", ["[]", '"text"', "3", "null"])
def test_something_else_than_an_object_is_refused(tmp_path: Path, text: str) -> None:
    (problem,) = problems(write(tmp_path, text))
    assert "expected a JSON object" in problem


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    (problem,) = problems(write(tmp_path, '{"db_path": "a.db", "port": 1, "port": 2}'))
    assert "'port' stands twice" in problem


def test_nesting_without_end_is_refused_without_a_traceback(tmp_path: Path) -> None:
    (problem,) = problems(write(tmp_path, '{"a":' + "[" * 100_000))
    assert "JSON" in problem


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pylantir.json"
    path.write_bytes(bytes(range(256)))
    (problem,) = problems(path)
    assert "cannot be read" in problem


def test_a_byte_order_mark_is_no_problem(tmp_path: Path) -> None:
    path = tmp_path / "pylantir.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps({"db_path": "a.db"}).encode())
    assert load_config(path, environ={}).config.db_path == "a.db"


def test_every_problem_is_told_at_once_with_path_value_and_expectation(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {
            "db_path": "a.db",
            "alowed_aet": ["A"],
            "port": 70000,
            "timezone": "Mars/Base",
            "data_sources": [
                {"name": "a", "type": "redcap"},
                {"name": "b", "type": "redcap", "sync_interval": "60s"},
            ],
        },
    )
    told = "\n".join(problems(path))
    assert "alowed_aet: unknown key (did you mean 'allowed_aet'?)" in told
    assert 'data_sources[1].sync_interval: expected seconds > 0, got "60s"' in told
    assert "port: " in told
    assert "70000" in told
    assert "timezone: expected an IANA time zone" in told
    assert all(line.startswith(str(path)) for line in told.splitlines())


@pytest.mark.parametrize("interval", [0, -1, "60", True, None, [], float("inf")])
def test_an_interval_is_a_number_of_seconds(tmp_path: Path, interval: Any) -> None:
    source = {"name": "a", "type": "redcap", "sync_interval": interval}
    (problem,) = problems(write(tmp_path, {"db_path": "a.db", "data_sources": [source]}))
    assert "expected seconds > 0" in problem


@pytest.mark.parametrize("title", ["", "  ", "SEVENTEEN_LETTERS", "A\\B", "ÄE", "A\nB"])
def test_an_ae_title_that_dicom_does_not_know_is_refused(tmp_path: Path, title: str) -> None:
    (problem,) = problems(write(tmp_path, {"db_path": "a.db", "allowed_aet": ["OK", title]}))
    assert "allowed_aet[1]" in problem


def test_a_secret_is_never_shown(tmp_path: Path) -> None:
    values = {"db_path": "a.db", "api_token": "S3CRET", "port": "postgresql://u:hush@h/d"}
    told = "\n".join(problems(write(tmp_path, values)))
    assert "S3CRET" not in told
    assert "hush" not in told


def test_two_sources_of_one_name_are_refused(tmp_path: Path) -> None:
    source = {"name": "a", "type": "redcap"}
    (problem,) = problems(write(tmp_path, {"db_path": "a.db", "data_sources": [source, source]}))
    assert "unique names" in problem


@pytest.mark.parametrize("name", ["manual", "import", "api", "published"])
def test_a_source_may_not_own_what_people_enter(tmp_path: Path, name: str) -> None:
    source = {"name": name, "type": "csv", "config": {"path": "x.csv"}}
    values = json.dumps({"db_path": "a.db", "data_sources": [source]})
    (problem,) = problems(write(tmp_path, values))
    assert "data_sources[0].name: expected another name" in problem
    assert repr(name) in problem


def test_the_names_of_what_people_enter_are_the_reserved_ones() -> None:
    from pylantir.api.routes.worklist import SOURCE
    from pylantir.cli.items import _MANUAL
    from pylantir.config.schema import BY_HAND
    from pylantir.worklist.imports import DATA_SOURCE
    from pylantir.worklist.rows import UNNAMED_SOURCE

    assert {SOURCE, _MANUAL, DATA_SOURCE, UNNAMED_SOURCE} == set(BY_HAND)


@pytest.mark.parametrize("key", ["db_path", "users_db_path"])
def test_the_placeholder_of_the_published_example_is_refused(tmp_path: Path, key: str) -> None:
    values = {"db_path": "a.db", key: "/path/to/worklist.db"}
    (problem,) = problems(write(tmp_path, values))
    assert f"{key}: this is the placeholder" in problem


@pytest.mark.parametrize(("written", "meant"), [("True", True), ("False", False), ("0", False)])
def test_flags_may_be_written_as_text(tmp_path: Path, written: str, meant: bool) -> None:
    path = write(tmp_path, {"db_path": "a.db", "db_echo": written})
    assert load_config(path, environ={}).config.db_echo is meant


def test_comments_are_allowed_everywhere(tmp_path: Path) -> None:
    values = {
        "_comment": "x",
        "db_path": "a.db",
        "api": {"_development": {"any": 1}},
        "data_sources": [{"_why": "y", "name": "a", "type": "redcap"}],
    }
    assert load_config(write(tmp_path, values), environ={}).config.data_sources[0].name == "a"


def test_a_flag_beats_the_environment_which_beats_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, {"db_path": "a.db", "port": 1, "ae_title": "FILE", "ip": "127.0.0.1"})
    environ = {"PYLANTIR_PORT": "2", "PYLANTIR_AE_TITLE": "ENVIRONMENT"}
    loaded = load_config(path, {"port": 3}, environ)
    assert (loaded.config.port, loaded.config.ae_title) == (3, "ENVIRONMENT")
    assert loaded.origins["port"] == "command line"
    assert loaded.origins["ae_title"] == "environment variable PYLANTIR_AE_TITLE"
    assert loaded.origins["ip"] == str(path)


def test_a_wrong_value_names_the_variable_it_came_from(tmp_path: Path) -> None:
    path = write(tmp_path, {"db_path": "a.db"})
    (problem,) = problems(path, environ={"PYLANTIR_PORT": "many"})
    assert problem.startswith("environment variable PYLANTIR_PORT")


def test_published_variables_count_only_where_the_file_is_silent(tmp_path: Path) -> None:
    environ = {"DB_PATH": "env.db", "USERS_DB_PATH": "env-users.db", "DB_ECHO": "True"}
    loaded = load_config(write(tmp_path, {"users_db_path": "file-users.db"}), {}, environ)
    assert loaded.config.db_path == "env.db"
    assert loaded.config.users_db_path == "file-users.db"
    assert loaded.config.db_echo is True


def test_a_database_named_by_the_environment_needs_no_file(tmp_path: Path) -> None:
    loaded = load_config(None, environ={"DB_PATH": "env.db"}, search=[tmp_path])
    assert loaded.path is None
    assert loaded.config.db_path == "env.db"


def test_the_file_is_found_in_the_folders_in_their_order(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    write(second, {"db_path": "second.db"})
    found = write(first, {"db_path": "first.db"}, "mwl_config.json")
    assert load_config(None, environ={}, search=[first, second]).path == found


def test_a_dotenv_file_is_read_and_never_beats_the_real_environment(tmp_path: Path) -> None:
    write(tmp_path, {"db_path": "a.db"})
    (tmp_path / ".env").write_text("REDCAP_API_TOKEN=FROM_FILE\nPYLANTIR_PORT=5\n")
    code = (
        "from pylantir.config.load import load_config; l = load_config();"
        "print(l.environ['REDCAP_API_TOKEN'], l.config.port); print(l)"
    )
    environ = {**os.environ, "PYLANTIR_PORT": "6"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environ, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[0] == "FROM_FILE 6"
    assert "FROM_FILE" not in "\n".join(done.stdout.splitlines()[1:])


def test_importing_the_room_does_not_import_pydantic() -> None:
    code = "import sys, pylantir.config.load; print('pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False"
