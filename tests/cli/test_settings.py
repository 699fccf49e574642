"""``init``, ``check-config``, ``config-schema`` and ``completion``: setting things up."""

from __future__ import annotations

import importlib.util
import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import CommandLine
from tests.conftest import REPOSITORY, clean_environment, command

from pylantir.cli.parser import command_names

needs_argcomplete = pytest.mark.skipif(
    importlib.util.find_spec("argcomplete") is None,
    reason='argcomplete is not installed (extra "completion")',
)


# --- init ---


def test_init_writes_a_commented_configuration_that_can_be_used(run: CommandLine) -> None:
    (run.folder / "pylantir.json").unlink()

    assert run("init") == 0

    assert run.out.splitlines() == ["wrote pylantir.json", "wrote .env.example"]
    assert "pylantir check-config\n" in run.err
    assert run("check-config") == 0, run.err
    assert "EMPTY LETS EVERYBODY IN" in (run.folder / "pylantir.json").read_text()


def test_init_in_another_folder_says_how_to_use_it_from_here(run: CommandLine) -> None:
    assert run("init", "site") == 0

    hint = next(line for line in run.err.splitlines() if "check-config" in line)
    words = hint.partition("pylantir ")[2].split()
    assert words == ["check-config", "--config", str(Path("site", "pylantir.json"))]
    assert run(*words) == 0, run.err


def test_init_overwrites_nothing(run: CommandLine) -> None:
    before = (run.folder / "pylantir.json").read_text()

    assert run("init") == 2

    assert "pylantir.json" in run.err
    assert "not overwritten" in run.err
    assert (run.folder / "pylantir.json").read_text() == before
    assert not (run.folder / ".env.example").exists()


def test_init_names_a_folder_that_cannot_be_made(run: CommandLine) -> None:
    (run.folder / "file").write_text("")

    assert run("init", str(Path("file", "site"))) == 2
    assert "file" in run.err


@pytest.mark.skipif(os.name != "posix", reason="POSIX file modes")
def test_what_init_writes_is_private(run: CommandLine) -> None:
    run("init", "site")

    for path in (run.folder / "site").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


# --- check-config ---


def test_check_config_says_what_the_configuration_comes_to(run: CommandLine) -> None:
    run.configure(ae_title="SITE", port=11112, allowed_aet=["MR1", "MR2"])

    assert run("check-config") == 0

    assert "pylantir.json" in run.out
    assert "SITE on 0.0.0.0 port 11112" in run.out
    assert "MR1, MR2" in run.out
    assert str(run.folder / "worklist.db") in run.out
    assert run.out.endswith("OK\n")
    assert not (run.folder / "worklist.db").exists(), "it only looks"


def test_check_config_says_that_everybody_may_connect(run: CommandLine) -> None:
    assert run("check-config") == 0
    assert "every AE title (allowed_aet is empty)" in run.out


def test_check_config_takes_the_file_as_argument_or_option(run: CommandLine) -> None:
    run.configure(ae_title="ONE")
    (run.folder / "pylantir.json").rename(run.folder / "one.json")

    for argv in (["one.json"], ["--config", "one.json"], ["--pylantir_config", "one.json"]):
        assert run("check-config", *argv) == 0, run.err
        assert "ONE" in run.out


def test_check_config_tells_every_problem_at_once(run: CommandLine) -> None:
    run.configure(alowed_aet=[], port="4242", timezone="Mars/Olympus")

    assert run("check-config") == 2

    assert len(run.err.splitlines()) == 3
    for part in ("alowed_aet", "'allowed_aet'", 'got "4242"', "Mars/Olympus", "pylantir.json"):
        assert part in run.err
    assert "OK" not in run.out


def test_check_config_names_a_source_that_nobody_knows(run: CommandLine) -> None:
    run.configure(data_sources=[{"name": "bookings", "type": "recap"}])

    assert run("check-config") == 2

    assert "source bookings" in run.err
    assert "redcap" in run.err
    assert "OK" not in run.out


def test_check_config_shows_disabled_sources_and_leaves_them_alone(run: CommandLine) -> None:
    run.configure(data_sources=[{"name": "later", "type": "mystery", "enabled": "False"}])

    assert run("check-config") == 0
    assert "later: mystery, every 60 s (disabled)" in run.out


def test_the_legacy_form_is_read_with_its_warning(run: CommandLine) -> None:
    example = REPOSITORY / "config" / "legacy_config_example.json"

    run("check-config", str(example))

    warning = "WARNING: Legacy configuration format detected.\nConsider migrating"
    assert warning in run.err
    assert "redcap_legacy" in run.out


def test_flags_and_environment_are_part_of_the_configuration(
    run: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYLANTIR_PORT", "1042")

    assert run("check-config", "--AEtitle", "FLAG") == 0
    assert "FLAG on 0.0.0.0 port 1042" in run.out
    assert run("check-config", "--AEtitle", "FAR TOO LONG FOR A TITLE") == 2
    assert "command line: ae_title" in run.err


# --- config-schema ---


def test_the_schema_is_json_and_knows_every_setting(run: CommandLine) -> None:
    assert run("config-schema") == 0

    schema: dict[str, Any] = json.loads(run.out)
    assert {"db_path", "allowed_aet", "data_sources", "scanners"} <= set(schema["properties"])
    assert all("description" in setting for setting in schema["properties"].values())


# --- completion ---


@needs_argcomplete
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell", "tcsh"])
def test_every_shell_gets_a_script_for_our_command(run: CommandLine, shell: str) -> None:
    assert run("completion", shell) == 0
    assert "pylantir" in run.out


def completed(folder: Path, line: str) -> set[str]:
    """What the shell would offer at the end of a command line."""
    answer = folder / "answer"
    environment = clean_environment(folder) | {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "COMP_LINE": f"pylantir {line}",
        "COMP_POINT": str(len(f"pylantir {line}")),
        "COMP_TYPE": "9",
    }
    subprocess.run(command(), env=environment, check=False, timeout=30)
    return {word.strip() for word in answer.read_text(encoding="utf-8").split("\n")}


@needs_argcomplete
def test_the_shell_completes_commands_and_options(tmp_path: Path) -> None:
    assert completed(tmp_path, "") >= set(command_names())
    assert completed(tmp_path, "query-db --st") >= {"--status", "--station", "--steps"}


def test_without_argcomplete_the_way_out_is_named(
    run: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "argcomplete.shell_integration", None)

    assert run("completion", "bash") == 2
    assert "pylantir[completion]" in run.err
