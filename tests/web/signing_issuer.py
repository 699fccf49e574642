"""An issuer at which people sign in, on this machine."""

from __future__ import annotations

import base64
import hashlib
import json
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.api.issuing import LocalIssuer

CLIENT, SECRET = "pylantir-page", "s3cret & more"


class SigningIssuer(LocalIssuer):
    """As much of Keycloak as signs people in: authorization, token and end of session."""

    def __init__(self) -> None:
        super().__init__()
        self.url = self.url.replace("127.0.0.1", "localhost")  # another site, for a browser
        self.codes: dict[str, dict[str, str]] = {}
        self.posted: list[tuple[dict[str, str], str]] = []
        self.ended: list[dict[str, str]] = []
        self.forget()
        issuer, plain = self, self.server.RequestHandlerClass

        class Handler(plain):  # type: ignore[misc, valid-type]
            def do_GET(self) -> None:
                path, query = urlsplit(self.path).path, dict(parse_qsl(urlsplit(self.path).query))
                if path.endswith("/auth"):
                    _to(self, issuer.signed_in(query))
                elif path.endswith("/end"):
                    issuer.ended.append(query)
                    _to(self, query["post_logout_redirect_uri"])
                else:
                    super().do_GET()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                fields = dict(parse_qsl(body))
                issuer.posted.append((fields, self.headers.get("Authorization", "")))
                status, found = issuer.grant(fields)
                answer = json.dumps(found).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

        self.server.RequestHandlerClass = Handler

    def forget(self) -> None:
        self.claims: dict[str, Any] = {}
        self.id_claims: dict[str, Any] = {}
        self.answered: dict[str, str] = {}
        self.life_s = 300
        self.refuses = self.is_down = False
        self.fault = ""
        for each in (self.codes, self.posted, self.ended):
            each.clear()

    def answer(self, path: str) -> tuple[int, bytes]:
        if path.endswith("openid-configuration") and not self.fault:
            places = {"authorization_endpoint": "auth", "token_endpoint": "token"}
            places |= {"end_session_endpoint": "end", "jwks_uri": "certs"}
            found = {name: f"{self.url}/{place}" for name, place in places.items()}
            return 200, json.dumps({"issuer": self.url, **found}).encode()
        return super().answer(path)

    def signed_in(self, query: dict[str, str]) -> str:
        """Where the browser goes after the person typed name and password."""
        code = f"code-{len(self.codes)}"
        self.codes[code] = query
        answer = {"code": code, "state": query["state"], "iss": self.url} | self.answered
        return f"{query['redirect_uri']}?{urlencode({n: v for n, v in answer.items() if v})}"

    def grant(self, fields: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if self.is_down:
            return 503, {}
        if self.refuses or not self._holds(fields):
            return 400, {"error": "invalid_grant"}
        nonce = self.codes.get(fields.get("code", ""), {}).get("nonce", "")
        id_claims = {"aud": CLIENT, "nonce": nonce, "typ": "ID", **self.id_claims}
        return 200, {
            "access_token": self.token(**self.claims),
            "refresh_token": "again",
            "id_token": self.token(**id_claims),
            "expires_in": self.life_s,
        }

    def _holds(self, fields: dict[str, str]) -> bool:
        if fields["grant_type"] == "refresh_token":
            return fields["refresh_token"] == "again"
        asked = self.codes.get(fields["code"], {})
        digest = hashlib.sha256(fields["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        return (asked["code_challenge"], asked["redirect_uri"], asked["code_challenge_method"]) == (
            challenge,
            fields["redirect_uri"],
            "S256",
        )


def _to(handler: BaseHTTPRequestHandler, address: str) -> None:
    handler.send_response(302)
    handler.send_header("Location", address)
    handler.send_header("Content-Length", "0")
    handler.end_headers()
