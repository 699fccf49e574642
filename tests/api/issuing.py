"""An OpenID Connect issuer on this machine, and a clock that its keys are kept by."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

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


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now
