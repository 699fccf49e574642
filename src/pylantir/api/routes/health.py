"""``/health`` and ``/ready``: for load balancers, monitors and people; no sign-in."""

from __future__ import annotations

import datetime as dt

from fastapi import APIRouter, Response
from pydantic import BaseModel

from pylantir.api.access import House

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """The process answers."""

    status: str = "healthy"
    timestamp: dt.datetime


class CheckOut(BaseModel):
    """One thing that was tried."""

    name: str
    ok: bool
    required: bool
    detail: str


class Ready(BaseModel):
    """Whether the server is of use."""

    status: str
    timestamp: dt.datetime
    checks: list[CheckOut]


@router.get("/health", summary="The process answers")
async def health(services: House) -> Health:
    """Touches no database, so that it answers whatever else is going on."""
    return Health(timestamp=services.clock.now())


@router.get(
    "/ready",
    summary="The server is of use",
    responses={503: {"model": Ready, "description": "something required does not work"}},
)
def ready(services: House, response: Response) -> Ready:
    """Tries the database and an own C-ECHO, and says how old each source's last success is."""
    checks = services.checks()
    is_ready = all(check.is_ok or not check.is_required for check in checks)
    response.status_code = 200 if is_ready else 503
    return Ready(
        status="ready" if is_ready else "not ready",
        timestamp=services.clock.now(),
        checks=[
            CheckOut(name=c.name, ok=c.is_ok, required=c.is_required, detail=c.detail)
            for c in checks
        ],
    )
