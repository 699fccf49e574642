"""What to say when an optional package is missing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from pylantir.errors import StartError

_OF_API = {
    "argon2", "bcrypt", "fastapi", "fastapi_offline", "jinja2", "jwt", "starlette", "uvicorn"
}  # fmt: skip


@contextlib.contextmanager
def api_extra(command: str) -> Iterator[None]:
    """Import what the extra ``api`` brings, inside the block.

    Raises
    ------
    StartError
        It is not installed; says which command installs it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _OF_API:
            raise
        raise StartError(
            f"{command} needs packages that are not installed ({error.name} is missing). "
            'Install them: pip install "pylantir[api]" (from a clone: pip install ".[api]")'
        ) from None
