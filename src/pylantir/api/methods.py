"""Which methods a path has: HEAD wherever GET is, and an Allow header that names them all."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.routing import compile_path

STREAMS = ("/events", "/page/events")
"""Answers without an end: no limit of time, and no HEAD."""


def allowed(app: FastAPI, path: str) -> str:
    """Every method of a path (RFC 9110 section 10.2.1); empty when the API does not describe it."""
    found: set[str] = set()
    for template, methods in app.openapi()["paths"].items():
        if compile_path(template)[0].fullmatch(path):
            found |= {name.upper() for name in methods}
    if "GET" in found and path not in STREAMS:
        found.add("HEAD")
    return ", ".join(sorted(found | {"OPTIONS"})) if found else ""
