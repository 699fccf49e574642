"""Settings about who may do what, and how it is kept."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from pylantir.config.values import AETitle, Flag, Model, Network, ae_title


class AccessRule(Model):
    """One way to be let in: everything that a rule names must fit."""

    ae_title: AETitle | None = Field(None, description="calling AE title; any when absent")
    address: Network | None = Field(
        None, description="address or network the scanner is at, such as 10.1.2.0/24; any if absent"
    )
    called_ae_title: AETitle | None = Field(
        None, description="AE title it must call the server by; any when absent"
    )
    rights: tuple[Literal["worklist", "mpps"], ...] = Field(
        ("worklist", "mpps"), description="what it may do; C-ECHO needs no right"
    )

    @model_validator(mode="after")
    def _names_somebody(self) -> AccessRule:
        if self.ae_title is None and self.address is None:
            raise ValueError("expected ae_title or address: a rule without lets everybody in")
        return self


class Limits(Model):
    """How much of the server one peer may take."""

    per_ae_title: Annotated[int, Field(ge=1, strict=True)] = Field(
        100, description="associations at the same time with one calling AE title"
    )
    per_address: Annotated[int, Field(ge=1, strict=True)] = Field(
        200, description="associations at the same time from one IP address"
    )
    reserved_per_scanner: Annotated[int, Field(ge=0, strict=True)] = Field(
        4,
        description="associations that each AE title of `allowed_aet`, `access` and `scanners` can "
        "always have; together at most half of `maximum_associations`",
    )
    waiting: Annotated[int, Field(ge=1, strict=True)] = Field(
        256, description="connections without an association request at the same time"
    )
    waiting_per_address: Annotated[int, Field(ge=1, strict=True)] = Field(
        16, description="of them from one IP address; eight times as many where scanners work"
    )
    message_bytes: Annotated[int, Field(ge=65_536, strict=True)] = Field(
        1_048_576, description="longest message of a scanner"
    )


class TlsSettings(Model):
    """DICOM over TLS (PS3.15 B.12, BCP 195: TLS 1.2 or 1.3)."""

    certificate: str = Field(min_length=1, description="PEM file of the server's certificate chain")
    key: str | None = Field(
        None, description="PEM file of its key; may stand in the file of the certificate"
    )
    port: Annotated[int, Field(ge=0, le=65535, strict=True)] = Field(
        2762, description="port for TLS; 0 takes any free one"
    )
    plain: Flag = Field(
        True, description="false: only TLS is listened for, and nothing on the other port"
    )
    ca: str | None = Field(None, description="PEM file of the authorities that certify scanners")
    mutual: Flag = Field(False, description="turn scanners away that show no certificate of theirs")
    scanner_names: dict[str, str] = Field(
        {},
        description="calling AE title to a name in its certificate (common name, DNS name or "
        "address); such a title is let in over TLS with that certificate only",
    )

    @model_validator(mode="after")
    def _knows_who_certifies(self) -> TlsSettings:
        for wanted, name in ((self.mutual, "mutual"), (self.scanner_names, "scanner_names")):
            if wanted and self.ca is None:
                raise ValueError(f"{name}: expected ca as well, the authority of the scanners")
        return self

    @field_validator("scanner_names")
    @classmethod
    def _by_ae_title(cls, names: dict[str, str]) -> dict[str, str]:
        return {ae_title(title): name.strip() for title, name in names.items()}


class SyslogSettings(Model):
    """A collector of audit messages: syslog over TLS (RFC 5424, RFC 5425)."""

    host: str = Field(min_length=1, description="name or address of the collector")
    port: Annotated[int, Field(ge=1, le=65535, strict=True)] = Field(6514, description="its port")
    tls: Flag = Field(True, description="false only for a collector on this machine")
    ca: str | None = Field(
        None, description="PEM file of the authorities that certify it; the system's when absent"
    )
    certificate: str | None = Field(None, description="our certificate, if it wants one (PEM file)")
    key: str | None = Field(None, description="its key; may stand in the file of the certificate")

    @model_validator(mode="after")
    def _encrypts_what_leaves_the_machine(self) -> SyslogSettings:
        if not self.tls and not _is_this_machine(self.host):
            raise ValueError(
                f"expected tls for {self.host}: audit events name patients, and only 127.0.0.1, "
                "::1 and localhost may get them without"
            )
        return self


class AuditSettings(Model):
    """The audit trail: who asked for and who changed what."""

    enabled: Flag = Field(True, description="false keeps no trail")
    path: str | None = Field(
        None, description="folder of the trail; beside the database when absent"
    )
    max_bytes: Annotated[int, Field(ge=100_000, strict=True)] = Field(
        50_000_000, description="size at which the next file is begun"
    )
    retention_days: Annotated[int, Field(ge=1, le=36500, strict=True)] | None = Field(
        2190, description="files are removed when they are older; null keeps them for ever"
    )
    syslog: SyslogSettings | None = Field(None, description="where events are sent, too")


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
