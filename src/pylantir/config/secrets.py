"""What must not be shown: values whose key sounds like a secret, passwords in addresses."""

from __future__ import annotations

import re

_SECRET_WORDS = ("token", "password", "secret", "key", "credential")
_PASSWORD_IN_URL = re.compile(r"(://[^:/@\s]*:)[^@\s]*@")


def is_secret(key: str) -> bool:
    """Whether a key sounds as if its value were a secret."""
    return any(word in key.lower() for word in _SECRET_WORDS)


def without_password(text: str) -> str:
    """A text whose URLs show no password."""
    return _PASSWORD_IN_URL.sub(r"\1***@", text)
