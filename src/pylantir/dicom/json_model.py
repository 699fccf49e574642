"""An encoded data set as DICOM JSON (PS3.18 Annex F), value by value.

Whatever a peer sends becomes JSON that can be kept, or a tag that cannot be used; nothing in here
raises for a value. Text is Unicode, so the character set of the data set is left out.
"""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from pydicom.datadict import dictionary_VR

from pylantir import clock
from pylantir.dicom import charsets
from pylantir.dicom.charsets import Terms
from pylantir.dicom.elements import IMPLICIT, Element, Encoding
from pylantir.worklist.values import decimal, uid

Attributes = dict[str, Any]
"""A data set as DICOM JSON: eight hexadecimal digits of the tag to its VR and values."""

MAX_VALUES = 4096
"""Values of one attribute; a megabyte of backslashes would be a million of them."""

_CHARACTER_SET = 0x0008_0005
_ONE_VALUE = frozenset({"ST", "LT", "UT", "UR"})
_TEXT = frozenset({"SH", "LO", "UC", "PN", *_ONE_VALUE})
"""Their trailing spaces mean nothing; leading ones do."""

_CODES = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI"})
"""Plain ASCII, whatever the character set; spaces on either side mean nothing."""

STRING_VRS = _TEXT | _CODES
"""Whose values are characters."""

_BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_NUMBERS = {
    "US": "H",
    "SS": "h",
    "UL": "I",
    "SL": "i",
    "UV": "Q",
    "SV": "q",
    "FL": "f",
    "FD": "d",
    "AT": "HH",
}
_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_MAX_INTEGER_CHARACTERS = 12

_FORMS: dict[str, Callable[[str], object]] = {
    "DA": clock.parse_date,
    "TM": clock.parse_time,
    "UI": uid,
}
"""Values that a wrong form makes useless; over-long texts are kept as they came."""


class _Unusable(ValueError):
    """A value that has no place in DICOM JSON."""


def attributes_of(
    elements: tuple[Element, ...], encoding: Encoding, terms: Terms = charsets.ASCII
) -> tuple[Attributes, set[int]]:
    """A data set as DICOM JSON, and the attributes at its root that hold an invalid value.

    Parameters
    ----------
    elements : tuple of Element
        The data set.
    encoding : Encoding
        Of the presentation context.
    terms : Terms
        Character set of the data set around; the data set's own goes before it.

    Returns
    -------
    attributes : Attributes
        Text that its form or its character set makes useless is in it as it came; what is not
        even text or a number is left out.
    invalid : set of int
        Tags; of a sequence when the invalid value is inside it.
    """
    terms = charsets.terms_of(elements, terms)
    attributes: Attributes = {}
    invalid: set[int] = set()
    for element in elements:
        if element.tag == _CHARACTER_SET:
            continue
        try:
            vr = _vr_of(element)
            if vr == "SQ":
                found, usable = _sequence(element, encoding, terms)
            elif not element.value:
                found, usable = {}, True
            else:
                found, usable = _values(element, vr, encoding, terms)
        except _Unusable:
            invalid.add(element.tag)
            continue
        if not usable:
            invalid.add(element.tag)
        attributes[f"{element.tag:08X}"] = {"vr": vr, **found}
    return attributes, invalid


def _vr_of(element: Element) -> str:
    """The VR of the dictionary, unless the element's own is as good.

    Raises
    ------
    _Unusable
        A sequence in place of a value, a number in place of a text and the like.
    """
    known = _dictionary_vrs(element.tag)
    if element.items is not None:
        if known and "SQ" not in known:
            raise _Unusable
        return "SQ"
    if not known or element.vr in known:
        return element.vr
    if "SQ" in known and element.value:
        raise _Unusable
    if element.vr == "UN" or not element.value or {element.vr, known[0]} <= STRING_VRS:
        return known[0]
    raise _Unusable


@lru_cache(maxsize=1024)
def _dictionary_vrs(tag: int) -> tuple[str, ...]:
    if tag >> 16 & 1:
        is_creator = 0x10 <= tag & 0xFFFF <= 0xFF  # PS3.5 7.8.1
        return ("LO",) if is_creator else ()
    try:
        return tuple(dictionary_VR(tag).split(" or "))
    except KeyError:
        return ()


def _sequence(element: Element, encoding: Encoding, terms: Terms) -> tuple[dict[str, Any], bool]:
    inside = IMPLICIT if element.vr == "UN" else encoding
    items, usable = [], True
    for item in element.items or ():
        attributes, invalid = attributes_of(item, inside, terms)
        items.append(attributes)
        usable = usable and not invalid
    return {"Value": items}, usable


def _values(
    element: Element, vr: str, encoding: Encoding, terms: Terms
) -> tuple[dict[str, Any], bool]:
    """The values, and whether each of them is one of its VR."""
    raw = element.value
    if vr in _BINARY:
        return ({"InlineBinary": base64.b64encode(raw).decode("ascii")} if raw else {}), True
    if vr in _NUMBERS:
        order = "<" if element.vr == "UN" else encoding.order
        return _valued(_numbers(raw, vr, order)), True
    if vr in _CODES:
        return _coded(raw, vr)
    text = charsets.decode(raw, terms, vr)
    texts = _split(text, vr)
    found = [_name(part) for part in texts] if vr == "PN" else [part or None for part in texts]
    return _valued(found), "\ufffd" not in text


def _valued(values: list[Any]) -> dict[str, Any]:
    return {} if values in ([], [None]) else {"Value": values}


def _split(text: str, vr: str) -> list[str]:
    several = "\\" in text and vr not in _ONE_VALUE
    if several and text.count("\\") >= MAX_VALUES:
        raise _Unusable
    parts = text.split("\\") if several else [text]
    if vr in _CODES:
        return [part.strip(" \0") for part in parts]
    return [part.rstrip(" \0") for part in parts]


def _name(text: str) -> dict[str, str] | None:
    groups = text.split("=", 2)
    return dict(zip(_NAME_GROUPS, groups, strict=False)) if text else None


def _coded(raw: bytes, vr: str) -> tuple[dict[str, Any], bool]:
    texts = _split(raw.decode("latin_1"), vr)
    if vr in ("DS", "IS"):
        read = _decimal_string if vr == "DS" else _integer_string
        return _valued([read(part) if part else None for part in texts]), True
    usable = all(_has_form(part, vr) for part in texts if part)
    return _valued([part or None for part in texts]), usable


def _has_form(text: str, vr: str) -> bool:
    if not text.isascii():
        return False
    check = _FORMS.get(vr)
    try:
        if check is not None:
            check(text)
    except ValueError:
        return False
    return True


def _decimal_string(text: str) -> int | float | str:
    """A number where it reads back the same, else the text (PS3.18 F.2.3.1)."""
    try:
        decimal(text)
    except ValueError:
        raise _Unusable from None
    return number_or_text(text)


def number_or_text(text: str) -> int | float | str:
    """A decimal string as DICOM JSON has it: a number only where that reads back the same."""
    number = float(text)
    if text == str(number):
        return number
    return int(number) if number.is_integer() and text == str(int(number)) else text


def _integer_string(text: str) -> int:
    digits = text[1:] if text[0] in "+-" else text
    if len(text) > _MAX_INTEGER_CHARACTERS or not (digits.isascii() and digits.isdigit()):
        raise _Unusable
    return int(text)


def _numbers(raw: bytes, vr: str, order: str) -> list[Any]:
    pattern = struct.Struct(order + _NUMBERS[vr])
    if len(raw) % pattern.size or len(raw) > pattern.size * MAX_VALUES:
        raise _Unusable
    found = list(pattern.iter_unpack(raw))
    if vr == "AT":
        return [f"{group:04X}{element:04X}" for group, element in found]
    if not all(math.isfinite(number) for (number,) in found):
        raise _Unusable
    return [number for (number,) in found]
