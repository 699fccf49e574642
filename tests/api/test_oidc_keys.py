"""Keys of an issuer: fetched once, kept, rotated, and what happens while it is in trouble."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest
from tests.api.issuing import AUDIENCE, Clock, LocalIssuer

from pylantir.api import oidc
from pylantir.api.oidc import Issuer
from pylantir.config.api import OidcSettings
from pylantir.errors import SignInFailed
from pylantir.users.roles import Role

# --- kept and rotated ---


def test_keys_are_fetched_once_and_kept(trust: Issuer, issuer: LocalIssuer, clock: Clock) -> None:
    for _ in range(20):
        trust.identify(issuer.token())
    assert len(issuer.asked) == 2, "discovery and keys"

    clock.now += oidc.KEPT_S + 1
    trust.identify(issuer.token())
    assert len(issuer.asked) == 4


@pytest.mark.parametrize("kind", ["RSA", "EC"])
def test_a_new_key_is_found_at_once(
    trust: Issuer, issuer: LocalIssuer, clock: Clock, kind: str
) -> None:
    trust.identify(issuer.token())
    issuer.add_key("two", kind)
    clock.now += oidc.PAUSE_S + 1

    assert trust.identify(issuer.token("two")).role is Role.WRITE


def test_keys_that_nobody_knows_do_not_make_us_ask_each_time(
    trust: Issuer, issuer: LocalIssuer
) -> None:
    trust.identify(issuer.token())
    asked = len(issuer.asked)
    for number in range(20):
        with pytest.raises(SignInFailed):
            trust.identify(issuer.token(f"unknown-{number}", key=issuer.keys["one"]))

    assert len(issuer.asked) == asked


def test_a_key_that_the_issuer_has_withdrawn_is_good_no_longer(
    trust: Issuer, issuer: LocalIssuer, clock: Clock
) -> None:
    issuer.add_key("two")
    old = issuer.token("two")
    trust.identify(old)
    del issuer.keys["two"]
    assert trust.identify(old).username == "rivera", "as long as the keys are kept"
    clock.now += oidc.KEPT_S + 1

    with pytest.raises(SignInFailed):
        trust.identify(old)
    assert trust.identify(issuer.token()).username == "rivera"


@pytest.mark.parametrize("address", ["http://keycloak.example.org/realms/x", "keycloak", "ftp://x"])
def test_keys_come_over_tls_only(address: str) -> None:
    with pytest.raises(ValueError, match="https"):
        OidcSettings(issuer=address, audience=AUDIENCE)


# --- an issuer in trouble ---


@pytest.mark.parametrize("fault", ["down", "redirect", "html", "large"])
def test_an_issuer_that_fails_lets_nobody_in_and_known_keys_go_on(
    trust: Issuer,
    issuer: LocalIssuer,
    clock: Clock,
    fault: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    issuer.fault = fault
    with pytest.raises(SignInFailed, match="cannot be reached"):
        trust.identify(issuer.token())
    issuer.fault = ""
    clock.now += oidc.PAUSE_S + 1
    trust.identify(issuer.token())
    issuer.fault = fault
    clock.now += oidc.KEPT_S + 1
    assert trust.identify(issuer.token()).username == "rivera"
    clock.now += oidc.USED_AT_MOST_S

    with pytest.raises(SignInFailed, match="cannot be reached"):
        trust.identify(issuer.token())
    assert len([r for r in caplog.records if "no keys" in r.getMessage()]) == 2


@pytest.mark.parametrize(
    "document",
    [
        b"[]",
        b"5",
        b'{"keys": 5}',
        b'{"keys": [5, "x", null, []]}',
        b'{"keys": [{"kty": "RSA", "kid": "one", "n": "!", "e": 5}]}',
        b'{"keys": [{"kty": "oct", "kid": "one", "k": "c2VjcmV0"}]}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
    ids=range(8),
)
def test_a_key_set_that_is_none_lets_nobody_in(
    issuer: LocalIssuer, clock: Clock, monkeypatch: pytest.MonkeyPatch, document: bytes
) -> None:
    monkeypatch.setattr(issuer, "answer", lambda path: (200, document))
    settings = OidcSettings(issuer=issuer.url, audience=AUDIENCE, jwks_uri=f"{issuer.url}/certs")

    with pytest.raises(SignInFailed):
        Issuer(settings, clock).identify(issuer.token())


def test_who_is_known_goes_on_while_the_issuer_hangs_and_others_wait_a_moment(
    issuer: LocalIssuer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It accepts the connection and says nothing more: no request may wait for its end."""
    trust = Issuer(OidcSettings(issuer=issuer.url, audience=AUDIENCE), clock)
    trust.identify(issuer.token())
    asked, hangs = threading.Event(), threading.Event()

    def hang(path: str) -> tuple[int, bytes]:
        asked.set()
        hangs.wait(60)
        return 503, b""

    monkeypatch.setattr(issuer, "answer", hang)
    monkeypatch.setattr(oidc, "_TIMEOUT_S", (30.0, 30.0))
    monkeypatch.setattr(oidc, "_WHOLE_S", 30.0)
    monkeypatch.setattr(oidc, "_WAIT_S", 0.2)
    clock.now += oidc.KEPT_S + 1
    first = threading.Thread(target=trust.identify, args=(issuer.token(),))
    first.start()
    assert asked.wait(30)

    assert trust.identify(issuer.token()).username == "rivera"
    with pytest.raises(SignInFailed):
        trust.identify(issuer.token("unknown", key=issuer.keys["one"]))
    assert first.is_alive(), "it still waits for the keys"
    hangs.set()
    first.join(30)
    assert not first.is_alive()


def test_an_issuer_that_trickles_is_given_up(
    issuer: LocalIssuer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte comes in time, the end never."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listening:
        port = listening.getsockname()[1]
        given_up = threading.Event()

        def trickle() -> None:
            opened, _ = listening.accept()
            with opened, contextlib.suppress(OSError):
                opened.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                while not given_up.wait(0.02):
                    opened.sendall(b" ")
            given_up.set()

        server = threading.Thread(target=trickle)
        server.start()
        monkeypatch.setattr(oidc, "_WHOLE_S", 0.5)
        settings = OidcSettings(
            issuer=issuer.url, audience=AUDIENCE, jwks_uri=f"http://127.0.0.1:{port}/certs"
        )
        with pytest.raises(SignInFailed, match="cannot be reached"):
            Issuer(settings, clock).identify(issuer.token())
        assert given_up.wait(30), "the connection has ended"
        server.join(30)
