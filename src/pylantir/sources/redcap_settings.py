"""The ``config`` object of a REDCap source."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from pylantir.sources.base import DEFAULT_DAYS_AHEAD


class Credentials(BaseModel):
    """Where the address and the token of the project are."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: str | None = Field(None, description="address of the API")
    url_env: str = Field("REDCAP_API_URL", description="environment variable with the address")
    token_env: str = Field("REDCAP_API_TOKEN", description="environment variable with the token")
    token_file: str | None = Field(None, description="file that holds nothing but the token")


class WriteBack(BaseModel):
    """Fields of the scan's instrument that take what the scanner reported; off when absent."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    status: str | None = Field(None, description="field for the performed status")
    status_codes: dict[str, str] = Field(
        {}, description="IN PROGRESS, COMPLETED, DISCONTINUED, SCHEDULED to your codes"
    )
    started: str | None = Field(None, description="field for the start, YYYY-MM-DD HH:MM")
    ended: str | None = Field(None, description="field for the end, YYYY-MM-DD HH:MM")
    operator: str | None = Field(None, description="field for the operator's name")
    series_count: str | None = Field(None, description="field for the number of series")


class RedcapSettings(BaseModel):
    """The ``config`` object of a REDCap source."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    site: str | None = Field(None, description="site id, part of patient ids")
    site_id: str | None = Field(None, description="the same, as newer files spell it")
    protocol: str | dict[str, str] | None = Field(
        None, description="protocol name, or names by site id with `mapping` for the scheme"
    )
    mwl_days_ahead: int | None = Field(
        None, ge=0, strict=True, description="scanners see items of today and so many days after"
    )
    days_ahead: int = Field(
        DEFAULT_DAYS_AHEAD, ge=0, le=366, description="days after today that are fetched"
    )
    credentials: Credentials = Field(Credentials(), description="where address and token are")
    verify_ssl: bool = Field(True, description="check the server's certificate")
    ca_bundle: str | None = Field(None, description="certificate of the server's authority")
    server_timezone: str | None = Field(
        None, description="IANA zone of the REDCap server; without it more is fetched each time"
    )
    instrument: str = Field("mri", description="repeating instrument whose repeats are bookings")
    session_field: str = Field("mri_instance", description="field with the session number")
    date_field: str = Field("mri_date", description="field with the date of the scan")
    time_field: str = Field("mri_time", description="field with the time of the scan")
    modality: str = Field("MR", description="modality of the bookings")
    station_ae_title: str | None = Field(None, description="AE title of the scanner")
    events: tuple[str, ...] = Field((), description="events that hold bookings; all when empty")
    baseline_event: str = Field("", description="event that says who the person is")
    chunk_size: int = Field(500, ge=1, le=900, description="records asked for at once")
    write_back: WriteBack | None = Field(None, description="reports of performed procedures")

    @field_validator("site", "site_id", mode="before")
    @classmethod
    def _number_as_text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value
