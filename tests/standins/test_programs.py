"""The stand-ins as somebody runs them by hand."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import requests
import trustme
from tests.standins.programs import calpendo_main, redcap_main

ROOT = Path(__file__).resolve().parents[2]
Main = Callable[[Sequence[str], threading.Event, Callable[[str], None]], int]


class Printed:
    """Collects what is printed and waits for it."""

    def __init__(self) -> None:
        self.text = ""
        self._more = threading.Condition()

    def __call__(self, line: str) -> None:
        with self._more:
            self.text += f"{line}\n"
            self._more.notify_all()

    def wait_for(self, pattern: str) -> str:
        """The first group of the pattern, once it has been printed."""

        def found() -> re.Match[str] | None:
            return re.search(pattern, self.text)

        with self._more:
            match = self._more.wait_for(found, 10)
        assert match, f"{pattern} is not in:\n{self.text}"
        return match[1]


class Running:
    """A program in a thread."""

    def __init__(self, main: Main, printed: Printed, *arguments: str) -> None:
        self.ended = threading.Event()
        self.code: int | None = None

        def run() -> None:
            self.code = main([*arguments, "--port", "0"], self.ended, printed)

        self.thread = threading.Thread(target=run)

    def __enter__(self) -> Running:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join(5)
        assert self.code == 0


@pytest.fixture
def printed() -> Printed:
    return Printed()


def test_redcap_prints_what_a_client_needs(printed: Printed) -> None:
    with Running(redcap_main, printed, "--records", "10", "--shape", "repeating"):
        url = printed.wait_for(r"REDCAP_API_URL=(\S+)")
        token = printed.wait_for(r"REDCAP_API_TOKEN=([0-9A-F]{32})\n")
        form = {"token": token, "content": "record", "format": "json", "fields": "record_id"}
        assert len(requests.post(url, data=form).json()) == 10


def test_calpendo_prints_what_a_client_needs(printed: Printed) -> None:
    with Running(calpendo_main, printed, "--version", "10", "--bookings", "3"):
        url = printed.wait_for(r"answers at (\S+),")
        assert url.endswith("/webdav")
        auth = (
            printed.wait_for(r"CALPENDO_USERNAME=(\S+)"),
            printed.wait_for(r"CALPENDO_PASSWORD=(\S+)"),
        )
        answer = requests.get(
            f"{url}/q/Calpendo.Booking", auth=auth, headers={"Accept": "application/json"}
        )
        assert len(answer.json()["biskits"]) == 3


@pytest.mark.parametrize("main", [redcap_main, calpendo_main])
def test_every_request_it_suggests_works(main: Main, printed: Printed) -> None:
    with Running(main, printed):
        printed.wait_for(r"(Ctrl\+C)")
        lines = [line for line in printed.text.splitlines() if line.startswith("  curl")]
        assert len(lines) >= 5
        for line in lines:
            answer = _as_curl_does(line)
            assert answer.status_code in ({200} if "fault" not in line else {200, 503}), line


def _as_curl_does(line: str) -> requests.Response:
    words = iter(shlex.split(line)[1:])
    fields: list[tuple[str, str]] = []
    headers, auth, url = {}, None, ""
    for word in words:
        if word == "-d":
            name, _, value = next(words).partition("=")
            fields.append((name, value))
        elif word == "-H":
            name, _, value = next(words).partition(": ")
            headers[name] = value
        elif word == "-u":
            user, _, password = next(words).partition(":")
            auth = (user, password)
        else:
            url = word
    method = "POST" if fields else "GET"
    return requests.request(method, url, data=fields, headers=headers, auth=auth)


@pytest.mark.parametrize("main", [redcap_main, calpendo_main])
def test_a_live_day_tells_what_happens(main: Main, printed: Printed) -> None:
    with Running(main, printed, "--live", "--step", "0.01"):
        assert printed.wait_for(r"\* (.*booked for.*)\n")
        assert printed.wait_for(r"\* (.*deleted)\n")


def test_it_serves_https_with_a_certificate(printed: Printed, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = tmp_path / "server.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(bundle)
    with Running(redcap_main, printed, "--certificate", str(certificate)):
        url = printed.wait_for(r"REDCAP_API_URL=(https://\S+)")
        assert requests.get(url, verify=str(bundle)).status_code == 501


def test_the_servers_clock_and_zone_are_chosen(printed: Printed) -> None:
    chosen = ["--clock", "2026-03-02T08:00", "--zone", "Europe/Berlin"]
    with Running(redcap_main, printed, *chosen):
        url = printed.wait_for(r"(http\S+)/__control__/\n")
        shown = requests.get(f"{url}/__control__/clock").json()
    assert shown["utc"][:16] == "2026-03-02T07:00"
    assert shown["zone"] == "Europe/Berlin"


@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT, which Windows has not")
@pytest.mark.parametrize("name", ["redcap", "calpendo"])
def test_it_starts_as_a_module_and_one_ctrl_c_ends_it(name: str) -> None:
    command = [sys.executable, "-m", f"tests.standins.{name}", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        seen = []
        for line in process.stdout:
            seen.append(line)
            if "Ctrl+C" in line:
                break
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0, "".join(seen)
