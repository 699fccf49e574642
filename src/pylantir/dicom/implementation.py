"""How this implementation calls itself in associations and files (PS3.7 D.3.3.2, PS3.10 7.1)."""

from __future__ import annotations

from importlib.metadata import version

CLASS_UID = "2.25.41992726537761540992111811749477271956"
"""The same for every release: who reads a log of a network finds us by it."""


def version_name() -> str:
    """Implementation Version Name, at most 16 characters."""
    major_minor = "_".join(version("pylantir").split(".")[:2])
    return f"PYLANTIR_{major_minor}"[:16]
