"""Tokens of a real issuer on this machine: taken when they are right, and never otherwise."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.api.conftest import Api, MakeApi
from tests.api.issuing import AUDIENCE, Clock, LocalIssuer

from pylantir.api.oidc import Issuer
from pylantir.config.api import OidcSettings
from pylantir.errors import NotAllowed, SignInFailed
from pylantir.users.roles import Role

# --- who comes in ---


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


def test_a_name_that_is_no_text_for_a_log_is_made_one(trust: Issuer, issuer: LocalIssuer) -> None:
    token = issuer.token(preferred_username="rivera\nINFO all is well")

    assert trust.identify(token).username == "rivera?INFO all is well"


# --- who does not ---


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


def test_an_issuer_that_calls_itself_otherwise_is_not_believed(
    issuer: LocalIssuer, clock: Clock
) -> None:
    other = issuer.url.replace("127.0.0.1", "localhost")
    trust = Issuer(OidcSettings(issuer=other, audience=AUDIENCE), clock)

    with pytest.raises(SignInFailed):
        trust.identify(issuer.token(iss=other))
