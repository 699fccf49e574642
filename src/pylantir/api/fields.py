"""A worklist item as REST shows and takes it: the published names, with the values of the table.

The schema is read off the attribute table, like everything else about attributes.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictFloat, WithJsonSchema, create_model

from pylantir.errors import InvalidItem, ValueProblem
from pylantir.worklist.attributes import FIELDS, Attribute
from pylantir.worklist.item import WorklistItem, published_protocol
from pylantir.worklist.plain import plain_item

PUBLISHED = (
    "id study_instance_uid patient_name patient_id patient_birth_date patient_sex "
    "patient_weight_lb accession_number referring_physician_name modality study_description "
    "scheduled_station_aetitle scheduled_start_date scheduled_start_time performing_physician "
    "procedure_description protocol_name station_name performed_procedure_step_status "
    "data_source source_record_id"
).split()
"""Always there, text or null, as the published release answers them."""

_JOINED = ("scheduled_station_aetitle", "station_name")
"""Text in the published release although an item may have several."""

_IDENTITY = ("id", "data_source", "source_record_id")


WallTime = Annotated[
    dt.datetime,
    WithJsonSchema({"type": "string", "examples": ["2026-11-23T09:35:00"]}),
]
"""Wall-clock time without an offset: no ``date-time`` of RFC 3339, which has one."""


class CodeValue(BaseModel):
    """One coded value (PS3.3 section 8.8)."""

    value: str = Field(description="Code Value")
    scheme: str = Field(description="Coding Scheme Designator")
    meaning: str = Field("", description="Code Meaning")
    version: str = Field("", description="Coding Scheme Version")


def rest_item(item: WorklistItem) -> dict[str, Any]:
    """The item for a response: published names always, others when they have a value."""
    plain = plain_item(item)
    plain["protocol_name"] = published_protocol(item)[0]
    plain["patient_weight_lb"] = plain["patient_weight_lb"].removesuffix(".0")
    for name in _JOINED:
        plain[name] = "\\".join(plain[name])
    shown = {name: plain.pop(name) or None for name in PUBLISHED}
    return shown | {name: value for name, value in plain.items() if value not in ("", [], {}, None)}


def encoded(item: WorklistItem) -> bytes:
    """The item as JSON."""
    return json.dumps(rest_item(item), ensure_ascii=False, separators=(",", ":")).encode()


def changes_in(values: Mapping[str, Any], item: WorklistItem) -> dict[str, Any]:
    """What of the values a client sent says something new; all of it goes to the item.

    A client may send back a whole item with one value changed: names that stand for the same
    thing, such as weight in pounds and in kilograms, must not undo each other then.

    Raises
    ------
    InvalidItem
        It would change whose item this is.
    """
    present = rest_item(item)
    present |= present.get("extras", {})
    changed = {
        name: value
        for name, value in flat(values).items()
        if (None if value in ("", []) else value) != present.get(name)
    }
    wrong = [name for name in _IDENTITY if name in changed]
    if wrong:
        reason = "never changes"
        raise InvalidItem([ValueProblem(name, str(changed[name])[:80], reason) for name in wrong])
    return changed


def flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with extras beside the fields, as an item takes them."""
    rest = {name: value for name, value in values.items() if name != "extras"}
    extras = values.get("extras")
    if extras is None:
        return rest
    if not isinstance(extras, Mapping):
        raise InvalidItem([ValueProblem("extras", "", "expected an object of DICOM keywords")])
    return {**extras, **rest}


_NUMBERS = ("DS", "IS", "US", "UL", "SS", "SL")
_EXAMPLES = {
    "patient_name": "Doe^John",
    "patient_id": "PATIENT001",
    "patient_birth_date": "1990-01-01",
    "patient_sex": "M",
    "modality": "MR",
    "scheduled_start_date": "2026-11-23",
    "scheduled_start_time": "09:30",
    "scheduled_station_aetitle": "PRISMA_1",
    "performed_procedure_step_status": "SCHEDULED",
}


def _taken(attribute: Attribute) -> Any:
    """What JSON may say for an attribute."""
    if attribute.is_sequence:
        return list[CodeValue] | None
    if attribute.vr in _NUMBERS:
        return StrictFloat | str | None  # true is no number
    if attribute.multiple:
        return list[str] | str | None
    return str | None


def _described(attribute: Attribute) -> Any:
    words = f"{attribute.keyword} ({attribute.tag >> 16:04X},{attribute.tag & 0xFFFF:04X})"
    examples = [_EXAMPLES[attribute.column]] if attribute.column in _EXAMPLES else None
    return Field(None, description=f"{words}, {attribute.vr}", examples=examples)


_VALUES: dict[str, Any] = {a.column: (_taken(a), _described(a)) for a in FIELDS} | {
    "patient_weight_lb": (StrictFloat | str | None, Field(None, description="weight in pounds")),
    "protocol_name": (str | None, Field(None, description="protocol, and step description")),
    "hisris_coding_designator": (
        str | None,
        Field(None, description="coding scheme of the protocol"),
    ),
    "data_source": (str | None, Field(None, description="who keeps this booking")),
    "source_record_id": (str | None, Field(None, description="its key at the source")),
    "extras": (
        dict[str, Any] | None,
        Field(None, description="other attributes by DICOM keyword"),
    ),
}


class _Values(BaseModel):
    """DICOM keywords, and every other spelling of a name, are taken as well."""

    model_config = ConfigDict(extra="allow")

    def given(self) -> dict[str, Any]:
        """What the client has sent, and nothing else."""
        return self.model_dump(exclude_unset=True)


ItemValues: type[_Values] = create_model("ItemValues", __base__=_Values, **_VALUES)
"""What a client may send."""

_SHOWN: dict[str, Any] = {name: (str | None, Field(description="")) for name in PUBLISHED} | {
    "id": (int, Field(description="number of the item"))
}

WorklistItemOut: type[BaseModel] = create_model(
    "WorklistItem",
    __config__=ConfigDict(extra="allow"),
    __doc__="A worklist item. Other fields of ItemValues are there when they have a value.",
    **_SHOWN,
)
"""What a client gets."""
