"""The identifier of a worklist query, as a scanner sends it (PS3.4 Annex K.4.1, Table K.6-1)."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from pydicom import config
from pydicom.datadict import dictionary_VR, keyword_dict, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from pylantir.errors import InvalidQuery, ValueProblem
from pylantir.worklist.attributes import BY_KEYWORD, MODEL, Level, attribute_named

STEP_SEQUENCE = "ScheduledProcedureStepSequence"
_CHARACTER_SET = "SpecificCharacterSet"
_WHOLE_NUMBERS = {
    "US": range(2**16),
    "SS": range(-(2**15), 2**15),
    "UL": range(2**32),
    "SL": range(-(2**31), 2**31),
    "UV": range(2**64),
    "SV": range(-(2**63), 2**63),
}
_FRACTIONS = frozenset({"FL", "FD"})
_NO_KEYS = frozenset({"AT", "OB", "OD", "OF", "OL", "OV", "OW", "UN"})


def build_identifier(
    keys: Mapping[str, str],
    *,
    return_all: bool = True,
    character_set: str | None = "ISO_IR 192",
) -> Dataset:
    """The request identifier for a set of keys.

    Parameters
    ----------
    keys : mapping of str to str
        DICOM keyword, or any spelling the attribute table knows, to key value. Attributes of the
        Scheduled Procedure Step go into its sequence by themselves; other sequences are reached
        with a dotted path such as ``RequestedProcedureCodeSequence.CodeValue``. An empty value is
        universal matching; ``\\`` separates several values. Values are sent as they are: wild
        cards, ranges and mistakes alike.
    return_all : bool
        Ask for every attribute of Table K.6-1, as scanners do; otherwise only for the keys.
    character_set : str, optional
        Specific Character Set of the keys, ``\\`` between several; none is sent when absent, and
        then the keys must be ASCII.

    Raises
    ------
    InvalidQuery
        Keywords that the DICOM dictionary does not have, values that their value representation
        cannot hold; all at once.
    """
    identifier = _universal() if return_all else Dataset()
    if character_set:
        identifier.add(element(_CHARACTER_SET, character_set))
    problems = []
    for name, value in keys.items():
        try:
            put(identifier, key_path(name), value)
        except ValueError as error:
            problems.append(ValueProblem(name, value, str(error)))
    if problems:
        raise InvalidQuery(problems)
    return identifier


def element(keyword: str, value: str = "") -> DataElement:
    """An attribute with a value from text, zero-length when the text is empty.

    Raises
    ------
    ValueError
        The value representation of the attribute has no such value.
    """
    vr = dictionary_VR(keyword).split(" or ")[0]
    tag = tag_for_keyword(keyword) or 0
    return DataElement(tag, vr, _value(vr, value), validation_mode=config.IGNORE)


def sequence(keyword: str, items: list[Dataset]) -> DataElement:
    """A sequence attribute."""
    return DataElement(tag_for_keyword(keyword) or 0, "SQ", items)


def put(ds: Dataset, path: list[str], value: str) -> None:
    """Set the attribute at the end of a path of keywords; sequences on the way get one item.

    Raises
    ------
    ValueError
        A keyword on the way is no sequence, or the value cannot be one of the attribute.
    """
    for keyword in path[:-1]:
        if dictionary_VR(keyword) != "SQ":
            raise ValueError(f"expected a sequence before the dot, {keyword} is none")
        if not ds.get(keyword):
            ds.add(sequence(keyword, [Dataset()]))
        ds = ds[keyword].value[0]
    ds.add(element(path[-1], value))


def nearest_keyword(name: str) -> str:
    """The DICOM keyword that looks most like the name, or nothing."""
    by_lower = {keyword.lower(): keyword for keyword in keyword_dict if keyword}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.75)
    return by_lower[near[0]] if near else ""


def keyword_of(name: str) -> str:
    """The DICOM keyword that is meant by a name.

    Raises
    ------
    ValueError
        The dictionary has no such keyword.
    """
    if tag_for_keyword(name) is not None:
        return name
    attribute = attribute_named(name)
    if attribute is not None:
        return attribute.keyword
    near = nearest_keyword(name)
    raise ValueError("expected a DICOM keyword" + (f" (did you mean {near}?)" if near else ""))


def key_path(name: str) -> list[str]:
    """Where in the identifier a key stands, as keywords from the root down.

    Raises
    ------
    ValueError
        The dictionary has no such keyword.
    """
    path = [keyword_of(part) for part in name.split(".")]
    attribute = BY_KEYWORD.get(path[0])
    in_step = attribute is not None and attribute.level is Level.STEP
    return [STEP_SEQUENCE, *path] if in_step else path


def _universal() -> Dataset:
    identifier, step = Dataset(), Dataset()
    for attribute in MODEL:
        (step if attribute.level is Level.STEP else identifier).add(element(attribute.keyword))
    identifier.add(sequence(STEP_SEQUENCE, [step]))
    return identifier


def _value(vr: str, text: str) -> Any:
    if vr in _NO_KEYS:
        raise ValueError(f"expected a text, number or sequence attribute, this is {vr}")
    if vr == "SQ":
        if text:
            raise ValueError("expected an attribute inside the sequence, as SEQUENCE.KEYWORD")
        return []
    if vr not in _WHOLE_NUMBERS and vr not in _FRACTIONS:
        return text
    if not text:
        return None
    numbers = [_number(vr, part) for part in text.split("\\")]
    return numbers if len(numbers) > 1 else numbers[0]


def _number(vr: str, text: str) -> int | float:
    bounds = _WHOLE_NUMBERS.get(vr)
    try:
        number = float(text) if bounds is None else int(text)
    except ValueError:
        raise ValueError("expected a number") from None
    if bounds is not None and number not in bounds:
        raise ValueError(f"expected between {bounds[0]} and {bounds[-1]}")
    return number
