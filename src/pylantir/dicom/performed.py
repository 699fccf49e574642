"""Between an MPPS data set and a PerformedProcedureStep (PS3.3 B.17, PS3.18 Annex F).

The whole data set is kept as DICOM JSON, in Unicode: character sets of N-CREATE and N-SET need
not be the same, and nothing the scanner said is lost.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from pydicom.dataset import Dataset

from pylantir import clock
from pylantir.dicom import charsets
from pylantir.dicom.datasets import texts_of
from pylantir.dicom.elements import Encoding, MalformedDataSet, read_elements
from pylantir.dicom.json_model import Attributes, attributes_of
from pylantir.dicom.mpps_rules import STATUS, Violation
from pylantir.worklist.status import StepStatus
from pylantir.worklist.step import PerformedProcedureStep
from pylantir.worklist.step_rows import references_in
from pylantir.worklist.values import Code

MAX_ELEMENTS = 40_000
"""A scan may have made more than ten thousand images, each an item with two attributes."""

MAX_ATTRIBUTES = 512
"""At the root of a step; Table F.7.2-1 has forty, and few consoles add as many of their own."""

_STATUSES = {status.value: status for status in StepStatus}


def read_attributes(data: bytes, encoding: Encoding) -> tuple[Attributes, list[Violation]]:
    """The data set of a request as DICOM JSON, and its values that are no values of their VR.

    Raises
    ------
    MalformedDataSet
        Not a data set at all.
    """
    elements = read_elements(data, encoding, max_elements=MAX_ELEMENTS)
    if len(elements) > MAX_ATTRIBUTES:
        raise MalformedDataSet(f"more than {MAX_ATTRIBUTES} attributes beside one another")
    attributes, invalid = attributes_of(elements, encoding)
    return attributes, [Violation(tag, "invalid") for tag in sorted(invalid)]


def as_data_set(attributes: Mapping[str, Any]) -> Dataset:
    """DICOM JSON as a data set, with the character set its texts need."""
    with charsets.quietly():  # a lenient scanner's values are given back as they came
        ds = Dataset.from_json(dict(attributes))
    chosen = charsets.choose(texts_of(ds), charsets.ASCII, charsets.ASCII)
    if chosen:
        ds.SpecificCharacterSet = chosen[0]
    return ds


def status_of(attributes: Mapping[str, Any]) -> StepStatus | None:
    """Performed Procedure Step Status, or nothing when absent or unknown."""
    shown = _text(attributes, f"{STATUS:08X}").upper()
    return _STATUSES.get(shown)


def step_of(
    attributes: Attributes,
    *,
    sop_instance_uid: str,
    calling_ae_title: str,
    received: dt.datetime,
    violations: tuple[str, ...] = (),
) -> PerformedProcedureStep:
    """The performed step that a data set describes.

    Parameters
    ----------
    attributes : Attributes
        The whole data set.
    received : datetime
        The site's wall clock; stands in for a start that a lenient scanner left out.
    """
    started = _moment(attributes, "00400244", "00400245") or received.replace(tzinfo=None)
    return PerformedProcedureStep(
        sop_instance_uid=sop_instance_uid,
        status=status_of(attributes) or StepStatus.IN_PROGRESS,
        performed_procedure_step_id=_text(attributes, "00400253"),
        performed_station_ae_title=_text(attributes, "00400241"),
        calling_ae_title=calling_ae_title,
        modality=_text(attributes, "00080060"),
        patient_id=_text(attributes, "00100020"),
        patient_name=_text(attributes, "00100010"),
        started=started,
        ended=_moment(attributes, "00400250", "00400251"),
        discontinuation_reason=_reason(attributes),
        references=references_in(attributes),
        attributes=attributes,
        violations=violations,
    )


def _text(attributes: Mapping[str, Any], tag: str) -> str:
    values = attributes.get(tag, {}).get("Value") or ("",)
    value = values[0]
    if isinstance(value, dict):
        groups = (value.get(name, "") for name in ("Alphabetic", "Ideographic", "Phonetic"))
        return "=".join(groups).rstrip("=")
    return str(value if value is not None else "").strip()


def _moment(attributes: Mapping[str, Any], date_tag: str, time_tag: str) -> dt.datetime | None:
    try:
        day = clock.parse_date(_text(attributes, date_tag))
        time = clock.parse_time(_text(attributes, time_tag) or "00")
    except ValueError:
        return None
    return dt.datetime.combine(day, time)


def _reason(attributes: Mapping[str, Any]) -> Code | None:
    items = attributes.get("00400281", {}).get("Value") or ()
    for item in items:
        value = _text(item, "00080100")
        if value:
            return Code(value, _text(item, "00080102"), _text(item, "00080104"))
    return None
