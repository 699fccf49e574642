"""REDCap's certificate: trusted, private, wrong."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests.sources.redcap_asked import NOW, client_of
from tests.sources.redcap_site import redcap_site
from tests.standins.redcap import RedcapStandIn
from tests.standins.redcap_samples import sample_project

from pylantir.errors import SourceUnavailable
from pylantir.sources.redcap_client import RedcapClient


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def tls(authority: trustme.CA, *names: str, **how: Any) -> Any:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, **how).configure_cert(context)
    return context


@pytest.mark.parametrize(
    ("name", "how", "told"),
    [
        ("127.0.0.1", {}, "self-signed|unable to get local issuer"),
        ("elsewhere.example.org", {"known": True}, "not valid for"),
        (
            "127.0.0.1",
            {"known": True, "not_after": dt.datetime(2020, 1, 2), "not_before": None},
            "expired",
        ),
    ],
    ids=["unknown", "wrong host", "expired"],
)
def test_what_is_wrong_with_a_certificate_is_said(
    authority: trustme.CA, tmp_path: Path, name: str, how: dict[str, Any], told: str
) -> None:
    known, how = how.get("known", False), {k: v for k, v in how.items() if k != "known"}
    if "not_before" in how:
        how["not_before"] = dt.datetime(2020, 1, 1)
    pem = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(pem))
    with RedcapStandIn(ssl_context=tls(authority, name, **how)) as server:
        server.add_project(sample_project())
        with pytest.raises(SourceUnavailable, match=f"certificate is not trusted.*({told})") as e:
            client_of(server, str(pem) if known else True).learn(NOW)
    assert ("set ca_bundle" in str(e.value)) is not known


def test_a_private_authority_is_trusted_through_ca_bundle(
    authority: trustme.CA, tmp_path: Path
) -> None:
    pem = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(pem))
    with RedcapStandIn(ssl_context=tls(authority, "127.0.0.1")) as server:
        server.add_project(sample_project())
        assert client_of(server, str(pem)).learn(NOW)


def test_a_bundle_that_is_not_there_is_a_source_error() -> None:
    client = RedcapClient("https://127.0.0.1:9/api/", "A" * 32, "/no/such.pem", "source rc")
    with pytest.raises(SourceUnavailable, match=r"no/such\.pem"):
        client.learn(NOW)


def test_a_certificate_that_is_not_checked_is_told(authority: trustme.CA, tmp_path: Path) -> None:
    with redcap_site(tmp_path) as site, RedcapStandIn(ssl_context=tls(authority, "x")) as server:
        site.server, site.project = server, server.add_project(sample_project())
        site.config["verify_ssl"] = False
        report = site.sync()
    assert any("verify_ssl is false" in note for note in report.notes)
