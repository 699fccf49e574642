"""A certificate is renewed without a restart, and warned of before it ends."""

from __future__ import annotations

import datetime as dt
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.authority import Authority

from pylantir.config.security import TlsSettings
from pylantir.dicom import certificates
from pylantir.dicom.certificates import Certificates, why_not
from pylantir.errors import ConfigurationError
from pylantir.tls import client_context, expiry


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


class Renewed:
    """Certificates whose files are looked at when the test says so, on a clock of its own."""

    def __init__(self, path: str, **settings: str) -> None:
        self.moment = dt.datetime.now(dt.UTC)
        self.path = path
        self.certificates = Certificates(
            TlsSettings(certificate=path, **settings), now=lambda: self.moment
        )
        self.certificates.start()

    def shown_to(self, authority: Authority) -> dt.datetime:
        """The end of the certificate that a client gets to see."""
        ours, theirs = socket.socketpair()
        secured = self.certificates.handshake(theirs)
        thread = threading.Thread(target=secured.do_handshake)
        thread.start()
        with client_context(authority.path, check_host_name=False).wrap_socket(ours) as client:
            shown = client.getpeercert()
            thread.join(30)
        secured.close()
        assert shown is not None
        told = dt.datetime.strptime(str(shown["notAfter"]), "%b %d %H:%M:%S %Y GMT")
        return told.replace(tzinfo=dt.UTC)

    def renew(self, authority: Authority, **how: float) -> None:
        before = time.time_ns()
        authority.issue("server.example", **how)  # type: ignore[arg-type]
        os.utime(self.path, ns=(before + 10**9, before + 10**9))
        self.certificates.refresh()


@pytest.fixture
def renewed(authority: Authority) -> Iterator[Renewed]:
    made = Renewed(authority.issue("server.example", days=200))
    yield made
    made.certificates.stop()


def test_new_files_count_from_the_next_connection_on(
    authority: Authority, renewed: Renewed, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    first = renewed.shown_to(authority)
    renewed.renew(authority, days=300)

    assert renewed.shown_to(authority) - first > dt.timedelta(days=99)
    assert "TLS: new certificate, good until" in caplog.text


def test_a_connection_looks_for_new_files_by_itself(
    authority: Authority, renewed: Renewed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "_LOOK_AGAIN_S", 0)
    first = renewed.shown_to(authority)
    Path(renewed.path).unlink()
    authority.issue("server.example", days=300)

    assert renewed.shown_to(authority) > first


@pytest.mark.parametrize("how", ["rubbish", "missing", "another key"])
def test_with_bad_new_files_the_old_certificate_stays(
    authority: Authority, renewed: Renewed, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    path = Path(renewed.path)
    good, first = path.read_bytes(), renewed.shown_to(authority)
    if how == "rubbish":
        path.write_text("rubbish")
    elif how == "missing":
        path.unlink()
    else:
        _, _, chain = good.partition(b"-----BEGIN CERTIFICATE-----")
        other = Path(authority.issue("other.example")).read_bytes()
        path.write_bytes(
            other.partition(b"-----BEGIN CERT")[0] + b"-----BEGIN CERTIFICATE-----" + chain
        )
    renewed.certificates.refresh()
    renewed.certificates.refresh()

    assert renewed.shown_to(authority) == first
    assert caplog.text.count("the new certificate cannot be used, the old one stays") == 1
    assert "old one stays" in renewed.certificates.problem
    renewed.renew(authority, days=300)
    assert renewed.certificates.problem == ""


def test_the_end_is_announced_thirty_seven_and_one_day_before_and_when_it_has_come(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    made = Renewed(authority.issue("server.example", days=200))
    ends = expiry(made.path)
    said: list[tuple[float, str]] = []
    for days in (100, 31, 29, 20, 8, 6, 5, 0.9, 0.5, -0.1, -3):
        caplog.clear()
        made.moment = ends - dt.timedelta(days=days)
        made.certificates.refresh()
        made.certificates.refresh()
        said += [(days, record.levelname) for record in caplog.records]
    made.certificates.stop()

    assert said == [(29, "WARNING"), (6, "WARNING"), (0.9, "WARNING"), (-0.1, "ERROR")]
    assert made.certificates.has_ended
    assert "scanners turn away from it" in made.certificates.problem


def test_a_new_certificate_ends_the_warning(
    authority: Authority, renewed: Renewed, caplog: pytest.LogCaptureFixture
) -> None:
    renewed.moment = expiry(renewed.path) - dt.timedelta(days=3)
    renewed.certificates.refresh()
    assert "in 3 days" in renewed.certificates.problem
    renewed.renew(authority, days=300)

    assert renewed.certificates.problem == ""
    caplog.clear()
    renewed.moment = expiry(renewed.path) - dt.timedelta(days=3)
    renewed.certificates.refresh()
    assert "TLS: the certificate ends on" in caplog.text


def test_a_start_without_a_certificate_fails(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.pem"):
        Renewed(str(tmp_path / "none.pem"))


@pytest.mark.parametrize(
    ("calling", "names", "told"),
    [
        ("MR1", frozenset({"mr1.example"}), ""),
        ("MR1", frozenset({"MR1.EXAMPLE", "x"}), ""),
        ("MR1", frozenset({"b", "a"}), "not recognised with this certificate (a, b)"),
        ("MR1", frozenset(), "not recognised with this certificate (none)"),
        ("MR1", None, "not recognised without TLS"),
        ("OTHER", None, ""),
        ("OTHER", frozenset(), ""),
    ],
)
def test_a_bound_title_needs_its_certificate(
    calling: str, names: frozenset[str] | None, told: str
) -> None:
    found = why_not({"MR1": "mr1.example"}, calling, names)

    assert found.endswith(told)
    assert bool(found) == bool(told)
