"""Values that settings are made of, each with its check."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from pylantir import clock

_STATUSES = {
    "SCHEDULED": "SCHEDULED",
    "ARRIVED": "ARRIVED",
    "READY": "READY",
    "IN_PROGRESS": "IN_PROGRESS",
    "IN PROGRESS": "IN_PROGRESS",
    "STARTED": "IN_PROGRESS",
    "COMPLETED": "COMPLETED",
    "DISCONTINUED": "DISCONTINUED",
    "CANCELLED": "CANCELLED",
    "CANCELED": "CANCELLED",
}


def ae_title(value: str) -> str:
    """A checked AE title, trimmed (PS3.5 6.2).

    Raises
    ------
    ValueError
        It is none.
    """
    title = value.strip()
    if not 1 <= len(title) <= 16 or not (title.isascii() and title.isprintable()) or "\\" in title:
        raise ValueError("expected 1 to 16 printable ASCII characters without backslash")
    return title


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value.strip()))
    except ValueError as error:
        words = "expected an IP address or a network such as 10.1.2.0/24; names are not looked up"
        if "host bits" in str(error):
            whole = ipaddress.ip_network(value.strip(), strict=False)
            words = f"expected an address or a whole network; did you mean {whole}?"
        raise ValueError(words) from None


def _status(value: str) -> str:
    known = _STATUSES.get(value.strip().upper())
    if known is None:
        raise ValueError("expected one of " + ", ".join(dict.fromkeys(_STATUSES.values())))
    return known


def _flag(value: Any) -> Any:
    """The published files write flags as text."""
    if isinstance(value, str) and value.strip().lower() in ("true", "false", "0", "1", "yes", "no"):
        return value.strip().lower() in ("true", "1", "yes")
    return value


def is_time_zone(name: str) -> bool:
    """Whether the IANA data base has a zone of that name."""
    try:
        clock.zone(name)
    except KeyError:
        return False
    return True


def _time_zone(value: str) -> str:
    if not is_time_zone(value):
        raise ValueError("expected an IANA time zone such as America/Edmonton")
    return value


def _character_set(value: str) -> str:
    from pydicom.charset import python_encoding

    for term in value.split("\\"):
        if term.strip() not in python_encoding:
            raise ValueError('expected a DICOM Specific Character Set such as "ISO_IR 100"')
    return value


def _not_a_placeholder(value: str) -> str:
    if value.startswith("/path/to/"):
        raise ValueError("this is the placeholder of the example; expected a path of this machine")
    if not value.strip():
        raise ValueError("expected a file path or a database URL")
    return value


def _seconds(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e7:
        raise ValueError("expected seconds > 0")
    return value


AETitle = Annotated[str, AfterValidator(ae_title)]
Network = Annotated[str, AfterValidator(_network)]
Status = Annotated[str, AfterValidator(_status)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Seconds = Annotated[float, BeforeValidator(_seconds)]
CharacterSet = Annotated[str, AfterValidator(_character_set)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
DatabasePath = Annotated[str, AfterValidator(_not_a_placeholder)]
Days = Annotated[int, Field(ge=0, le=36500, strict=True)]
Hour = Annotated[int, Field(ge=0, le=23, strict=True)]
Minute = Annotated[int, Field(ge=0, le=59, strict=True)]
Minutes = Annotated[int, Field(ge=1, le=10080, strict=True)]
TimeOfDay = tuple[Hour, Minute]


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _without_comments(cls, data: Any) -> Any:
        """Keys that begin with an underscore are comments."""
        if isinstance(data, Mapping):
            return {k: v for k, v in data.items() if not str(k).startswith("_")}
        return data
