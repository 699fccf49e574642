"""The hot path of C-FIND: an item's answer as bytes, without a pydicom data set in between.

It gives byte for byte what :func:`~pylantir.dicom.datasets.response_identifier` and pydicom's
writer give; a property test compares the two. What is asked is compiled once for all requests that
ask alike: what an element is headed with, and how its value is read and written. Nearly every
answer is ASCII throughout, so that is tried first.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Any

from pydicom.charset import encode_string
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
    wire,
)
from pylantir.dicom.elements import Encoding
from pylantir.dicom.identifiers import Asked
from pylantir.worklist.attributes import BY_NAME, CODE_KEYS, STEP_SEQUENCE_TAG
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.query import STATION
from pylantir.worklist.values import Code

_LONG_HEADER = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "UC", "UN", "UR", "UT"})
_TEXT_VRS = frozenset({"SH", "LO", "ST", "LT", "UC", "UT", "PN"})
_CHARACTER_SET = 0x0008_0005
_ITEM = 0xFFFE_E000
_KEPT_CODES = 256
_KEPT_VALUES = 4096
_KEPT_WRITERS = 512
"""Protocols, and days or times, that a site's items have in common."""


@dataclass(frozen=True, slots=True)
class _Writing:
    """The character set that one answer is written in."""

    terms: Terms = charsets.ASCII
    python_encodings: tuple[str, ...] = ()


_ASCII = _Writing()

Writer = Callable[[WorklistItem, _Writing], bytes]
Texts = Callable[[WorklistItem], Iterable[str]]
_Element = Callable[[bytes], bytes]
"""Puts the header before a value field."""
_TextField = Callable[[tuple[str, ...], _Writing], bytes]


class AnswerEncoder:
    """Encodes answers to requests that ask alike.

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
        self._character_set = character_set
        self._preferred = preferred
        self._root = _Compiler(encoding, station).level(asked)
        self._head = _element(_CHARACTER_SET, "CS", encoding)

    def encode(self, item: WorklistItem) -> bytes:
        """The identifier of the pending response for an item."""
        try:
            return b"".join([write(item, _ASCII) for _, write in self._root.writers])
        except UnicodeEncodeError:
            return self._beyond_ascii(item)

    def _beyond_ascii(self, item: WorklistItem) -> bytes:
        terms = charsets.choose(self._root.texts(item), self._character_set, self._preferred)
        writing = _Writing(terms, charsets.python_encodings(terms))
        parts = [(tag, write(item, writing)) for tag, write in self._root.writers]
        parts.append((_CHARACTER_SET, self._head("\\".join(terms).encode("ascii"))))
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


@dataclass(frozen=True, slots=True)
class _Compiler:
    """Makes a writer of each return key, and a reader of each that says text."""

    encoding: Encoding
    station: str

    def level(self, asked: Iterable[Asked]) -> _Level:
        writers: dict[int, Writer] = {}
        readers: dict[int, Texts] = {}
        for key in asked:
            if key.tag == STEP_SEQUENCE_TAG:
                step = self.level(key.children or ())
                writers[key.tag] = _step_writer(step, self.encoding)
                readers[key.tag] = step.texts
            elif key.attribute is None or not key.attribute.name:
                if key.attribute is not None or key.keyword:
                    writers[key.tag] = _extra_writer(key, self.encoding)
                    readers[key.tag] = _extra_texts(key)
            elif key.attribute.is_sequence:
                writers[key.tag] = _code_writer(key, self.encoding)
                readers[key.tag] = _code_texts(key)
            else:
                station = self.station if key.attribute is STATION else ""
                writers[key.tag] = _value_writer(key.attribute.name, self.encoding, station)
                if key.attribute.vr in _TEXT_VRS:
                    readers[key.tag] = _value_texts(key)
        return _Level(tuple(sorted(writers.items())), tuple(readers.values()))


def _step_writer(step: _Level, encoding: Encoding) -> Writer:
    sequence = _sequence(STEP_SEQUENCE_TAG, encoding)
    writers = [write for _, write in step.writers]

    def write(item: WorklistItem, writing: _Writing) -> bytes:
        return sequence([b"".join([write(item, writing) for write in writers])])

    return write


@lru_cache(maxsize=_KEPT_WRITERS)
def _value_writer(name: str, encoding: Encoding, station: str) -> Writer:
    """One for all requests: what it has encoded serves whoever else asks for the attribute."""
    attribute = BY_NAME[name]
    read = attrgetter(name)
    element = _element(attribute.tag, attribute.vr, encoding)
    if attribute.vr in _TEXT_VRS:
        field = _name_field if attribute.vr == "PN" else _text_field
        return _text_writer(read, element, field, several=attribute.multiple)
    field_of = _field(attribute.vr, encoding)
    nothing = (station,) if station else ()

    @lru_cache(maxsize=_KEPT_VALUES)
    def encoded(value: Any) -> bytes:
        values = value if isinstance(value, tuple) else () if value in (None, "") else (value,)
        return element(field_of(tuple(map(wire, values or nothing))))

    return lambda item, _: encoded(read(item))


def _text_writer(
    read: Callable[[WorklistItem], Any], element: _Element, field: _TextField, *, several: bool
) -> Writer:
    nothing = element(b"")

    def write_one(item: WorklistItem, writing: _Writing) -> bytes:
        value = read(item)
        if not value:
            return nothing
        return element(value.encode("ascii") if writing is _ASCII else field((value,), writing))

    def write_several(item: WorklistItem, writing: _Writing) -> bytes:
        return element(field(read(item), writing))

    return write_several if several else write_one


def _value_texts(key: Asked) -> Texts:
    attribute = key.attribute
    assert attribute is not None
    return lambda item: map(str, item.values_of(attribute))


def _code_writer(key: Asked, encoding: Encoding) -> Writer:
    assert key.attribute is not None
    read = attrgetter(key.attribute.name)
    sequence = _sequence(key.tag, encoding)

    @lru_cache(maxsize=_KEPT_CODES)
    def body(code: Code, writing: _Writing) -> bytes:
        encoded = b""
        for tag in sorted(code_tags(code, key)):
            vr = dictionary_VR(tag)
            value = _text_field((getattr(code, CODE_KEYS[tag]),), writing)
            encoded += _element(tag, vr, encoding)(value)
        return encoded

    return lambda item, writing: sequence([body(code, writing) for code in read(item)])


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


def _extra_writer(key: Asked, encoding: Encoding) -> Writer:
    element = _element(key.tag, dictionary_VR(key.tag).split(" or ")[0], encoding)
    nothing = element(b"") if key.attribute is not None else b""
    head = _element(_CHARACTER_SET, "CS", encoding)

    def write(item: WorklistItem, writing: _Writing) -> bytes:
        if key.keyword not in item.extras:
            return nothing
        ds = _extra_data_set(item, key)
        if writing is _ASCII:
            "".join(texts_of(ds)).encode("ascii")  # or pydicom would write what it cannot
            return _plain(ds, encoding)
        # The writer looks the character set up in the data set it writes.
        ds.SpecificCharacterSet = list(writing.terms)
        named = head("\\".join(writing.terms).encode("ascii"))
        return _plain(ds, encoding).replace(named, b"", 1)

    return write


def _extra_texts(key: Asked) -> Texts:
    def texts(item: WorklistItem) -> Iterable[str]:
        return texts_of(_extra_data_set(item, key)) if key.keyword in item.extras else ()

    return texts


def _plain(ds: Dataset, encoding: Encoding) -> bytes:
    encoded = encode_data_set(ds, encoding.implicit_vr, encoding.little_endian)
    assert encoded is not None
    return encoded


def _field(vr: str, encoding: Encoding) -> Callable[[tuple[Any, ...]], bytes]:
    """Writes the value field of a VR that no character set governs, not yet padded."""
    if vr == "US":
        number = struct.Struct(f"{encoding.order}H")
        return lambda values: b"".join(map(number.pack, values))
    return lambda values: "\\".join(values).encode("latin_1")


def _text_field(values: tuple[str, ...], writing: _Writing) -> bytes:
    if writing is _ASCII:
        return "\\".join(values).encode("ascii")
    encodings = list(writing.python_encodings)
    return b"\\".join(encode_string(value, encodings) for value in values)


def _name_field(values: tuple[str, ...], writing: _Writing) -> bytes:
    if writing is _ASCII:
        return "\\".join(values).encode("ascii")
    names = [PersonName(value).encode(list(writing.python_encodings)) for value in values]
    return b"\\".join(bytes(name) for name in names)


def _element(tag: int, vr: str, encoding: Encoding) -> _Element:
    """Tag, VR and length of PS3.5 7.1, and the padding of 6.2."""
    order = encoding.order
    head = struct.pack(f"{order}HH", tag >> 16, tag & 0xFFFF)
    length = struct.Struct(f"{order}I")
    if not encoding.implicit_vr:
        long = vr in _LONG_HEADER
        head += vr.encode("ascii") + (b"\0\0" if long else b"")
        length = struct.Struct(f"{order}{'I' if long else 'H'}")
    padding = b"\0" if vr == "UI" else b" "

    def element(value: bytes) -> bytes:
        if len(value) & 1:
            value += padding
        return head + length.pack(len(value)) + value

    return element


def _sequence(tag: int, encoding: Encoding) -> Callable[[list[bytes]], bytes]:
    element = _element(tag, "SQ", encoding)
    item = struct.Struct(f"{encoding.order}HHI")

    def sequence(bodies: list[bytes]) -> bytes:
        return element(
            b"".join([item.pack(_ITEM >> 16, _ITEM & 0xFFFF, len(b)) + b for b in bodies])
        )

    return sequence
