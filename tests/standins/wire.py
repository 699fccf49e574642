"""One request as it came, one reply as it goes: what both stand-ins speak."""

from __future__ import annotations

import base64
import binascii
import email
import email.policy
import re
import urllib.parse
from collections.abc import Iterable
from dataclasses import dataclass, field
from email.message import Message
from functools import cached_property

JSON = "application/json; charset=utf-8"
HTML = "text/html; charset=UTF-8"
XML = "text/xml; charset=utf-8"


@dataclass(frozen=True)
class Request:
    """A request as it came over the wire.

    Attributes
    ----------
    method : str
        ``GET``, ``POST`` ...
    target : str
        Path and query string, still percent-encoded.
    headers : Message
        All header fields.
    body : bytes
        The decoded body.
    client : str
        The IP address of the client.
    """

    method: str
    target: str
    headers: Message
    body: bytes
    client: str

    @property
    def path(self) -> str:
        """The path alone, still percent-encoded, so that ``%2F`` is told from ``/``."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """What follows the question mark."""
        return self.target.partition("?")[2]

    @cached_property
    def pairs(self) -> list[tuple[str, str]]:
        """The fields of the form in the body, url-encoded or multipart, in their order."""
        content_type = self.headers.get("Content-Type", "")
        if content_type.startswith("multipart/form-data"):
            return _multipart(content_type, self.body)
        text = self.body.decode("utf-8", "replace")
        return urllib.parse.parse_qsl(text, keep_blank_values=True, errors="replace")

    @cached_property
    def form(self) -> dict[str, str]:
        """The form as a mapping; of a name that comes twice, the last."""
        return dict(self.pairs)

    def array(self, name: str) -> list[str] | None:
        """An array parameter as ``name[0]=``, ``name[]=`` or one comma-joined ``name=``.

        None when the parameter was not sent at all, or was sent empty.
        """
        pattern = re.compile(re.escape(name) + r"\[[^\]]*\]")
        found = [value for key, value in self.pairs if pattern.fullmatch(key)]
        if not found and self.form.get(name):
            found = [part.strip() for part in self.form[name].split(",")]
        return found or None

    def flag(self, name: str) -> bool:
        """A yes or no as clients write it: ``true``, ``True`` (Python), ``1``."""
        return self.form.get(name, "").strip().lower() in {"true", "1"}

    def basic(self) -> tuple[str, str] | None:
        """Account and password of HTTP Basic authentication, if there are any."""
        scheme, _, coded = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            account, colon, password = base64.b64decode(coded).decode("utf-8").partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return (account, password) if colon else None


@dataclass
class Reply:
    """A reply before faults and compression have had their way with it."""

    status: int = 200
    body: bytes = b""
    content_type: str = HTML
    headers: dict[str, str] = field(default_factory=dict)


def page(title: str, text: str, status: int = 200, **headers: str) -> Reply:
    """A small HTML page, such as web servers and proxies send on their own account."""
    body = (
        "<!DOCTYPE html>\n<html><head><title>"
        f"{title}</title></head>\n<body><h1>{title}</h1>\n<p>{text}</p></body></html>\n"
    )
    return Reply(status, body.encode(), HTML, headers)


def login_page() -> Reply:
    """What a browser sees before it has logged in; an API client takes it for an answer."""
    form = '<form method="post" action="/login">User <input name="u"> <input name="p"></form>'
    return page("Log In", form)


def _multipart(content_type: str, body: bytes) -> list[tuple[str, str]]:
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = email.message_from_bytes(head + body, policy=email.policy.HTTP)
    parts: Iterable[Message] = message.iter_parts()
    found = []
    for part in parts:
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            found.append((name, content.decode("utf-8", "replace")))
    return found
