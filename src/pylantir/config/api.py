"""What may be configured about the REST API."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from pylantir.config.values import Flag, Minutes, Model


def is_safe_address(address: str) -> bool:
    """Whether what is sent there cannot be read on the way: TLS, or this machine."""
    here = ("http://127.0.0.1:", "http://localhost:", "http://[::1]:")
    return address.startswith(("https://", *here))


class RoleNames(Model):
    """What the issuer calls our roles."""

    admin: str = Field("pylantir-admin", min_length=1, description="everything, accounts too")
    write: str = Field("pylantir-write", min_length=1, description="change the worklist")
    read: str = Field("pylantir-read", min_length=1, description="see the worklist")


class OidcSettings(Model):
    """Tokens of the site's own issuer are taken (OpenID Connect)."""

    issuer: str = Field(description="as its tokens name it, https")
    audience: str = Field(min_length=1, description="whom its tokens have to be for")
    roles_claim: str = Field(
        "realm_access.roles", min_length=1, description="claim with the roles; dots lead inwards"
    )
    role_names: RoleNames = Field(RoleNames(), description="what it calls our roles")
    username_claim: str = Field("preferred_username", description="claim with the name")
    jwks_uri: str | None = Field(
        None, description="where its keys are; found through the issuer when absent"
    )

    client_id: str | None = Field(
        None, min_length=1, description="the page's name at the issuer; people sign in there"
    )
    client_secret_file: str | None = Field(
        None, description="file with the client's secret, if the issuer wants one"
    )
    page_url: str | None = Field(
        None, description="https://host of the page as browsers know it; their word when absent"
    )

    @model_validator(mode="after")
    def _over_tls(self) -> OidcSettings:
        for address in (self.issuer, self.jwks_uri or self.issuer, self.page_url or self.issuer):
            if not is_safe_address(address):
                raise ValueError("expected addresses that begin with https://")
        return self


class ApiSettings(Model):
    """The REST API."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: Annotated[int, Field(ge=0, le=65535, strict=True)] = Field(8000, description="port")
    cors_allowed_origins: tuple[str, ...] = Field((), description="origins of browser clients")
    cors_allow_credentials: Flag = Field(False, description="allow credentials in CORS requests")
    cors_allow_methods: tuple[str, ...] = Field(
        ("GET", "POST", "PUT", "DELETE", "OPTIONS"), description="methods in CORS requests"
    )
    cors_allow_headers: tuple[str, ...] = Field(("*",), description="headers in CORS requests")
    behind_proxy: Flag = Field(
        False, description="a reverse proxy does TLS: any address may be listened on without it"
    )
    trusted_proxies: tuple[str, ...] = Field(
        ("127.0.0.1", "::1"), description="proxies whose word on the client's address counts"
    )
    tls_certificate: str | None = Field(None, description="certificate chain, PEM file")
    tls_key: str | None = Field(None, description="its private key, PEM file")
    access_token_expire_minutes: Minutes = Field(30, description="life of an access token")
    access_token_max_minutes: Minutes = Field(
        120, description="longest life that a client may ask for"
    )
    session_max_minutes: Minutes = Field(
        720, description="after that a token cannot be renewed without a password"
    )
    oidc: OidcSettings | None = Field(None, description="the site's own issuer of tokens")

    @model_validator(mode="after")
    def _certificate_has_a_key(self) -> ApiSettings:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("expected tls_certificate and tls_key together")
        return self
