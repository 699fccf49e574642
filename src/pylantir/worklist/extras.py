"""Extras: attributes beyond the model, by DICOM keyword, checked against their VR (PS3.5 6.2).

An extra is kept as plain JSON: text, number, list of these for several values, and for a sequence
a list of objects keyed by keyword.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from pydicom.datadict import dictionary_VM, dictionary_VR, keyword_dict, tag_for_keyword

from pylantir import clock
from pylantir.worklist.attributes import STEP_SEQUENCE_TAG
from pylantir.worklist.values import decimal, parser_for

_MAX_DEPTH = 5
_LONGEST_KEYWORD = 80
_NOT_TEXT = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN", "AT", "FL", "FD"})


def is_keyword(name: str) -> bool:
    """Whether the DICOM dictionary knows the keyword."""
    return bool(name) and tag_for_keyword(name) is not None  # retired tags have no keyword


def nearest_keyword(name: str) -> str:
    """The dictionary's keyword that looks most like the name, or nothing.

    Only those that begin alike and are about as long are compared: a file may hold thousands of
    unknown names, and there are five thousand keywords.
    """
    if not name or len(name) > _LONGEST_KEYWORD:
        return ""
    likely = _keywords_by_initial().get(name[0].lower(), ())
    alike = [k for k in likely if 2 * len(name) <= 3 * len(k) <= 4.5 * len(name)]
    found = difflib.get_close_matches(name, alike, n=1, cutoff=0.8)
    return found[0] if found else ""


@cache
def _keywords_by_initial() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for keyword in keyword_dict:
        found.setdefault(keyword[:1].lower(), []).append(keyword)
    return found


def parse_extra(keyword: str, value: object, depth: int = 0) -> Any:
    """The canonical JSON form of an extra.

    Raises
    ------
    ValueError
        Unknown keyword, binary VR, a value that does not fit its VR, or sequences nested too deep.
    """
    tag = tag_for_keyword(keyword) if keyword else None
    if tag is None:
        near = nearest_keyword(keyword)
        raise ValueError("expected a DICOM keyword" + (f" (did you mean {near}?)" if near else ""))
    if tag < 0x0008_0000 or keyword == "SpecificCharacterSet":
        raise ValueError("expected an attribute of a data set, not of its encoding")
    if tag == STEP_SEQUENCE_TAG:
        raise ValueError("expected the attributes of the scheduled step beside the others")
    vr = dictionary_VR(tag).split(" or ")[0]
    if vr in _NOT_TEXT:
        raise ValueError(f"expected a text, number or sequence attribute, {keyword} is {vr}")
    if vr == "SQ":
        return _sequence(value, depth)
    multiple = dictionary_VM(tag) != "1"
    parsed = parser_for("", vr, multiple=multiple)(value)
    if multiple:
        return [_plain(part) for part in parsed]
    return _plain(parsed)


def _sequence(value: object, depth: int) -> list[dict[str, Any]]:
    if depth >= _MAX_DEPTH:
        raise ValueError(f"expected sequences nested at most {_MAX_DEPTH} deep")
    if isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ValueError("expected a list of objects keyed by DICOM keyword")
    items = []
    for item in value:
        if not isinstance(item, Mapping):
            raise ValueError("expected an object keyed by DICOM keyword in a sequence")
        items.append({key: parse_extra(key, item[key], depth + 1) for key in item})
    return items


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | int):
        return "" if value is None else value
    if hasattr(value, "hour"):
        return clock.as_tm(value)
    if hasattr(value, "year"):
        return clock.as_da(value)
    return str(decimal(value))
