"""From the identifier of a C-FIND request to a WorklistQuery and the keys to answer (PS3.4 K.4.1).

Whatever is malformed raises :class:`~pylantir.errors.InvalidQuery` (0xA900): a query that cannot
be understood must not become a query for everything.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pydicom.datadict import keyword_for_tag

from pylantir.dicom import charsets
from pylantir.dicom.charsets import Terms
from pylantir.dicom.elements import Element, Encoding, MalformedDataSet, read_elements
from pylantir.dicom.json_model import STRING_VRS
from pylantir.dicom.keys import match_for
from pylantir.errors import InvalidQuery, ValueProblem
from pylantir.worklist.attributes import (
    BY_TAG,
    CODE_KEYS,
    MODEL,
    STEP_SEQUENCE_TAG,
    Attribute,
    Level,
)
from pylantir.worklist.query import (
    START_DATE,
    START_TIME,
    CodeKey,
    Key,
    Match,
    Range,
    StartInterval,
    WorklistQuery,
)

_CHARACTER_SET = 0x0008_0005
_TIMEZONE_OFFSET = 0x0008_0201
_QUERY_LEVEL = 0x0008_0052
_TOLERATED = frozenset({_CHARACTER_SET, _TIMEZONE_OFFSET, _QUERY_LEVEL})
"""Describe the keys (K.6-1a) or belong to another model: neither matched nor answered."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One return key.

    Parameters
    ----------
    tag, keyword : int, str
        The attribute.
    attribute : Attribute or None
        Its row of the model; nothing for an attribute beyond it or inside a code.
    children : tuple of Asked or None
        Return keys inside a sequence; nothing asks for all it has.
    """

    tag: int
    keyword: str
    attribute: Attribute | None = None
    children: tuple[Asked, ...] | None = None


@dataclass(frozen=True, slots=True)
class FindRequest:
    """What a scanner asks: for which items, and what of them.

    Parameters
    ----------
    asked : tuple of Asked
        Return keys at the root, in the order of the request.
    unsupported : bool
        Some optional key was not supported, so answers are 0xFF01.
    character_set : Terms
        The request's Specific Character Set.
    """

    keys: tuple[Key, ...]
    codes: tuple[CodeKey, ...]
    start: StartInterval | None
    asked: tuple[Asked, ...]
    unsupported: bool
    character_set: Terms

    def query(self) -> WorklistQuery:
        """The query for the store, without what the caller may see."""
        return WorklistQuery(keys=self.keys, codes=self.codes, start=self.start)


@dataclass(slots=True)
class _Collected:
    """What has been read of an identifier so far."""

    character_set: Terms
    encoding: Encoding
    keys: dict[Attribute, Match] = field(default_factory=dict)
    codes: list[CodeKey] = field(default_factory=list)
    in_model: bool = False
    unsupported: bool = False


def read_identifier(data: bytes, encoding: Encoding) -> FindRequest:
    """Read the identifier of a C-FIND request.

    Parameters
    ----------
    data : bytes
        The encoded identifier.
    encoding : Encoding
        Of the presentation context.

    Raises
    ------
    InvalidQuery
        Not a data set, empty, without any attribute of the model, or with a key whose value has
        no meaning for its VR.
    """
    try:
        elements = read_elements(data, encoding)
    except MalformedDataSet as error:
        raise _invalid("Identifier", "", f"not a data set: {error}") from None
    found = _Collected(charsets.terms_of(elements), encoding)
    asked = _read_level(elements, Level.ROOT, found)
    if not found.in_model:
        raise _invalid("Identifier", "", "no attribute of the Modality Worklist model")
    keys, start = _combine_start(found.keys)
    return FindRequest(
        keys=keys,
        codes=tuple(found.codes),
        start=start,
        asked=asked,
        unsupported=found.unsupported,
        character_set=found.character_set,
    )


def _read_level(
    elements: tuple[Element, ...], level: Level, found: _Collected
) -> tuple[Asked, ...]:
    asked: list[Asked] = []
    for element in elements:
        if element.tag in _TOLERATED:
            continue
        if element.tag == STEP_SEQUENCE_TAG and level is Level.ROOT:
            asked.append(_read_step_sequence(element, found))
            continue
        attribute = BY_TAG.get((level, element.tag))
        if attribute is None:
            found.unsupported = True
            asked += _beyond_model(element)
            continue
        found.in_model = True
        if attribute.is_sequence:
            asked.append(_read_sequence(element, attribute, found))
        else:
            _read_key(element, attribute, found)
            asked.append(Asked(element.tag, attribute.keyword, attribute))
    return tuple(asked)


def _beyond_model(element: Element) -> list[Asked]:
    """A public attribute beyond the model is answered by items that have it among their extras."""
    keyword = "" if element.is_private else keyword_for_tag(element.tag)
    return [Asked(element.tag, keyword)] if keyword else []


def _read_step_sequence(element: Element, found: _Collected) -> Asked:
    found.in_model = True
    keyword = "ScheduledProcedureStepSequence"
    item = _only_item(element, keyword)
    asked = _read_level(item, Level.STEP, found) if item else whole_step()
    return Asked(element.tag, keyword, children=asked)


def whole_step() -> tuple[Asked, ...]:
    """Return keys for everything that a scheduled procedure step has (K.2.2.1.2, note 4)."""
    return tuple(Asked(a.tag, a.keyword, a) for a in MODEL if a.level is Level.STEP)


def whole_item() -> tuple[Asked, ...]:
    """Return keys for everything that an item has, extras aside."""
    root = tuple(Asked(a.tag, a.keyword, a) for a in MODEL if a.level is Level.ROOT)
    sequence = "ScheduledProcedureStepSequence"
    return (*root, Asked(STEP_SEQUENCE_TAG, sequence, children=whole_step()))


def _only_item(element: Element, keyword: str) -> tuple[Element, ...]:
    """The item of a key sequence; empty for universal matching (C.2.2.2.6)."""
    if element.items is None:
        if element.value:
            raise _invalid(keyword, "", "expected a sequence")
        return ()
    if len(element.items) > 1:
        raise _invalid(keyword, "", "expected one item in a key sequence")
    return element.items[0] if element.items else ()


def _read_sequence(element: Element, attribute: Attribute, found: _Collected) -> Asked:
    item = _only_item(element, attribute.keyword)
    if not item:
        return Asked(element.tag, attribute.keyword, attribute)
    children = tuple(Asked(e.tag, keyword_for_tag(e.tag)) for e in item if not e.is_private)
    if attribute.name:
        parts = _code_parts(item, found)
        if parts:
            found.codes.append(CodeKey(attribute, parts))
    elif any(e.value or e.items for e in item):
        found.unsupported = True  # kept among the extras, which are not matched
    return Asked(element.tag, attribute.keyword, attribute, children)


def _code_parts(item: tuple[Element, ...], found: _Collected) -> tuple[tuple[str, Match], ...]:
    parts: list[tuple[str, Match]] = []
    for element in item:
        name = CODE_KEYS.get(element.tag)
        if name is None:
            found.unsupported = True
            continue
        vr = "LO" if name == "meaning" else "SH"
        text = charsets.decode(element.value, found.character_set, vr)
        match = match_for(keyword_for_tag(element.tag), vr, text)
        if match is not None:
            parts.append((name, match))
    return tuple(parts)


def _read_key(element: Element, attribute: Attribute, found: _Collected) -> None:
    if element.items is not None:
        raise _invalid(attribute.keyword, "", "expected a value, not a sequence")
    is_string = element.vr in STRING_VRS
    if element.vr != "UN" and is_string != (attribute.vr in STRING_VRS) and element.value:
        raise _invalid(attribute.keyword, "", f"expected a value of VR {attribute.vr}")
    if attribute.vr == "US":
        text = _number(element, attribute, found.encoding)
    else:
        text = charsets.decode(element.value, found.character_set, attribute.vr)
    match = match_for(attribute.keyword, attribute.vr, text)
    if match is not None:
        found.keys[attribute] = match


def _number(element: Element, attribute: Attribute, encoding: Encoding) -> str:
    if len(element.value) not in (0, 2):
        raise _invalid(attribute.keyword, "", "expected a 16 bit number")
    if not element.value:
        return ""
    return str(int.from_bytes(element.value, "little" if encoding.little_endian else "big"))


def _combine_start(
    keys: dict[Attribute, Match],
) -> tuple[tuple[Key, ...], StartInterval | None]:
    """Start date and start time, both as ranges, mean one interval (remark of K.6-1)."""
    days, times = keys.get(START_DATE), keys.get(START_TIME)
    if not (isinstance(days, Range) and isinstance(times, Range)):
        return tuple(Key(attribute, match) for attribute, match in keys.items()), None
    rest = tuple(Key(a, m) for a, m in keys.items() if a not in (START_DATE, START_TIME))
    return rest, StartInterval.of(days, times)


def _invalid(keyword: str, value: str, reason: str) -> InvalidQuery:
    return InvalidQuery([ValueProblem(keyword, value, reason)])
