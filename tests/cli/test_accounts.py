"""Accounts from the command line: asked for, never echoed, never on the command line by default."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import CommandLine
from tests.conftest import REPOSITORY, clean_environment, command

PUBLISHED = REPOSITORY / "tests" / "worklist" / "data" / "published-0.4.6-users.db"
PASSWORD = "a quiet sentence about nothing"


Typed = Callable[..., None]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Gives the lines that somebody pipes into the command."""

    def give(*lines: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))

    return give


def test_an_account_is_made_from_answers(run: CommandLine, typed: Typed) -> None:
    typed("rivera", "write", PASSWORD)

    assert run("create-user") == 0
    assert run.out == "account 1: rivera, role write\n"
    assert PASSWORD not in run.out + run.err
    assert (run.folder / "users.db").exists()
    assert run.json("list-users")[0]["username"] == "rivera"


@pytest.mark.parametrize(
    "words",
    [
        ("create-user", "--username", "rivera", "--role", "admin", "--email", "r@example.org"),
        ("--username", "rivera", "--role", "admin", "create-user", "--full-name", "Lucía Rivera"),
    ],
)
def test_what_is_given_is_not_asked(run: CommandLine, typed: Typed, words: tuple[str, ...]) -> None:
    typed(PASSWORD)

    assert run(*words) == 0
    assert run.json("list-users")[0]["role"] == "admin"


def test_the_role_is_read_when_nobody_answers(run: CommandLine, typed: Typed) -> None:
    typed("", PASSWORD)

    assert run("create-user", "--username", "rivera") == 0
    assert run.json("list-users")[0]["role"] == "read"


def test_a_password_that_cannot_be_used_is_said_and_not_shown(
    run: CommandLine, typed: Typed
) -> None:
    typed("hunter2")

    assert run("create-user", "--username", "rivera", "--role", "read") == 2
    assert "12 to 128 characters" in run.err
    assert "hunter2" not in run.err
    assert run.json("list-users") == []


def test_a_password_on_the_command_line_is_taken_with_a_warning(run: CommandLine) -> None:
    words = ("create-user", "--username", "rivera", "--role", "read", "--password", PASSWORD)

    assert run(*words) == 0
    assert "shell's history" in run.err
    assert PASSWORD not in run.err


def test_the_admin_of_a_published_database_gets_a_password(run: CommandLine, typed: Typed) -> None:
    shutil.copy(PUBLISHED, run.folder / "users.db")
    assert run.json("list-users")[0]["must_change_password"] is True
    typed("admin123", PASSWORD)

    assert run("admin-password", "--username", "admin") == 0
    assert run.json("list-users")[0]["must_change_password"] is False


def test_the_current_password_is_asked_for(run: CommandLine, typed: Typed) -> None:
    shutil.copy(PUBLISHED, run.folder / "users.db")
    typed("a guess", PASSWORD)

    assert run("admin-password") == 1
    assert "--reset" in run.err
    typed(PASSWORD)
    assert run("admin-password", "--reset") == 0


def test_an_account_that_does_not_exist_is_named(run: CommandLine) -> None:
    assert run("admin-password", "--username", "nobody") == 1
    assert "no account 'nobody'" in run.err


def test_the_configuration_beats_the_environment_and_that_the_default(
    run: CommandLine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("USERS_DB_PATH", str(run.folder / "by-variable.db"))
    assert run("list-users") == 0
    run.configure(users_db_path=str(run.folder / "by-file.db"))
    assert run("list-users") == 0

    assert sorted(p.name for p in run.folder.glob("*.db")) == ["by-file.db", "by-variable.db"]


def test_without_the_extra_it_says_which_command_installs_it(tmp_path: Path) -> None:
    """An interpreter in which the packages of the extra cannot be found."""
    hidden = (
        "import sys\n"
        "for name in ('argon2', 'bcrypt', 'jwt', 'fastapi', 'uvicorn'):\n"
        "    sys.modules[name] = None\n"
        "from pylantir.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", hidden, "list-users"],
        cwd=tmp_path,
        env=clean_environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert ran.returncode == 2
    assert 'pip install "pylantir[api]"' in ran.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo terminal")
def test_on_a_terminal_passwords_are_asked_twice_and_not_echoed(tmp_path: Path) -> None:
    import os
    import pty

    (tmp_path / "pylantir.json").write_text(f'{{"db_path": "{tmp_path}/worklist.db"}}')
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command("create-user", "--username", "rivera", "--role", "read"),
        cwd=tmp_path,
        env=clean_environment(tmp_path),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown = ""
    for prompt in ("12 characters): ", "same again: "):
        while prompt not in shown:
            shown += os.read(ours, 1000).decode()
        os.write(ours, f"{PASSWORD}\n".encode())
    while "account 1" not in shown:
        shown += os.read(ours, 1000).decode()
    assert process.wait(60) == 0
    os.close(ours)

    assert PASSWORD not in shown
