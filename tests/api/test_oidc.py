"""Tokens of a real issuer on this machine: taken when they are right, and never otherwise."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.api.conftest import Api, MakeApi

from pylantir.api import oidc
from pylantir.api.oidc import Issuer
from pylantir.config.api import OidcSettings
from pylantir.errors import NotAllowed, SignInFailed
from pylantir.users.roles import Role

AUDIENCE = "pylantir"


class LocalIssuer:
    """As much of Keycloak as hands out keys: discovery and a key set, over HTTP."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {}
        self.asked: list[str] = []
        self.fault = ""
        self.add_key("one")
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked.append(self.path)
                status, body = issuer.answer(self.path)
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/realms/site"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self._thread.start()

    def add_key(self, kid: str, kind: str = "RSA") -> None:
        if kind == "EC":
            self.keys[kid] = ec.generate_private_key(ec.SECP256R1())
        else:
            self.keys[kid] = rsa.generate_private_key(65537, 2048)

    def answer(self, path: str) -> tuple[int, bytes]:
        if self.fault:
            return {"down": (503, b""), "redirect": (302, b""), "html": (200, b"<html>")}.get(
                self.fault, (200, b"[" + b" " * 300_000 + b"]")
            )
        if path.endswith("openid-configuration"):
            found: Any = {"issuer": self.url, "jwks_uri": f"{self.url}/certs"}
            return 200, json.dumps(found).encode()
        return 200, json.dumps({"keys": [self.public(kid) for kid in self.keys]}).encode()

    def public(self, kid: str) -> dict[str, Any]:
        key = self.keys[kid]
        kind = jwt.algorithms.RSAAlgorithm
        if isinstance(key, ec.EllipticCurvePrivateKey):
            kind = jwt.algorithms.ECAlgorithm  # type: ignore[assignment]
        made: dict[str, Any] = json.loads(kind.to_jwk(key.public_key()))
        return {**made, "kid": kid, "use": "sig"}

    def token(
        self, kid: str = "one", *, key: Any = None, algorithm: str = "", **claims: Any
    ) -> str:
        now = int(time.time())
        usual = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "0f5a",
            "iat": now,
            "exp": now + 300,
            "typ": "Bearer",
            "preferred_username": "rivera",
            "realm_access": {"roles": ["offline_access", "pylantir-write"]},
        }
        values = {n: v for n, v in {**usual, **claims}.items() if v is not None}
        key = key or self.keys[kid]
        kind = "ES256" if isinstance(key, ec.EllipticCurvePrivateKey) else "RS256"
        return jwt.encode(values, key, kind, headers={"kid": kid})

    def close(self) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()


@pytest.fixture(scope="module")
def running() -> Iterator[LocalIssuer]:
    made = LocalIssuer()
    yield made
    made.close()


@pytest.fixture
def issuer(running: LocalIssuer) -> LocalIssuer:
    running.fault = ""
    running.asked.clear()
    for kid in set(running.keys) - {"one"}:
        del running.keys[kid]
    return running


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def trust(issuer: LocalIssuer, clock: Clock) -> Issuer:
    return Issuer(OidcSettings(issuer=issuer.url, audience=AUDIENCE), clock)


def test_a_token_of_the_issuer_is_taken_with_its_role(
    make_api: MakeApi, issuer: LocalIssuer
) -> None:
    api: Api = make_api(api={"oidc": {"issuer": issuer.url, "audience": AUDIENCE}})
    headers = {"Authorization": f"Bearer {issuer.token()}"}
    body = {"patient_name": "Doe^John", "patient_id": "P1"}

    me = api("GET", "/auth/me", None, headers=headers)
    made = api("POST", "/worklist", None, headers=headers, json=body)
    users = api("GET", "/users", None, headers=headers)

    assert me.json() == {"id": None, "username": "rivera", "role": "write"}
    assert (made.status_code, users.status_code) == (200, 403)
    assert api("GET", "/worklist", Role.READ).status_code == 200, "our own tokens go on"
    for path in ("/auth/refresh", "/auth/logout"):
        assert api("POST", path, None, headers=headers).status_code == 401


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        ({"realm_access": {"roles": ["pylantir-admin", "pylantir-read"]}}, Role.ADMIN),
        ({"realm_access": {"roles": ["pylantir-read"]}}, Role.READ),
        ({"realm_access": {"roles": "pylantir-read"}}, Role.READ),
    ],
)
def test_the_highest_role_counts(
    trust: Issuer, issuer: LocalIssuer, roles: dict[str, Any], expected: Role
) -> None:
    assert trust.identify(issuer.token(**roles)).role is expected


@pytest.mark.parametrize(
    "roles",
    [
        {"realm_access": None},
        {"realm_access": {"roles": []}},
        {"realm_access": "pylantir-admin"},
        {"realm_access": {"roles": ["admin", "PYLANTIR-ADMIN", "pylantir-admin "]}},
        {"realm_access": {"roles": [["pylantir-admin"]]}},
        {"realm_access": {"roles": 5}},
    ],
)
def test_without_one_of_our_roles_nothing_is_allowed(
    trust: Issuer, issuer: LocalIssuer, roles: dict[str, Any]
) -> None:
    with pytest.raises(NotAllowed):
        trust.identify(issuer.token(**roles))


def test_names_of_roles_and_claims_are_the_site_s(issuer: LocalIssuer, clock: Clock) -> None:
    settings = OidcSettings(
        issuer=issuer.url,
        audience=AUDIENCE,
        roles_claim="groups",
        role_names={"read": "radiology"},  # type: ignore[arg-type]
        username_claim="email",
    )
    token = issuer.token(groups=["radiology"], email="r@example.org")

    found = Issuer(settings, clock).identify(token)

    assert (found.username, found.role) == ("r@example.org", Role.READ)


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another-client"},
        {"aud": None},
        {"exp": 1_700_000_000},
        {"exp": None},
        {"iat": None},
        {"sub": None},
        {"nbf": 4_000_000_000},
        {"typ": "ID"},
        {"typ": "Refresh"},
    ],
)
def test_a_token_that_is_not_for_us_or_not_now_is_refused(
    trust: Issuer, issuer: LocalIssuer, claims: dict[str, Any]
) -> None:
    with pytest.raises(SignInFailed):
        trust.identify(issuer.token(**claims))


def test_nobody_signs_with_another_key(trust: Issuer, issuer: LocalIssuer) -> None:
    forged = issuer.token(key=rsa.generate_private_key(65537, 2048))

    with pytest.raises(SignInFailed):
        trust.identify(forged)


def test_nobody_signs_with_what_is_public(trust: Issuer, issuer: LocalIssuer) -> None:
    """The old trick: HS256 with the public key as the secret."""
    pem = (
        issuer.keys["one"]
        .public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )

    def part(value: Any) -> bytes:
        return base64.urlsafe_b64encode(
            value if isinstance(value, bytes) else json.dumps(value).encode()
        ).rstrip(b"=")

    import hashlib
    import hmac

    claims = jwt.decode(issuer.token(), options={"verify_signature": False})
    signed = part({"alg": "HS256", "kid": "one"}) + b"." + part(claims)
    forged = signed + b"." + part(hmac.new(pem, signed, hashlib.sha256).digest())
    unsigned = part({"alg": "none", "kid": "one"}) + b"." + part(claims) + b"."

    for token in (forged, unsigned):
        with pytest.raises(SignInFailed):
            trust.identify(token.decode())


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


def test_an_issuer_that_calls_itself_otherwise_is_not_believed(
    issuer: LocalIssuer, clock: Clock
) -> None:
    other = issuer.url.replace("127.0.0.1", "localhost")
    trust = Issuer(OidcSettings(issuer=other, audience=AUDIENCE), clock)

    with pytest.raises(SignInFailed):
        trust.identify(issuer.token(iss=other))


@pytest.mark.parametrize("address", ["http://keycloak.example.org/realms/x", "keycloak", "ftp://x"])
def test_keys_come_over_tls_only(address: str) -> None:
    with pytest.raises(ValueError, match="https"):
        OidcSettings(issuer=address, audience=AUDIENCE)


# --- time, rotation, and an issuer in trouble ---


@pytest.mark.parametrize(
    ("claims", "is_taken"),
    [
        ({"exp": -20}, True),
        ({"exp": -45}, False),
        ({"nbf": 20}, True),
        ({"nbf": 45}, False),
        ({"iat": 20}, True),
        ({"iat": 45}, False),
    ],
)
def test_clocks_may_differ_by_half_a_minute(
    trust: Issuer, issuer: LocalIssuer, claims: dict[str, int], is_taken: bool
) -> None:
    now = int(time.time())
    token = issuer.token(**{name: now + seconds for name, seconds in claims.items()})

    if is_taken:
        assert trust.identify(token).username == "rivera"
    else:
        with pytest.raises(SignInFailed, match="not valid"):
            trust.identify(token)


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


@pytest.mark.parametrize("algorithm", ["HS256", "none", "ES256", "EdDSA", "PS256", "RS512"])
@pytest.mark.parametrize("kid", ["one", "two"])
def test_an_algorithm_that_is_not_the_key_s_is_refused(
    trust: Issuer, issuer: LocalIssuer, algorithm: str, kid: str
) -> None:
    """Whatever the header says of how it is signed; ``two`` is a key of another kind."""
    issuer.add_key("two", "EC")
    _, claims, signature = issuer.token(kid).split(".")
    head = base64.urlsafe_b64encode(json.dumps({"alg": algorithm, "kid": kid}).encode())
    token = f"{head.decode().rstrip('=')}.{claims}.{signature}"

    with pytest.raises(SignInFailed):
        trust.identify(token)


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


def test_a_name_that_is_no_text_for_a_log_is_made_one(trust: Issuer, issuer: LocalIssuer) -> None:
    token = issuer.token(preferred_username="rivera\nINFO all is well")

    assert trust.identify(token).username == "rivera?INFO all is well"
