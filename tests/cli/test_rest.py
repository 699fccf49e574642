"""``start-api`` and ``start --with-api`` as processes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.conftest import STOP_SIGNALS, StartDaemon, clean_environment, command
from tests.first_account import PASSWORD, first_account, setup_code


class ApiProcess:
    """``pylantir start-api`` as a process."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.log = (folder / "api.log").open("w+", encoding="utf-8")
        self.process = subprocess.Popen(
            command("start-api", *words),
            cwd=folder,
            env=clean_environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self.log,
            encoding="utf-8",
            creationflags=subprocess.CREATE_NEW_PROCESS_GROUP if sys.platform == "win32" else 0,
        )
        self.banner = ""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.banner += line
            if line.startswith("Stop with"):
                break

    @property
    def url(self) -> str:
        found = re.search(r"(http://\S+) ", self.banner)
        assert found is not None, self.banner
        return found[1]

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        self.log.close()


@pytest.fixture
def start_api(tmp_path: Path) -> Iterator[Any]:
    started: list[ApiProcess] = []
    (tmp_path / "pylantir.json").write_text(
        json.dumps({"db_path": str(tmp_path / "site" / "worklist.db")}), encoding="utf-8"
    )

    def start(*words: str) -> ApiProcess:
        started.append(ApiProcess(tmp_path, *words))
        return started[-1]

    yield start
    for each in started:
        each.close()


def run(folder: Path, *words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*words),
        cwd=folder,
        env=clean_environment(folder),
        input=typed,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("by", STOP_SIGNALS)
def test_it_serves_until_one_signal(start_api: Any, by: int) -> None:
    api = start_api("--api-port", "0")

    assert requests.get(f"{api.url}/health", timeout=30).json()["status"] == "healthy"
    api.process.send_signal(by)

    assert api.process.wait(30) == 0


def test_published_flags_stand_before_the_command(tmp_path: Path, start_api: Any) -> None:
    config = str(tmp_path / "pylantir.json")
    api = ApiProcess(
        tmp_path, "--pylantir_config", config, "--api-host", "127.0.0.1", "--api-port", "0"
    )

    assert requests.get(f"{api.url}/ready", timeout=30).json()["status"] == "ready"
    api.close()


def test_the_published_way_to_open_it_to_everybody_says_what_it_needs(
    tmp_path: Path, start_api: Any
) -> None:
    ran = run(tmp_path, "start-api", "--api-host", "0.0.0.0", "--api-port", "0")

    assert ran.returncode == 2
    assert "api.tls_certificate" in ran.stderr
    assert "--behind-proxy" in ran.stderr


def test_the_first_start_prints_a_code_that_makes_an_admin(start_api: Any) -> None:
    api = start_api("--api-port", "0")
    code = setup_code(api.banner)
    body = {"setup_code": code, "username": "boss", "password": PASSWORD}

    assert requests.post(f"{api.url}/auth/setup", json=body, timeout=30).status_code == 201

    api.log.seek(0)
    assert code not in api.log.read(), "a code in a log file is a code that others read"
    login = {"username": "boss", "password": PASSWORD}
    assert requests.post(f"{api.url}/auth/login", json=login, timeout=30).status_code == 200


def test_an_account_made_on_the_machine_signs_in(tmp_path: Path, start_api: Any) -> None:
    made = run(
        tmp_path, "create-user", "--username", "boss", "--role", "admin", typed=f"{PASSWORD}\n"
    )
    assert made.returncode == 0, made.stderr
    api = start_api("--api-port", "0")

    assert "set-up code" not in api.banner
    login = {"username": "boss", "password": PASSWORD}
    assert requests.post(f"{api.url}/auth/login", json=login, timeout=30).status_code == 200


def test_a_wrong_port_is_a_usage_error(tmp_path: Path, start_api: Any) -> None:
    for port in ("70000", "x"):
        assert run(tmp_path, "start-api", "--api-port", port).returncode == 2


def test_one_process_serves_scanners_and_programs(
    daemon_process: StartDaemon, tmp_path: Path
) -> None:
    daemon = daemon_process("--demo-dir", str(tmp_path / "demo"), "--with-api", "--api-port", "0")
    with first_account("\n".join(daemon.banner)) as (url, session):
        listed = session.get(f"{url}/worklist?status=any", timeout=30)
        ready = session.get(f"{url}/ready", timeout=30)

    assert len(listed.json()) == 12
    assert {check["name"]: check["ok"] for check in ready.json()["checks"]} == {
        "database": True,
        "dicom": True,
    }
    assert daemon.stop()[0] == 0


def test_without_its_packages_it_says_which_command_installs_them(tmp_path: Path) -> None:
    (tmp_path / "pylantir.json").write_text(f'{{"db_path": "{tmp_path.as_posix()}/worklist.db"}}')
    hidden = (
        "import sys\n"
        "for name in ('argon2', 'bcrypt', 'jwt', 'fastapi', 'uvicorn', 'starlette'):\n"
        "    sys.modules[name] = None\n"
        "from pylantir.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    for words in (["start-api"], ["start", "--with-api", "--port", "0"]):
        ran = subprocess.run(
            [sys.executable, "-c", hidden, *words],
            cwd=tmp_path,
            env=clean_environment(tmp_path),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert ran.returncode == 2, ran.stderr
        assert 'pip install "pylantir[api]"' in ran.stderr
