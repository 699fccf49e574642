"""Settings of the page on the workstation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pylantir.config.values import Flag, Minutes, Model, Network


class PageSettings(Model):
    """The page on the workstation, served with the REST API at /page/."""

    enabled: Flag = Field(True, description="false serves the API alone")
    identify_by: Literal["name", "id"] = Field(
        "name",
        description="what participants are called first; id hides names from the wall display",
    )
    kiosk: Flag = Field(
        False, description="true shows the day at /page/?kiosk without signing in, see below"
    )
    kiosk_addresses: tuple[Network, ...] = Field(
        ("127.0.0.1/32", "::1/128"), description="wall displays that need not sign in"
    )
    late_minutes: Minutes = Field(15, description="a booking not begun after that long is late")
    usual_minutes: Minutes = Field(60, description="length of a booking that says no end")
    language: Literal["auto", "en", "de", "fr"] = Field(
        "auto", description="auto takes the one that the browser prefers"
    )
    words: str | None = Field(
        None, description="JSON file with English words of the page and your own, for any language"
    )
