"""``/docs`` and ``/redoc``: the API described, without any other host (hospital networks)."""

from __future__ import annotations

from importlib.resources import files
from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import HTMLResponse, Response

router = APIRouter(include_in_schema=False)

_ASSETS = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "redoc.standalone.js": "text/javascript; charset=utf-8",
    "favicon.png": "image/png",
}
"""Files of the package fastapi-offline: Swagger UI and ReDoc as their makers publish them."""

_POLICY = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; worker-src blob:; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )
}
_SWAGGER = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Pylantir API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="/docs/assets/favicon.png"><link rel="stylesheet" href="/docs/assets/swagger-ui.css">
</head><body><div id="swagger-ui"></div>
<script src="/docs/assets/swagger-ui-bundle.js"></script><script src="/docs/start.js"></script>
</body></html>"""  # noqa: E501
_START = """SwaggerUIBundle({url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true,
  persistAuthorization: false, validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis], layout: "BaseLayout"});
"""
_REDOC = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Pylantir API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="/docs/assets/favicon.png"></head>
<body><redoc spec-url="/openapi.json" disable-search="true"></redoc>
<script src="/docs/assets/redoc.standalone.js"></script></body></html>"""


@router.get("/docs")
async def swagger() -> HTMLResponse:
    """Swagger UI: try the API in the browser."""
    return HTMLResponse(_SWAGGER, headers=_POLICY)


@router.get("/docs/start.js")
async def start() -> Response:
    """What starts Swagger UI; a file, because the policy allows no script inside a page."""
    return Response(_START, media_type="text/javascript")


@router.get("/redoc")
async def redoc() -> HTMLResponse:
    """ReDoc: read about the API."""
    return HTMLResponse(_REDOC, headers=_POLICY)


@router.get("/docs/assets/{name}")
def asset(name: Annotated[str, Path(pattern=f"^({'|'.join(_ASSETS)})$")]) -> Response:
    """One of the files that the two pages need."""
    content = files("fastapi_offline").joinpath("static", name).read_bytes()
    return Response(content, headers={"Cache-Control": "max-age=86400"}, media_type=_ASSETS[name])
