"""What may be configured, typed and validated. Every field says what it is: help, reference and
JSON Schema are read off here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from pylantir.config.api import ApiSettings
from pylantir.config.page import PageSettings
from pylantir.config.security import AccessRule, AuditSettings, Limits, TlsSettings
from pylantir.config.values import (
    AETitle,
    CharacterSet,
    DatabasePath,
    Days,
    Flag,
    Model,
    Seconds,
    Status,
    TimeOfDay,
    TimeZone,
    is_time_zone,
)

BY_HAND = ("manual", "import", "api", "published")
"""Owners of bookings that no source keeps: of ``add``, ``import``, REST and earlier releases."""


class Timeouts(Model):
    """How long the server waits for a peer, in seconds."""

    acse_s: Seconds = Field(
        5.0, description="from the connection to the end of the association request"
    )
    dimse_s: Seconds = Field(
        30.0, description="for the rest of a message that has begun, and for an answer to be read"
    )
    network_s: Seconds = Field(
        600.0, description="without any traffic, before an idle association is aborted"
    )


class OperationInterval(Model):
    """Part of the day in which a source is asked; may pass midnight."""

    start_time: TimeOfDay = Field((0, 0), description="[hour, minute], inclusive")
    end_time: TimeOfDay = Field((23, 59), description="[hour, minute], inclusive")


class DailyWindow(Model):
    """Part of each day whose bookings are read; may pass midnight."""

    start_time: TimeOfDay = Field(description="[hour, minute], inclusive")
    end_time: TimeOfDay = Field(description="[hour, minute], inclusive")


class ScannerProfile(Model):
    """What holds for one scanner, by its calling AE title."""

    ae_title: AETitle = Field(description="calling AE title of the scanner")
    modalities: tuple[str, ...] = Field((), description="modalities it sees; all when empty")
    stations: tuple[AETitle, ...] = Field(
        (), description="scheduled station AE titles it sees; all when empty"
    )
    statuses: tuple[Status, ...] = Field((), description="statuses it sees; all when empty")
    days_back: Days | None = Field(None, description="as days_back, for this scanner")
    days_ahead: Days | None = Field(None, description="as days_ahead, for this scanner")
    max_answers: Annotated[int, Field(ge=1, strict=True)] | None = Field(
        None, description="as max_answers, for this scanner"
    )
    response_character_set: CharacterSet | None = Field(
        None, description="character set of its answers wherever it holds every character"
    )
    mpps: Literal["strict", "lenient"] = Field(
        "strict", description="lenient: faulty MPPS messages are kept and answered with a warning"
    )
    called_ae_titles: tuple[AETitle, ...] = Field(
        (), description="AE titles it may call the server by; any when empty"
    )


CALPENDO_ZONE = "America/Edmonton"
"""Zone of a Calpendo server whose source names none, as in the published release."""


class DataSource(Model):
    """Where bookings come from."""

    name: str = Field(min_length=1, description="unique name; owner of its items")
    type: str = Field(min_length=1, description="redcap, redcap_concussion, calpendo, csv, ...")
    enabled: Flag = Field(True, description="false leaves the source out")
    sync_interval: Seconds = Field(60.0, description="seconds between two fetches")
    operation_interval: OperationInterval = Field(
        OperationInterval(), description="part of the day in which it is asked"
    )
    config: dict[str, Any] = Field({}, description="settings of the source's type")
    field_mapping: dict[str, Any] = Field({}, description="source fields to worklist fields")
    window_mode: Literal["rolling", "today"] | None = Field(
        None, description="calpendo: rolling window or the present day"
    )
    daily_window: DailyWindow | None = Field(
        None, description="calpendo: part of each day; wins over window_mode"
    )

    @property
    def shown_days_ahead(self) -> int | None:
        """Days after today for which its items show to a query without a date; None for all."""
        days = self.config.get("mwl_days_ahead")
        if isinstance(days, int) and days >= 0:
            return days
        daily = self.daily_window or _daily_window(self.config.get("daily_window"))
        if daily is not None:
            return 1 if daily.start_time >= daily.end_time else 0
        mode = self.window_mode or self.config.get("window_mode")
        return 0 if mode == "today" else None

    @property
    def zone(self) -> str:
        """The zone in whose days its bookings are read, as written; empty for the site's."""
        if self.type != "calpendo":
            return ""
        written = self.config.get("timezone", CALPENDO_ZONE)
        return written if isinstance(written, str) and is_time_zone(written) else ""


def _daily_window(written: Any) -> DailyWindow | None:
    """As written in `config`, which the type of the source checks with its own words."""
    try:
        return DailyWindow.model_validate(written)
    except ValidationError:
        return None


class LogSettings(Model):
    """The log file; the terminal is always written."""

    file: str | None = Field(None, description="path; none when absent")
    max_bytes: Annotated[int, Field(ge=1000, strict=True)] = Field(
        10_000_000, description="size at which it is rotated"
    )
    backups: Annotated[int, Field(ge=0, strict=True)] = Field(
        5, description="old log files that are kept"
    )


class BackupSettings(Model):
    """Copies of the worklist that are made by themselves; SQLite only."""

    enabled: Flag = Field(True, description="false makes none")
    folder: str | None = Field(
        None, description="where; `backups` beside the database when absent, better another disk"
    )
    every_hours: Annotated[float, Field(gt=0, le=8760)] = Field(
        1.0, description="hours between two of them"
    )
    keep: Annotated[int, Field(ge=1, le=10000, strict=True)] = Field(
        24, description="so many of the newest are kept"
    )
    keep_days: Days = Field(
        30, description="of older ones, the last of each day is kept for so many days"
    )


class MetricsSettings(Model):
    """Numbers for Prometheus, and the health of the server, over HTTP."""

    enabled: Flag = Field(False, description="true serves them")
    host: str = Field("127.0.0.1", description="address to listen on")
    port: Annotated[int, Field(ge=0, le=65535, strict=True)] = Field(
        9464, description="port; 0 takes any free one"
    )


class Config(Model):
    """Everything that may be configured."""

    db_path: DatabasePath = Field(description="worklist database: file path or SQLAlchemy URL")
    users_db_path: DatabasePath | None = Field(None, description="database of REST accounts")
    db_echo: Flag = Field(False, description="log every SQL statement; on invented data only")
    ae_title: AETitle = Field("MWL_SERVER", description="AE title of the server")
    ip: str = Field("0.0.0.0", description="address to listen on")  # noqa: S104 - as published
    port: Annotated[int, Field(ge=0, le=65535, strict=True)] = Field(
        4242, description="port to listen on; 0 takes any free one"
    )
    allowed_aet: tuple[AETitle, ...] = Field(
        (), description="calling AE titles that may connect; EVERY one when empty"
    )
    access: tuple[AccessRule, ...] = Field(
        (), description="who else may connect, from where and what for"
    )
    tls: TlsSettings | None = Field(None, description="DICOM over TLS; none when absent")
    scanners: tuple[ScannerProfile, ...] = Field((), description="settings of single scanners")
    maximum_associations: Annotated[int, Field(ge=1, strict=True)] = Field(
        500, description="associations at the same time"
    )
    timeouts: Timeouts = Field(Timeouts(), description="how long the server waits for a peer")
    limits: Limits = Field(Limits(), description="how much of the server one peer may take")
    hidden_statuses: tuple[Status, ...] = Field(
        ("COMPLETED", "DISCONTINUED", "CANCELLED"),
        description="not shown to a scanner unless its query names a status",
    )
    days_back: Days | None = Field(
        None, description="days before today that a query without a date sees; all when absent"
    )
    days_ahead: Days | None = Field(
        None, description="days after today that a query without a date sees; all when absent"
    )
    max_answers: Annotated[int, Field(ge=1, strict=True)] | None = Field(
        None, description="items in one answer; all when absent"
    )
    response_character_set: CharacterSet | None = Field(
        None, description="preferred character set of answers; the request's own when absent"
    )
    timezone: TimeZone | None = Field(
        None, description="IANA zone of the scanner room; this machine's own when absent"
    )
    default_station_ae_title: AETitle | None = Field(
        None, description="station of items that name none; open to every scanner when absent"
    )
    site: str | None = Field(None, description="site id; part of identifiers made here")
    protocol: dict[str, str] | str | None = Field(
        None, description="protocol name by site id; `mapping` names the coding scheme"
    )
    data_sources: tuple[DataSource, ...] = Field((), description="where bookings come from")
    api: ApiSettings = Field(ApiSettings(), description="the REST API")
    page: PageSettings = Field(PageSettings(), description="the page on the workstation")
    backups: BackupSettings = Field(
        BackupSettings(), description="backups of the worklist database"
    )
    metrics: MetricsSettings = Field(MetricsSettings(), description="numbers for Prometheus")
    log: LogSettings = Field(LogSettings(), description="the log file")
    audit: AuditSettings = Field(AuditSettings(), description="the audit trail")
    db_update_interval: Seconds | None = Field(
        None, description="deprecated: sync_interval of a data source"
    )
    operation_interval: OperationInterval | None = Field(
        None, description="deprecated: operation_interval of a data source"
    )
    redcap2wl: dict[str, Any] | None = Field(
        None, description="deprecated: field_mapping of a data source"
    )
    mri_visit_session_mapping: dict[str, Any] | None = Field(
        None, description="accepted from published files; has no effect"
    )

    @model_validator(mode="after")
    def _names_are_unique(self) -> Config:
        for what, names in (
            ("data_sources", [source.name for source in self.data_sources]),
            ("scanners", [scanner.ae_title for scanner in self.scanners]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{what}: expected unique names, {', '.join(twice)} stands twice")
        return self

    @model_validator(mode="after")
    def _sources_own_their_bookings(self) -> Config:
        for number, source in enumerate(self.data_sources):
            if source.name in BY_HAND:
                raise ValueError(
                    f"data_sources[{number}].name: expected another name than {source.name!r}: "
                    "bookings that people enter are kept under it, and the source would withdraw "
                    "them"
                )
        return self

    @model_validator(mode="after")
    def _ports_differ(self) -> Config:
        if self.tls and self.tls.plain and self.tls.port == self.port != 0:
            raise ValueError(
                f"tls.port: expected another port than {self.port}, which is for connections "
                "without TLS; or set tls.plain to false"
            )
        return self

    @model_validator(mode="after")
    def _access_is_not_undone(self) -> Config:
        for number, rule in enumerate(self.access):
            if rule.ae_title in self.allowed_aet:
                raise ValueError(
                    f"access[{number}].ae_title: expected a title that allowed_aet does not name, "
                    f"got {rule.ae_title!r}: allowed_aet lets it in from everywhere, for "
                    "everything; remove it there"
                )
        return self
