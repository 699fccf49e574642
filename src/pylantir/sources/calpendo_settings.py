"""What the ``config`` object of a Calpendo source may say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from pylantir.clock import zone
from pylantir.config.schema import CALPENDO_ZONE, DailyWindow
from pylantir.sources.targets import check


def _is_zone(name: str) -> str:
    try:
        zone(name)
    except KeyError:
        raise ValueError("expected an IANA time zone such as America/Edmonton") from None
    return name


def _is_file(path: str) -> str:
    if not Path(path).expanduser().is_file():
        raise ValueError("expected an existing file with certificates (PEM)")
    return str(Path(path).expanduser())


def _is_address(url: str) -> str:
    if not re.match(r"https?://[^/]", url):
        raise ValueError("expected an address with its scheme, such as https://HOST")
    if "@" in url or "?" in url or "#" in url:
        raise ValueError("expected https://HOST without account, query or fragment")
    return url


def _is_modality(value: str) -> str:
    check("modality", value)
    return value


def _is_ae_title(value: str) -> str:
    check("scheduled_station_ae_title", value)
    return value


def _or_none(written: Any) -> Any:
    return None if written == {} else written


def _as_list(written: Any) -> Any:
    """One status, as the published configuration has it, or several; an empty one is none."""
    if isinstance(written, str):
        return (written,) if written else None
    return written


_Text = Annotated[str, Field(min_length=1)]


class CalpendoSettings(BaseModel):
    """The ``config`` object of a Calpendo source."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    base_url: Annotated[str, AfterValidator(_is_address)] = Field(
        description="address of the Calpendo site"
    )
    api_path: str = Field("/api", description="root of its API; `/webdav` before version 11")
    resources: tuple[_Text, ...] = Field(
        min_length=1, description="names of the resources whose bookings are read"
    )
    status_filter: Annotated[tuple[_Text, ...] | None, BeforeValidator(_as_list)] = Field(
        None, description="statuses that may be scanned; `Approved` when absent"
    )
    days_ahead: int = Field(7, ge=0, le=366, description="days after today that are read")
    window_mode: Literal["rolling", "today"] = Field(
        "rolling", description="`today` reads the present day only"
    )
    daily_window: Annotated[DailyWindow | None, BeforeValidator(_or_none)] = Field(
        None, description="part of the day whose bookings are taken; wins over `window_mode`"
    )
    lookback_multiplier: float = Field(
        2, gt=0, description="accepted without effect: whole days are read each time"
    )
    mwl_days_ahead: int | None = Field(
        None, ge=0, description="scanners see items of today and so many days after"
    )
    timezone: Annotated[str, AfterValidator(_is_zone)] = Field(
        CALPENDO_ZONE, description="IANA zone of the Calpendo server"
    )
    resource_modality_mapping: dict[str, Annotated[str, AfterValidator(_is_modality)]] = Field(
        {}, description="resource, or the beginning of its name, to modality; else `OT`"
    )
    resource_station_mapping: dict[str, Annotated[str, AfterValidator(_is_ae_title)]] = Field(
        {}, description="resource, or the beginning of its name, to the scanner's AE title"
    )
    allowed_studies: tuple[_Text, ...] | None = Field(
        None, min_length=1, description="study descriptions that are taken; all when absent"
    )
    username_env: str = Field(
        "CALPENDO_USERNAME", description="environment variable with the account's name"
    )
    password_env: str = Field(
        "CALPENDO_PASSWORD", description="environment variable with its password"
    )
    ca_bundle: Annotated[str, AfterValidator(_is_file)] | None = Field(
        None, description="file with the certificate of the server's authority"
    )
    request_timeout: float = Field(
        60, gt=0, le=600, description="seconds after which a request is given up"
    )
