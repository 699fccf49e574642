"""The parser: every spelling that users have in their scripts, and what is told of a mistake."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.conftest import clean_environment, command

from pylantir.cli import main
from pylantir.cli.parser import build_parser, command_names, parse

PUBLISHED = (
    ("--AEtitle", "--ae-title", "ae_title", "MWL_SERVER"),
    ("--ip", "--ip", "ip", "127.0.0.1"),
    ("--port", "--port", "port", "4242"),
    ("--pylantir_config", "--config", "config", "site.json"),
    ("--callingAEtitle", "--calling-ae-title", "calling_ae_title", "MWL_TESTER"),
)
"""Options of the published release, their present spelling, what they set, and a value."""

OF_TEST_MPPS = (
    ("--mpps_action", "--mpps-action", "mpps_action", "create"),
    ("--mpps_status", "--mpps-status", "mpps_status", "DISCONTINUED"),
    ("--study_uid", "--study-uid", "study_uid", "1.2.3"),
    ("--sop_uid", "--sop-uid", "sop_uid", "1.2.4"),
)

PUBLISHED_COMMANDS = ("start", "query-db", "test-client", "test-mpps")


def parsed(*argv: str) -> argparse.Namespace:
    return parse(build_parser(), argv)


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    with pytest.raises(SystemExit) as exit_:
        main(argv)
    assert exit_.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) <= 3, "no page of usage around the message"
    return captured.err


def placements(name: str, option: str, value: str) -> list[Sequence[str]]:
    """The option before and after the command, with a blank and with an equals sign."""
    return [
        (name, option, value),
        (option, value, name),
        (name, f"{option}={value}"),
        (f"{option}={value}", name),
        ("-v", option, value, name, "-q"),
    ]


@pytest.mark.parametrize(("published", "modern", "sets", "value"), PUBLISHED)
@pytest.mark.parametrize("name", PUBLISHED_COMMANDS)
def test_every_published_option_stands_before_and_after_every_published_command(
    name: str, published: str, modern: str, sets: str, value: str
) -> None:
    for option in (published, modern):
        for argv in placements(name, option, value):
            args = parsed(*argv)
            assert (args.command, str(getattr(args, sets))) == (name, value), argv


@pytest.mark.parametrize(("published", "modern", "sets", "value"), OF_TEST_MPPS)
def test_every_published_option_of_test_mpps_has_both_spellings(
    published: str, modern: str, sets: str, value: str
) -> None:
    for option in (published, modern):
        for argv in placements("test-mpps", option, value):
            assert getattr(parsed(*argv), sets) == value, argv


def test_the_published_command_lines_are_understood() -> None:
    started = parsed(
        *"start --ip 127.0.0.1 --port 4242 --AEtitle MWL --pylantir_config a.json".split()
    )
    performed = parsed(
        *"--AEtitle MWL --mpps_action set --mpps_status COMPLETED --callingAEtitle T "
        "--ip 127.0.0.1 --port 4242 --study_uid 1.2 --sop_uid 1.3 test-mpps".split()
    )

    assert (started.ip, started.port, started.ae_title) == ("127.0.0.1", 4242, "MWL")
    assert started.config == "a.json"
    assert (performed.mpps_action, performed.mpps_status) == ("set", "COMPLETED")
    assert (performed.study_uid, performed.sop_uid) == ("1.2", "1.3")


def test_a_value_may_be_the_name_of_a_command() -> None:
    args = parsed("--AEtitle", "start", "query-db")

    assert (args.command, args.ae_title) == ("query-db", "start")


def test_an_option_takes_a_value_in_every_command_or_in_none() -> None:
    """Else what stands before the command name could not be told apart."""
    parser = build_parser()
    commands = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    takes: dict[str, set[bool]] = {}
    for each in commands.choices.values():
        for action in each._actions:
            for option in action.option_strings:
                takes.setdefault(option, set()).add(action.nargs is None)

    assert [option for option, both in takes.items() if len(both) > 1] == []


@pytest.mark.parametrize("flag", ["--demo", "-v", "-q", "--verbose", "--quiet"])
def test_flags_stand_before_and_after(flag: str) -> None:
    before, after = parsed(flag, "query-db"), parsed("query-db", flag)

    assert vars(before) == vars(after) != vars(parsed("query-db"))


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["--version"])

    assert exit_.value.code == 0
    assert capsys.readouterr().out.startswith("pylantir")


def test_without_a_command_the_help_is_shown_and_it_is_no_success(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([]) == 2
    shown = capsys.readouterr().out
    assert all(name in shown for name in command_names())
    assert "pylantir start --demo" in shown


@pytest.mark.parametrize("name", command_names())
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main([name, "--help"])

    assert exit_.value.code == 0
    assert f"usage: pylantir {name}" in capsys.readouterr().out


def test_an_unknown_command_names_the_nearest_one(capsys: pytest.CaptureFixture[str]) -> None:
    told = refused(capsys, "querydb")

    assert "unknown command 'querydb', did you mean query-db?" in told
    assert "pylantir --help" in told


def test_an_unknown_option_names_the_nearest_one_and_where_to_look(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = refused(capsys, "start", "--AEtile", "MWL")

    assert "pylantir start: unknown option '--AEtile', did you mean --AEtitle?" in told
    assert "pylantir start --help" in told


@pytest.mark.parametrize("option", ["--AEtile=MWL", "--po", "--pylantir"])
def test_an_option_is_never_guessed_from_its_beginning(
    capsys: pytest.CaptureFixture[str], option: str
) -> None:
    assert "unknown option" in refused(capsys, "start", option)


def test_options_without_a_command_say_what_is_missing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "expected a command" in refused(capsys, "--port", "4242")


def test_too_many_words_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "unknown argument 'extra'" in refused(capsys, "start", "extra")


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (("start", "--port", "http"), "--port"),
        (("query-db", "--limit", "0"), "--limit"),
        (("test-mpps", "--mpps_action", "begin"), "--mpps_action"),
        (("query-db", "--json", "--csv"), "--csv"),
        (("completion", "cmd"), "shell"),
        (("cancel",), "item"),
    ],
)
def test_a_value_that_cannot_be_names_its_option(
    capsys: pytest.CaptureFixture[str], argv: tuple[str, ...], named: str
) -> None:
    assert named in refused(capsys, *argv)


def test_help_takes_a_fraction_of_a_second_of_computing(tmp_path: Path) -> None:
    def cpu_seconds() -> float:
        before = os.times()
        environment = clean_environment(tmp_path)
        subprocess.run(command("--help"), env=environment, check=True, capture_output=True)
        after = os.times()
        return sum(after[2:4]) - sum(before[2:4])  # of children, whatever else the machine does

    assert min(cpu_seconds() for _ in range(5)) < 0.6


def test_the_module_is_the_command(tmp_path: Path) -> None:
    ran = subprocess.run(
        command("bogus"),
        env=clean_environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.returncode, ran.stdout) == (2, "")
    assert "unknown command 'bogus'" in ran.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no broken pipes")
def test_a_reader_that_stops_reading_is_no_traceback(tmp_path: Path) -> None:
    nobody_reads, write_here = os.pipe()
    os.close(nobody_reads)
    with os.fdopen(write_here, "wb") as pipe:
        ran = subprocess.run(
            command("config-schema"),
            env=clean_environment(tmp_path),
            stdout=pipe,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert (ran.returncode, ran.stderr) == (1, "")


def test_a_defect_is_told_without_a_traceback_and_without_values(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def defect(*_: object) -> None:
        raise LookupError("Doe^Jane")

    monkeypatch.setattr("pylantir.config.load.json_schema", defect)

    assert main(["config-schema"]) == 1
    told = capsys.readouterr().err
    assert "a defect ended config-schema: LookupError in test_parser.py" in told
    assert "Doe" not in told
    assert "Traceback" not in told
    assert main(["config-schema", "-v"]) == 1
    assert "Traceback" in capsys.readouterr().err
