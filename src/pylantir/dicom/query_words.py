"""A query identifier in words, for people who read the audit trail."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.datadict import keyword_for_tag
from pydicom.uid import UID

from pylantir.dicom import charsets
from pylantir.dicom.charsets import Terms
from pylantir.dicom.elements import Element, Encoding, MalformedDataSet, read_elements

_CHARACTER_SET = 0x0008_0005


def query_words(identifier: bytes, transfer_syntax: str) -> str:
    """What was asked for: the keys that have a value, such as ``PatientName=DOE*``.

    Parameters
    ----------
    identifier : bytes
        The encoded identifier.
    transfer_syntax : str
        How it is encoded.
    """
    syntax = UID(transfer_syntax)
    try:
        encoding = Encoding(syntax.is_implicit_VR, syntax.is_little_endian)
        elements = read_elements(identifier, encoding)
    except (MalformedDataSet, ValueError):
        return f"{len(identifier)} bytes that are no query"
    terms = charsets.ASCII
    for element in elements:
        if element.tag == _CHARACTER_SET:
            terms = charsets.parse_terms(element.value.decode("ascii", errors="replace"))
    return ", ".join(_words(elements, terms)) or "everything"


def _words(elements: tuple[Element, ...], terms: Terms) -> Iterator[str]:
    for element in elements:
        if element.items is not None:
            for item in element.items:
                yield from _words(item, terms)
        elif element.value and element.tag != _CHARACTER_SET:
            name = keyword_for_tag(element.tag) or f"{element.tag:08X}"
            value = charsets.decode(element.value, terms, element.vr).strip(" \0")
            if value:
                yield f"{name}={value}"
