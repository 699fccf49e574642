"""Make the test databases ``published-*.db``: let the published releases write them.

Each release is installed from the package index into a virtual environment of its own and run as
a site runs it: ``populate_db``, ``pylantir start`` fed by a stand-in for REDCap and Calpendo, a
scanner that reports performed steps, then ``pylantir start-api`` and bookings made over REST.
What its code makes of all this stays in the file, oddities included. The bookings are in
``invented_site.py``; see the README beside this file.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import venv
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests
from invented_site import (
    BOOKINGS,
    OWN_SCRIPT,
    PHASES,
    REDCAP_FIELDS,
    REDCAP_ROWS,
    REPORTED,
    REST_ITEMS,
    USERS,
    Phase,
)
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE
from pynetdicom.sop_class import ModalityPerformedProcedureStep, Verification

RELEASES = ("0.2.3", "0.3.5", "0.4.6")
USERS_RELEASE = "0.4.6"
HERE = Path(__file__).parent
DEADLINE_S = 60.0


class Upstream(BaseHTTPRequestHandler):
    """As much of REDCap and Calpendo as the releases ask for."""

    server: UpstreamServer

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length", "0"))
        form = urllib.parse.parse_qs(self.rfile.read(size).decode())
        content, form_format = form["content"][0], form.get("format", ["json"])[0]
        if content == "metadata":
            rows = [{"field_name": name} for name in REDCAP_FIELDS]
        elif content == "record":
            names = ["record_id", "redcap_repeat_instrument", "redcap_repeat_instance"]
            names += [name for name in REDCAP_FIELDS if name not in names]
            seen = [row for row in REDCAP_ROWS if row["record_id"] in self.server.records]
            rows = [{name: row.get(name, "") for name in names} for row in seen]
        else:  # the project has no events, arms or whatever else was asked for
            self._answer(json.dumps({"error": f"no {content}"}), status=400)
            return
        self._answer(as_csv(rows) if form_format == "csv" else json.dumps(rows))

    def do_GET(self) -> None:
        path = urllib.parse.urlsplit(self.path).path
        if "/b/Calpendo.Booking/" in path:
            answer: dict[str, Any] = BOOKINGS[int(path.rsplit("/", 1)[1])]
        elif "/q/Calpendo.Booking/" in path:
            answer = {"biskits": [{"id": number} for number in BOOKINGS]}
        else:
            answer = {"biskits": [{"properties": {"Operator": {"name": "Op^Erator"}}}]}
        self._answer(json.dumps(answer))

    def _answer(self, text: str, status: int = 200) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def as_csv(rows: list[dict[str, str]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(rows[0]) if rows else [])
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


class UpstreamServer(ThreadingHTTPServer):
    """The stand-in while a ``with`` block runs."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Upstream)
        self.records = ""
        self.address = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *args: object) -> None:
        self.shutdown()
        super().__exit__(*args)


class Release:
    """One published release, installed and ready to be run in a folder of its own."""

    def __init__(self, version: str, folder: Path, address: str) -> None:
        self.version = version
        self.folder = folder
        self.database = folder / "worklist.db"
        self.users = folder / "users.db"
        self.config = folder / "pylantir.json"
        self.environment = {
            **os.environ,
            "HOME": str(folder),
            "DB_PATH": str(self.database),
            "USERS_DB_PATH": str(self.users),
            "REDCAP_API_URL": f"{address}/api/",
            "REDCAP_API_TOKEN": "0" * 32,
            "CALPENDO_USERNAME": "site",
            "CALPENDO_PASSWORD": "site",
        }
        venv.create(folder / "venv", with_pip=True)
        self.bin = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
        requirements = [f"pylantir[api]=={version}", "pandas", "requests", "pytz"]
        self.python("-m", "pip", "install", "-q", *requirements)

    def configure(self, phase: Phase, address: str) -> None:
        """Write the configuration file a site has in that phase."""
        text = json.dumps(self._config(phase, address))
        self.config.write_text(text, encoding="utf-8")

    def _config(self, phase: Phase, address: str) -> dict[str, Any]:
        common = {
            "db_path": str(self.database),
            "users_db_path": str(self.users),
            "db_echo": "False",
            "allowed_aet": [],
            "site": "792",
            "protocol": {"792": "BRAIN_MRI_3T", "mapping": "CPIP"},
        }
        if self.version == "0.2.3":
            interval_s = phase.sync_interval_s
            return {**common, "redcap2wl": phase.mapping, "db_update_interval": interval_s}
        redcap = {"site": "792", "site_id": "792", "protocol": common["protocol"]}
        calpendo = {
            "base_url": address,
            "resources": ["3T Diagnostic"],
            "resource_modality_mapping": {"3T": "MR"},
            "timezone": "America/Edmonton",
        }
        round_s = {"sync_interval": phase.sync_interval_s, "enabled": True}
        return {
            **common,
            "data_sources": [
                {
                    **round_s,
                    "name": "main_redcap",
                    "type": "redcap",
                    "config": redcap,
                    "field_mapping": phase.mapping,
                },
                {
                    **round_s,
                    "name": "scanner_calendar",
                    "type": "calpendo",
                    "config": calpendo,
                    "field_mapping": {
                        "patient_id": "title",
                        "patient_name": "title",
                        "study_description": "properties.project.formattedName",
                    },
                },
            ],
        }

    def python(self, *arguments: str) -> None:
        subprocess.run(
            [str(self.bin / "python"), *arguments],
            env=self.environment,
            cwd=self.folder,
            check=True,
        )

    @contextlib.contextmanager
    def running(self, *arguments: str) -> Iterator[None]:
        """``pylantir ARGUMENTS`` while the block runs; its output is shown when the block fails."""
        log = self.folder / f"{arguments[0]}.log"
        with log.open("w", encoding="utf-8") as output:
            process = subprocess.Popen(
                [str(self.bin / "pylantir"), *arguments, "--pylantir_config", str(self.config)],
                env=self.environment,
                cwd=self.folder,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            try:
                yield
            except BaseException:
                print(log.read_text(encoding="utf-8"), file=sys.stderr)
                raise
            finally:
                process.kill()
                process.wait()

    def rows(self, where: str) -> list[tuple[str, str]]:
        query = f"SELECT patient_id, patient_name FROM worklist_items WHERE {where}"
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            return connection.execute(query).fetchall()


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait until something outside this process is so."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        with contextlib.suppress(sqlite3.OperationalError, requests.ConnectionError):
            if condition():
                return
        time.sleep(0.2)
    raise TimeoutError(f"{what}: not within {DEADLINE_S:.0f} s")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def book(release: Release, phase: Phase, server: UpstreamServer) -> None:
    """The sources are read; in the last phase the scanner reports, too."""
    server.records = phase.records
    release.configure(phase, server.address)
    port = free_port()
    arguments = ("start", "--ip", "127.0.0.1", "--port", str(port), "--AEtitle", "MWL_SERVER")
    with release.running(*arguments):
        until(lambda: echo(port), "the server's C-ECHO")
        until(lambda: bool(release.rows("patient_id LIKE 'sub_%'")), "rows from REDCap")
        until(lambda: bool(release.rows(phase.settled)), phase.settled)
        if phase is PHASES[release.version][-1]:
            for begins, statuses in REPORTED:
                ((patient_id, patient_name),) = release.rows(f"patient_id LIKE '{begins}%'")
                report(port, patient_id, patient_name, statuses)


def echo(port: int) -> bool:
    ae = AE()
    ae.add_requested_context(Verification)
    assoc = ae.associate("127.0.0.1", port)
    if not assoc.is_established:
        return False
    status = assoc.send_c_echo()
    assoc.release()
    return bool(status and status.Status == 0)


def report(port: int, patient_id: str, patient_name: str, statuses: tuple[str, ...]) -> None:
    ae = AE(ae_title="MR1")
    ae.add_requested_context(ModalityPerformedProcedureStep)
    assoc = ae.associate("127.0.0.1", port, ae_title="MWL_SERVER")
    assert assoc.is_established
    sop_instance_uid = generate_uid()
    for position, status in enumerate(statuses):
        ds = Dataset()
        ds.PatientID, ds.PatientName = patient_id, patient_name
        ds.PerformedProcedureStepStatus = status
        send = assoc.send_n_set if position else assoc.send_n_create
        answer, _ = send(ds, ModalityPerformedProcedureStep, sop_instance_uid)
        assert answer.Status == 0
    assoc.release()


def book_over_rest(release: Release) -> None:
    """Bookings and accounts made over REST; the release makes its admin account by itself."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    with release.running("start-api", "--api-host", "127.0.0.1", "--api-port", str(port)):
        until(lambda: requests.get(f"{base}/docs", timeout=5).ok, "the REST API")
        login = {"username": "admin", "password": "admin123"}
        answer = requests.post(f"{base}/auth/login", json=login, timeout=10)
        answer.raise_for_status()
        door = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        for path, bodies in (("worklist", REST_ITEMS), ("users", USERS)):
            for body in bodies:
                answer = requests.post(f"{base}/{path}", json=body, headers=door, timeout=10)
                answer.raise_for_status()


def build(version: str, out: Path) -> None:
    with tempfile.TemporaryDirectory() as folder, UpstreamServer() as server:
        release = Release(version, Path(folder), server.address)
        release.python("-c", OWN_SCRIPT)
        for phase in PHASES[version]:
            book(release, phase, server)
        book_over_rest(release)
        shutil.copyfile(release.database, out / f"published-{version}.db")
        if version == USERS_RELEASE:
            shutil.copyfile(release.users, out / f"published-{version}-users.db")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--release", action="append", choices=RELEASES)
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write to")
    arguments = parser.parse_args()
    for version in arguments.release or RELEASES:
        build(version, arguments.out)
        print(f"published-{version}.db")


if __name__ == "__main__":
    main()
