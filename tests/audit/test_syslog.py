"""Events reach a syslog collector, once it is there, and all of them."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import trustme
from pydantic import ValidationError
from tests.audit.collector import Collector
from tests.audit.trails import created, write

from pylantir.audit import syslog
from pylantir.audit.files import TrailFiles
from pylantir.audit.opening import open_trail
from pylantir.audit.syslog import SyslogForwarder
from pylantir.audit.trail import AuditTrail
from pylantir.config.security import AuditSettings, SyslogSettings
from pylantir.errors import ConfigurationError

MESSAGE = re.compile(
    rb"<(?P<pri>[0-9]{1,3})>1 (?P<at>[0-9-]{10}T[0-9:.]{15}Z) (?P<host>[!-~]+) pylantir - "
    rb'DICOM\+RFC3881 \[meta sequenceId="[0-9]+"\] \xef\xbb\xbf(?P<xml><AuditMessage>.*)',
    re.DOTALL,
)

MakeForwarder = Callable[..., SyslogForwarder]


@pytest.fixture
def collectors() -> Iterator[list[Collector]]:
    made: list[Collector] = []
    yield made
    for collector in made:
        collector.stop()


@pytest.fixture
def collector(collectors: list[Collector]) -> Collector:
    collectors.append(Collector())
    return collectors[0]


@pytest.fixture
def forward(monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeForwarder]:
    monkeypatch.setattr(syslog, "_LOOK_S", 0.02)
    monkeypatch.setattr(syslog, "_pause", lambda failures: 0.02)
    started: list[SyslogForwarder] = []

    def start(files: TrailFiles, port: int, **settings: Any) -> SyslogForwarder:
        values = {"host": "127.0.0.1", "port": port, "tls": False, **settings}
        started.append(SyslogForwarder(files, SyslogSettings(**values), "SITE"))
        started[-1].start()
        return started[-1]

    yield start
    for forwarder in started:
        forwarder.stop()


def test_a_message_is_that_of_the_standard(
    tmp_path: Path, collector: Collector, forward: MakeForwarder
) -> None:
    files = write(tmp_path, 1)
    files.append([created(2, outcome=4, reason="no")], sync=True)
    forward(files, collector.port)
    collector.wait(lambda: len(collector.messages) == 2)

    found = [MESSAGE.fullmatch(message) for message in collector.messages]
    assert [m["pri"] for m in found if m] == [b"85", b"84"]
    for match in found:
        assert match is not None
        event = ET.fromstring(match["xml"])[0]
        assert event.attrib["EventDateTime"].removesuffix("+00:00") == match["at"].decode()[:-1]


def test_what_is_written_while_it_runs_follows_in_order(
    tmp_path: Path, collector: Collector, forward: MakeForwarder
) -> None:
    files = write(tmp_path, 1, 2, max_bytes=1)
    forward(files, collector.port)
    collector.wait(lambda: len(collector.messages) == 2)
    for number in range(3, 9):
        files.append([created(number)], sync=True)
    collector.wait(lambda: len(collector.messages) == 8)

    assert collector.numbers() == list(range(1, 9))


def test_a_lost_connection_loses_no_event(
    tmp_path: Path, collector: Collector, forward: MakeForwarder
) -> None:
    files = write(tmp_path, 1, 2, 3)
    forward(files, collector.port)
    collector.wait(lambda: len(collector.messages) == 3)
    collector.hang_up()
    collector.wait(lambda: collector.connections >= 2)
    files.append([created(4)], sync=True)
    collector.wait(lambda: 4 in collector.numbers())

    assert set(collector.numbers()) == {1, 2, 3, 4}


def test_a_collector_that_is_away_is_told_once_and_gets_everything_later(
    tmp_path: Path,
    collectors: list[Collector],
    forward: MakeForwarder,
    caplog: pytest.LogCaptureFixture,
) -> None:
    collectors.append(Collector())
    port = collectors[0].port
    collectors[0].stop()
    files = write(tmp_path, 1, 2)
    forwarder = forward(files, port)
    deadline = time.monotonic() + 30
    while not forwarder.problem and time.monotonic() < deadline:
        time.sleep(0.01)
    files.append([created(3)], sync=True)
    collectors.append(Collector(port=port))
    collectors[1].wait(lambda: len(collectors[1].messages) == 3)

    assert collectors[1].numbers() == [1, 2, 3]
    assert caplog.text.count("cannot be reached") == 1
    assert "PID-" not in caplog.text


def test_after_a_stop_it_goes_on_where_it_was(
    tmp_path: Path, collector: Collector, forward: MakeForwarder
) -> None:
    files = write(tmp_path, 1, 2)
    first = forward(files, collector.port)
    collector.wait(lambda: len(collector.messages) == 2)
    first.stop()
    write(tmp_path, 3)
    forward(files, collector.port)
    collector.wait(lambda: len(collector.messages) >= 3)

    assert collector.numbers() == [1, 2, 3]


def test_a_trail_that_was_begun_anew_is_sent_from_its_beginning(
    tmp_path: Path, collector: Collector, forward: MakeForwarder
) -> None:
    files = write(tmp_path, 1)
    (tmp_path / f"sent-to-127-0-0-1-{collector.port}").write_text("99\n")
    forward(files, collector.port)
    collector.wait(lambda: len(collector.messages) == 1)


def test_the_trail_sends_what_it_is_handed(tmp_path: Path, collector: Collector) -> None:
    settings = AuditSettings(
        path=str(tmp_path),
        syslog=SyslogSettings(host="127.0.0.1", port=collector.port, tls=False),
    )
    audit = open_trail(settings, None)
    audit.start()
    audit.record(created())
    collector.wait(lambda: len(collector.messages) == 1)
    audit.stop()


def test_a_collector_that_is_away_holds_up_neither_events_nor_the_stop(tmp_path: Path) -> None:
    settings = SyslogSettings(host="127.0.0.1", port=9, tls=False)
    files = TrailFiles(tmp_path)
    audit = AuditTrail(files, forwarder=SyslogForwarder(files, settings))
    audit.start()
    for number in range(100):
        audit.record(created(number))
    audit.stop()

    assert files.head().number == 100


class Authority:
    """Certificates in files."""

    def __init__(self, folder: Path) -> None:
        self.ca = trustme.CA()
        self.path = str(folder / "ca.pem")
        self.ca.cert_pem.write_to_path(self.path)
        self.client = str(folder / "client.pem")
        self.ca.issue_cert("daemon").private_key_and_cert_chain_pem.write_to_path(self.client)

    def server(self, name: str, *, mutual: bool = False) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.ca.issue_cert(name).configure_cert(context)
        if mutual:
            self.ca.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


@pytest.fixture
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def test_over_tls_both_sides_show_who_they_are(
    tmp_path: Path, collectors: list[Collector], forward: MakeForwarder, authority: Authority
) -> None:
    collectors.append(Collector(authority.server("127.0.0.1", mutual=True)))
    files = write(tmp_path, 1)
    first = forward(
        files, collectors[0].port, tls=True, ca=authority.path, certificate=authority.client
    )
    collectors[0].wait(lambda: len(collectors[0].messages) == 1)
    first.stop()
    write(tmp_path, 2)
    forward(files, collectors[0].port, tls=True, ca=authority.path, certificate=authority.client)
    collectors[0].wait(lambda: len(collectors[0].messages) >= 2)

    assert collectors[0].numbers() == [1, 2]


@pytest.mark.parametrize("name", ["other.example", "untrusted"])
def test_a_collector_that_cannot_prove_who_it_is_gets_nothing(
    tmp_path: Path,
    collectors: list[Collector],
    forward: MakeForwarder,
    authority: Authority,
    name: str,
) -> None:
    context = authority.server("other.example")
    if name == "untrusted":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    collectors.append(Collector(context))
    forwarder = forward(write(tmp_path, 1), collectors[0].port, tls=True, ca=authority.path)
    deadline = time.monotonic() + 30
    while not forwarder.problem and time.monotonic() < deadline:
        time.sleep(0.01)

    assert "certificate" in forwarder.problem.lower()
    assert collectors[0].messages == []


def test_a_certificate_that_cannot_be_read_ends_the_start(tmp_path: Path) -> None:
    settings = SyslogSettings(host="127.0.0.1", port=9, ca=str(tmp_path / "none.pem"))
    with pytest.raises(ConfigurationError, match=r"none\.pem"):
        SyslogForwarder(TrailFiles(tmp_path), settings).start()


@pytest.mark.parametrize(
    ("host", "taken"), [("10.0.0.5", False), ("localhost", True), ("::1", True)]
)
def test_patients_leave_this_machine_encrypted_only(host: str, taken: bool) -> None:
    if taken:
        assert not SyslogSettings(host=host, tls=False).tls
        return
    with pytest.raises(ValidationError, match=r"expected tls for 10\.0\.0\.5"):
        SyslogSettings(host=host, tls=False)
