"""Reading an encoded data set strictly (PS3.5 section 7).

pydicom reads leniently: of 400 random bytes it makes an empty data set, which as a query asks for
the whole worklist. Here every length must fit, every sequence must end, and depth and number are
bounded, so that what is not a data set is an error.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

from pydicom.datadict import dictionary_VR

MAX_DEPTH = 8
MAX_ELEMENTS = 4096
"""More than any identifier has; a performed step names every image and may have more."""

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFE_E000, 0xFFFE_E00D, 0xFFFE_E0DD
_UNDEFINED = 0xFFFF_FFFF
_LITTLE, _BIG = struct.Struct("<HHI"), struct.Struct(">HHI")
_LONG_VRS = {vr.encode(): vr for vr in "OB OD OF OL OV OW SQ SV UC UN UR UT UV".split()}
_SHORT_VRS = {
    vr.encode(): vr
    for vr in "AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()
}


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a data set is encoded: its transfer syntax, without deflation."""

    implicit_vr: bool
    little_endian: bool

    @property
    def order(self) -> str:
        """Byte order as :mod:`struct` spells it."""
        return "<" if self.little_endian else ">"

    @property
    def byte_order(self) -> Literal["little", "big"]:
        """Byte order as :meth:`int.from_bytes` spells it."""
        return "little" if self.little_endian else "big"


class Element(NamedTuple):
    """One element: its value as bytes, or for a sequence its items.

    A sequence of undefined length may have the VR UN, in implicit VR that of any attribute.
    """

    tag: int
    vr: str
    value: bytes
    items: tuple[tuple[Element, ...], ...] | None = None

    @property
    def is_private(self) -> bool:
        """Odd group number (PS3.5 section 7.8)."""
        return bool(self.tag >> 16 & 1)


class MalformedDataSet(ValueError):
    """The bytes are no data set in the transfer syntax they claim."""


IMPLICIT = Encoding(implicit_vr=True, little_endian=True)
"""The default transfer syntax, and that of what stands inside a value of VR UN (PS3.5 6.2.2)."""


def read_elements(
    data: bytes, encoding: Encoding, *, max_elements: int = MAX_ELEMENTS
) -> tuple[Element, ...]:
    """The elements of an encoded data set; group lengths are left out.

    Parameters
    ----------
    data : bytes
        The data set.
    encoding : Encoding
        Of the presentation context.
    max_elements : int
        Most elements that it may have, those inside sequences too.

    Raises
    ------
    MalformedDataSet
        A length that does not fit, an unknown VR, a sequence that does not end, too deep, too
        many elements, an attribute twice, or an element that does not belong into a data set.
    """
    return _Reader(data, max_elements).data_set(len(data), encoding, 0)


class _Reader:
    """A position in the bytes; each method leaves it behind what it read."""

    def __init__(self, data: bytes, max_elements: int) -> None:
        self._data = data
        self._at = 0
        self._left = max_elements
        self._max_elements = max_elements

    def data_set(self, end: int, encoding: Encoding, depth: int) -> tuple[Element, ...]:
        found: list[Element] = []
        while self._at < end:
            element = self._element(end, encoding, depth)
            if element is None:
                break
            if element.tag & 0xFFFF:
                found.append(element)
        if len(found) > 1 and len({e.tag for e in found}) < len(found):
            # Which of the two is meant, each program answers for itself.
            raise MalformedDataSet("an attribute that stands twice in one data set")
        return tuple(found)

    def _element(self, end: int, encoding: Encoding, depth: int) -> Element | None:
        """The next element; nothing at the delimiter of the enclosing item."""
        self._left -= 1
        if self._left < 0:
            raise MalformedDataSet(f"more than {self._max_elements} elements")
        tag, vr, length = self._header(end, encoding)
        if tag == _ITEM_END and depth:
            return None
        if not 0x0008 <= tag >> 16 < 0xFFFC:
            raise MalformedDataSet("an element that does not belong into a data set")
        if vr == "SQ" or length == _UNDEFINED:
            inner = IMPLICIT if vr == "UN" else encoding
            return Element(tag, vr, b"", self._items(length, end, inner, depth + 1))
        return Element(tag, vr, self._take(length, end))

    def _header(self, end: int, encoding: Encoding) -> tuple[int, str, int]:
        """Tag, VR and length: eight bytes, twelve for some VRs (PS3.5 7.1.2, 7.1.3)."""
        header = self._take(8, end)
        little = encoding.little_endian
        group, element, length = (_LITTLE if little else _BIG).unpack(header)
        tag = group << 16 | element
        if encoding.implicit_vr or group == 0xFFFE:
            return tag, _dictionary_vr(tag), length
        spelt = header[4:6]
        if vr := _SHORT_VRS.get(spelt):
            return tag, vr, int.from_bytes(header[6:], encoding.byte_order)
        if vr := _LONG_VRS.get(spelt):
            return tag, vr, int.from_bytes(self._take(4, end), encoding.byte_order)
        raise MalformedDataSet("an unknown value representation")

    def _items(
        self, length: int, end: int, encoding: Encoding, depth: int
    ) -> tuple[tuple[Element, ...], ...]:
        if depth > MAX_DEPTH:
            raise MalformedDataSet(f"sequences nested deeper than {MAX_DEPTH}")
        stop = end if length == _UNDEFINED else self._at + length
        if stop > end:
            raise MalformedDataSet("a sequence longer than its data set")
        items: list[tuple[Element, ...]] = []
        while self._at < stop:
            tag, _, item_length = self._header(stop, encoding)
            if tag == _SEQUENCE_END and length == _UNDEFINED:
                return tuple(items)
            if tag != _ITEM:
                raise MalformedDataSet("a sequence that holds something other than items")
            items.append(self._item(item_length, stop, encoding, depth))
        if length == _UNDEFINED:
            raise MalformedDataSet("a sequence that does not end")
        return tuple(items)

    def _item(self, length: int, stop: int, encoding: Encoding, depth: int) -> tuple[Element, ...]:
        if length != _UNDEFINED:
            end = self._at + length
            if end > stop:
                raise MalformedDataSet("an item longer than its sequence")
            elements = self.data_set(end, encoding, depth)
            if self._at != end:
                raise MalformedDataSet("an item that ends before its length")
            return elements
        start = self._at
        elements = self.data_set(stop, encoding, depth)
        if self._data[self._at - 8 : self._at - 4] not in _ITEM_END_BYTES or self._at == start:
            raise MalformedDataSet("an item that does not end")
        return elements

    def _take(self, length: int, end: int) -> bytes:
        start = self._at
        if start + length > end:
            raise MalformedDataSet("a value longer than its data set")
        self._at = start + length
        return self._data[start : self._at]


_ITEM_END_BYTES = (b"\xfe\xff\x0d\xe0", b"\xff\xfe\xe0\x0d")


@lru_cache(maxsize=512)
def _dictionary_vr(tag: int) -> str:
    try:
        return dictionary_VR(tag).split(" or ")[0]
    except KeyError:
        return "UN"
