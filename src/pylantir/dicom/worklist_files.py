"""Items as DICOM worklist files and as DICOM JSON (PS3.10, PS3.18 Annex F).

Files are those of wlmscpfs, Orthanc and dump2dcm: with or without preamble and File Meta
Information, implicit or explicit VR, little or big endian. Ours are explicit VR little endian.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
import uuid
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from typing import Any

from pydicom import dcmwrite
from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from pylantir.dicom import charsets
from pylantir.dicom.datasets import item_data_set, texts_of
from pylantir.dicom.elements import Encoding, MalformedDataSet
from pylantir.dicom.implementation import CLASS_UID, version_name
from pylantir.dicom.json_model import number_or_text
from pylantir.dicom.performed import read_attributes
from pylantir.dicom.sop_classes import WORKLIST_FIND
from pylantir.errors import ValueProblem
from pylantir.worklist.attributes import BY_KEYWORD, MODEL, STEP_SEQUENCE_TAG, Level
from pylantir.worklist.identity import UID_ROOT
from pylantir.worklist.imports import Reading, Record, Refusal, refused_file
from pylantir.worklist.item import WorklistItem

_PREAMBLE, _PREFIX = 128, b"DICM"
_TRANSFER_SYNTAX = 0x0002_0010
_ENCODINGS: dict[str, Encoding] = {
    ImplicitVRLittleEndian: Encoding(implicit_vr=True, little_endian=True),
    ExplicitVRLittleEndian: Encoding(implicit_vr=False, little_endian=True),
    ExplicitVRBigEndian: Encoding(implicit_vr=False, little_endian=False),
}
_LONG_META_VRS = (b"OB", b"UN")

_SEQUENCE = {"vr": "SQ"}
_STEPS = "ScheduledProcedureStepSequence"
_OF_THE_FILE = frozenset(
    "SpecificCharacterSet SOPClassUID SOPInstanceUID QueryRetrieveLevel InstanceCreatorUID".split()
)
"""Attributes that describe a file or a query, not a booking."""

_KEPT_VRS = frozenset(
    "AE AS CS DA DS DT IS LO LT PN SH SL SQ SS ST SV TM UC UI UL UR US UT UV".split()
)
"""What an item can keep; the others are binary or floating point."""

_CODE_SEQUENCES = tuple(a.keyword for a in BY_KEYWORD.values() if a.name and a.is_sequence)
_CODE_PARTS = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning", "CodingSchemeVersion")

_LATIN_1 = ("ISO_IR 100",)
_INSTANCES = uuid.UUID("0d7a3b3e-58e5-5f0b-8f53-2f5a2f1d6f0e")
"""Fixed for ever: the same item always gets the same SOP Instance UID."""


def looks_like_dicom(data: bytes) -> bool:
    """Whether bytes begin like a DICOM file or a bare data set, and like no text."""
    return data[_PREAMBLE : _PREAMBLE + 4] == _PREFIX or data[:2] in _FIRST_GROUPS


_FIRST_GROUPS = (b"\x02\0", b"\x08\0", b"\x10\0", b"\0\x08", b"\0\x10")


def read_worklist_file(data: bytes) -> Reading:
    """Read the bookings of a DICOM worklist file.

    Parameters
    ----------
    data : bytes
        The file: Part 10 or a bare data set, any transfer syntax but deflated.

    Returns
    -------
    Reading
        One record for each item of the Scheduled Procedure Step Sequence.
    """
    try:
        syntax, body = _split_file(data)
        encoding = _ENCODINGS.get(syntax) or _encoding_of(body)
        attributes, violations = read_attributes(body, encoding)
    except MalformedDataSet as error:
        return refused_file(f"not a DICOM worklist file: {error}")
    doubts = tuple(
        ValueProblem(keyword_for_tag(v.tag), "", "holds a value that cannot be read")
        for v in violations
        if _is_kept(v.tag) and attributes.get(f"{v.tag:08X}", _SEQUENCE)["vr"] == "SQ"
    )
    left_out: set[str] = set()
    found = _split_steps(_plain_json(attributes, left_out))
    return _reading([found], [""], doubts, left_out)


def read_dicom_json(objects: Sequence[Any]) -> Reading:
    """Read the bookings of data sets in DICOM JSON (PS3.18 Annex F).

    Parameters
    ----------
    objects : sequence
        Of objects keyed by eight hexadecimal digits.
    """
    found: list[list[dict[str, Any]]] = []
    places: list[str] = []
    refused: list[Refusal] = []
    left_out: set[str] = set()
    for number, entry in enumerate(objects, start=1):
        try:
            found.append(_split_steps(_plain_json(entry, left_out)))
            places.append(f"object {number}")
        except ValueError as error:
            problem = ValueProblem("object", "", str(error))
            refused.append(Refusal(f"object {number}", (problem,)))
    reading = _reading(found, places, (), left_out)
    return Reading(reading.records, (*refused, *reading.refused), reading.notes)


def _split_steps(values: dict[str, Any]) -> list[dict[str, Any]]:
    return _records(values, values.pop(_STEPS, []))


def _records(root: dict[str, Any], steps: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [_tidied({**root, **step}) for step in steps]


def _tidied(values: dict[str, Any]) -> dict[str, Any]:
    """Without what describes the file, and codes without what only refines them."""
    kept = {name: value for name, value in values.items() if name not in _OF_THE_FILE}
    for name in _CODE_SEQUENCES:
        if isinstance(kept.get(name), list):
            codes = [{part: code.get(part, "") for part in _CODE_PARTS} for code in kept[name]]
            kept[name] = [code for code in codes if any(code.values())]
    return kept


def _reading(
    found: list[list[dict[str, Any]]],
    places: list[str],
    doubts: tuple[ValueProblem, ...],
    left_out: set[str],
) -> Reading:
    records: list[Record] = []
    refused: list[Refusal] = []
    for steps, place in zip(found, places, strict=True):
        if not steps:
            problem = ValueProblem(_STEPS, "", "required, but there is no scheduled step")
            refused.append(Refusal(place, (problem,)))
        for number, values in enumerate(steps, start=1):
            step = f"step {number}" if len(steps) > 1 else ""
            where = ", ".join(part for part in (place, step) if part)
            records.append(Record(where, values, doubts=doubts))
    notes = (f"neither text nor number, left out: {', '.join(sorted(left_out))}",)
    return Reading(tuple(records), tuple(refused), notes if left_out else ())


def _split_file(data: bytes) -> tuple[str, bytes]:
    """Transfer syntax (empty when the file does not say) and the encoded data set.

    Raises
    ------
    MalformedDataSet
        The File Meta Information does not fit, or the data set is deflated.
    """
    at = _PREAMBLE + 4 if data[_PREAMBLE : _PREAMBLE + 4] == _PREFIX else 0
    syntax = ""
    while data[at : at + 2] == b"\x02\0":
        tag, start, end = _meta_element(data, at)
        if tag == _TRANSFER_SYNTAX:
            syntax = data[start:end].rstrip(b"\0 ").decode("ascii", errors="replace")
        at = end
    if syntax == DeflatedExplicitVRLittleEndian:
        raise MalformedDataSet("deflated; convert it with: dcmconv +te")
    return syntax, data[at:]


def _meta_element(data: bytes, at: int) -> tuple[int, int, int]:
    """Tag, start and end of a File Meta Information element (PS3.10 7.1)."""
    try:
        group, element, vr, length = struct.unpack_from("<HH2sH", data, at)
        start = at + 8
        if vr in _LONG_META_VRS:
            (length,) = struct.unpack_from("<I", data, start)
            start += 4
    except struct.error:
        raise MalformedDataSet("File Meta Information that does not end") from None
    if start + length > len(data):
        raise MalformedDataSet("File Meta Information longer than the file")
    return group << 16 | element, start, start + length


def _encoding_of(body: bytes) -> Encoding:
    """How a data set is encoded, by its first element: groups of a worklist are below 0100."""
    if len(body) < 8:
        raise MalformedDataSet("no data set")
    vr = body[4:6]
    return Encoding(implicit_vr=not (vr.isalpha() and vr.isupper()), little_endian=body[1] == 0)


def _is_kept(tag: int) -> bool:
    """Whether an item can keep what has this tag."""
    keyword = keyword_for_tag(tag)
    return bool(keyword) and dictionary_VR(tag).split(" or ")[0] in _KEPT_VRS


def _plain_json(entry: Any, left_out: set[str]) -> dict[str, Any]:
    """A data set in DICOM JSON as keyword to plain value.

    Raises
    ------
    ValueError
        Not DICOM JSON; names the attribute.
    """
    if not isinstance(entry, Mapping):
        raise ValueError("expected a data set in DICOM JSON")
    values: dict[str, Any] = {}
    for key, attribute in entry.items():
        tag = int(key, 16) if _TAG.fullmatch(key) else 0
        keyword = keyword_for_tag(tag)
        if not tag:
            raise ValueError(f"expected a tag of eight hexadecimal digits, got {key[:80]!r}")
        if tag < _FIRST_TAG or not keyword or keyword == "SpecificCharacterSet":
            continue
        if not _is_kept(tag):
            left_out.add(keyword)
            continue
        parts = attribute.get("Value", []) if isinstance(attribute, Mapping) else None
        if not isinstance(parts, list):
            raise ValueError(f"{keyword}: expected an object with vr and a list of values")
        values[keyword] = _plain_parts(keyword, parts, left_out)
    return values


_TAG = re.compile("[0-9A-Fa-f]{8}")
_FIRST_TAG = 0x0008_0000


def _plain_parts(keyword: str, parts: list[Any], left_out: set[str]) -> Any:
    tag = tag_for_keyword(keyword)
    assert tag is not None
    if dictionary_VR(tag) == "SQ":
        return [_plain_json(part or {}, left_out) for part in parts]
    shown = [_plain_part(keyword, part) for part in parts]
    return shown[0] if len(shown) == 1 else shown or ""


def _plain_part(keyword: str, part: Any) -> str:
    if isinstance(part, Mapping):
        groups = (str(part.get(name) or "") for name in _NAME_GROUPS)
        return "=".join(groups).rstrip("=")
    if isinstance(part, list | bool):
        raise ValueError(f"{keyword}: expected text or a number")
    return "" if part is None else str(part)


_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def write_worklist_file(item: WorklistItem) -> bytes:
    """The item as a DICOM file that wlmscpfs and Orthanc serve.

    Its character set is Latin-1 where that holds every text, because older scanners know no
    other, else UTF-8. The same item always makes the same bytes.
    """
    ds = _data_set(item)
    chosen = charsets.choose(texts_of(ds), charsets.ASCII, _LATIN_1)
    if chosen:
        ds.SpecificCharacterSet = chosen[0]
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = WORKLIST_FIND
    meta.MediaStorageSOPInstanceUID = _instance_uid(item)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(CLASS_UID)
    meta.ImplementationVersionName = version_name()
    meta.ImplementationVersionName = "PYLANTIR"
    ds.file_meta = meta
    out = BytesIO()
    dcmwrite(out, ds, enforce_file_format=True)
    return out.getvalue()


def write_dicom_json(items: Iterable[WorklistItem]) -> str:
    """Items as a list of data sets in DICOM JSON (PS3.18 Annex F), one a line."""
    lines = [json.dumps(data_set_as_json(_data_set(item)), ensure_ascii=False) for item in items]
    return "[" + ",".join(f"\n{line}" for line in lines) + "\n]\n"


def data_set_as_json(ds: Dataset) -> dict[str, Any]:
    """A data set in DICOM JSON (PS3.18 Annex F)."""
    written: dict[str, Any] = ds.to_json_dict()
    _keep_decimals(ds, written)
    return written


def _keep_decimals(ds: Dataset, written: dict[str, Any]) -> None:
    """Write a decimal string as a number only where the number reads back the same."""
    for element in ds:
        entry = written[f"{element.tag:08X}"]
        if element.VR == "SQ":
            for item, inner in zip(element.value, entry.get("Value", ()), strict=True):
                _keep_decimals(item, inner)
        elif element.VR == "DS" and not element.is_empty:
            parts = element.value if element.VM > 1 else [element.value]
            entry["Value"] = [number_or_text(str(part)) for part in parts]


def _data_set(item: WorklistItem) -> Dataset:
    """The item's data set: what is empty stands in it only where Table K.6-1 has it as type 2.

    wlmscpfs takes a file with an empty conditional sequence for an incomplete one.
    """
    ds = item_data_set(item)
    for level, holder in ((Level.ROOT, ds), (Level.STEP, ds[STEP_SEQUENCE_TAG].value[0])):
        for attribute in MODEL:
            is_optional = attribute.level is level and attribute.return_type not in ("1", "2")
            if is_optional and attribute.tag in holder and holder[attribute.tag].is_empty:
                del holder[attribute.tag]
    return ds


def file_name(item: WorklistItem) -> str:
    """Name of the item's worklist file: the same each time, and nothing that it holds."""
    identity = f"{item.data_source}\x1f{item.source_record_id}"
    return f"{hashlib.sha256(identity.encode()).hexdigest()[:24]}.wl"


def _instance_uid(item: WorklistItem) -> UID:
    name = f"{item.data_source}\x1f{item.source_record_id}"
    return UID(f"{UID_ROOT}.{uuid.uuid5(_INSTANCES, name).int}")
