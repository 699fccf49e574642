"""The hot path of C-FIND: an item's answer as bytes, without a pydicom data set in between.

It gives byte for byte what :func:`~pylantir.dicom.datasets.response_identifier` and pydicom's
writer give; a property test compares the two. What is asked is compiled once for a request, and an
answer is kept for as long as its item has the same version.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pydicom.charset import convert_encodings, encode_string
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.valuerep import PersonName
from pynetdicom.dsutils import encode as encode_data_set

from pylantir.dicom import charsets
from pylantir.dicom.charsets import Terms
from pylantir.dicom.datasets import (
    add_plain,
    code_tags,
    plain_keywords,
    texts_of,
    wire_values,
)
from pylantir.dicom.elements import Encoding
from pylantir.dicom.identifiers import Asked
from pylantir.worklist.attributes import CODE_KEYS, STEP_SEQUENCE_TAG
from pylantir.worklist.item import WorklistItem

_LONG_HEADER = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "UC", "UN", "UR", "UT"})
_TEXT_VRS = frozenset({"SH", "LO", "ST", "LT", "UC", "UT", "PN"})
_CHARACTER_SET = 0x0008_0005
_ITEM = 0xFFFE_E000
_MAX_KEPT = 20_000
"""Answers that one encoder keeps; about 10 MB."""


@dataclass(slots=True)
class _Writing:
    """What one answer is written with."""

    encoding: Encoding
    station: str
    terms: Terms
    python_encodings: list[str]


Writer = Callable[[WorklistItem, _Writing], bytes]
Texts = Callable[[WorklistItem], Iterable[str]]


class AnswerEncoder:
    """Encodes answers to one request.

    Parameters
    ----------
    asked : tuple of Asked
        The return keys.
    encoding : Encoding
        Of the presentation context.
    station : str
        AE title that stands in for an item without a station.
    character_set, preferred : Terms
        The request's set, and the one that the scanner's profile wants.
    """

    def __init__(
        self,
        asked: tuple[Asked, ...],
        encoding: Encoding,
        *,
        station: str = "",
        character_set: Terms = charsets.ASCII,
        preferred: Terms = charsets.ASCII,
    ) -> None:
        self._encoding = encoding
        self._station = station
        self._character_set = character_set
        self._preferred = preferred
        self._root = _compile(asked)
        self._headers: dict[Terms, bytes] = {}
        self._kept: dict[int, tuple[int, bytes]] = {}

    def encode(self, item: WorklistItem) -> bytes:
        """The identifier of the pending response for an item.

        An item that is stored has a number and a version: its bytes are kept until it changes.
        """
        if item.item_id is None:
            return self._encode(item)
        kept = self._kept.get(item.item_id)
        if kept is not None and kept[0] == item.version:
            return kept[1]
        encoded = self._encode(item)
        if kept is not None or len(self._kept) < _MAX_KEPT:
            self._kept[item.item_id] = (item.version, encoded)
        return encoded

    def _encode(self, item: WorklistItem) -> bytes:
        terms = charsets.choose(self._root.texts(item), self._character_set, self._preferred)
        python_encodings = list(convert_encodings(list(terms))) if terms else []
        writing = _Writing(self._encoding, self._station, terms, python_encodings)
        parts = [(tag, write(item, writing)) for tag, write in self._root.writers]
        if terms:
            value = "\\".join(terms).encode("ascii")
            parts.append((_CHARACTER_SET, _element(_CHARACTER_SET, "CS", value, self._encoding)))
            parts.sort(key=lambda part: part[0])
        return b"".join(part for _, part in parts)


@dataclass(frozen=True, slots=True)
class _Level:
    """The compiled return keys of one level, in the order of their tags."""

    writers: tuple[tuple[int, Writer], ...]
    readers: tuple[Texts, ...]

    def texts(self, item: WorklistItem) -> Iterator[str]:
        for read in self.readers:
            yield from read(item)


def _compile(asked: Iterable[Asked]) -> _Level:
    writers: dict[int, Writer] = {}
    readers: dict[int, Texts] = {}
    for key in asked:
        if key.tag == STEP_SEQUENCE_TAG:
            step = _compile(key.children or ())
            writers[key.tag] = _step_writer(step)
            readers[key.tag] = step.texts
        elif key.attribute is None or not key.attribute.name:
            write = _extra_writer(key)
            if key.attribute is not None or key.keyword:
                writers[key.tag] = write
                readers[key.tag] = _extra_texts(key)
        elif key.attribute.is_sequence:
            writers[key.tag] = _code_writer(key)
            readers[key.tag] = _code_texts(key)
        else:
            writers[key.tag] = _value_writer(key)
            if key.attribute.vr in _TEXT_VRS:
                readers[key.tag] = _value_texts(key)
    return _Level(tuple(sorted(writers.items())), tuple(readers.values()))


def _step_writer(step: _Level) -> Writer:
    def write(item: WorklistItem, writing: _Writing) -> bytes:
        body = b"".join(write(item, writing) for _, write in step.writers)
        return _sequence(STEP_SEQUENCE_TAG, [body], writing.encoding)

    return write


def _value_writer(key: Asked) -> Writer:
    attribute = key.attribute
    assert attribute is not None
    vr, tag = attribute.vr, key.tag

    def write(item: WorklistItem, writing: _Writing) -> bytes:
        values = wire_values(item, key, writing.station)
        return _element(tag, vr, _encoded(vr, values, writing), writing.encoding)

    return write


def _value_texts(key: Asked) -> Texts:
    attribute = key.attribute
    assert attribute is not None
    return lambda item: map(str, item.values_of(attribute))


def _code_writer(key: Asked) -> Writer:
    def write(item: WorklistItem, writing: _Writing) -> bytes:
        assert key.attribute is not None
        bodies = []
        for code in item.values_of(key.attribute):
            body = b""
            for tag in sorted(code_tags(code, key)):
                vr = dictionary_VR(tag)
                value = _encoded(vr, (getattr(code, CODE_KEYS[tag]),), writing)
                body += _element(tag, vr, value, writing.encoding)
            bodies.append(body)
        return _sequence(key.tag, bodies, writing.encoding)

    return write


def _code_texts(key: Asked) -> Texts:
    def texts(item: WorklistItem) -> Iterator[str]:
        assert key.attribute is not None
        for code in item.values_of(key.attribute):
            for tag in code_tags(code, key):
                yield getattr(code, CODE_KEYS[tag])

    return texts


def _extra_data_set(item: WorklistItem, key: Asked) -> Dataset:
    """Extras that have a value are rare: they take the plain path."""
    ds = Dataset()
    add_plain(ds, key.keyword, item.extras[key.keyword], plain_keywords(key))
    return ds


def _extra_writer(key: Asked) -> Writer:
    vr = dictionary_VR(key.tag).split(" or ")[0]

    def write(item: WorklistItem, writing: _Writing) -> bytes:
        if key.keyword not in item.extras:
            in_model = key.attribute is not None
            return _element(key.tag, vr, b"", writing.encoding) if in_model else b""
        ds = _extra_data_set(item, key)
        if not writing.terms:
            return _plain(ds, writing.encoding)
        # The writer looks the character set up in the data set it writes.
        ds.SpecificCharacterSet = list(writing.terms)
        encoded = _plain(ds, writing.encoding)
        value = "\\".join(writing.terms).encode("ascii")
        header = _element(_CHARACTER_SET, "CS", value, writing.encoding)
        return encoded.replace(header, b"", 1)

    return write


def _extra_texts(key: Asked) -> Texts:
    def texts(item: WorklistItem) -> Iterable[str]:
        return texts_of(_extra_data_set(item, key)) if key.keyword in item.extras else ()

    return texts


def _plain(ds: Dataset, encoding: Encoding) -> bytes:
    encoded = encode_data_set(ds, encoding.implicit_vr, encoding.little_endian)
    assert encoded is not None
    return encoded


def _encoded(vr: str, values: tuple[Any, ...], writing: _Writing) -> bytes:
    """The value field, not yet padded."""
    if vr == "US":
        return b"".join(struct.pack(writing.encoding.order + "H", value) for value in values)
    if vr not in _TEXT_VRS or not writing.python_encodings:
        return "\\".join(values).encode("latin_1")
    if vr == "PN":
        names = [PersonName(value).encode(writing.python_encodings) for value in values]
        return b"\\".join(bytes(name) for name in names)
    return b"\\".join(encode_string(value, writing.python_encodings) for value in values)


def _element(tag: int, vr: str, value: bytes, encoding: Encoding) -> bytes:
    if len(value) & 1:
        value += b"\0" if vr == "UI" else b" "
    order = encoding.order
    start = struct.pack(order + "HH", tag >> 16, tag & 0xFFFF)
    if encoding.implicit_vr:
        return start + struct.pack(order + "I", len(value)) + value
    name = vr.encode("ascii")
    if vr in _LONG_HEADER:
        return start + name + b"\0\0" + struct.pack(order + "I", len(value)) + value
    return start + name + struct.pack(order + "H", len(value)) + value


def _sequence(tag: int, bodies: list[bytes], encoding: Encoding) -> bytes:
    order = encoding.order
    items = b"".join(
        struct.pack(order + "HHI", _ITEM >> 16, _ITEM & 0xFFFF, len(body)) + body for body in bodies
    )
    return _element(tag, "SQ", items, encoding)
