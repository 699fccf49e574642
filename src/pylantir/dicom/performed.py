"""Between an MPPS data set and a PerformedProcedureStep (PS3.3 B.17, PS3.18 Annex F).

The whole data set is kept as DICOM JSON, in Unicode: character sets of N-CREATE and N-SET need
not be the same, and nothing the scanner said is lost.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pynetdicom.dsutils import decode as decode_data_set

from pylantir import clock
from pylantir.dicom import charsets
from pylantir.dicom.datasets import texts_of
from pylantir.dicom.elements import Element, Encoding, read_elements
from pylantir.dicom.mpps_rules import STATUS, Violation
from pylantir.worklist.status import StepStatus
from pylantir.worklist.step import PerformedProcedureStep
from pylantir.worklist.steps import references_in
from pylantir.worklist.values import Code, decimal, uid

Attributes = dict[str, Any]
"""A data set as DICOM JSON: eight hexadecimal digits of the tag to its VR and values."""

_CHARACTER_SET = 0x0008_0005
_NUMBERS = ("DS", "IS")
_UNREADABLE = (BytesLengthException, NotImplementedError)
"""What pydicom raises for numbers of the wrong length and for VRs it does not know."""

_CHECKED: dict[str, Callable[[str], object]] = {
    "DA": clock.parse_date,
    "TM": clock.parse_time,
    "UI": uid,
    "DS": decimal,
    "IS": int,
}
"""Values that a wrong form makes useless; over-long texts are kept as they came."""


def read_attributes(data: bytes, encoding: Encoding) -> tuple[Dataset, list[Violation]]:
    """The data set of a request, and its values that are no values of their VR.

    Raises
    ------
    MalformedDataSet
        Not a data set at all.
    """
    elements = read_elements(data, encoding)
    unreadable = _undecodable(elements, _terms(elements))
    with charsets.quietly():
        ds = decode_data_set(BytesIO(data), encoding.implicit_vr, encoding.little_endian)
        invalid = {*unreadable, *_settle(ds)}
    return ds, [Violation(tag, "invalid") for tag in sorted(invalid)]


def _terms(elements: tuple[Element, ...]) -> charsets.Terms:
    for element in elements:
        if element.tag == _CHARACTER_SET:
            return charsets.parse_terms(element.value.decode("ascii", errors="replace"))
    return charsets.ASCII


def _undecodable(elements: tuple[Element, ...], terms: charsets.Terms) -> set[int]:
    """Root attributes that hold text which their character set does not explain."""
    found: set[int] = set()
    for element in elements:
        inner = [e for item in element.items or () for e in item]
        if (inner and _undecodable(tuple(inner), terms)) or (
            element.vr in ("SH", "LO", "ST", "LT", "UC", "UT", "PN")
            and "\ufffd" in charsets.decode(element.value, terms, element.vr)
        ):
            found.add(element.tag)
    return found


def _settle(ds: Dataset) -> set[int]:
    """Convert every value now; root tags whose values cannot be used."""
    invalid: set[int] = set()
    for tag in list(ds.keys()):
        try:
            element = ds[tag]
        except (ValueError, TypeError, KeyError, OverflowError, *_UNREADABLE):
            invalid.add(int(tag))
            del ds[tag]
            continue
        if element.VR == "SQ":
            if any(_settle(item) for item in element.value):
                invalid.add(int(tag))
        elif not _is_usable(element):
            invalid.add(int(tag))
            if element.VR in _NUMBERS:
                del ds[tag]  # as DICOM JSON it would have to be a number
    return invalid


def _is_usable(element: DataElement) -> bool:
    check = _CHECKED.get(element.VR)
    if check is None or element.is_empty:
        return True
    values = element.value if element.VM > 1 else [element.value]
    try:
        for value in values:
            check(str(value).strip())
    except ValueError:
        return False
    return True


def as_attributes(ds: Dataset) -> Attributes:
    """A data set as DICOM JSON, without its character set."""
    attributes: Attributes = ds.to_json_dict()
    attributes.pop("00080005", None)
    return attributes


def as_data_set(attributes: Mapping[str, Any]) -> Dataset:
    """DICOM JSON as a data set, with the character set its texts need."""
    ds = Dataset.from_json(dict(attributes))
    chosen = charsets.choose(texts_of(ds), charsets.ASCII, charsets.ASCII)
    if chosen:
        ds.SpecificCharacterSet = chosen[0]
    return ds


def status_of(attributes: Mapping[str, Any]) -> StepStatus | None:
    """Performed Procedure Step Status, or nothing when absent or unknown."""
    shown = _text(attributes, f"{STATUS:08X}").upper()
    return StepStatus(shown) if shown in set(StepStatus) else None


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
    if isinstance(value, Mapping):
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
